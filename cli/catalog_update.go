package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokaido/awsapi/sigv4"
	"tokaido/bedrock/backend/amazon"
	"tokaido/bedrock/catalog"
	"tokaido/internal/durable"
	"tokaido/server"
)

// Limits of asking a control plane.
const (
	askTimeout = 30 * time.Second
	maxPages   = 100
	pageSize   = 1000 // AWS's largest
)

// updated is what catalog update prints as JSON.
type updated struct {
	File    string           `json:"file"`
	Written bool             `json:"written"`
	Regions []string         `json:"regions"` // seen now
	Changes []catalog.Change `json:"changes"`
	Notes   []string         `json:"notes"`
}

func catalogUpdate() *cobra.Command {
	var f configFlags
	var regions []string
	var endpoint, profile, out, format string
	var dryRun, forget bool
	c := &cobra.Command{
		Use:   "update [FILE…]",
		Short: "Bring the catalog up to date with what AWS lists",
		Long: `Read what Amazon Bedrock lists in Regions, show what that changes, and keep it in a file
that 'tokaido serve' reads: bedrock.catalog of the configuration, else catalog.json in the
data directory. What was seen of other Regions before stays.

A FILE is the output of 'aws bedrock list-foundation-models' or of 'aws bedrock
list-inference-profiles', of one Region, or several of them one after the other; - is
standard input. With --region the control planes are asked: with the credentials that any
AWS client finds, at AWS or at --endpoint (AWS_ENDPOINT_URL_BEDROCK, AWS_ENDPOINT_URL).

What AWS lists no more stays callable, because a backend may have it, and is marked as
gone once no Region lists it; with --forget it cannot be called any more.`,
		Example: `  aws bedrock list-foundation-models --region ap-northeast-1 > models.json
  aws bedrock list-inference-profiles --region ap-northeast-1 > profiles.json
  tokaido catalog update models.json profiles.json
  tokaido catalog update --region ap-northeast-1,ap-northeast-3 --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, files []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			if len(files) == 0 && len(regions) == 0 {
				return usageError{fmt.Errorf("nothing to read: name files, or --region\nSee '%s --help'", c.CommandPath())}
			}
			if len(regions) == 0 && (endpoint != "" || profile != "") {
				return usageError{errors.New("--endpoint and --aws-profile say how to ask; --region says whom")}
			}
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			cfg.Bedrock.Catalog = cmp.Or(out, cfg.CatalogFile())
			seen, err := known(&cfg)
			if err != nil {
				return err
			}
			u := updated{File: cfg.Bedrock.Catalog, Changes: []catalog.Change{}, Notes: []string{}}
			before, err := over(seen)
			if err != nil {
				return err
			}
			if forget {
				seen.Forget = true
			}
			now := time.Now()
			add := func(source, region string, b []byte) error {
				fresh := catalog.NewSeen()
				notes, err := fresh.Add(region, b, now)
				if err != nil {
					return fmt.Errorf("%s: %w", source, err)
				}
				seen.Merge(fresh)
				for r := range fresh.Regions {
					u.Regions = append(u.Regions, r)
				}
				u.Notes = append(u.Notes, notes...)
				return nil
			}
			for _, name := range files {
				b, err := readAll(name, c.InOrStdin())
				if err == nil {
					err = add(name, "", b)
				}
				if err != nil {
					return err
				}
			}
			ask := asker{endpoint: cmp.Or(endpoint, os.Getenv("AWS_ENDPOINT_URL_BEDROCK"), os.Getenv("AWS_ENDPOINT_URL")), profile: profile}
			for _, region := range regions {
				for _, list := range []string{"/foundation-models", fmt.Sprintf("/inference-profiles?maxResults=%d&type=SYSTEM_DEFINED", pageSize)} {
					b, err := ask.all(c.Context(), region, list)
					if err != nil {
						return fmt.Errorf("ask %s in %s: %w", list, region, err)
					}
					if err := add(region, region, b); err != nil {
						return err
					}
				}
			}
			after, err := over(seen)
			if err != nil {
				return err
			}
			if _, err := cfg.With(after); err != nil {
				return fmt.Errorf("what the configuration adds does not fit any more: %w", err)
			}
			_, stays, err := catalog.Load().Observe(seen)
			if err != nil {
				return err
			}
			u.Notes = append(u.Notes, stays...)
			u.Changes = append(u.Changes, after.Diff(before)...)
			u.Regions = slices.Compact(slices.Sorted(slices.Values(u.Regions)))
			if !dryRun {
				b, err := seen.JSON()
				if err == nil && filepath.Dir(u.File) == filepath.Clean(cfg.DataDir) { // which nothing may have made yet
					err = os.MkdirAll(cfg.DataDir, 0o700)
				}
				if err == nil {
					err = durable.WriteFile(u.File, b)
				}
				if err != nil {
					return fmt.Errorf("write the catalog: %w", err)
				}
				u.Written = true
			}
			if format == "json" {
				return printIndented(c.OutOrStdout(), u)
			}
			return u.print(c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.data(c)
	c.Flags().StringSliceVar(&regions, "region", nil, "`Regions` whose control plane is asked")
	c.Flags().StringVar(&endpoint, "endpoint", "", "`URL` of a control plane; {region} stands for the Region")
	c.Flags().StringVar(&profile, "aws-profile", "", "`profile` of the AWS credential files")
	c.Flags().StringVar(&out, "out", "", "`file` to keep it in (default: bedrock.catalog of the configuration, else catalog.json in the data directory)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would change")
	c.Flags().BoolVar(&forget, "forget", false, "let nobody call from a Region what it does not list any more")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// known are the observations that a file has already: none if it is not there.
func known(cfg *server.Config) (*catalog.Seen, error) {
	if _, err := os.Stat(cfg.CatalogFile()); errors.Is(err, os.ErrNotExist) {
		return catalog.NewSeen(), nil
	}
	return cfg.Seen()
}

// over is the catalog that came with the program with observations over it.
func over(s *catalog.Seen) (*catalog.Catalog, error) {
	c, _, err := catalog.Load().Observe(s)
	return c, err
}

// readAll reads a file, or standard input for -.
func readAll(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, catalog.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

func (u *updated) print(out, stderr io.Writer) error {
	for _, c := range u.Changes {
		fmt.Fprintln(out, c)
	}
	for _, n := range u.Notes {
		fmt.Fprintln(stderr, "note:", n)
	}
	done := "not written"
	if u.Written {
		done = "written to " + u.File
	}
	_, err := fmt.Fprintf(out, "%d changes in the catalog, from what %s lists; %s\n", len(u.Changes), strings.Join(u.Regions, ", "), done)
	return err
}

// asker asks control planes.
type asker struct {
	endpoint, profile string
	client            *http.Client
}

// all asks for a list, with all of its pages one after the other.
func (a *asker) all(ctx context.Context, region, list string) ([]byte, error) {
	base := cmp.Or(strings.ReplaceAll(a.endpoint, "{region}", region), "https://bedrock."+region+".amazonaws.com")
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the URL of a server", base)
	}
	creds, err := amazon.Chain(ctx, region, a.profile)
	if err != nil {
		return nil, err
	}
	key, err := creds(ctx)
	if err != nil {
		return nil, err
	}
	var all []byte
	token := ""
	for range maxPages {
		target := strings.TrimSuffix(u.EscapedPath(), "/") + list
		if token != "" {
			sep := "?"
			if strings.Contains(list, "?") {
				sep = "&"
			}
			target += sep + "nextToken=" + url.QueryEscape(token)
		}
		b, err := a.get(ctx, u, target, region, key)
		if err != nil {
			return nil, err
		}
		all = append(append(all, b...), '\n')
		if len(all) > catalog.MaxFile {
			return nil, fmt.Errorf("answers with more than %d bytes", catalog.MaxFile)
		}
		if token = catalog.NextToken(b); token == "" {
			return all, nil
		}
	}
	return nil, fmt.Errorf("has more than %d pages", maxPages)
}

func (a *asker) get(ctx context.Context, u *url.URL, target, region string, key sigv4.Credentials) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.Scheme+"://"+u.Host+target, nil)
	if err != nil {
		return nil, err
	}
	headers := [][2]string{{"Host", u.Host}, {"Accept", "application/json"}}
	add, err := sigv4.Sign(sigv4.Request{Method: r.Method, Target: target, Headers: headers}, sigv4.Options{Service: "bedrock", Region: region, Now: time.Now()}, key)
	if err != nil {
		return nil, err
	}
	for _, h := range append(headers[1:], add...) {
		r.Header.Set(h[0], h[1])
	}
	if a.client == nil {
		a.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // a signature is for one host
	}
	resp, err := a.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, catalog.MaxFile+1))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %.300s", resp.Status, bytes.TrimSpace(b))
	}
	return b, nil
}
