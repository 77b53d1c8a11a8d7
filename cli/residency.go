package cli

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokaido/residency"
	"tokaido/server"
	"tokaido/trail"
)

func residencyCommand() *cobra.Command {
	return group("residency", "Where inferences ran", residencyReport())
}

// errLeft is the answer "no": calls left the boundary, or may have.
var errLeft = errors.New("the boundary was not kept")

func residencyReport() *cobra.Command {
	var f trailFlags
	var by, since, until, profile, boundary, format, out, lang string
	c := &cobra.Command{
		Use:   "report [FILE|DIRECTORY…]",
		Short: "Count inferences by the Region that served them, and name those that left a boundary",
		Long: `Count inferences by the Region that served them: calls, tokens and shares, by profile,
model, principal, workflow, operation, source Region and period. Without arguments over
the trail in the data directory; with arguments over CloudTrail's events of real AWS:
directories of log files (.json.gz), or the output of "aws cloudtrail lookup-events".

AWS leaves inferenceRegion out where a call was not re-routed: such calls are counted
in the Region that was called, and the report says so.

With --boundary every call that left it is named, and the exit status is 1 if there is
one, or if of a call it is not known: a country's code such as jp or us, eu, or a list
of Regions, as in "jp,ap-northeast-2".`,
		Example: `  tokaido residency report --boundary jp
  tokaido residency report --profile 'jp.*' --boundary ap-northeast-1   # which jp. calls ran in Osaka
  tokaido residency report --by profile,month --format html --out report.html --lang ja
  aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventSource,AttributeValue=bedrock.amazonaws.com > events.json
  tokaido residency report --boundary jp events.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("format", format, "text", "json", "csv", "html"); err != nil {
				return err
			}
			lang, err := chooseLang(lang)
			if err != nil {
				return err
			}
			now := time.Now()
			o := residency.Options{Profile: profile}
			if o.By, err = residency.ParseBy(by); err != nil {
				return usageError{fmt.Errorf("--by: %w", err)}
			}
			if o.Since, err = parseTime(since, now, false); err != nil {
				return usageError{fmt.Errorf("--since: %w", err)}
			}
			if o.Until, err = parseTime(until, now, true); err != nil {
				return usageError{fmt.Errorf("--until: %w", err)}
			}
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			models, err := cfg.Catalog()
			if err != nil {
				return err
			}
			if boundary != "" {
				if o.Boundary, err = residency.ParseBoundary(boundary, models); err != nil {
					return usageError{fmt.Errorf("--boundary: %w", err)}
				}
			}
			if len(args) > 0 && f.dir != "" {
				return usageError{errors.New("--trail and files are two sources: give one")}
			}
			p := residency.Printer{Catalog: models, Lang: lang, Now: now}
			r := residency.New(o)
			reader := residency.Reader{Catalog: models}
			tuneMemory()
			show, end := progressBar(c)
			if len(args) > 0 {
				p.Source = strings.Join(args, ", ")
				err = reportFiles(c.Context(), args, reader, r, show, c.ErrOrStderr())
			} else {
				dir := f.dir
				if dir == "" {
					dir = filepath.Join(cfg.DataDir, server.TrailDir)
				}
				if err := thereIsLog(dir); err != nil {
					end()
					return err
				}
				p.Source = dir
				err = reportTrail(c.Context(), dir, reader, r, show)
			}
			end()
			if err != nil {
				return err
			}
			r.End()
			if err := printResidency(c.OutOrStdout(), out, &p, r, format); err != nil {
				return err
			}
			if !r.Kept() {
				return fmt.Errorf("%w: %d calls left it, %d may have", errLeft, r.LeftCount, r.MayCount)
			}
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVar(&by, "by", "profile", "what to count by, as in profile,month: profile, model, principal, workflow, event, source, month, day, hour")
	c.Flags().StringVar(&profile, "profile", "", "count only calls through these `profiles`; * stands for anything, as in 'jp.*'")
	addPeriod(c, &since, &until)
	c.Flags().StringVar(&boundary, "boundary", "", "country or `Regions` that calls must not leave")
	c.Flags().StringVar(&format, "format", "text", "text, json, csv or html")
	c.Flags().StringVar(&out, "out", "", "`file` to write to (default: standard output)")
	c.Flags().StringVar(&lang, "lang", "", "en or ja (default: that of LC_ALL, LC_MESSAGES or LANG)")
	return c
}

func reportTrail(ctx context.Context, dir string, reader residency.Reader, r *residency.Report, show func(done, total int64)) error {
	bedrock := trail.Of("bedrock.amazonaws.com")
	want := func(body []byte) bool { return bedrock(body) && trail.Events(body) }
	for batch, err := range trail.Walk(ctx, dir, want, show, func(s trail.Stored) (residency.Call, bool) { return reader.Record(s.Record) }) {
		if err != nil {
			return err
		}
		for i := range batch {
			r.Add(&batch[i])
		}
	}
	return nil
}

// reportFiles counts each event once: CloudTrail may deliver one twice, and who
// collects files may have it in several.
func reportFiles(ctx context.Context, files []string, reader residency.Reader, r *residency.Report, show func(done, total int64), stderr io.Writer) error {
	seen := map[uint64]struct{}{}
	twice := 0
	for v, err := range residency.Events(ctx, files, show) {
		if err != nil {
			return err
		}
		call, ok := reader.Event(v)
		if !ok {
			continue
		}
		if id := v.Get("eventID").Str(); id != "" {
			h := fnv.New64a()
			h.Write([]byte(id))
			if _, ok := seen[h.Sum64()]; ok {
				twice++
				continue
			}
			seen[h.Sum64()] = struct{}{}
		}
		r.Add(&call)
	}
	if twice > 0 {
		fmt.Fprintf(stderr, "tokaido: %d events were there more than once and count once\n", twice)
	}
	return nil
}

func printResidency(stdout io.Writer, file string, p *residency.Printer, r *residency.Report, format string) (err error) {
	w := stdout
	if file != "" {
		f, oerr := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if oerr != nil {
			return oerr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w = f
	}
	switch format {
	case "json":
		return p.JSON(w, r)
	case "csv":
		return p.CSV(w, r)
	case "html":
		return p.HTML(w, r)
	}
	return p.Text(w, r)
}
