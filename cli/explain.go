package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tokaido/bedrock/catalog"
	"tokaido/cli/policyfile"
	"tokaido/iam"
	"tokaido/policygen"
	"tokaido/server"
	"tokaido/trail"
	"tokaido/value"
)

// explainer is one run of policy explain.
type explainer struct {
	c            *cobra.Command
	data         configFlags
	lang, format string
	event        string
	model        string
	region       string
	policies     []string
	applications []string
	models       *catalog.Catalog // nil: those that came with the program
}

func explainCommand() *cobra.Command {
	x := &explainer{}
	c := &cobra.Command{
		Use:   "explain REQUEST-ID | MESSAGE | --event FILE",
		Short: "Say why a request was refused and what is the smallest change that allows it",
		Long: `Say why a request was refused: which parts of the call are missing, which patterns
of the policies can never match and why, and the corrected policy as a diff. The
fix is evaluated: it allows the whole call and nothing that the call does not need.

REQUEST-ID is in the error's text; the whole text may be given too. The refusal is
read from the trail in the data directory, with the policies as they were then.

Without a record of it, as of a refusal by AWS, the text alone is explained: what
the call needs, and what of that was refused. So is --event: an event of CloudTrail,
a log file, what 'aws cloudtrail lookup-events' printed, or a decision, as of 'aws
sts decode-authorization-message'; - is standard input. With --policy the policies in a file are judged, and repaired.`,
		Example: `  tokaido policy explain 0f8b5c1e-3f5a-4b1e-9d57-2f1f0c7f9a11
  tokaido policy explain 'User: arn:aws:sts::… is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:…' --policy role.json
  aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=InvokeModel | tokaido policy explain --event -`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			x.c = c
			if x.format != "text" && x.format != "json" {
				return usageError{fmt.Errorf("--format is %q, want text or json", x.format)}
			}
			if x.lang, err = chooseLang(x.lang); err != nil {
				return err
			}
			if x.models, err = x.data.models(c); err != nil {
				return err
			}
			text := strings.Join(args, " ")
			switch {
			case x.event != "" && text != "":
				return usageError{errors.New("--event and a request id or message exclude each other")}
			case x.event != "":
				return x.events()
			case text == "":
				return usageError{errors.New("a request id, an error's text, or --event is missing")}
			}
			return x.explain(text)
		},
		Args: cobra.ArbitraryArgs,
	}
	x.data.data(c)
	c.Flags().StringVar(&x.lang, "lang", "", "en or ja (default: that of LC_ALL, LC_MESSAGES or LANG)")
	c.Flags().StringVar(&x.format, "format", "text", "text or json")
	c.Flags().StringVar(&x.event, "event", "", "`file` with events of CloudTrail")
	c.Flags().StringArrayVar(&x.policies, "policy", nil, "`file` with the policies that are to be judged")
	c.Flags().StringVar(&x.model, "model", "", "the modelId that was called, where the text does not tell")
	c.Flags().StringVar(&x.region, "region", "", "the `Region` in which the call was made, where the text does not tell")
	c.Flags().StringArrayVar(&x.applications, "application", nil, "what an application inference profile copies: `ARN=ID`")
	return c
}

// explain is about a request id, or an error's text.
func (x *explainer) explain(text string) error {
	refusal, parsed := iam.ParseMessage(text)
	id, err := requestID(text)
	if err != nil {
		if !parsed {
			if why := noPolicy(text, x.lang); why != "" {
				_, err := fmt.Fprintln(x.c.OutOrStdout(), why)
				return err
			}
			return err
		}
		return x.read(refusal, x.shapes(&refusal), "")
	}
	cfg, err := x.data.config(x.c)
	if err != nil {
		return err
	}
	found, err := findRefusal(x.c.Context(), filepath.Join(cfg.DataDir, server.TrailDir), id)
	if err != nil {
		if !parsed {
			return err
		}
		fmt.Fprintf(x.c.ErrOrStderr(), "tokaido: %v: what follows is from the message alone\n", err)
		return x.read(refusal, x.shapes(&refusal), id)
	}
	for _, name := range found.Missing {
		fmt.Fprintf(x.c.ErrOrStderr(), "tokaido: the record holds policy %s only by its digest (it is too large): what follows does not count it\n", name)
	}
	if len(x.policies) > 0 {
		bounds, err := x.bounds(iam.IdentityPolicy, found.Call.By)
		if err != nil {
			return err
		}
		p := iam.Policies{}
		if found.Call.Policies != nil {
			p = *found.Call.Policies
		}
		p.Identity = bounds
		found.Call.Policies = &p
	}
	return x.show(iam.Explain(found.Call), id)
}

// noPolicy explains refusals that no policy decides.
func noPolicy(text, lang string) string {
	if !strings.Contains(text, "You don't have access to the model") && !strings.Contains(text, "aws-marketplace:") {
		return ""
	}
	if lang == "ja" {
		return "これはポリシーによる拒否ではありません。アカウントでモデルへのアクセスが有効になっていません。Bedrock のモデルアクセス（サードパーティのモデルでは AWS Marketplace のサブスクリプション）を確認してください。"
	}
	return "No policy refuses this: the account has no access to the model. See Bedrock's model access, and for models of third parties their subscription in AWS Marketplace."
}

func (x *explainer) show(e iam.Explanation, id string) error {
	if x.format == "json" {
		v := e.Value()
		if id != "" {
			v = v.With("requestId", value.String(id))
		}
		_, err := fmt.Fprintln(x.c.OutOrStdout(), pretty(v.With("text", value.String(e.Text(x.lang))), false))
		return err
	}
	_, err := fmt.Fprint(x.c.OutOrStdout(), e.Text(x.lang))
	return err
}

// read explains a refusal without a record.
func (x *explainer) read(r iam.Refusal, calls []*iam.CallShape, id string) error {
	reading := iam.Reading{Refusal: r, Calls: calls}
	if len(x.policies) > 0 {
		bounds, err := x.bounds(r.Layer.KindOf(), r.By)
		if err != nil {
			return err
		}
		if r.Layer != iam.LayerIdentity && r.Layer != iam.NoLayer {
			fmt.Fprintf(x.c.ErrOrStderr(), "tokaido: the message names the layer %q: the policies are judged there, and the caller's own are taken to allow the call\n", r.Layer)
		}
		call := iam.Call{By: r.By, Needs: reading.Needs(), Policies: r.Bind(bounds)}
		if len(calls) > 0 {
			call.Model = calls[0]
		}
		if len(calls) > 1 {
			fmt.Fprintf(x.c.ErrOrStderr(), "tokaido: the message does not tell which model was called: taken for %s from %s (--model and --region say otherwise)\n", calls[0].Requested, calls[0].Region)
		}
		return x.show(iam.Explain(call), id)
	}
	if x.format == "json" {
		v := reading.Value()
		if id != "" {
			v = v.With("requestId", value.String(id))
		}
		_, err := fmt.Fprintln(x.c.OutOrStdout(), pretty(v.With("text", value.String(reading.Text(x.lang))), false))
		return err
	}
	_, err := fmt.Fprint(x.c.OutOrStdout(), reading.Text(x.lang))
	return err
}

// bounds are the policies in the files of --policy.
func (x *explainer) bounds(kind iam.Kind, by iam.Caller) ([]iam.Bound, error) {
	out := []iam.Bound{}
	for _, file := range x.policies {
		src, err := readFile(file, x.c.InOrStdin())
		if err != nil {
			return nil, err
		}
		f, err := policyfile.Read(file, src, policyfile.Options{Region: x.region, Account: by.Account})
		if err != nil {
			return nil, err
		}
		for i := range f.Documents {
			d := &f.Documents[i]
			trust, attached := d.Kind == iam.TrustPolicy, d.Kind != iam.IdentityPolicy
			if (kind == iam.TrustPolicy) != trust || kind != iam.TrustPolicy && kind != iam.ResourcePolicy && kind != iam.ResourceControlPolicy && attached {
				continue
			}
			p, err := iam.Parse(kind, []byte(iam.Indent(d.Value)))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			name := d.Name
			if name == "" {
				name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
			}
			out = append(out, iam.Bound{Policy: p, Name: name, Owner: by.RoleARN})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no policy of the kind that is asked for in %s", strings.Join(x.policies, ", "))
	}
	return out, nil
}

// application resolves what --application says.
func (x *explainer) application(arn string) (string, bool) {
	for _, a := range x.applications {
		if k, id, ok := strings.Cut(a, "="); ok && k == arn {
			return id, true
		}
	}
	return "", false
}

// maxCalls is how many candidates a text is taken for.
const maxCalls = 8

// shapes are the calls that a refusal can have been about.
func (x *explainer) shapes(r *iam.Refusal) []*iam.CallShape {
	if a := strings.ToLower(r.Action); a != "bedrock:invokemodel" && a != "bedrock:invokemodelwithresponsestream" {
		return nil
	}
	c := x.models
	if c == nil {
		c = catalog.Load()
	}
	p := strings.SplitN(r.Resource, ":", 6)
	if len(p) < 6 || p[2] != "bedrock" {
		return nil
	}
	account, region := r.By.Account, p[3]
	var out []*iam.CallShape
	add := func(region, id string) {
		if len(out) >= maxCalls || slices.ContainsFunc(out, func(s *iam.CallShape) bool { return s.Region == region && s.Requested == id }) {
			return
		}
		if s, problem := policygen.Shape(c, region, account, id, x.application); problem == policygen.NoProblem {
			out = append(out, s)
		}
	}
	from := region
	if x.region != "" {
		from = x.region
	}
	if x.model != "" {
		add(from, x.model)
		return out
	}
	kind, id, _ := strings.Cut(p[5], "/")
	switch kind {
	case "inference-profile":
		add(region, id)
	case "application-inference-profile":
		add(region, r.Resource)
	case "foundation-model":
		m, ok := c.Model(id)
		if !ok {
			return nil
		}
		if region == "" {
			for _, prof := range m.Profiles() {
				if prof.Global && x.region != "" {
					add(x.region, prof.ID)
				}
			}
			return out
		}
		if x.region == "" || x.region == region {
			add(region, id)
		}
		for _, global := range []bool{false, true} {
			for _, prof := range m.Profiles() {
				if prof.Global == global && (slices.Contains(prof.Destinations(from), region) && !global || global && from == region) {
					add(from, prof.ID)
				}
			}
		}
		if x.region == "" {
			for _, prof := range m.Profiles() {
				for _, s := range prof.Sources() {
					if !prof.Global && slices.Contains(prof.Destinations(s), region) {
						add(s, prof.ID)
					}
				}
			}
		}
		if r.Explicit && (r.Layer == iam.LayerSCP || r.Layer == iam.LayerRCP) {
			// A guard on Regions would have refused a call from there for its profile
			// already: it was from elsewhere, and only the model is there.
			slices.SortStableFunc(out, func(a, b *iam.CallShape) int {
				return cmp.Compare(btoi(a.Region == region), btoi(b.Region == region))
			})
		}
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// events explains the refusals among events of CloudTrail.
func (x *explainer) events() error {
	src, err := readFile(x.event, x.c.InOrStdin())
	if err != nil {
		return err
	}
	if v, err := value.Parse(src); err == nil {
		if r, ok, err := readDecision(v); err != nil {
			return fmt.Errorf("%s: %w", x.event, err)
		} else if ok {
			return x.read(r, x.shapes(&r), "")
		}
	}
	all, err := readEvents(src)
	if err != nil {
		return fmt.Errorf("%s: %w", x.event, err)
	}
	refused := 0
	for _, e := range all {
		text := e.Get("errorMessage").Str()
		r, ok := iam.ParseMessage(text)
		if !ok {
			if why := noPolicy(text, x.lang); why != "" {
				refused++
				if _, err := fmt.Fprintln(x.c.OutOrStdout(), why); err != nil {
					return err
				}
			}
			continue
		}
		if refused++; refused > 1 && x.format == "text" {
			if _, err := io.WriteString(x.c.OutOrStdout(), "\n"+strings.Repeat("-", 72)+"\n\n"); err != nil {
				return err
			}
		}
		// The event tells more than the text: what was called, and from where.
		saved := *x
		if x.model == "" {
			x.model = e.Get("requestParameters").Get("modelId").Str()
		}
		if x.region == "" {
			x.region = e.Get("awsRegion").Str()
		}
		if by := e.Get("userIdentity"); by.Get("type").Str() == "AssumedRole" {
			if arn := by.Get("sessionContext").Get("sessionIssuer").Get("arn").Str(); strings.Contains(arn, ":role/") {
				r.By.RoleARN = arn // with its path
			}
		}
		err := x.read(r, x.shapes(&r), e.Get("requestID").Str())
		x.model, x.region = saved.model, saved.region
		if err != nil {
			return err
		}
	}
	if refused == 0 {
		return fmt.Errorf("%s: none of its %d events is a refusal by a policy", x.event, len(all))
	}
	return nil
}

// readDecision reads a decision: one of this server's, as its records hold them,
// or what STS's DecodeAuthorizationMessage tells of one of AWS's. ok is false if
// v is neither.
func readDecision(v value.Value) (r iam.Refusal, ok bool, err error) {
	if text := v.Get("DecodedMessage"); text.IsString() {
		if v, err = value.ParseString(text.Str()); err != nil {
			return r, false, fmt.Errorf("DecodedMessage: %w", err)
		}
	}
	allowed := errors.New("this decision allows: there is no refusal to explain")
	switch c := v.Get("context"); {
	case v.Has("explicitDeny") && c.Get("action").IsString():
		if v.Get("allowed").Bool() {
			return r, false, allowed
		}
		r = iam.Refusal{Action: c.Get("action").Str(), Resource: c.Get("resource").Str(), Explicit: v.Get("explicitDeny").Bool()}
		arn := c.Get("principal").Get("arn").Str()
		if r.By, ok = iam.ParseCaller(arn); !ok {
			return r, false, fmt.Errorf("context.principal.arn: %.256q is no principal", arn)
		}
		return r, true, nil
	case v.Get("action").IsString() && v.Get("resource").IsString() && v.Has("allowed"):
		d, err := iam.DecisionFromValue(v)
		if err != nil {
			return r, false, err
		}
		if d.Allowed {
			return r, false, allowed
		}
		if r, ok = iam.ParseMessage(d.Message()); !ok {
			return r, false, errors.New("the decision does not say who was refused what")
		}
		if d.Request.By.ARN != "" {
			r.By = d.Request.By
		}
		r.Layer = d.Layer
		return r, true, nil
	}
	return r, false, nil
}

// Limits of what is read of events.
const (
	maxEventFile = 64 << 20
	maxEvents    = 10_000
)

// readEvents reads an event of CloudTrail, a log file ({"Records": …}), or the
// answer of LookupEvents ({"Events": …}).
func readEvents(src []byte) ([]value.Value, error) {
	if len(src) > maxEventFile {
		return nil, fmt.Errorf("%d bytes; the limit is %d", len(src), maxEventFile)
	}
	v, err := value.Parse(src)
	if err != nil {
		return nil, err
	}
	list := v
	switch {
	case v.Get("Records").IsArray():
		list = v.Get("Records")
	case v.Get("Events").IsArray():
		list = v.Get("Events")
	case v.IsObject():
		list = value.Array(v)
	}
	if list.Len() > maxEvents {
		return nil, fmt.Errorf("%d events; the limit is %d", list.Len(), maxEvents)
	}
	var out []value.Value
	for i, e := range list.Items() {
		if text := e.Get("CloudTrailEvent"); text.IsString() {
			if e, err = value.ParseString(text.Str()); err != nil {
				return nil, fmt.Errorf("event %d: CloudTrailEvent: %w", i, err)
			}
		}
		if !e.Get("eventName").IsString() || !e.Get("eventSource").IsString() {
			return nil, fmt.Errorf("event %d is none of CloudTrail's: eventName or eventSource is missing", i)
		}
		out = append(out, e)
	}
	return out, nil
}

// findRefusal reads the refusal of a request from a trail, also while a server
// writes it.
func findRefusal(ctx context.Context, dir, id string) (trail.Refusal, error) {
	records, err := trail.FindIn(ctx, dir, id)
	if err != nil {
		return trail.Refusal{}, err
	}
	if len(records) == 0 {
		return trail.Refusal{}, fmt.Errorf("the trail in %s has no request %s", dir, id)
	}
	for _, r := range records {
		refusal, err := r.Refusal()
		if !errors.Is(err, trail.ErrNoEvidence) {
			return refusal, err
		}
	}
	r := records[len(records)-1]
	if r.ErrorCode != "" {
		return trail.Refusal{}, fmt.Errorf("request %s (%s) was not refused by a policy: %s: %s", id, r.Name, r.ErrorCode, r.ErrorMessage)
	}
	return trail.Refusal{}, fmt.Errorf("request %s (%s) was not refused", id, r.Name)
}
