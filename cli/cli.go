// Package cli is the command line: one file per subcommand. Standard output has
// the answer, standard error everything else; the exit status is 0 for yes, 1
// for a no or a failure, 2 for a command that was not understood.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tokaido/server"
)

// version is set by the linker.
var version = "dev"

// usageError is a command line that was not understood.
type usageError struct{ error }

// statusError is an error with an exit status of its own.
type statusError struct {
	error
	status int
}

// The exit statuses of a run besides 0 and 1: those of timeout(1), and of a
// program that was interrupted.
const (
	exitTimedOut = 124
	exitStopped  = 130
)

// Main runs one command line and returns its exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // whoever cannot wait for the end asks again
	root := command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "tokaido:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	if s, ok := errors.AsType[statusError](err); ok {
		return s.status
	}
	return 1
}

// command is the whole tree of commands.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "tokaido",
		Short: "Step Functions × Bedrock with cross-Region inference, on your own machines",
		Long: `Step Functions × Bedrock with cross-Region inference, on your own machines.

Standard output has the answer, standard error everything else. The exit status is 0
for yes, 1 for a no or a failure, and 2 for a command that was not understood.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("tokaido {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(), runCommand(), validateCommand(), evalCommand(), policyCommand(), trailCommand(), residencyCommand(), catalogCommand(), consoleCommand(), configCommand(), versionCommand())
	usage(root)
	return root
}

// usage makes wrong arguments and unknown subcommands usage errors, in words of
// ours.
func usage(c *cobra.Command) {
	check := c.Args
	if check == nil {
		check = cobra.NoArgs
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		_, operands, _ := strings.Cut(cmd.Use, " ")
		switch n := len(strings.Fields(operands)); {
		case cmd.HasSubCommands():
		case len(args) < n:
			err = fmt.Errorf("%s is missing", operands)
		default:
			err = fmt.Errorf("%q is one argument too many", args[n])
		}
		return usageError{fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
	}
	for _, sub := range c.Commands() {
		usage(sub)
	}
}

// group is a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(subs...)
	return c
}

// noCommand refuses what is no subcommand.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q for %q; did you mean %q?", args[0], cmd.CommandPath(), near[0])
	}
	return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
}

// oneOf refuses a flag's value that is none of those that are known.
func oneOf(flag, is string, known ...string) error {
	if slices.Contains(known, is) {
		return nil
	}
	last := len(known) - 1
	return usageError{fmt.Errorf("--%s is %q, want %s or %s", flag, is, strings.Join(known[:last], ", "), known[last])}
}

// configFlags are the flags that say which configuration is in force.
type configFlags struct {
	file, dataDir, listen, store, account string
	dev                                   bool
}

// data adds the flags that find the data; all of a command that reads only.
func (f *configFlags) data(c *cobra.Command) {
	c.Flags().StringVar(&f.file, "config", "", "configuration `file` (default: tokaido.yaml here, if there is one)")
	c.Flags().StringVar(&f.dataDir, "data-dir", "", "`directory` of the database, the trail and the root key (default ~/.tokaido)")
}

// all adds the flags of a command that serves.
func (f *configFlags) all(c *cobra.Command) {
	f.data(c)
	c.Flags().StringVar(&f.listen, "listen", "", "`address` to listen on (default 127.0.0.1:4566)")
	c.Flags().StringVar(&f.store, "store", "", "pebble or memory (default pebble)")
	c.Flags().StringVar(&f.account, "account", "", "account `number` (default: made on first start)")
	c.Flags().BoolVar(&f.dev, "dev", false, "accept the well-known key test/test; listens on loopback only")
}

// defaultFile is read where --config does not name another.
const defaultFile = "tokaido.yaml"

// config puts file, environment and flags together.
func (f *configFlags) config(c *cobra.Command) (server.Config, error) {
	cfg, err := server.Default()
	if err != nil && f.dataDir == "" {
		return cfg, err
	}
	file := f.file
	if file == "" {
		if _, err := os.Stat(defaultFile); err == nil {
			file = defaultFile
		}
	}
	if file != "" {
		if err := cfg.Read(file); err != nil {
			return cfg, err
		}
	}
	if err := cfg.Environ(os.LookupEnv); err != nil {
		return cfg, err
	}
	for name, p := range map[string]*string{"data-dir": &cfg.DataDir, "listen": &cfg.Listen, "store": &cfg.Store, "account": &cfg.Account} {
		if fl := c.Flags().Lookup(name); fl != nil && fl.Changed {
			*p = fl.Value.String()
		}
	}
	if f.dev {
		cfg.Dev = true
	}
	return cfg, cfg.Check()
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "tokaido", version)
			return err
		},
	}
}

func configCommand() *cobra.Command {
	var f configFlags
	check := &cobra.Command{
		Use:   "check",
		Short: "Print the configuration in force, or everything that is wrong with it",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			b, err := cfg.YAML()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(b)
			return err
		},
	}
	f.all(check)
	return group("config", "The configuration", check)
}
