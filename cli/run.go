package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

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
error what happens; the exit status is 0 if it succeeded. Ctrl-C stops it.

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
					return err
				}
				once.Policy = string(b)
			}
			if mock != "" {
				cfg.Mocks = mock
				if once.TestCase, err = testCase(mock, once.Name, which); err != nil {
					return err
				}
			} else if which != "" {
				return usageError{fmt.Errorf("--case is %q, but there is no --mock", which)}
			}
			var show func(server.Progress)
			var end func()
			if asJSON {
				show, end = jsonProgress(c.OutOrStdout())
			} else {
				show, end = progress(c.ErrOrStderr())
			}
			once.Event = show
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
	return fmt.Errorf("the execution ended %s", text)
}

// jsonProgress prints every event as a line of JSON.
func jsonProgress(w io.Writer) (show func(server.Progress), end func()) {
	return func(p server.Progress) {
		line := map[string]any{"id": p.ID, "type": p.Type.String(), "at": p.Time().Format(time.RFC3339Nano), "execution": p.Execution}
		if p.In != "" {
			line["state"] = p.In
		}
		if p.InferenceRegion != "" {
			line["inferenceRegion"] = p.InferenceRegion
		}
		if p.More != nil && p.More.Error != nil {
			line["error"] = *p.More.Error
		}
		if p.More != nil && p.More.Cause != nil {
			line["cause"] = *p.More.Cause
		}
		b, err := json.Marshal(line)
		if err == nil {
			fmt.Fprintln(w, string(b))
		}
	}, func() {}
}

// progress prints what happens: states entered and left, failures, and where
// inferences ran. On a terminal the last line counts the seconds of what is
// being waited for.
func progress(w io.Writer) (show func(server.Progress), end func()) {
	var (
		mu      sync.Mutex
		began   time.Time
		waiting string
		since   time.Time
		live    = isTerminal(w)
		done    = make(chan struct{})
		stopped sync.WaitGroup
	)
	clear := func() {
		if live && waiting != "" {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
	if live {
		stopped.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(200 * time.Millisecond):
				}
				mu.Lock()
				if waiting != "" {
					fmt.Fprintf(w, "\r\x1b[K         … %s (%d s)", waiting, int(time.Since(since).Seconds()))
				}
				mu.Unlock()
			}
		})
	}
	show = func(p server.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if began.IsZero() {
			began = p.Time()
		}
		text := describe(p)
		clear()
		waiting = ""
		if text != "" {
			fmt.Fprintf(w, "%7.3fs %s\n", p.Time().Sub(began).Seconds(), text)
		}
		switch p.Type {
		case engine.WaitStateEntered, engine.ServiceTaskStarted, engine.LambdaFunctionStarted, engine.ActivityScheduled, engine.ServiceTaskSubmitted:
			waiting, since = p.In, time.Now()
		}
	}
	end = func() {
		close(done)
		stopped.Wait()
		mu.Lock()
		defer mu.Unlock()
		clear()
		waiting = ""
	}
	return show, end
}

// describe is an event in a line; "" if it says nothing that another does not.
func describe(p server.Progress) string {
	name := p.Type.String()
	why := ""
	if p.More != nil && p.More.Error != nil {
		why = ": " + *p.More.Error
		if p.More.Cause != nil {
			why += ": " + *p.More.Cause
		}
	}
	switch {
	case p.Type == engine.ExecutionStarted:
		return "▶ started"
	case strings.HasSuffix(name, "StateEntered"):
		return "→ " + p.State + " (" + strings.TrimSuffix(name, "StateEntered") + ")"
	case strings.HasSuffix(name, "StateExited"):
		return "← " + p.State
	case p.Type == engine.MapIterationStarted, p.Type == engine.MapIterationSucceeded, p.Type == engine.MapIterationFailed:
		return fmt.Sprintf("  %s[%d] %s", p.State, p.Index, strings.ToLower(strings.TrimPrefix(name, "MapIteration")))
	case strings.HasSuffix(name, "Failed"), strings.HasSuffix(name, "TimedOut"), strings.HasSuffix(name, "Aborted"):
		if after, ok := strings.CutPrefix(name, "Execution"); ok {
			return "✗ " + strings.ToLower(after) + why
		}
		return "! " + p.In + " " + name + why
	case p.Type == engine.ExecutionSucceeded:
		return "✓ succeeded"
	case p.InferenceRegion != "":
		return "  " + p.In + ": answered in " + p.InferenceRegion
	}
	return ""
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
