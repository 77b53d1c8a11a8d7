package awsapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tokaido/awsapi/sigv4"
	"tokaido/fault"
)

// table finds operations. It is made once.
type table struct {
	targets map[string]*Op         // by the last two parts of X-Amz-Target
	actions map[action]*Op         // by Version and Action
	routes  map[string][]*restPath // by method, the more literal first
	objects map[string]*Op         // S3: by Route
}

type action struct{ version, name string }

// restPath is a Route taken apart.
type restPath struct {
	op   *Op
	segs []segment
}

// segment is a literal, or the name of a label.
type segment struct {
	text  string
	label bool
}

// short cuts a target to the parts that all clients send: the SDKs disagree on
// the package before CloudTrail_20131101.LookupEvents.
func short(target string) string {
	i := strings.LastIndexByte(target, '.')
	if i <= 0 {
		return target
	}
	return target[strings.LastIndexByte(target[:i], '.')+1:]
}

func newTable(ops []Op) (*table, error) {
	t := &table{targets: map[string]*Op{}, actions: map[action]*Op{}, routes: map[string][]*restPath{}, objects: map[string]*Op{}}
	shapes := map[string]*Op{}
	for i := range ops {
		op := &ops[i]
		if err := check(op); err != nil {
			return nil, fmt.Errorf("operation %s of %s: %w", op.Name, op.Service, err)
		}
		var other *Op
		switch op.Protocol {
		case JSON10, JSON11:
			key := short(op.Target)
			other, t.targets[key] = t.targets[key], op
		case Query:
			key := action{op.Version, op.Name}
			other, t.actions[key] = t.actions[key], op
		case S3:
			other, t.objects[op.Route] = t.objects[op.Route], op
		case RESTJSON:
			method, p, err := parseRoute(op)
			if err != nil {
				return nil, fmt.Errorf("operation %s of %s: %w", op.Name, op.Service, err)
			}
			key := method + p.shape()
			other, shapes[key] = shapes[key], op
			t.routes[method] = append(t.routes[method], p)
		}
		if other != nil {
			return nil, fmt.Errorf("operation %s of %s is reached as %s of %s is", op.Name, op.Service, other.Name, other.Service)
		}
	}
	for _, ps := range t.routes {
		slices.SortStableFunc(ps, func(a, b *restPath) int {
			return cmp.Or(b.literals()-a.literals(), strings.Compare(a.shape(), b.shape()))
		})
	}
	return t, nil
}

func check(op *Op) error {
	switch {
	case op.Service == "" || op.Source == "" || op.Name == "":
		return fmt.Errorf("it needs Service, Source and Name")
	case op.Handle == nil:
		return fmt.Errorf("it has no Handle")
	case op.Needs == nil && op.Open == "":
		return fmt.Errorf("it says neither what it Needs nor why it is Open")
	case op.Needs != nil && op.Open != "":
		return fmt.Errorf("it is Open and Needs something")
	case op.MaxBody < 0:
		return fmt.Errorf("MaxBody is %d", op.MaxBody)
	}
	switch op.Protocol {
	case JSON10, JSON11:
		if !strings.HasSuffix(op.Target, "."+op.Name) {
			return fmt.Errorf("its Target %q does not end in its name", op.Target)
		}
	case RESTJSON:
		if op.Route == "" {
			return fmt.Errorf("it has no Route")
		}
	case Query:
		if op.Version == "" {
			return fmt.Errorf("it has no Version")
		}
	case S3:
		if op.Service != s3Service || op.Params == nil {
			return fmt.Errorf("an operation of S3 belongs to the service %s and has Params", s3Service)
		}
		if !s3Route.MatchString(op.Route) {
			return fmt.Errorf("its Route %q is none of S3's", op.Route)
		}
	default:
		return fmt.Errorf("its Protocol is %d", op.Protocol)
	}
	return nil
}

func parseRoute(op *Op) (method string, p *restPath, err error) {
	method, path, ok := strings.Cut(op.Route, " ")
	if !ok || method == "" || !strings.HasPrefix(path, "/") {
		return "", nil, fmt.Errorf("its Route %q is not a method and a path", op.Route)
	}
	p = &restPath{op: op}
	names := map[string]bool{}
	for s := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		seg := segment{text: s}
		if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") {
			seg = segment{s[1 : len(s)-1], true}
			if seg.text == "" || names[seg.text] {
				return "", nil, fmt.Errorf("its Route %q has a label without a name of its own", op.Route)
			}
			names[seg.text] = true
		} else if strings.ContainsAny(s, "{}") {
			return "", nil, fmt.Errorf("its Route %q has a label that is not a whole segment", op.Route)
		}
		p.segs = append(p.segs, seg)
	}
	return method, p, nil
}

// shape is the route without the names of its labels, literals sorting first.
func (p *restPath) shape() string {
	var b strings.Builder
	for _, s := range p.segs {
		if s.label {
			b.WriteString("/\x7f")
		} else {
			b.WriteString("/" + s.text)
		}
	}
	return b.String()
}

func (p *restPath) literals() (n int) {
	for _, s := range p.segs {
		if !s.label {
			n++
		}
	}
	return n
}

// rest finds the operation of a method and an escaped path. Without one, allow
// lists the methods that the path has.
func (t *table) rest(method, path string) (op *Op, labels map[string]string, allow []string) {
	segs := strings.Split(strings.Trim(path, "/"), "/")
	if op, labels = find(t.routes[method], segs); op != nil {
		return op, labels, nil
	}
	for m, ps := range t.routes {
		if op, _ := find(ps, segs); op != nil {
			allow = append(allow, m)
		}
	}
	slices.Sort(allow)
	return nil, nil, allow
}

func find(ps []*restPath, segs []string) (*Op, map[string]string) {
	var buf [8]int // more than most routes have
	for _, span := range [...]bool{false, true} {
		for _, p := range ps {
			if ends, ok := match(p.segs, segs, span, buf[:0]); ok {
				labels := make(map[string]string, 2)
				from := 0
				for i, s := range p.segs {
					if s.label {
						labels[s.text] = sigv4.Unescape(strings.Join(segs[from:ends[i]], "/"))
					}
					from = ends[i]
				}
				return p.op, labels
			}
		}
	}
	return nil, nil
}

// match matches path segments to a route's and returns where each of the
// route's ends. With span set a label may take several segments if they begin
// an ARN: clients that are not SDKs send an ARN's slashes as they are.
func match(route []segment, path []string, span bool, ends []int) ([]int, bool) {
	at := 0
	if len(ends) > 0 {
		at = ends[len(ends)-1]
	}
	if len(route) == 0 {
		return ends, at == len(path)
	}
	if at >= len(path) {
		return nil, false
	}
	s := route[0]
	if !s.label {
		if sigv4.Unescape(path[at]) != s.text {
			return nil, false
		}
		return match(route[1:], path, span, append(ends, at+1))
	}
	if path[at] == "" {
		return nil, false
	}
	longest := at + 1
	if span && strings.HasPrefix(sigv4.Unescape(path[at]), "arn:") {
		longest = len(path)
	}
	for end := at + 1; end <= longest; end++ {
		if got, ok := match(route[1:], path, span, append(ends, end)); ok {
			return got, true
		}
	}
	return nil, false
}

// targeted finds the operation that X-Amz-Target names.
func (t *table) targeted(targets []string) (*Op, *fault.Error) {
	if len(targets) > 1 {
		return nil, fault.Newf("UnknownOperationException", "There is more than one X-Amz-Target.")
	}
	if op := t.targets[short(targets[0])]; op != nil && (targets[0] == op.Target || targets[0] == short(op.Target)) {
		return op, nil
	}
	return nil, fault.Newf("UnknownOperationException", "There is no operation %.128q here.", targets[0])
}

func (t *table) action(version, name string) (*Op, *fault.Error) {
	if name == "" {
		return nil, &fault.Error{Kind: fault.Client, Code: "MissingAction", Message: "The request must contain the parameter Action"}
	}
	if op := t.actions[action{version, name}]; op != nil {
		return op, nil
	}
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	return nil, fault.Newf("InvalidAction", "Could not find operation %.128s for version %.64s", name, version)
}

// noRoute is the answer to a path that leads nowhere.
func noRoute(method, path string, allow []string) *fault.Error {
	if len(allow) > 0 {
		return &fault.Error{
			Kind: fault.Client, Code: "UnknownOperationException", Status: http.StatusMethodNotAllowed,
			Message: fmt.Sprintf("There is no operation %s %.256s here; the methods of this path are %s.", method, path, strings.Join(allow, ", ")),
		}
	}
	return &fault.Error{
		Kind: fault.Client, Code: "UnknownOperationException", Status: http.StatusNotFound,
		Message: fmt.Sprintf("There is no operation %s %.256s here.", method, path),
	}
}
