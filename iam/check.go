package iam

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"tokaido/iam/wild"
	"tokaido/value"
)

// Options say what a policy is checked for. Rules that need what is not given
// are left out, never guessed.
type Options struct {
	Name    string     // of the policy, for the findings
	Account string     // in which the policy is attached
	Call    *CallShape // the Bedrock call that it is meant to allow
	// Workflow says that the policy is a state machine's role's.
	Workflow bool
}

// Check holds a policy against the rules, and returns what a specialist would
// point at, statement by statement. Whether a policy allows what a call needs
// is Explain's question, not Check's.
func Check(p *Policy, o Options) []Finding {
	c := &checker{p: p, o: o}
	c.document()
	for i := range p.statements {
		c.at = i
		c.statement(&p.statements[i], c.source(i))
	}
	return c.found
}

type checker struct {
	p     *Policy
	o     Options
	at    int // the statement that is looked at
	found []Finding
}

// source is statement i of the document.
func (c *checker) source(i int) value.Value { return sourceOf(c.p.doc, i) }

func sourceOf(doc value.Value, i int) value.Value {
	st := doc.Get("Statement")
	if st.IsArray() {
		return st.At(i)
	}
	return st
}

// add records a finding about element of the current statement.
func (c *checker) add(element, text, want, key string, args ...string) *Finding {
	f := newFinding(key, args...)
	f.Policy, f.Statement, f.Element, f.Value, f.Want = c.o.Name, c.at, element, text, want
	if c.at >= 0 {
		f.Sid = c.p.statements[c.at].sid
	}
	c.found = append(c.found, f)
	return &c.found[len(c.found)-1]
}

func (c *checker) document() {
	c.at = -1
	if c.p.version != version2012 && strings.Contains(c.p.text, "${") {
		c.add("Version", c.p.version, version2012, "GN01")
	}
	profiles, models := false, false
	for i := range c.p.statements {
		s := &c.p.statements[i]
		if !s.allow || s.notAction || !s.touches(actionInvoke) && !s.touches(actionStream) {
			continue
		}
		if s.notResource {
			return
		}
		for j := range s.resources {
			r := s.resources[j].String()
			kind, _, _ := strings.Cut(lastPart(r), "/")
			profiles = profiles || kind == "inference-profile"
			models = models || strings.ContainsAny(kind, "*?") || kind == "foundation-model"
		}
	}
	if profiles && !models && c.o.Call == nil {
		c.add("Statement", "", "", "BR04/doc")
	}
}

// lastPart is an ARN pattern's resource, also of a short one.
func lastPart(r string) string {
	p := strings.SplitN(r, ":", 6)
	return p[len(p)-1]
}

// touches reports whether the statement's Action covers action.
func (s *statement) touches(action string) bool {
	action = strings.ToLower(action)
	for i := range s.actions {
		if s.actions[i].Match(action) {
			return !s.notAction
		}
	}
	return s.notAction
}

// Bedrock's and Step Functions' actions without resource types that are seen
// with ARNs; from the Service Authorization Reference.
var unscoped = map[string]bool{
	"bedrock:listfoundationmodels": true, "bedrock:listinferenceprofiles": true, "bedrock:listcustommodels": true, "bedrock:listimportedmodels": true,
	"bedrock:listprovisionedmodelthroughputs": true, "bedrock:listmodelcustomizationjobs": true, "bedrock:listasyncinvokes": true, "bedrock:listpromptrouters": true,
	"bedrock:listknowledgebases": true, "bedrock:listagents": true, "bedrock:listflows": true, "bedrock:getmodelinvocationloggingconfiguration": true,
	"bedrock:putmodelinvocationloggingconfiguration": true, "bedrock:deletemodelinvocationloggingconfiguration": true, "bedrock:getfoundationmodelavailability": true,
	"bedrock:getusecaseformodelaccess": true, "bedrock:listfoundationmodelagreementoffers": true, "bedrock:callwithbearertoken": true,
	"states:liststatemachines": true, "states:listactivities": true, "states:sendtasksuccess": true, "states:sendtaskfailure": true, "states:sendtaskheartbeat": true,
}

var logDelivery = map[string]bool{
	"logs:createlogdelivery": true, "logs:getlogdelivery": true, "logs:updatelogdelivery": true, "logs:deletelogdelivery": true,
	"logs:listlogdeliveries": true, "logs:putresourcepolicy": true, "logs:describeresourcepolicies": true, "logs:describeloggroups": true,
}

// Actions that set an account up; nothing that runs in a workflow needs them.
var administrative = map[string]bool{
	"bedrock:createinferenceprofile": true, "bedrock:deleteinferenceprofile": true, "bedrock:putmodelinvocationloggingconfiguration": true,
	"bedrock:deletemodelinvocationloggingconfiguration": true, "bedrock:putusecaseformodelaccess": true, "bedrock:createfoundationmodelagreement": true,
	"bedrock:deletefoundationmodelagreement": true, "bedrock:putfoundationmodelentitlement": true, "bedrock:createguardrail": true, "bedrock:updateguardrail": true, "bedrock:deleteguardrail": true,
}

var multivalued = map[string]bool{
	"aws:tagkeys": true, "aws:calledvia": true, "aws:principalorgpaths": true, "aws:resourceorgpaths": true, "aws:sourceorgpaths": true,
	"aws:principalservicenameslist": true, "states:statemachinequalifier": true, "sts:transitivetagkeys": true,
	"dynamodb:attributes": true, "dynamodb:leadingkeys": true, "lambda:layer": true, "lambda:subnetids": true, "lambda:securitygroupids": true,
}

// The managed rules through which Step Functions hears of .sync jobs.
var managedRules = []string{
	"StepFunctionsGetEventsForStepFunctionsExecutionRule", "StepFunctionsGetEventsForBatchJobsRule", "StepFunctionsGetEventsForECSTaskRule",
	"StepFunctionsGetEventsForSageMakerTrainingJobsRule", "StepFunctionsGetEventsForSageMakerTransformJobsRule", "StepFunctionsGetEventsForSageMakerTuningJobsRule",
	"StepFunctionsGetEventForCodeBuildStartBuildRule", "StepFunctionsGetEventForCodeBuildStartBuildBatchRule",
	"StepFunctionsGetEventForEMRRunJobFlowRule", "StepFunctionsGetEventForEMRAddJobFlowStepsRule", "StepFunctionsGetEventForEMRTerminateJobFlowsRule",
	"StepFunctionsGetEventsForMediaConvertJobRule", "StepFunctionsGetEventsForEMRServerlessApplicationRule", "StepFunctionsGetEventsForEMRServerlessJobRule",
}

func (c *checker) statement(s *statement, src value.Value) {
	element := func(name string, not bool) string {
		if not {
			return "Not" + name
		}
		return name
	}
	actionAt, resourceAt := element("Action", s.notAction), element("Resource", s.notResource)
	actions, _, _ := either(src, "Action")
	resources, _, _ := either(src, "Resource")
	all := slices.Contains(resources, "*")

	for _, a := range actions {
		low := strings.ToLower(a)
		if want, ok := aliases[low]; ok {
			c.add(actionAt, a, want, "BR09")
		}
		if administrative[low] && s.allow && (c.o.Call != nil || c.o.Workflow) {
			c.add(actionAt, a, "", "BR21")
		}
		if s.notResource || all || s.resources == nil {
			continue
		}
		switch {
		case logDelivery[low]:
			c.add(resourceAt, strings.Join(resources, ", "), "*", "SF03", a)
		case unscoped[low]:
			c.add(resourceAt, strings.Join(resources, ", "), "*", "BR19", a)
		}
	}
	if s.allow && s.notAction {
		c.add(actionAt, strings.Join(actions, ", "), "", "GN06")
	}
	if s.notPrincipal {
		c.add("NotPrincipal", src.Get("NotPrincipal").JSON(), "", "GN05")
	}
	if all && s.allow && !s.notResource && c.o.Call != nil && (s.touches(actionInvoke) || s.touches(actionStream)) {
		c.add(resourceAt, "*", "", "BR16/all")
	}
	for _, r := range resources {
		c.resource(s, resourceAt, r)
	}
	c.conditions(s)
	c.steps(s, actions, resources)

	invoke, stream := s.touches(actionInvoke), s.touches(actionStream)
	if !s.allow && !s.notAction && invoke != stream && !c.deniesElsewhere(s) {
		one, other := actionInvoke, actionStream
		if stream {
			one, other = other, one
		}
		c.add(actionAt, strings.Join(actions, ", "), "", "BR15", one, other)
	}
	if s.allow {
		c.dead(s)
	}
}

// deniesElsewhere reports whether another Deny closes what s leaves open.
func (c *checker) deniesElsewhere(s *statement) bool {
	for i := range c.p.statements {
		o := &c.p.statements[i]
		if o != s && !o.allow && (o.touches(actionInvoke) && !s.touches(actionInvoke) || o.touches(actionStream) && !s.touches(actionStream)) {
			return true
		}
	}
	return false
}

// dead finds an unconditional Deny that covers all that the Allow s is about.
func (c *checker) dead(s *statement) {
	if s.notAction || s.notResource || len(s.principals) > 0 {
		return
	}
	for i := range c.p.statements {
		d := &c.p.statements[i]
		if d.allow || d.notAction || d.notResource || len(d.conditions) > 0 || len(d.principals) > 0 {
			continue
		}
		covers := !slices.ContainsFunc(s.actions, func(a wild.Pattern) bool { return !d.touches(a.String()) })
		for j := range s.resources {
			// A pattern is matched as if it were an ARN: * matches *.
			text := s.resources[j].String()
			parts := wild.Cut(text)
			if !slices.ContainsFunc(d.resources, func(r wild.ARN) bool { return r.Match(text, &parts, none{}) }) {
				covers = false
			}
		}
		if covers && len(s.resources) > 0 {
			c.add("Statement", "", "", "GN08", fmt.Sprintf("Statement[%d]", i))
			return
		}
	}
}

// none has no values for variables.
type none struct{}

func (none) Value(string) (string, bool) { return "", false }

var (
	cutDate    = regexp.MustCompile(`-20\d{6}(-v\d+)?$`)
	modelRegex = regexp.MustCompile(`^[a-z0-9]+\.[a-z0-9]`)
)

// resource checks one resource pattern. Its ID is marked as meant for the call
// if that is what its author must have had in mind.
func (c *checker) resource(s *statement, element, text string) {
	if text == "*" || !strings.HasPrefix(text, "arn:") {
		return
	}
	p := wild.Cut(text)
	call := c.o.Call
	_, id, _ := strings.Cut(lastPart(text), "/")
	add := func(want, key string, args ...string) {
		f := c.add(element, text, want, key, args...)
		f.meant = call != nil && call.means(id)
	}
	// A model's id has a colon of its own, which can stand in for a missing one.
	part := strings.SplitN(text, ":", 6)
	if len(part) > 4 && part[2] == "bedrock" && strings.Contains(part[4], "/") {
		rest := strings.Join(part[4:], ":")
		kind, whole, _ := strings.Cut(rest, "/")
		id = whole
		switch {
		case kind == "foundation-model":
			add(strings.Join(part[:4], ":")+"::"+rest, "GN07/account")
		case c.o.Account != "":
			add(strings.Join(part[:4], ":")+":"+c.o.Account+":"+rest, "GN07/missing", kind)
		default:
			add("", "GN07/missing", kind)
		}
		return
	}
	if !p.OK {
		add("", "GN07", fmt.Sprint(len(part)))
		return
	}
	service, region, account := p.Part[2], p.Part[3], p.Part[4]
	kind, id, slash := strings.Cut(p.Part[5], "/")
	switch service {
	case "bedrock-runtime":
		add("arn:"+p.Part[1]+":bedrock:"+strings.Join(p.Part[3:], ":"), "BR10")
		return
	case "bedrock":
	default:
		return
	}
	if !slash {
		if k, rest, ok := strings.Cut(p.Part[5], ":"); ok && (k == "foundation-model" || k == "inference-profile" || k == "application-inference-profile") {
			id = rest
			add(strings.Join(p.Part[:5], ":")+":"+k+"/"+rest, "BR10")
		}
		return
	}
	switch kind {
	case "model":
		if !strings.HasPrefix(id, "endpoint/") {
			add(strings.Join(p.Part[:5], ":")+":foundation-model/"+id, "BR10")
		}
	case "foundation-model":
		bare := id
		if g := geography(id); g != "" {
			bare = strings.TrimPrefix(id, g+".")
			want := ""
			if c.o.Account != "" {
				want = "arn:" + p.Part[1] + ":bedrock:" + region + ":" + c.o.Account + ":inference-profile/" + id
			}
			add(want, "BR01", id)
		}
		if account != "" && account != "*" {
			add("arn:"+p.Part[1]+":bedrock:"+region+"::foundation-model/"+bare, "BR02", account)
		}
		c.cut(bare, add, text)
		if call != nil && s.allow && bare == "*" {
			add("", "BR16")
		}
		if call != nil && call.ProfileARN != "" && s.allow && strings.ContainsAny(region, "*?") && globMatch(bare, call.Model) {
			switch {
			case !call.Global():
				c.wider(region, add)
			case !globMatch(region, ""):
				add(call.modelARN(""), "BR07/pattern", region, call.modelARN(""))
			}
		}
	case "inference-profile", "application-inference-profile":
		switch {
		case account == "":
			want := ""
			if c.o.Account != "" {
				want = "arn:" + p.Part[1] + ":bedrock:" + region + ":" + c.o.Account + ":" + p.Part[5]
			}
			add(want, "BR03")
		case c.o.Account != "" && !globMatch(account, c.o.Account):
			add("arn:"+p.Part[1]+":bedrock:"+region+":"+c.o.Account+":"+p.Part[5], "BR03/other", account, c.o.Account)
		}
		if kind == "inference-profile" {
			if g := geography(strings.ToLower(id)); g == "" && modelRegex.MatchString(id) && !strings.HasPrefix(id, "*") {
				add("", "BR23", id)
			}
			c.cut(id, add, text)
		}
		if call == nil || call.ProfileARN == "" || !s.allow {
			return
		}
		if globMatch(id, call.through()) && (kind == "application-inference-profile") == call.Application && !globMatch(region, call.Region) {
			add(call.ProfileARN, "BR11", region, call.Region)
		}
		if called := "application-inference-profile"; id == "*" && (kind == called) != call.Application {
			if !call.Application {
				called = "inference-profile"
			}
			add("", "BR17", kind, called)
		}
	}
}

// cut finds ids that stop before their end, and ids in another case.
func (c *checker) cut(id string, add func(want, key string, args ...string), text string) {
	if strings.ContainsAny(id, "*?$") {
		return
	}
	call := c.o.Call
	if call != nil {
		for _, whole := range []string{call.Model, call.Profile, call.through()} {
			switch {
			case whole == "" || id == whole:
			case strings.EqualFold(id, whole):
				add(text[:len(text)-len(id)]+whole, "BR24", whole)
				return
			case strings.HasPrefix(whole, id) && strings.ContainsAny(whole[len(id):len(id)+1], ":-"):
				add(text[:len(text)-len(id)]+whole, "BR20", whole)
				return
			}
		}
	}
	if cutDate.MatchString(id) {
		add("", "BR20/likely")
	}
}

// wider finds Regions that a wildcard covers and the profile does not.
func (c *checker) wider(region string, add func(want, key string, args ...string)) {
	call := c.o.Call
	needed := call.ModelRegions()
	var extra []string
	for _, r := range call.Regions {
		if globMatch(region, r) && !slices.Contains(needed, r) {
			extra = append(extra, r)
		}
	}
	switch {
	case len(extra) > 0:
		slices.Sort(extra)
		add("", "BR22", region, strings.Join(extra, ", "))
	case call.Regions == nil:
		add("", "BR22/unknown", region)
	}
}

func globMatch(pattern, s string) bool {
	p := wild.Compile(pattern, false)
	return p.Match(s)
}

// means reports whether an id pattern was written for this call: it matches,
// or would but for its case or its end, the profile or the model.
func (s *CallShape) means(id string) bool {
	id = strings.ToLower(id)
	if g := geography(id); g != "" && s.ProfileARN == "" {
		id = strings.TrimPrefix(id, g+".")
	}
	if strings.Trim(id, "*?") == "" {
		return false
	}
	for _, whole := range []string{s.through(), s.Profile, s.Model} {
		if whole = strings.ToLower(whole); whole != "" && (globMatch(id, whole) || len(id) > 10 && globMatch(id+"*", whole)) {
			return true
		}
	}
	return false
}

func (c *checker) conditions(s *statement) {
	profiles, models := false, false
	for i := range s.resources {
		kind, _, _ := strings.Cut(lastPart(s.resources[i].String()), "/")
		profiles = profiles || strings.HasSuffix(kind, "inference-profile")
		models = models || kind == "foundation-model"
	}
	guarded := func(key string) bool {
		return slices.ContainsFunc(s.conditions, func(o condition) bool { return o.base == null && strings.EqualFold(o.key, key) })
	}
	for i := range s.conditions {
		k := &s.conditions[i]
		key := strings.ToLower(k.key)
		at := "Condition." + k.name + "." + k.key
		var texts []string
		for _, v := range k.values {
			texts = append(texts, v.text)
		}
		value := strings.Join(texts, ", ")
		hasStar := slices.ContainsFunc(texts, func(s string) bool { return strings.ContainsAny(s, "*?") && !strings.Contains(s, "${") })
		profileKey := key == "bedrock:inferenceprofilearn"
		if k.base == stringEquals && hasStar && (profileKey || key == "aws:sourcearn") {
			c.add(at, value, strings.Replace(strings.ToLower(k.name), "stringequals", "ArnLike", 1), "BR12", k.name)
		}
		if s.allow && profileKey && (k.negated || k.ifExists) {
			c.add(at, value, "", "BR13", k.name)
		}
		if s.allow && profiles && models && !k.negated && !k.ifExists && k.base != null && (profileKey || strings.HasPrefix(key, "aws:resourcetag/")) {
			c.add(at, value, "", "BR14", k.key)
		}
		if !s.allow && key == "bedrock:guardrailidentifier" && k.negated && (k.base == stringEquals || k.base == arnLike) && !hasStar {
			if slices.ContainsFunc(texts, func(t string) bool { return strings.Count(lastPart(t), ":") == 0 }) {
				c.add(at, value, "", "BR18")
			}
		}
		if key == "aws:sourcearn" && slices.ContainsFunc(texts, func(t string) bool {
			return strings.Contains(t, ":states:") && strings.HasPrefix(lastPart(t), "execution:")
		}) {
			c.add(at, value, "", "SF07")
		}
		if s.allow && k.set == forAll && !guarded(k.key) {
			c.add(at, value, "", "GN02", k.key)
		}
		if !s.allow && k.base == boolean && !k.ifExists && key == "aws:multifactorauthpresent" && slices.Contains(texts, "false") {
			c.add(at, value, "BoolIfExists", "GN03")
		}
		if k.set == single && k.base != null && multivalued[key] {
			c.add(at, value, "ForAnyValue:"+k.name, "GN04", k.key)
		}
	}
}

// steps are the rules about Step Functions and the services around it.
func (c *checker) steps(s *statement, actions, resources []string) {
	has := func(key string) bool {
		return slices.ContainsFunc(s.conditions, func(o condition) bool { return strings.EqualFold(o.key, key) })
	}
	if s.allow && c.p.kind != TrustPolicy && slices.ContainsFunc(actions, func(a string) bool { return strings.EqualFold(a, "iam:PassRole") }) && !has("iam:PassedToService") {
		c.add("Action", "iam:PassRole", "", "SF01")
	}
	if c.p.kind == TrustPolicy && s.allow {
		for _, p := range s.principals {
			if p.kind == byService && strings.HasPrefix(p.value, "states.") && !has("aws:SourceArn") && !has("aws:SourceAccount") {
				c.add("Principal.Service", p.value, "", "SF06", p.value)
			}
		}
	}
	named := func(name string) bool {
		return slices.ContainsFunc(actions, func(a string) bool { return strings.EqualFold(a, name) })
	}
	for _, r := range resources {
		p := wild.Cut(r)
		if !p.OK || s.notResource {
			continue
		}
		last := p.Part[5]
		switch {
		case p.Part[2] == "events" && strings.HasPrefix(last, "rule/StepFunctionsGetEvent"):
			name := strings.TrimPrefix(last, "rule/")
			if !strings.ContainsAny(name, "*?") && !slices.Contains(managedRules, name) {
				want := ""
				for _, m := range managedRules {
					if strings.Replace(m, "GetEvents", "GetEvent", 1) == strings.Replace(name, "GetEvents", "GetEvent", 1) {
						want = strings.Join(p.Part[:5], ":") + ":rule/" + m
					}
				}
				c.add("Resource", r, want, "SF02")
			}
		case p.Part[2] != "states":
		case (named("states:StartExecution") || named("states:StartSyncExecution")) && len(actions) == 1 && strings.HasPrefix(last, "execution:"):
			c.add("Resource", r, "", "SF04", actions[0], "stateMachine")
		case (named("states:StopExecution") || named("states:DescribeExecution") || named("states:RedriveExecution")) && !named("states:StartExecution") && strings.HasPrefix(last, "stateMachine:"):
			c.add("Resource", r, "", "SF04", actions[0], "execution")
		case named("states:StartExecution") && strings.HasPrefix(last, "stateMachine:") && strings.Count(last, ":") == 2 && !strings.Contains(last, "*"):
			c.add("Resource", r, strings.Join(p.Part[:5], ":")+":"+last[:strings.LastIndexByte(last, ':')], "SF05")
		}
	}
}
