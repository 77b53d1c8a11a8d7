package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tokaido/asl"
	"tokaido/iam"
	"tokaido/policygen"
)

// machineFlags say for which machine a definition is, and what is known of it
// besides.
type machineFlags struct {
	region, account, name, resource, key string
	logging, tracing                     bool
	values, applications                 []string
	config                               configFlags // models and profiles of the operator's own
}

func (f *machineFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.region, "region", "", "`Region` in which the machine runs (default: that of AWS_REGION or AWS_DEFAULT_REGION)")
	c.Flags().StringVar(&f.account, "account", "", "account `number`")
	c.Flags().StringVar(&f.name, "name", "", "the machine's `name` (default: the file's, or the resource's)")
	c.Flags().StringVar(&f.resource, "resource", "", "logical `id` of the machine, in a template with several")
	c.Flags().StringVar(&f.key, "kms-key", "", "`ARN` of the KMS key that encrypts the machine")
	c.Flags().BoolVar(&f.logging, "logging", false, "the machine logs to CloudWatch Logs")
	c.Flags().BoolVar(&f.tracing, "tracing", false, "the machine traces to X-Ray")
	c.Flags().StringArrayVar(&f.values, "value", nil, "what a computed field can be: `STATE.FIELD=VALUE,…`")
	c.Flags().StringArrayVar(&f.applications, "application", nil, "what an application inference profile copies: `ARN=ID`")
	f.config.data(c)
}

// ofMachines are the flags that say something of a machine only; its Region and
// account are also those of a template.
var ofMachines = []string{"name", "resource", "kms-key", "logging", "tracing", "value", "application", "role"}

// chooseLang is the language of the texts for people.
func chooseLang(lang string) (string, error) {
	if lang == "" {
		lang = language(os.Getenv)
	}
	return lang, oneOf("lang", lang, "en", "ja")
}

// generate makes the policies of the definition in a file.
func (f *machineFlags) generate(c *cobra.Command, file string) (*policygen.Result, error) {
	stdin := c.InOrStdin()
	if f.region == "" {
		for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
			if f.region == "" {
				f.region = os.Getenv(name)
			}
		}
	}
	switch {
	case f.region == "":
		return nil, usageError{fmt.Errorf("--region is missing: a policy names the Region")}
	case f.account == "":
		return nil, usageError{fmt.Errorf("--account is missing: a policy names the account")}
	}
	src, err := readFile(file, stdin)
	if err != nil {
		return nil, err
	}
	defs, err := readDefinitions(file, src)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range defs {
		names = append(names, d.name)
	}
	at := 0
	if f.resource != "" {
		if at = slices.Index(names, f.resource); at < 0 && len(names) == 1 && names[0] == "" {
			return nil, usageError{fmt.Errorf("--resource is %q, but %s is a definition, not a template", f.resource, file)}
		} else if at < 0 {
			return nil, fmt.Errorf("%s has no state machine %q; it has %s", file, f.resource, strings.Join(names, ", "))
		}
	} else if len(defs) > 1 {
		return nil, usageError{fmt.Errorf("%s has several state machines: choose one with --resource (%s)", file, strings.Join(names, ", "))}
	}
	d := defs[at]
	p, diagnostics := asl.Parse(d.json)
	for _, x := range diagnostics {
		if x.Severity == asl.Error {
			return nil, fmt.Errorf("%s: not a valid definition: %s at %s; see 'tokaido validate'", d.file, x.Message, x.Location)
		}
	}
	m := policygen.Machine{Program: p, Name: f.name, Region: f.region, Account: f.account, Logging: f.logging, Tracing: f.tracing, Key: f.key}
	if m.Name == "" {
		m.Name = d.name
	}
	if m.Name == "" {
		m.Name, _, _ = strings.Cut(filepath.Base(file), ".")
	}
	if file == "-" && f.name == "" && d.name == "" {
		return nil, usageError{fmt.Errorf("--name is missing: standard input has none")}
	}
	models, err := f.config.models(c)
	if err != nil {
		return nil, err
	}
	o := policygen.Options{Catalog: models, Values: map[string][]string{}, Unknown: substituted}
	for _, v := range f.values {
		field, list, ok := strings.Cut(v, "=")
		state := field[:max(strings.LastIndexByte(field, '.'), 0)]
		if !ok || list == "" || state == "" {
			return nil, usageError{fmt.Errorf("--value is %q, want STATE.FIELD=VALUE,…", v)}
		}
		known := false
		for st := range p.All() {
			known = known || strings.HasPrefix(field, st.Name+".")
		}
		if !known {
			return nil, usageError{fmt.Errorf("--value is %q, but there is no state of that name", v)}
		}
		o.Values[field] = append(o.Values[field], strings.Split(list, ",")...)
	}
	copies := map[string]string{}
	for _, v := range f.applications {
		arn, id, ok := strings.Cut(v, "=")
		if !ok || !strings.Contains(arn, ":application-inference-profile/") {
			return nil, usageError{fmt.Errorf("--application is %q, want ARN=ID", v)}
		}
		copies[arn] = id
	}
	o.Application = func(arn string) (string, bool) { id, ok := copies[arn]; return id, ok }
	return policygen.Generate(m, o)
}

// substituted says of a text what stands in it for ${…}, which is not known.
func substituted(text string) (prefix string, unknown bool) {
	if text == placeholder {
		return "", true
	}
	before, _, ok := strings.Cut(text, substitute("${X}"))
	return before, ok
}

func generateCommand() *cobra.Command {
	var f machineFlags
	var format, lang string
	c := &cobra.Command{
		Use:   "generate FILE",
		Short: "Write the least policy of a definition's role, and its trust policy",
		Long: `Write the least-privilege policy of the role that a state machine runs as, and the
trust policy, for a Region and an account. FILE is a definition, or a SAM or
CloudFormation template with one; - is standard input.

What cannot be known before the machine runs is assumed within its Region and
account, and told on standard error with what would narrow it. The exit status is 1
if something that the definition calls cannot be allowed at all.

The json format has policy, trust, caller (what whoever creates the machine needs),
targets (what the roles of Credentials need) and findings.`,
		Example: `  tokaido policy generate ask.asl.json --region ap-northeast-1 --account 111122223333
  tokaido policy generate order.asl.json --region eu-west-1 --account 111122223333 --logging --format terraform`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			lang, err := chooseLang(lang)
			if err != nil {
				return err
			}
			if err := oneOf("format", format, policygen.Formats...); err != nil {
				return err
			}
			res, err := f.generate(c, args[0])
			if err != nil {
				return err
			}
			out, err := res.Render(format, lang)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(c.OutOrStdout(), out); err != nil {
				return err
			}
			return tell(c.ErrOrStderr(), res, lang)
		},
	}
	f.add(c)
	c.Flags().StringVar(&format, "format", "json", "json, terraform, cloudformation or cdk")
	c.Flags().StringVar(&lang, "lang", "", "en or ja (default: that of LC_ALL, LC_MESSAGES or LANG)")
	return c
}

// tell writes what the generator found; an error is a no.
func tell(w io.Writer, res *policygen.Result, lang string) error {
	errs := 0
	for i := range res.Findings {
		x := &res.Findings[i]
		if x.Severity == iam.Error {
			errs++
		}
		where := x.Where()
		if where != "" {
			where = " " + where
		}
		fmt.Fprintf(w, "tokaido: %s %s%s: %s\n", x.Severity, x.ID, where, x.Text(lang))
	}
	if errs > 0 {
		return fmt.Errorf("%w: %d of %d findings are errors", errNo, errs, len(res.Findings))
	}
	return nil
}
