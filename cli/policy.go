package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"tokaido/iam"
	"tokaido/server"
	"tokaido/trail"
	"tokaido/value"
)

func policyCommand() *cobra.Command {
	return group("policy", "Policies: the least one, what is wrong with one, why a request was refused", generateCommand(), checkCommand(), explainCommand())
}

func explainCommand() *cobra.Command {
	var f configFlags
	var lang, format string
	c := &cobra.Command{
		Use:   "explain REQUEST-ID",
		Short: "Say why a request was refused and what is the smallest change that allows it",
		Long: `Say why a request was refused: which parts of the call are missing, which patterns
of the policies can never match and why, and the corrected policy as a diff. The
fix is evaluated: it allows the whole call and nothing that the call does not need.

REQUEST-ID is in the error's text; the whole text may be given too. The refusal is
read from the trail in the data directory, with the policies as they were then.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("--format is %q, want text or json", format)}
			}
			if lang == "" {
				lang = language(os.Getenv)
			}
			if lang != "en" && lang != "ja" {
				return usageError{fmt.Errorf("--lang is %q, want en or ja", lang)}
			}
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			id, err := requestID(strings.Join(args, " "))
			if err != nil {
				return err
			}
			refusal, err := findRefusal(c.Context(), filepath.Join(cfg.DataDir, server.TrailDir), id)
			if err != nil {
				return err
			}
			e := iam.Explain(refusal.Call)
			for _, name := range refusal.Missing {
				fmt.Fprintf(c.ErrOrStderr(), "tokaido: the record holds policy %s only by its digest (it is too large): what follows does not count it\n", name)
			}
			if format == "json" {
				v := e.Value().With("requestId", value.String(id)).With("text", value.String(e.Text(lang)))
				_, err := fmt.Fprintln(c.OutOrStdout(), pretty(v, false))
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), e.Text(lang))
			return err
		},
	}
	f.data(c)
	c.Flags().StringVar(&lang, "lang", "", "en or ja (default: that of LC_ALL, LC_MESSAGES or LANG)")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// language is the one that the environment asks for.
func language(getenv func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			if strings.HasPrefix(v, "ja") {
				return "ja"
			}
			return "en"
		}
	}
	return "en"
}

var requestIDForm = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)

// requestID finds the request id in what was given: the id, or an error's text,
// where it stands behind "Request ID:".
func requestID(text string) (string, error) {
	if _, rest, ok := strings.Cut(text, "Request ID:"); ok {
		text = rest
	}
	if id := requestIDForm.FindString(text); id != "" {
		return strings.ToLower(id), nil
	}
	return "", usageError{fmt.Errorf("%q holds no request id (as in 0f8b5c1e-3f5a-4b1e-9d57-2f1f0c7f9a11)", text)}
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
