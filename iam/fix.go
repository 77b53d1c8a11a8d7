package iam

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"tokaido/iam/wild"
	"tokaido/value"
)

// bench is where policies are changed: a copy of the call's, so that the
// changed ones can be evaluated against the old.
type bench struct {
	e       *Explanation
	p       *Policies
	changed []change
	checks  map[*Policy][]Finding // what check found, by document
}

// check is Check, once for each document.
func (w *bench) check(p *Policy) []Finding {
	fs, ok := w.checks[p]
	if !ok {
		fs = Check(p, w.e.options(""))
		w.checks[p] = fs
	}
	return fs
}

type change struct {
	at     layered
	before *Policy // nil: the policy is new
}

// repair finds the least change and evaluates the call again with it.
//
// What it may do, layer by layer: narrow a Deny that guards Regions, so that it
// spares models that are called through this profile; make an operator know
// the wildcards that its value has; and allow what is missing, in the place of
// ARNs that were meant for this and can never match. It never takes a Deny
// away, and it never touches what AWS keeps.
func (e *Explanation) repair() {
	w := &bench{e: e, p: e.Call.Policies.clone(), checks: map[*Policy][]Finding{}}
	for _, l := range w.p.all() {
		w.narrow(l)
		w.operators(l)
		w.regions(l)
	}
	// Each round lets one layer allow something more, so there are few; a
	// resource that no pattern can be written for must not make them endless.
	var before []Authorization
	lastLayer, lastLevel := NoLayer, 0
	for range (len(e.Call.Needs) + 1) * (int(numLayers) + len(w.p.SCP)) {
		layer, level, missing := w.next(e.Call.parts(w.p))
		same := slices.EqualFunc(missing, before, func(a, b Authorization) bool { return a.Action == b.Action && a.Resource == b.Resource })
		if layer == NoLayer || same && layer == lastLayer && level == lastLevel || !w.allow(layer, level, missing) {
			break
		}
		before, lastLayer, lastLevel = missing, layer, level
	}
	for _, l := range w.p.all() {
		w.sweep(l)
	}
	for _, c := range w.changed {
		f := Fix{Layer: c.at.layer, Policy: c.at.bound.Name, ARN: c.at.bound.ARN, Owner: c.at.bound.Owner, After: Indent(c.at.bound.Policy.doc)}
		name := f.Policy
		if name == "" {
			name = "policy"
		}
		from := "a/" + name + ".json"
		if c.before == nil {
			f.New, from = true, "/dev/null"
		} else {
			f.Before = Indent(c.before.doc)
		}
		f.Diff = udiff.Unified(from, "b/"+name+".json", f.Before, f.After)
		e.Fixes = append(e.Fixes, f)
	}
	if len(e.Fixes) == 0 {
		return
	}
	e.Fixed = true
	for _, d := range EvaluateAll(w.p, e.Call.By, e.Call.Needs, e.Call.Global) {
		e.Fixed = e.Fixed && d.Allowed
	}
	e.probe(w.p)
}

func (p *Policies) clone() *Policies {
	c := &Policies{Identity: slices.Clone(p.Identity), Session: slices.Clone(p.Session), Resource: p.Resource}
	if p.Session != nil && c.Session == nil {
		c.Session = []Bound{}
	}
	if p.Boundary != nil {
		c.Boundary = new(*p.Boundary)
	}
	for _, l := range p.SCP {
		c.SCP = append(c.SCP, slices.Clone(l))
	}
	for _, l := range p.RCP {
		c.RCP = append(c.RCP, slices.Clone(l))
	}
	return c
}

// ours reports whether an operator may change the policy.
func (b *Bound) ours() bool { return !strings.Contains(b.ARN, "::aws:policy/") }

// put replaces a policy's document; it refuses what would not be saved.
func (w *bench) put(l layered, doc value.Value) bool {
	p, err := Parse(l.bound.Policy.kind, []byte(Indent(doc)))
	if err != nil {
		return false
	}
	if !slices.ContainsFunc(w.changed, func(c change) bool { return c.at.bound == l.bound }) {
		w.changed = append(w.changed, change{at: l, before: l.bound.Policy})
	}
	l.bound.Policy = p
	return true
}

func withStatement(doc value.Value, i int, st value.Value) value.Value {
	list := doc.Get("Statement")
	if list.IsObject() {
		return doc.With("Statement", st)
	}
	return doc.With("Statement", list.WithItem(i, st))
}

func appendStatement(doc, st value.Value) value.Value {
	list := doc.Get("Statement")
	var items []value.Value
	if list.IsObject() {
		items = append(items, list)
	}
	for _, x := range list.Items() {
		items = append(items, x)
	}
	return doc.With("Statement", value.Array(append(items, st)...))
}

// queryOf makes a part ready to be held against statements.
func (w *bench) queryOf(n Authorization) *query {
	q := new(query)
	q.init(&Request{By: w.e.Call.By, Authorization: n, Global: w.e.Call.Global})
	return q
}

// narrow makes Deny statements that guard Regions spare the models behind the
// profile: other calls stay denied in the Regions in which they were.
func (w *bench) narrow(l layered) {
	call := w.e.Call.Model
	if call == nil || call.ProfileARN == "" || !l.bound.ours() {
		return
	}
	for i := range l.bound.Policy.statements {
		s := &l.bound.Policy.statements[i]
		if s.allow || s.regionGuard() == nil {
			continue
		}
		hits, spared := false, true
		for _, n := range w.e.Call.Needs {
			if failed, _, _ := s.match(w.queryOf(n)); failed == Matched {
				hits = true
				spared = spared && find(n.Context, "bedrock:InferenceProfileArn") != nil
			}
		}
		if !hits || !spared {
			continue // the call's own Region is closed: that is meant
		}
		st := sourceOf(l.bound.Policy.doc, i)
		cond := st.Get("Condition")
		done := false
		for name, keys := range cond.Members() {
			op, _ := parseOperator(name)
			for key, v := range keys.Members() {
				if op.negated && (op.base == arnLike || op.base == stringEquals || op.base == stringLike) && strings.EqualFold(key, "bedrock:InferenceProfileArn") {
					cond, done = cond.With(name, keys.With(key, strs(append(texts(v), call.ProfileARN)))), true
				}
			}
		}
		if !done {
			keys := cond.Get("ArnNotEquals")
			if keys.IsUndefined() {
				keys = value.Object()
			}
			cond = cond.With("ArnNotEquals", keys.With("bedrock:InferenceProfileArn", value.String(call.ProfileARN)))
		}
		w.put(l, withStatement(l.bound.Policy.doc, i, st.With("Condition", cond)))
	}
}

// operators gives conditions whose values have wildcards an operator that
// knows them, where nothing else keeps the statement from matching.
func (w *bench) operators(l layered) {
	if !l.bound.ours() {
		return
	}
	for i := range l.bound.Policy.statements {
		s := &l.bound.Policy.statements[i]
		if !s.allow {
			continue
		}
		for k := range s.conditions {
			c := &s.conditions[k]
			key := strings.ToLower(c.key)
			if c.base != stringEquals || c.negated || c.set != single || key != "bedrock:inferenceprofilearn" && key != "aws:sourcearn" ||
				!slices.ContainsFunc(c.values, func(v operand) bool { return strings.ContainsAny(v.text, "*?") }) {
				continue
			}
			fails := slices.ContainsFunc(w.e.Call.Needs, func(n Authorization) bool {
				failed, at, _ := s.match(w.queryOf(n))
				return failed == FailedCondition && at == k
			})
			if !fails {
				continue
			}
			st := sourceOf(l.bound.Policy.doc, i)
			cond := st.Get("Condition")
			keys := cond.Get(c.name)
			v := keys.Get(c.key)
			like := "ArnLike"
			if c.ifExists {
				like += "IfExists"
			}
			if keys.Len() == 1 && !cond.Has(like) {
				// Only the operator's name changes: it keeps its place.
				var m []value.Member
				for name, x := range cond.Members() {
					if name == c.name {
						name = like
					}
					m = append(m, value.Member{Key: name, Value: x})
				}
				cond = value.Object(m...)
			} else {
				to := cond.Get(like)
				if to.IsUndefined() {
					to = value.Object()
				}
				if to.Has(c.key) {
					continue
				}
				cond = cond.With(c.name, keys.Without(c.key)).With(like, to.With(c.key, v))
				if cond.Get(c.name).Len() == 0 {
					cond = cond.Without(c.name)
				}
			}
			w.put(l, withStatement(l.bound.Policy.doc, i, st.With("Condition", cond)))
			break // the statement was compiled anew
		}
	}
}

// regions adds to an Allow's list of Regions the ones in which the call's model
// is asked for, where the statement is about nothing but this call.
func (w *bench) regions(l layered) {
	if w.e.Call.Model == nil || !l.bound.ours() {
		return
	}
	for i := range l.bound.Policy.statements {
		s := &l.bound.Policy.statements[i]
		if !s.allow || s.notAction || s.notResource || slices.ContainsFunc(s.resources, func(a wild.ARN) bool { return !w.about(&a) }) {
			continue
		}
		actions, _, _ := either(sourceOf(l.bound.Policy.doc, i), "Action")
		if !w.pair(actions) {
			continue
		}
		for k := range s.conditions {
			c := &s.conditions[k]
			if c.base != stringEquals || c.negated || c.set != single || !strings.EqualFold(c.key, "aws:RequestedRegion") {
				continue
			}
			var add []string
			for _, n := range w.e.Call.Needs {
				q := w.queryOf(n)
				if failed, at, _ := s.match(q); failed == FailedCondition && at == k {
					if r := requested(q.r); !slices.Contains(add, r) {
						add = append(add, r)
					}
				}
			}
			if len(add) == 0 {
				continue
			}
			st := sourceOf(l.bound.Policy.doc, i)
			cond := st.Get("Condition")
			keys := cond.Get(c.name)
			cond = cond.With(c.name, keys.With(c.key, strs(append(texts(keys.Get(c.key)), add...))))
			w.put(l, withStatement(l.bound.Policy.doc, i, st.With("Condition", cond)))
			break // the statement was compiled anew
		}
	}
}

// next is the first layer that is silent about a part that nothing denies, with
// all the parts that it is silent about.
func (w *bench) next(parts []Part) (layer Layer, level int, missing []Authorization) {
	for i := range parts {
		p := &parts[i]
		for _, s := range p.Silent {
			if s != LayerIdentity && s != LayerBoundary && s != LayerSession && s != LayerSCP {
				continue // whom a resource trusts is not for the caller to change
			}
			if layer == NoLayer || s == layer {
				layer = s
				missing = append(missing, p.Need)
				break
			}
		}
	}
	if layer != LayerSCP {
		return layer, 0, missing
	}
	for level = range w.p.SCP {
		var at []Authorization
		for _, n := range missing {
			var v verdict
			v.tally(w.queryOf(n), LayerSCP, level, w.p.SCP[level], nil)
			if !v.allow {
				at = append(at, n)
			}
		}
		if len(at) > 0 {
			return layer, level, at
		}
	}
	return NoLayer, 0, nil
}

func (w *bench) bounds(layer Layer, level int) []layered {
	return slices.DeleteFunc(w.p.all(), func(l layered) bool { return l.layer != layer || l.level != level })
}

// allow makes one layer allow what is missing: in the statement that fits best,
// else in a new one. It reports whether it changed anything.
func (w *bench) allow(layer Layer, level int, missing []Authorization) bool {
	action, all := missing[0].Action, missing
	missing = slices.DeleteFunc(slices.Clone(missing), func(n Authorization) bool { return n.Action != action })
	var best candidate
	home := layered{}
	score := 0
	special := slices.ContainsFunc(missing, func(n Authorization) bool { return n.pattern() != n.Resource })
	for _, l := range w.bounds(layer, level) {
		if !l.bound.ours() || special && l.bound.Policy.version != version2012 {
			continue
		}
		mine := 1
		for i := range l.bound.Policy.statements {
			c := w.fits(l, i, missing)
			if c.score > best.score {
				best = c
			}
			if l.bound.Policy.statements[i].touches(action) && !l.bound.Policy.statements[i].notAction && l.bound.Policy.statements[i].allow {
				mine = 2
			}
		}
		if mine > score {
			home, score = l, mine
		}
	}
	if best.score > 0 && w.edit(best, missing) {
		return true
	}
	if w.guarded(layer, level, missing) {
		return false
	}
	sids := home.bound == nil || usesSids(home.bound.Policy)
	if w.e.Call.Model == nil && len(all) > 1 {
		if statements := w.together(home, all, sids); statements != nil {
			return w.add(home, layer, level, statements)
		}
	}
	var statements []value.Value
	for _, group := range w.groups(missing) {
		var m []value.Member
		if sids {
			m = append(m, value.Member{Key: "Sid", Value: value.String(w.sid(home, statements, group.name))})
		}
		m = append(m, value.Member{Key: "Effect", Value: value.String("Allow")},
			value.Member{Key: "Action", Value: value.String(action)},
			value.Member{Key: "Resource", Value: strs(group.resources)})
		if group.through != "" {
			m = append(m, value.Member{Key: "Condition", Value: value.Object(value.Member{Key: "StringEquals", Value: value.Object(
				value.Member{Key: "bedrock:InferenceProfileArn", Value: value.String(group.through)})})})
		}
		statements = append(statements, value.Object(m...))
	}
	return w.add(home, layer, level, statements)
}

// add writes new statements into a policy, or into a new one.
func (w *bench) add(home layered, layer Layer, level int, statements []value.Value) bool {
	if home.bound == nil {
		doc := value.Object(value.Member{Key: "Version", Value: value.String(version2012)}, value.Member{Key: "Statement", Value: value.Array(statements...)})
		return w.create(layer, level, doc)
	}
	doc := home.bound.Policy.doc
	for _, st := range statements {
		doc = appendStatement(doc, st)
	}
	return w.put(home, doc)
}

// together are the fewest statements that allow several actions on what is
// missing; nil if these are of one action only, or of several services.
func (w *bench) together(home layered, missing []Authorization, sids bool) []value.Value {
	service, _, _ := strings.Cut(missing[0].Action, ":")
	var grants []Grant
	for _, n := range missing {
		if s, _, _ := strings.Cut(n.Action, ":"); s != service {
			return nil
		}
		grants = append(grants, Grant{Name: title(service), Actions: []string{n.Action}, Resources: []string{n.pattern()}})
	}
	if !slices.ContainsFunc(missing, func(n Authorization) bool { return n.Action != missing[0].Action }) {
		return nil
	}
	p, err := Merge(grants)
	if err != nil {
		return nil
	}
	var out []value.Value
	for _, st := range p.Statements() {
		if sids {
			st = st.With("Sid", value.String(w.sid(home, out, title(service))))
		} else {
			st = st.Without("Sid")
		}
		out = append(out, st)
	}
	return out
}

// group is what one new statement allows.
type group struct {
	name      string
	resources []string
	through   string // the profile through which alone models may be called
}

// groups are the statements that [CallShape.Grants] would write: models only
// through the profile that is called.
func (w *bench) groups(missing []Authorization) []group {
	var gs []group
	for _, n := range missing {
		g := group{name: title(n.Action)}
		kind, _ := w.e.Call.Model.part(n.Resource)
		switch kind {
		case PartProfile:
			g.name = "BedrockProfile"
		case PartModel, PartSource, PartDestination, PartGlobal:
			g.name = "BedrockModels"
			if a := find(n.Context, "bedrock:InferenceProfileArn"); a != nil && len(a.Values) == 1 {
				g.through = a.Values[0]
			}
		}
		at := slices.IndexFunc(gs, func(o group) bool { return o.name == g.name && o.through == g.through })
		if at < 0 {
			at, gs = len(gs), append(gs, g)
		}
		gs[at].resources = append(gs[at].resources, n.pattern())
	}
	return gs
}

// pattern matches the resource and nothing else: whoever may name an object
// b/* must not get a policy that allows all of b. Actions that list are asked
// for with a pattern as their resource, which stays one.
func (n *Authorization) pattern() string {
	_, name, _ := strings.Cut(n.Action, ":")
	if n.Resource == "*" || !strings.ContainsAny(n.Resource, "*?$") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Describe") {
		return n.Resource
	}
	return Literal(n.Resource)
}

// guarded reports whether a statement of the layer would allow what is missing
// but for a condition that is there on purpose: on who asks, from where, or how.
// Allowing it without would go around whoever wrote that.
func (w *bench) guarded(layer Layer, level int, missing []Authorization) bool {
	for _, n := range missing {
		q := w.queryOf(n)
		for _, l := range w.bounds(layer, level) {
			mixed := w.check(l.bound.Policy)
			for i := range l.bound.Policy.statements {
				s := &l.bound.Policy.statements[i]
				failed, k, _ := s.match(q)
				if !s.allow || failed != FailedCondition {
					continue
				}
				c := &s.conditions[k]
				region := strings.EqualFold(c.key, "aws:RequestedRegion") || strings.EqualFold(c.key, "bedrock:InferenceProfileArn")
				wrong := slices.ContainsFunc(mixed, func(f Finding) bool {
					return f.Statement == i && f.ID == "BR14" && strings.HasSuffix(f.Element, c.name+"."+c.key)
				})
				if !region && !wrong {
					return true
				}
			}
		}
	}
	return false
}

// title is a name made of an action.
func title(action string) string {
	s := strings.Map(func(r rune) rune {
		if !alphanumeric(r) {
			return -1
		}
		return r
	}, action)
	if s == "" {
		return "Statement"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// create adds a policy to a layer that has none that could be changed.
func (w *bench) create(layer Layer, level int, doc value.Value) bool {
	kind := map[Layer]Kind{LayerIdentity: IdentityPolicy, LayerSession: SessionPolicy, LayerSCP: ServiceControlPolicy}[layer]
	if kind == 0 {
		return false
	}
	p, err := Parse(kind, []byte(Indent(doc)))
	if err != nil {
		return false
	}
	b := Bound{Policy: p, Name: "BedrockInference", Owner: w.e.Call.By.RoleARN}
	if w.e.Call.Model == nil {
		b.Name = title(texts(p.doc.Get("Statement").At(0).Get("Action"))[0])
		if sid := p.doc.Get("Statement").At(0).Get("Sid").Str(); sid != "" {
			b.Name = sid
		}
	}
	if b.Owner == "" {
		b.Owner = w.e.Call.By.ARN
	}
	switch layer {
	case LayerIdentity:
		w.p.Identity = append(w.p.Identity, b)
	case LayerSession:
		w.p.Session = append(w.p.Session, b)
	case LayerSCP:
		b.Owner = ""
		w.p.SCP[level] = append(w.p.SCP[level], b)
	}
	ls := w.bounds(layer, level)
	at := ls[len(ls)-1]
	// Earlier changes point into the list that has just been copied.
	for i := range w.changed {
		for _, l := range ls {
			if c := &w.changed[i].at; c.layer == layer && c.level == level && c.bound.Name == l.bound.Name && c.bound.ARN == l.bound.ARN {
				c.bound = l.bound
			}
		}
	}
	w.changed = append(w.changed, change{at: at})
	return true
}

// usesSids reports whether a document has any.
func usesSids(p *Policy) bool {
	return slices.ContainsFunc(p.statements, func(s statement) bool { return s.sid != "" })
}

// sid is a Sid that neither the policy nor the statements to come have.
func (w *bench) sid(home layered, more []value.Value, name string) string {
	taken := map[string]bool{}
	if home.bound != nil {
		for i := range home.bound.Policy.statements {
			taken[home.bound.Policy.statements[i].sid] = true
		}
	}
	for _, st := range more {
		taken[st.Get("Sid").Str()] = true
	}
	for n, s := 2, name; ; n++ {
		if !taken[s] {
			return s
		}
		s = fmt.Sprint(name, n)
	}
}

// candidate is a statement that could take what is missing.
type candidate struct {
	at    layered
	index int
	score int
	dead  []string // resources that were meant for the call and never match
	alias []string // actions that were meant for the call's and do not exist
	whole bool     // nothing but dead: it can be written anew
}

// unmatchable are the rules whose resources match nothing, whatever the call.
var unmatchable = []string{"BR01", "BR02", "BR03", "BR10", "BR20", "BR23", "BR24", "GN07"}

// fits says how well a statement could take what is missing. It must not hand
// out more than that: other actions would come to the resources that are added,
// and other resources to an action.
func (w *bench) fits(l layered, i int, missing []Authorization) candidate {
	p := l.bound.Policy
	s := &p.statements[i]
	c := candidate{at: l, index: i}
	if !s.allow || s.notAction || s.notResource || s.principals != nil || s.resources == nil {
		return c
	}
	action := missing[0].Action
	for _, f := range w.check(p) {
		if f.Statement == i && f.ID == "BR09" && aliases[strings.ToLower(f.Value)] == action {
			c.alias = append(c.alias, f.Value)
		}
	}
	c.dead = w.unmatchable(p, i)
	c.whole = len(c.dead) == len(s.resources)
	for _, n := range missing {
		q := w.queryOf(n)
		for k := range s.conditions {
			if !s.conditions[k].holds(q) {
				return c
			}
		}
	}
	actions, _, _ := either(sourceOf(p.doc, i), "Action")
	inference := w.e.Call.Model != nil && w.pair([]string{action})
	others := false
	for _, a := range actions {
		switch low := strings.ToLower(a); {
		case strings.EqualFold(a, action) || slices.Contains(c.alias, a):
		case inference && (low == strings.ToLower(actionInvoke) || low == strings.ToLower(actionStream) || low == "bedrock:invokemodel*"):
			// The two ways to call a model go together where their author put
			// them together; Wider tells.
		default:
			others = true
		}
	}
	if others && !c.whole {
		return c
	}
	if !s.touches(action) && len(c.alias) == 0 && !c.whole {
		// Only the action is missing: it may be added if the statement is about
		// nothing but this call.
		for j := range s.resources {
			if !inference || !w.about(&s.resources[j]) {
				return c
			}
		}
	}
	switch {
	case len(c.dead) > 0:
		c.score = 8
	case len(c.alias) > 0:
		c.score = 6
	case s.touches(action) && w.related(s):
		c.score = 4
	case !s.touches(action):
		c.score = 2
	}
	return c
}

// about reports whether a resource pattern is one model or profile of the call,
// in whatever Region.
func (w *bench) about(a *wild.ARN) bool {
	call := w.e.Call.Model
	_, id, ok := strings.Cut(lastPart(a.String()), "/")
	return ok && !a.All() && (id == call.Model || id == call.through() && id != "")
}

// related reports whether a statement has to do with what is called, so that a
// reader would look for it there.
func (w *bench) related(s *statement) bool {
	for _, n := range w.e.Call.Needs {
		want := wild.Cut(n.Resource)
		for j := range s.resources {
			has := wild.Cut(s.resources[j].String())
			if !has.OK || has.Part[2] != want.Part[2] {
				continue
			}
			if w.e.Call.Model == nil || w.about(&s.resources[j]) {
				return true
			}
		}
	}
	return false
}

// edit changes the candidate so that it allows what is missing.
func (w *bench) edit(c candidate, missing []Authorization) bool {
	p := c.at.bound.Policy
	st := sourceOf(p.doc, c.index)
	action := missing[0].Action

	old := texts(st.Get("Action"))
	var actions []string
	has := false
	for _, a := range old {
		if slices.Contains(c.alias, a) {
			a = action
		}
		a2 := wild.Compile(strings.ToLower(a), false)
		covers := a2.Match(strings.ToLower(action))
		if covers && has && strings.EqualFold(a, action) {
			continue
		}
		has = has || covers
		actions = append(actions, a)
	}
	if c.whole && slices.ContainsFunc(actions, func(a string) bool { return !strings.EqualFold(a, action) }) && !w.pair(actions) {
		actions, has = []string{action}, true
	}
	if !has {
		actions = append(actions, action)
	}
	if !slices.Equal(actions, old) {
		st = st.With("Action", list(st.Get("Action"), actions))
	}

	old = texts(st.Get("Resource"))
	var resources []string
	var live []wild.ARN
	for _, r := range old {
		if !slices.Contains(c.dead, r) {
			live = append(live, wild.CompileARN(r, wild.LastPart))
		}
	}
	var insert []string
	for _, n := range missing {
		q := w.queryOf(n)
		if !slices.ContainsFunc(live, func(a wild.ARN) bool { return a.Match(n.Resource, &q.parts, q) }) && !slices.Contains(insert, n.pattern()) {
			insert = append(insert, n.pattern())
		}
	}
	placed := false
	for _, r := range old {
		if !slices.Contains(c.dead, r) {
			resources = append(resources, r)
		} else if !placed {
			resources, placed = append(resources, insert...), true
		}
	}
	if !placed {
		// The profile goes before the models, as it is checked before them.
		n := 0
		if kind, _ := w.e.Call.Model.part(missing[0].Resource); kind == PartProfile && len(insert) > 0 && insert[0] == missing[0].pattern() {
			n = 1
		}
		resources = slices.Concat(insert[:n], resources, insert[n:])
	}
	if !slices.Equal(resources, old) {
		st = st.With("Resource", list(st.Get("Resource"), resources))
	}
	doc := withStatement(p.doc, c.index, st)
	if value.Equal(doc, p.doc) {
		return false
	}
	return w.put(c.at, doc)
}

// sweep takes ARNs that were meant for the call and match nothing out of
// statements that have others; without them the statement says the same.
func (w *bench) sweep(l layered) {
	if !l.bound.ours() || !slices.ContainsFunc(w.changed, func(c change) bool { return c.at.layer == l.layer }) {
		return
	}
	for i := range l.bound.Policy.statements {
		s := &l.bound.Policy.statements[i]
		if !s.allow || s.notResource || s.principals != nil {
			continue
		}
		dead := w.unmatchable(l.bound.Policy, i)
		if len(dead) == 0 || len(dead) == len(s.resources) {
			continue
		}
		st := sourceOf(l.bound.Policy.doc, i)
		was := st.Get("Resource")
		rest := slices.DeleteFunc(texts(was), func(r string) bool { return slices.Contains(dead, r) })
		w.put(l, withStatement(l.bound.Policy.doc, i, st.With("Resource", list(was, rest))))
	}
}

// unmatchable are the resources of a statement that were meant for the call
// and match nothing.
func (w *bench) unmatchable(p *Policy, i int) (dead []string) {
	for _, f := range w.check(p) {
		if f.Statement == i && f.meant && slices.Contains(unmatchable, f.ID) && !slices.Contains(dead, f.Value) {
			dead = append(dead, f.Value)
		}
	}
	return dead
}

// pair reports whether all actions are the two that call a model.
func (w *bench) pair(actions []string) bool {
	return !slices.ContainsFunc(actions, func(a string) bool {
		return !strings.EqualFold(a, actionInvoke) && !strings.EqualFold(a, actionStream)
	})
}

// list keeps the form that an element had: one string stays bare if it was.
func list(was value.Value, s []string) value.Value {
	if len(s) == 1 && was.IsArray() {
		return value.Array(value.String(s[0]))
	}
	return strs(s)
}

// probe evaluates what lies around the call before and after the change: other
// actions, Regions, models, profiles and accounts. What is allowed besides is
// told, not hidden. The call's own actions on its own resources are not
// besides, whichever way they are come by.
func (e *Explanation) probe(after *Policies) {
	c := &e.Call
	seen := map[string]bool{}
	for _, n := range c.Needs {
		seen[n.Action+" "+n.Resource] = true
	}
	for _, n := range c.neighbours() {
		// A model is asked for directly, then through each profile.
		k := n.Action + " " + n.Resource
		if a := find(n.Context, "bedrock:InferenceProfileArn"); a != nil {
			if c.Model == nil || a.Values[0] != c.Model.ProfileARN {
				k += " " + a.Values[0]
			}
		} else if c.Model != nil && c.Model.ProfileARN != "" {
			k += " direct"
		}
		if seen[k] || seen[n.Action+" "+n.Resource] {
			continue
		}
		seen[k] = true
		e.Probed++
		r := Request{By: c.By, Authorization: n, Global: c.Global}
		if d := Evaluate(c.Policies, &r); d.Allowed {
			continue
		}
		known := slices.ContainsFunc(e.Wider, func(a Authorization) bool { return a.Action == n.Action && a.Resource == n.Resource })
		if d := Evaluate(after, &r); d.Allowed && !known {
			e.Wider = append(e.Wider, n)
		}
	}
}

// neighbours are requests like the call's, each with a context that it could
// really have: aws:RequestedRegion is the resource's, and a profile's ARN is
// there only when that profile's model is called.
func (c *Call) neighbours() []Authorization {
	var ns []Authorization
	for _, n := range c.Needs {
		service, _, _ := strings.Cut(n.Action, ":")
		actions := []string{n.Action, service + ":GetSomething", service + ":DeleteSomething", "iam:PassRole", "sts:AssumeRole"}
		if c.Model != nil {
			actions = append(actions, actionInvoke, actionStream, "bedrock:GetInferenceProfile", "bedrock:CreateInferenceProfile", "bedrock:ApplyGuardrail")
		}
		p := wild.Cut(n.Resource)
		resources := []wild.Parts{p}
		if p.OK {
			swap := func(i int, s string) {
				q := p
				q.Part[i] = s
				resources = append(resources, q)
			}
			for _, region := range []string{"", "us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-east-2", "ap-southeast-3"} {
				if region != p.Part[3] {
					swap(3, region)
				}
			}
			swap(4, "999999999999")
			if !strings.Contains(p.Part[5], "*") {
				swap(5, p.Part[5]+"x")
			}
			kind, _, _ := strings.Cut(p.Part[5], "/")
			for _, id := range []string{"amazon.nova-pro-v1:0", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-pro-v1:0"} {
				if !strings.Contains(p.Part[5], "*") {
					swap(5, kind+"/"+id)
				}
			}
		}
		for _, a := range actions {
			for _, q := range resources {
				m := Authorization{Action: a, Resource: n.Resource, Context: n.Context}
				if c.Model == nil || !q.OK {
					if q.OK {
						m.Resource = strings.Join(q.Part[:], ":")
					}
					ns = append(ns, m)
					continue
				}
				m.Resource = strings.Join(q.Part[:], ":")
				region := q.Part[3]
				if region == "" {
					region = unspecified
				}
				m.Context = Context{{Key: "aws:RequestedRegion", Values: []string{region}}}
				ns = append(ns, m)
				if a != actionInvoke && a != actionStream || q.Part[5] != "foundation-model/"+c.Model.Model || q.Part[4] != "" {
					continue
				}
				through := func(arn string) {
					t := m
					t.Context = append(slices.Clone(m.Context), Attribute{Key: "bedrock:InferenceProfileArn", Values: []string{arn}})
					ns = append(ns, t)
				}
				if c.Model.ProfileARN != "" && slices.Contains(c.Model.ModelRegions(), q.Part[3]) {
					through(c.Model.ProfileARN)
					for _, r := range c.Model.Destinations {
						if !c.Model.Application && r != c.Model.Region {
							through("arn:aws:bedrock:" + r + ":" + c.By.Account + ":inference-profile/" + c.Model.Profile)
						}
					}
				}
				through("arn:aws:bedrock:us-east-1:" + c.By.Account + ":inference-profile/us." + c.Model.Model)
				through("arn:aws:bedrock:" + c.Model.Region + ":" + c.By.Account + ":application-inference-profile/probe")
			}
		}
	}
	return ns
}
