package cli

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokaido/jsonata"
	"tokaido/value"
)

func evalCommand() *cobra.Command {
	var (
		input, context, result, errorOutput string
		vars                                []string
		plain, compact                      bool
	)
	c := &cobra.Command{
		Use:   "eval EXPR",
		Short: "Evaluate a JSONata expression as a state would",
		Long: `Evaluate a JSONata expression as a state of Step Functions would: $states.input,
$states.context, $states.result and $states.errorOutput are what the flags say,
variables are --var NAME=JSON, and the functions are those that AWS adds
($partition, $range, $hash, $uuid, $parse, a seed for $random). The {% and %} of a
definition may stay. A document is JSON, @FILE, or - for standard input.

With --plain it is JSONata as such: the input is $, and there is no $states.`,
		Example: `  tokaido eval '{% $states.input.prices ~> $sum %}' --input '{"prices":[1,2,3]}'
  tokaido eval '$total * 1.1' --var total=100`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			src := strings.TrimSpace(args[0])
			if inner, ok := strings.CutPrefix(src, "{%"); ok {
				if inner, ok = strings.CutSuffix(inner, "%}"); !ok {
					return usageError{fmt.Errorf("EXPR begins with {%% and does not end with %%}")}
				}
				src = strings.TrimSpace(inner)
			}
			docs := map[string]value.Value{}
			for _, d := range []struct{ flag, text string }{
				{"input", input}, {"context", context}, {"result", result}, {"error-output", errorOutput},
			} {
				if !c.Flags().Changed(d.flag) {
					continue
				}
				if plain && d.flag != "input" {
					return usageError{fmt.Errorf("--%s is a part of $states, which --plain has not", d.flag)}
				}
				v, err := document("--"+d.flag, d.text, c.InOrStdin())
				if err != nil {
					return err
				}
				docs[d.flag] = v
			}
			bound := map[string]value.Value{}
			for _, v := range vars {
				name, text, ok := strings.Cut(v, "=")
				if !ok || name == "" {
					return usageError{fmt.Errorf("--var is %q, want NAME=JSON", v)}
				}
				doc, err := document("--var "+name, text, c.InOrStdin())
				if err != nil {
					return err
				}
				bound[strings.TrimPrefix(name, "$")] = doc
			}
			env := &jsonata.Env{
				Now:  time.Now(),
				Rand: rand.Uint64,
				Var:  func(name string) (value.Value, bool) { v, ok := bound[name]; return v, ok },
			}
			dialect := jsonata.States
			if plain {
				dialect, env.Input = jsonata.Plain, docs["input"]
			} else {
				if _, ok := bound["states"]; ok {
					return usageError{fmt.Errorf("--var states is reserved: use --input, --context, --result and --error-output")}
				}
				in, ok := docs["input"]
				if !ok {
					in = value.Object()
				}
				bound["states"] = value.Object(
					value.Member{Key: "input", Value: in},
					value.Member{Key: "context", Value: docs["context"]},
					value.Member{Key: "result", Value: docs["result"]},
					value.Member{Key: "errorOutput", Value: docs["error-output"]},
				)
			}
			expr, err := jsonata.Compile(src, dialect)
			if err != nil {
				return err
			}
			out, err := expr.Eval(env)
			if err != nil {
				return err
			}
			if out.IsUndefined() {
				return fmt.Errorf("the expression returned nothing (undefined)")
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), pretty(out, compact))
			return err
		},
	}
	c.Flags().StringVar(&input, "input", "", "`document` that is $states.input (default {})")
	c.Flags().StringVar(&context, "context", "", "`document` that is $states.context")
	c.Flags().StringVar(&result, "result", "", "`document` that is $states.result")
	c.Flags().StringVar(&errorOutput, "error-output", "", "`document` that is $states.errorOutput")
	c.Flags().StringArrayVar(&vars, "var", nil, "variable as `NAME=JSON`; may be given several times")
	c.Flags().BoolVar(&plain, "plain", false, "JSONata as such, without what Step Functions adds and takes away")
	c.Flags().BoolVar(&compact, "compact", false, "print the result on one line")
	return c
}

// document reads JSON, @FILE, or - for standard input.
func document(what, text string, stdin io.Reader) (value.Value, error) {
	src := []byte(text)
	if file, ok := strings.CutPrefix(text, "@"); ok || text == "-" {
		if text == "-" {
			file = "-"
		}
		var err error
		if src, err = readFile(file, stdin); err != nil {
			return value.Value{}, fmt.Errorf("%s: %w", what, err)
		}
	}
	v, err := value.Parse(src)
	if err != nil {
		return v, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// pretty prints v over several lines, digits and order kept.
func pretty(v value.Value, compact bool) string {
	if compact {
		return v.Compact().JSON()
	}
	return string(indent(nil, v, "\n"))
}

func indent(b []byte, v value.Value, newline string) []byte {
	inner := newline + "  "
	switch {
	case v.IsArray() && v.Len() > 0:
		b = append(b, '[')
		for i, x := range v.Items() {
			if i > 0 {
				b = append(b, ',')
			}
			b = indent(append(b, inner...), x, inner)
		}
		return append(append(b, newline...), ']')
	case v.IsObject() && v.Len() > 0:
		b = append(b, '{')
		first := true
		for k, x := range v.Members() {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = value.AppendQuoted(append(b, inner...), k)
			b = indent(append(b, ": "...), x, inner)
		}
		return append(append(b, newline...), '}')
	}
	return v.Compact().AppendJSON(b)
}
