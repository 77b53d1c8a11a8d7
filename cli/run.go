package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/server"
	"tokaido/value"
)

func runCommand() *cobra.Command {
	var (
		f                                  configFlags
		input, region, policy, mock, which string
		asJSON                             bool
	)
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a definition once, in this process, without a server",
		Long: `Run a state machine's definition (JSON, or YAML as SAM writes it) once, in this
process, without a server. Standard output has the execution's output, standard
error what happens: on a terminal its last line says what is being waited for.
Ctrl-C stops the execution. The exit status is 0 if it succeeded, 1 if it failed,
124 if it timed out, 130 if it was stopped.

It runs as a role that may do everything, or as one with --policy, and then what
the policy does not allow is refused as on AWS. --mock is a mock configuration file
of Step Functions Local: its state machine is called as FILE is, without what
follows the first dot; --case chooses the test case where there are several.`,
		Example: `  tokaido run ask.asl.json --input '{"prompt": "hello"}'
  tokaido run order.asl.json --input @order.json --mock mocks.json --case Refused`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			models, err := cfg.Catalog()
			if err != nil {
				return err
			}
			if _, ok := models.Region(region); !ok {
				return usageError{fmt.Errorf("--region: there is no Region %q", region)}
			}
			once, err := prepare(args[0], c.InOrStdin())
			if err != nil {
				return err
			}
			in, err := document("--input", input, c.InOrStdin())
			if err != nil {
				return err
			}
			once.Input, once.Region = in.JSON(), region
			if policy != "" {
				b, err := os.ReadFile(policy)
				if err != nil {
					return fmt.Errorf("--policy: %w", err)
				}
				once.Policy = string(b)
			}
			if mock != "" {
				cfg.Mocks = mock
				if once.TestCase, err = testCase(mock, once.Name, which); err != nil {
					return fmt.Errorf("--mock: %w", err)
				}
			} else if which != "" {
				return usageError{fmt.Errorf("--case is %q, but there is no --mock", which)}
			}
			end := func() {}
			if asJSON {
				once.Event = jsonProgress(c.OutOrStdout())
			} else {
				v := newView(c.ErrOrStderr())
				once.Event, end = v.show, v.follow()
			}
			logger := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
			out, err := server.Run(c.Context(), cfg, once, logger)
			end()
			if err != nil {
				return err
			}
			return outcome(c.OutOrStdout(), out, asJSON)
		},
	}
	f.data(c)
	c.Flags().StringVar(&input, "input", "{}", "`document`: JSON, @FILE, or - for standard input")
	c.Flags().StringVar(&region, "region", "us-east-1", "`Region` that it runs in")
	c.Flags().StringVar(&policy, "policy", "", "`file` with the policy of the role that it runs as (default: everything is allowed)")
	c.Flags().StringVar(&mock, "mock", "", "mock configuration `file` of Step Functions Local")
	c.Flags().StringVar(&which, "case", "", "test `case` of --mock")
	c.Flags().BoolVar(&asJSON, "json", false, "print every event and the outcome as a line of JSON each")
	return c
}

// prepare reads the definition that a file holds.
func prepare(file string, stdin io.Reader) (server.Once, error) {
	src, err := readFile(file, stdin)
	if err != nil {
		return server.Once{}, err
	}
	defs, err := readDefinitions(file, src)
	if err != nil {
		return server.Once{}, err
	}
	if len(defs) != 1 {
		return server.Once{}, fmt.Errorf("%s: the template has %d state machines; run needs one", file, len(defs))
	}
	name := defs[0].name
	if name == "" {
		name, _, _ = strings.Cut(filepath.Base(file), ".")
	}
	if name == "" || name == "-" {
		name = "run"
	}
	return server.Once{Name: name, Definition: string(defs[0].json)}, nil
}

// testCase chooses the test case of a machine in a mock file.
func testCase(file, machine, which string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	v, err := value.Parse(b)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	cases := v.Get("StateMachines").Get(machine).Get("TestCases")
	if which != "" {
		if !cases.Has(which) {
			return "", fmt.Errorf("%s: StateMachines.%s.TestCases has no %q", file, machine, which)
		}
		return which, nil
	}
	if cases.Len() != 1 {
		return "", usageError{fmt.Errorf("%s: StateMachines.%s has %d test cases: choose with --case", file, machine, cases.Len())}
	}
	return cases.Member(0).Key, nil
}

// outcome prints how a run ended; an error is a run that did not succeed.
func outcome(w io.Writer, out flow.Outcome, asJSON bool) error {
	str := func(s *string) value.Value {
		if s == nil {
			return value.Value{}
		}
		return value.String(*s)
	}
	if asJSON {
		last := value.Object(
			value.Member{Key: "status", Value: value.String(out.Status.String())},
			value.Member{Key: "output", Value: out.Output},
			value.Member{Key: "error", Value: str(out.Error)},
			value.Member{Key: "cause", Value: str(out.Cause)},
		)
		if _, err := fmt.Fprintln(w, last.Compact().JSON()); err != nil {
			return err
		}
	} else if out.Status == engine.Succeeded {
		if _, err := fmt.Fprintln(w, pretty(out.Output, false)); err != nil {
			return err
		}
	}
	if out.Status == engine.Succeeded {
		return nil
	}
	text := out.Status.String()
	if out.Error != nil {
		text += ": " + *out.Error
	}
	if out.Cause != nil {
		text += ": " + *out.Cause
	}
	err := fmt.Errorf("the execution ended %s", text)
	switch out.Status {
	case engine.TimedOut:
		return statusError{err, exitTimedOut}
	case engine.Aborted:
		return statusError{err, exitStopped}
	}
	return err
}
