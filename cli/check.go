package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"tokaido/cli/policyfile"
	"tokaido/iam"
	"tokaido/policygen"
	"tokaido/value"
)

// pointed is a finding with its place in a file.
type pointed struct {
	File      string `json:"file"`
	Line      int    `json:"line,omitempty"`
	Column    int    `json:"column,omitempty"`
	Severity  string `json:"severity"`
	Code      string `json:"code,omitempty"`
	Message   string `json:"message"`
	Policy    string `json:"policy,omitempty"`
	Statement *int   `json:"statement,omitempty"`
	Sid       string `json:"sid,omitempty"`
	Element   string `json:"element,omitempty"`
	Value     string `json:"value,omitempty"`
	Want      string `json:"want,omitempty"`

	where string
}

// held is one policy of a file that is checked.
type held struct {
	file     string
	of       *policyfile.File
	index    int
	doc      *policyfile.Document
	bound    iam.Bound
	original string
}

var policyTypes = map[string]iam.Kind{
	"identity": iam.IdentityPolicy, "trust": iam.TrustPolicy, "resource": iam.ResourcePolicy, "boundary": iam.Boundary,
	"session": iam.SessionPolicy, "scp": iam.ServiceControlPolicy, "rcp": iam.ResourceControlPolicy,
}

// checker is one run of policy check.
type checker struct {
	c        *cobra.Command
	machine  machineFlags
	forFile  string
	role     string
	kind     string
	lang     string
	result   *policygen.Result // with --for
	policies []held
}

func checkCommand() *cobra.Command {
	k := &checker{}
	var format string
	var fix bool
	c := &cobra.Command{
		Use:   "check FILE…",
		Short: "Point at what is wrong with policies, and repair it",
		Long: `Point at what a specialist would in policies: what can never match, what is missing
behind an inference profile, what is wider than it looks. A FILE is a policy, what
'tokaido policy generate' wrote, a CloudFormation or SAM template, what the CDK
synthesized, or Terraform (.tf); - is standard input. Nothing is asked of AWS.

With --for the policies are held to a definition (the flags that follow are those of
'tokaido policy generate'): what it needs and they lack, and what they allow besides. With --type scp, boundary
or session they are held to it as what they are.

With --fix the files are corrected where they are JSON; for others the change is
printed as a diff. The exit status is 1 if there are errors; warnings are a yes.`,
		Example: `  tokaido policy check role.json
  tokaido policy check main.tf --for ask.asl.json --region ap-northeast-1 --account 111122223333
  tokaido policy check cdk.out/*.template.json --format sarif > policies.sarif`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) (err error) {
			k.c = c
			if k.lang, err = chooseLang(k.lang); err != nil {
				return err
			}
			if err := oneOf("format", format, "text", "json", "sarif", "github"); err != nil {
				return err
			}
			report := policyReporters[format]
			if k.kind != "" {
				if err := oneOf("type", k.kind, "identity", "trust", "resource", "boundary", "session", "scp", "rcp"); err != nil {
					return err
				}
			}
			if k.forFile == "" {
				for _, name := range ofMachines {
					if c.Flags().Changed(name) {
						return usageError{fmt.Errorf("--%s is said of a definition: it needs --for", name)}
					}
				}
			}
			if k.forFile == "-" && slices.Contains(files, "-") {
				return usageError{fmt.Errorf("--for and FILE are both standard input")}
			}
			if k.forFile != "" {
				if k.result, err = k.machine.generate(c, k.forFile); err != nil {
					return err
				}
				if err := tell(c.ErrOrStderr(), k.result, k.lang); err != nil && k.result.Policy == nil {
					return err
				}
			}
			if err := k.read(files); err != nil {
				return err
			}
			if fix {
				if slices.Contains(files, "-") {
					return usageError{fmt.Errorf("--fix writes files; standard input is none")}
				}
				if err := k.fix(); err != nil {
					return err
				}
				if err := k.read(files); err != nil {
					return err
				}
			}
			found := k.findings()
			if err := report(c.OutOrStdout(), found, k.lang); err != nil {
				return err
			}
			errs := 0
			for _, f := range found {
				if f.Severity == iam.Error.String() {
					errs++
				}
			}
			if errs > 0 {
				return fmt.Errorf("%w: %d of %d findings are errors", errNo, errs, len(found))
			}
			return nil
		},
	}
	k.machine.add(c)
	c.Flags().StringVar(&k.forFile, "for", "", "`file` of the definition that the policies are for")
	c.Flags().StringVar(&k.role, "role", "", "with --for: the `role` whose policies are meant, as the file calls it")
	c.Flags().StringVar(&k.kind, "type", "", "what the policies are: identity, trust, resource, boundary, session, scp or rcp (default: told from what is in them)")
	c.Flags().BoolVar(&fix, "fix", false, "correct the files")
	c.Flags().StringVar(&format, "format", "text", "text, json, sarif, or github (annotations of GitHub Actions)")
	c.Flags().StringVar(&k.lang, "lang", "", "en or ja (default: that of LC_ALL, LC_MESSAGES or LANG)")
	return c
}

// read finds the policies of the files.
func (k *checker) read(files []string) error {
	k.policies = nil
	var input []byte
	names := map[string]bool{}
	for _, file := range files {
		src := input
		var err error
		if file != "-" || src == nil {
			if src, err = readFile(file, k.c.InOrStdin()); err != nil {
				return err
			}
		}
		if file == "-" {
			input = src
		}
		f, err := policyfile.Read(file, src, policyfile.Options{Region: k.machine.region, Account: k.machine.account})
		if err != nil {
			return err
		}
		for _, s := range f.Skipped {
			fmt.Fprintf(k.c.ErrOrStderr(), "tokaido: %s: not checked: %s\n", file, s)
		}
		for i := range f.Documents {
			d := &f.Documents[i]
			if k.kind != "" {
				d.Kind = policyTypes[k.kind]
			}
			text := iam.Indent(d.Value)
			p, err := iam.Parse(d.Kind, []byte(text))
			if err != nil {
				line, column := d.Place(-1, "", "")
				return fmt.Errorf("%s:%d:%d: %s: %w", file, line, column, d.Name, err)
			}
			name := d.Name
			if name == "" {
				name = filepath.Base(file)
			}
			if names[name] {
				name = file + " " + name
			}
			names[name] = true
			k.policies = append(k.policies, held{file: file, of: f, index: i, doc: d, bound: iam.Bound{Policy: p, Name: name}, original: text})
		}
	}
	if k.result == nil {
		return nil
	}
	// With --for, all identity-based policies must be one role's.
	var roles []string
	for _, h := range k.policies {
		if h.doc.Kind == iam.IdentityPolicy && h.doc.Role != "" && !slices.Contains(roles, h.doc.Role) {
			roles = append(roles, h.doc.Role)
		}
	}
	if k.role == "" && len(roles) > 1 {
		return usageError{fmt.Errorf("these are the policies of several roles: choose one with --role (%s)", strings.Join(roles, ", "))}
	}
	if k.role != "" && !slices.Contains(roles, k.role) {
		return usageError{fmt.Errorf("--role is %q, but the files have %s", k.role, strings.Join(roles, ", "))}
	}
	return nil
}

// judged are the policies that the definition's role has.
func (k *checker) judged() (at []int, bounds []iam.Bound) {
	for i, h := range k.policies {
		if h.doc.Kind == iam.IdentityPolicy && (k.role == "" || h.doc.Role == k.role) && !strings.HasSuffix(h.doc.Name, "caller") && !strings.HasPrefix(h.doc.Name, "targets") {
			at, bounds = append(at, i), append(bounds, h.bound)
		}
	}
	return at, bounds
}

func (k *checker) findings() []pointed {
	found := []pointed{}
	seen := map[string]bool{}
	add := func(f iam.Finding) {
		if seen[f.Key()] {
			return
		}
		seen[f.Key()] = true
		p := pointed{
			Severity: f.Severity.String(), Code: f.ID, Message: f.Text(k.lang), Policy: f.Policy, Sid: f.Sid, Element: f.Element,
			Value: f.Value, Want: f.Want, where: f.Where(k.lang),
		}
		if f.Statement >= 0 {
			p.Statement = &f.Statement
		}
		if len(k.policies) > 0 {
			p.File = k.policies[0].file
		}
		for _, h := range k.policies {
			if h.bound.Name == f.Policy {
				p.File = h.file
				p.Line, p.Column = h.doc.Place(f.Statement, f.Element, f.Value)
			}
		}
		found = append(found, p)
	}
	at, bounds := k.judged()
	for i, h := range k.policies {
		o := iam.Options{Name: h.bound.Name, Account: k.machine.account}
		if k.result != nil && slices.Contains(at, i) {
			continue
		}
		for _, f := range iam.Check(h.bound.Policy, o) {
			add(f)
		}
	}
	if k.result != nil {
		if len(bounds) > 0 { // files with nothing but other kinds say nothing of what is allowed
			for _, f := range k.result.Judge(bounds, func(i int, resource string) bool {
				return slices.Contains(k.policies[at[i]].doc.Filled, resource)
			}) {
				add(f)
			}
		}
		for _, h := range k.policies {
			for _, f := range k.result.JudgeLimit(h.bound) {
				add(f)
			}
		}
		for _, h := range k.policies {
			if h.doc.Kind != iam.TrustPolicy || k.role != "" && h.doc.Role != k.role {
				continue
			}
			if !k.trusts(h.bound.Policy) {
				f := iam.NewFinding("FD01", "sts:AssumeRole", "states.amazonaws.com", k.result.Machine.ARN())
				f.Policy, f.Element = h.bound.Name, "Statement"
				add(f)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b pointed) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return found
}

// trusts reports whether Step Functions may assume the role for the machine.
func (k *checker) trusts(p *iam.Policy) bool {
	m := &k.result.Machine
	d := iam.Evaluate(&iam.Policies{Resource: &iam.Bound{Policy: p}}, &iam.Request{
		By: iam.Caller{Type: "Service", Service: "states.amazonaws.com"},
		Authorization: iam.Authorization{Action: "sts:AssumeRole", Resource: "arn:aws:iam::" + m.Account + ":role/" + m.RoleName(), Context: iam.Context{
			{Key: "aws:SourceArn", Values: []string{m.ARN()}}, {Key: "aws:SourceAccount", Values: []string{m.Account}},
		}},
	})
	return d.Allowed
}

// fix corrects the files, or prints what is to be changed in them.
func (k *checker) fix() error {
	out := k.c.OutOrStdout()
	to := make([]*iam.Policy, len(k.policies))
	for i, h := range k.policies {
		to[i] = iam.Correct(h.bound.Policy, iam.Options{Account: k.machine.account})
	}
	if k.result != nil {
		at, bounds := k.judged()
		fixed := bounds
		if len(bounds) > 0 {
			fixed, _ = k.result.Fix(bounds)
		}
		for j, b := range fixed {
			if j < len(at) {
				to[at[j]] = b.Policy
				continue
			}
			fmt.Fprintf(k.c.ErrOrStderr(), "tokaido: a further policy is needed, %s:\n", b.Name)
			if _, err := io.WriteString(out, b.Policy.JSON()); err != nil {
				return err
			}
		}
	}
	type change struct {
		file *policyfile.File
		docs map[int]value.Value
	}
	var order []string
	changes := map[string]*change{}
	for i, h := range k.policies {
		if to[i].JSON() == h.bound.Policy.JSON() {
			continue
		}
		if !h.of.CanRewrite(h.doc) {
			fmt.Fprintf(k.c.ErrOrStderr(), "tokaido: %s: %s is to be changed by hand:\n", h.file, h.bound.Name)
			if _, err := io.WriteString(out, udiff.Unified("a/"+h.bound.Name, "b/"+h.bound.Name, h.original, to[i].JSON())); err != nil {
				return err
			}
			continue
		}
		ch := changes[h.file]
		if ch == nil {
			ch = &change{h.of, map[int]value.Value{}}
			changes[h.file] = ch
			order = append(order, h.file)
		}
		ch.docs[h.index] = value.MustParse(to[i].JSON())
	}
	for _, file := range order {
		b, err := changes[file].file.Rewrite(changes[file].docs)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, b, info.Mode().Perm()); err != nil {
			return err
		}
		fmt.Fprintf(k.c.ErrOrStderr(), "tokaido: %s: corrected\n", file)
	}
	return nil
}

var policyReporters = map[string]func(io.Writer, []pointed, string) error{
	"text": func(w io.Writer, fs []pointed, _ string) error {
		for _, f := range fs {
			at := f.File
			if f.Line > 0 {
				at = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
			}
			code := f.Code
			if code != "" {
				code = " " + code
			}
			line := fmt.Sprintf("%s: %s%s: %s", at, f.Severity, code, f.Message)
			if f.where != "" {
				line += " [" + f.where + "]"
			}
			if f.Value != "" {
				line += "\n    " + f.Value
			}
			if f.Want != "" {
				line += "\n    -> " + f.Want
			}
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
		return nil
	},
	"json": func(w io.Writer, fs []pointed, _ string) error {
		return encode(w, map[string]any{"findings": fs})
	},
	"sarif": sarif,
	"github": func(w io.Writer, fs []pointed, _ string) error {
		for _, f := range fs {
			level := map[string]string{"error": "error", "warning": "warning", "info": "notice"}[f.Severity]
			message := f.Message
			if f.where != "" {
				message += " [" + f.where + "]"
			}
			if f.Value != "" {
				message += "\n" + f.Value
			}
			if f.Want != "" {
				message += "\n-> " + f.Want
			}
			if err := annotate(w, level, f.File, f.Line, f.Column, f.Code, message); err != nil {
				return err
			}
		}
		return nil
	},
}

// annotate writes a workflow command of GitHub Actions.
func annotate(w io.Writer, level, file string, line, column int, title, message string) error {
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	place := "file=" + property.Replace(file)
	if line > 0 {
		place += fmt.Sprintf(",line=%d,col=%d", line, column)
	}
	_, err := fmt.Fprintf(w, "::%s %s,title=%s::%s\n", level, place, property.Replace(title), escape.Replace(message))
	return err
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// fileURI is a file's name as a reference of RFC 3986.
func fileURI(name string) string {
	u := url.URL{Path: filepath.ToSlash(name)}
	if filepath.IsAbs(name) {
		u.Scheme = "file"
	}
	return u.String()
}

// sarif is the Static Analysis Results Interchange Format, 2.1.0.
func sarif(w io.Writer, fs []pointed, lang string) error {
	type text struct {
		Text string `json:"text"`
	}
	type rule struct {
		ID            string         `json:"id"`
		Short         text           `json:"shortDescription"`
		Configuration map[string]any `json:"defaultConfiguration"`
	}
	type region struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
	type physical struct {
		Artifact map[string]string `json:"artifactLocation"`
		Region   *region           `json:"region,omitempty"`
	}
	type location struct {
		Physical physical `json:"physicalLocation"`
	}
	type result struct {
		Rule      string     `json:"ruleId,omitempty"`
		Level     string     `json:"level"`
		Message   text       `json:"message"`
		Locations []location `json:"locations"`
	}
	level := map[string]string{"error": "error", "warning": "warning", "info": "note"}
	rules := []rule{}
	for _, r := range iam.Rules() {
		rules = append(rules, rule{r.ID, text{r.Title(lang)}, map[string]any{"level": level[r.Severity.String()]}})
	}
	results := []result{}
	for _, f := range fs {
		message := f.Message
		if f.Value != "" {
			message += " " + f.Value
		}
		if f.Want != "" {
			message += " -> " + f.Want
		}
		p := physical{Artifact: map[string]string{"uri": fileURI(f.File)}}
		if f.Line > 0 {
			p.Region = &region{f.Line, f.Column}
		}
		results = append(results, result{f.Code, level[f.Severity], text{message}, []location{{p}}})
	}
	return encode(w, map[string]any{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []any{map[string]any{
			"tool":    map[string]any{"driver": map[string]any{"name": "tokaido policy check", "version": version, "rules": rules}},
			"results": results,
		}},
	})
}
