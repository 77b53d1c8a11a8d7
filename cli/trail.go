package cli

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tokaido/internal/durable"
	"tokaido/residency"
	"tokaido/server"
	"tokaido/trail"
	"tokaido/value"
)

func trailCommand() *cobra.Command {
	return group("trail", "The audit log: verify, search, export, prove and compact", trailVerify(), trailSearch(), trailExport(), trailProve(), trailCompact(), trailKeys())
}

// trailFlags say which log is meant and with which keys it is checked.
type trailFlags struct {
	configFlags
	dir  string
	keys []string
}

func (f *trailFlags) add(c *cobra.Command) {
	f.data(c)
	c.Flags().StringVar(&f.dir, "trail", "", "`directory` of the log, or of a copy of it (default: trail in the data directory)")
}

func (f *trailFlags) addKeys(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.keys, "key", nil, "public `key`, or file or directory of public keys; again for more (default: keys in the data directory)")
}

// where is the log's directory.
func (f *trailFlags) where(c *cobra.Command) (string, server.Config, error) {
	cfg, err := f.config(c)
	if err != nil {
		return "", cfg, err
	}
	dir := f.dir
	if dir == "" {
		dir = filepath.Join(cfg.DataDir, server.TrailDir)
	}
	return dir, cfg, thereIsLog(dir)
}

// thereIsLog says so if a directory is not there: which log is meant is told in
// several ways.
func thereIsLog(dir string) error {
	_, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no trail in %s: a server makes one when it starts; say where with --data-dir or --trail", dir)
	}
	return err
}

// ring reads the public keys.
func (f *trailFlags) ring(cfg server.Config) (*trail.Ring, error) {
	given := f.keys
	if given == nil {
		given = []string{filepath.Join(cfg.DataDir, server.KeysDir)}
	}
	var public []string
	for _, k := range given {
		info, err := os.Stat(k)
		switch {
		case err != nil && f.keys == nil:
			return nil, fmt.Errorf("no public keys: %w (say where with --key)", err)
		case err != nil: // no file: the key itself
			if _, kerr := trail.NewRing(k); kerr != nil {
				return nil, usageError{fmt.Errorf("--key: %q is neither a public key nor a file that is there", k)}
			}
			public = append(public, k)
		case info.IsDir():
			more, err := trail.Public(k)
			if err != nil {
				return nil, err
			}
			public = append(public, more...)
		default:
			b, err := os.ReadFile(k)
			if err != nil {
				return nil, err
			}
			for line := range strings.Lines(string(b)) {
				if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
					continue
				}
				if _, err := trail.NewRing(line); err != nil {
					return nil, fmt.Errorf("%s is no file of public keys, as \"tokaido trail keys\" prints them: %w", k, err)
				}
				public = append(public, line)
			}
		}
	}
	if f.keys == nil {
		public = append(public, cfg.Trail.PeerKeys...) // of receipts of other nodes
	}
	if len(public) == 0 {
		return nil, errors.New("no public keys: say where with --key")
	}
	return trail.NewRing(public...)
}

// progressBar shows how far something is, on a terminal only.
func progressBar(c *cobra.Command) (show func(done, total int64), end func()) {
	f, ok := c.ErrOrStderr().(*os.File)
	if !ok {
		return nil, func() {}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil, func() {}
	}
	const bar = 30
	last := -1
	shown := false
	return func(done, total int64) {
			n := 1000
			if total > 0 {
				n = int(1000 * done / total)
			}
			if n == last {
				return
			}
			last, shown = n, true
			fmt.Fprintf(f, "\r%s%s %5.1f %%", strings.Repeat("█", n*bar/1000), strings.Repeat("░", bar-n*bar/1000), float64(n)/10)
		}, func() {
			if shown {
				fmt.Fprintf(f, "\r%s\r", strings.Repeat(" ", bar+12))
			}
		}
}

func trailVerify() *cobra.Command {
	var f trailFlags
	var known, proof, format string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check every byte of the log: its chain, its signatures and its receipts",
		Long: `Check every byte of the log: that each record is as it was written and continues the
chain, that each checkpoint signs what stands before it, that each receipt is that of
the Region its record names. It needs the files and the public keys, no server; a
server may be writing meanwhile. The first bad byte is named, with exit status 1.

A log whose end was cut off back to an earlier checkpoint shows it only to somebody
who kept a later one: take the file "checkpoint" elsewhere now and then, and give it
with --checkpoint. With --proof a proof made by "tokaido trail prove" is checked
instead, without the log.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			var check trail.Check
			var err error
			if known != "" {
				if check.Latest, err = os.ReadFile(known); err != nil {
					return err
				}
			}
			if proof != "" {
				return verifyProof(c, &f, proof, check.Latest, format)
			}
			dir, cfg, err := f.where(c)
			if err != nil {
				return err
			}
			if check.Keys, err = f.ring(cfg); err != nil {
				return err
			}
			tuneMemory()
			show, end := progressBar(c)
			check.Progress = show
			began := time.Now()
			rep, err := trail.Verify(c.Context(), dir, check)
			end()
			if format == "json" {
				fmt.Fprintln(c.OutOrStdout(), pretty(reportValue(&rep, err), false))
			} else {
				printReport(c.OutOrStdout(), &rep, err, time.Since(began))
			}
			return err
		},
	}
	f.add(c)
	f.addKeys(c)
	c.Flags().StringVar(&known, "checkpoint", "", "`file` of a checkpoint that was kept elsewhere: the log must go on from it")
	c.Flags().StringVar(&proof, "proof", "", "`file` of a proof to check instead of the log")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func printReport(w io.Writer, rep *trail.Report, err error, took time.Duration) {
	kept := rep.Head.Records - rep.Removed
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	if err == nil {
		line("The log is whole: %d records, %d checkpoints, every byte checked in %s.", kept, rep.Checkpoints, max(took.Round(time.Millisecond), time.Millisecond))
	} else {
		line("Before the damage: %d records, %d checkpoints.", kept, rep.Checkpoints)
	}
	if rep.Removed > 0 {
		line("  removed      records 1 to %d; a signed checkpoint stands for them", rep.Removed)
	}
	if !rep.First.IsZero() {
		line("  period       %s to %s", rep.First.UTC().Format(time.RFC3339), rep.Last.UTC().Format(time.RFC3339))
	}
	if rep.Checkpoint != nil {
		line("  signed       records 1 to %d, by %s at %s", rep.Signed, rep.Origin, rep.Checkpoint.Time.UTC().Format(time.RFC3339))
	}
	switch n := rep.Head.Records - rep.Signed; {
	case n > 0 && err != nil:
		line("  not signed   the last %d of them: the checkpoint that signs them is behind the damage", n)
	case n > 0:
		line("  not signed   the last %d records: chained, and signed at the next checkpoint", n)
	}
	if rep.Packed > 0 {
		line("  on disk      %s, which stand for %s: %d of %d segments are compressed", size(rep.OnDisk), size(rep.Bytes), rep.Packed, rep.Segments)
	}
	r := &rep.Receipts
	line("  receipts     %d good, %d bad, %d inferences without", r.Good, len(r.Bad)+r.BadMore, r.Missing)
	for _, b := range r.Bad {
		line("    record %d, request %s: %s", b.Record, b.Request, b.Reason)
	}
	if rep.Growing {
		line("  being written: what came meanwhile was not looked at")
	}
}

func reportValue(rep *trail.Report, err error) value.Value {
	num := func(k string, n uint64) value.Member { return value.Member{Key: k, Value: value.Int(int64(n))} }
	str := func(k, s string) value.Member { return value.Member{Key: k, Value: value.String(s)} }
	var bad []value.Value
	for _, b := range rep.Receipts.Bad {
		bad = append(bad, value.Object(str("file", b.File), num("offset", uint64(b.Offset)), num("record", b.Record), str("requestId", b.Request),
			str("reason", b.Reason), value.Member{Key: "noted", Value: value.Bool(b.Noted)}))
	}
	m := []value.Member{
		{Key: "ok", Value: value.Bool(err == nil)}, num("records", rep.Head.Records), num("removed", rep.Removed), num("signed", rep.Signed),
		num("checkpoints", uint64(rep.Checkpoints)), num("segments", uint64(rep.Segments)), num("bytes", uint64(rep.Bytes)),
		num("compressed", uint64(rep.Packed)), num("bytesOnDisk", uint64(rep.OnDisk)),
		str("origin", rep.Origin), str("head", fmt.Sprintf("%x", rep.Head.Hash)),
		{Key: "receipts", Value: value.Object(num("good", uint64(rep.Receipts.Good)), num("bad", uint64(len(rep.Receipts.Bad)+rep.Receipts.BadMore)),
			num("missing", uint64(rep.Receipts.Missing)), value.Member{Key: "list", Value: value.Array(bad...)})},
		{Key: "growing", Value: value.Bool(rep.Growing)},
	}
	if bad, ok := errors.AsType[*trail.Corrupt](err); ok {
		m = append(m, value.Member{Key: "damage", Value: value.Object(str("file", bad.File), num("offset", uint64(bad.Offset)), str("reason", bad.Reason))})
	} else if err != nil {
		m = append(m, str("error", err.Error()))
	}
	return value.Object(m...)
}

func verifyProof(c *cobra.Command, f *trailFlags, file string, since []byte, format string) error {
	cfg, err := f.config(c)
	if err != nil {
		return err
	}
	ring, err := f.ring(cfg)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	p, err := trail.CheckProof(b, ring, since)
	if err != nil {
		return err
	}
	w := c.OutOrStdout()
	if format == "json" {
		m := []value.Member{{Key: "ok", Value: value.Bool(true)}, {Key: "records", Value: value.Int(int64(p.Checkpoint.Records))}, {Key: "origin", Value: value.String(p.Checkpoint.Origin)}}
		if p.Record != nil {
			m = append(m, value.Member{Key: "record", Value: value.Int(int64(p.Seq))}, value.Member{Key: "event", Value: p.Record.CloudTrail()})
			if word, good := receiptWord(p); word != "" {
				m = append(m, value.Member{Key: "receipt", Value: value.Object(value.Member{Key: "good", Value: value.Bool(good)}, value.Member{Key: "says", Value: value.String(word)})})
			}
		} else {
			m = append(m, value.Member{Key: "since", Value: value.Int(int64(p.Since))})
		}
		_, err := fmt.Fprintln(w, pretty(value.Object(m...), false))
		return err
	}
	signed := fmt.Sprintf("%s, %d records, signed %s", p.Checkpoint.Origin, p.Checkpoint.Records, p.Checkpoint.Time.UTC().Format(time.RFC3339))
	if p.Record == nil {
		_, err = fmt.Fprintf(w, "Proven: the log (%s) has all that it had at %d records, in the same places.\n", signed, p.Since)
		return err
	}
	fmt.Fprintf(w, "Proven: this is record %d of the log (%s):\n%s\n", p.Seq, signed, pretty(p.Record.CloudTrail(), false))
	if word, _ := receiptWord(p); word != "" {
		fmt.Fprintf(w, "Receipt: %s\n", word)
	}
	return nil
}

// receiptWord says what became of the receipt of a proven record; nothing if it
// has none and needs none. A bad one does not make the proof fail: that is of what
// the log says, and the log may say that the receipt was bad.
func receiptWord(p *trail.Proven) (word string, good bool) {
	switch r, err := p.Receipt, p.ReceiptErr; {
	case errors.Is(err, trail.ErrReceiptKey):
		return fmt.Sprintf("not checked: the key that signed it, %s, is not here (--key takes its file)", r.Key), false
	case err != nil:
		return "bad: " + strings.TrimPrefix(err.Error(), "receipt: "), false
	case r != nil:
		return fmt.Sprintf("good: %s signed that it answered request %s", r.Region, r.RequestID), true
	case !p.Record.Additional.Get("inferenceRegion").IsUndefined():
		return "none: only the log's own node says where it was answered", false
	}
	return "", false
}

// filter is what search and export select by.
type filter struct {
	request, event, principal, region, served, profile, execution, failed string

	since, until string
	from, to     time.Time
}

func (q *filter) add(c *cobra.Command) {
	c.Flags().StringVar(&q.request, "request", "", "request `id`")
	c.Flags().StringVar(&q.event, "event", "", "event `name`, such as Converse")
	c.Flags().StringVar(&q.principal, "principal", "", "`text` in the caller's ARN, user name or access key")
	c.Flags().StringVar(&q.region, "region", "", "`Region` in which the call was made")
	c.Flags().StringVar(&q.served, "served-in", "", "`Region` that served the inference")
	c.Flags().StringVar(&q.profile, "profile", "", "inference `profile` or model that was called; * stands for anything, as in 'jp.*'")
	c.Flags().StringVar(&q.execution, "execution", "", "`text` in the ARN of the workflow's execution that made the call")
	c.Flags().StringVar(&q.failed, "error", "", "error `code`, such as AccessDenied; * stands for anything")
	addPeriod(c, &q.since, &q.until)
}

func addPeriod(c *cobra.Command, since, until *string) {
	c.Flags().StringVar(since, "since", "", "`time` from which on: 2026-11-01, 2026-11-01T09:00:00Z, or 24h or 7d ago")
	c.Flags().StringVar(until, "until", "", "`time` until which; of a day, its end")
}

func (q *filter) parse(now time.Time) (err error) {
	if q.from, err = parseTime(q.since, now, false); err != nil {
		return usageError{fmt.Errorf("--since: %w", err)}
	}
	if q.to, err = parseTime(q.until, now, true); err != nil {
		return usageError{fmt.Errorf("--until: %w", err)}
	}
	return nil
}

// parseTime reads a time in UTC: a moment, a day, a month, or so long ago. end
// takes the end of a day or month.
func parseTime(s string, now time.Time, end bool) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for layout, days := range map[string][2]int{time.DateOnly: {0, 1}, "2006-01": {1, 0}} {
		if t, err := time.Parse(layout, s); err == nil {
			if end {
				t = t.AddDate(0, days[0], days[1])
			}
			return t, nil
		}
	}
	ago := s
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.Atoi(n); err == nil {
			ago = strconv.Itoa(24*days) + "h"
		}
	}
	if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time like 2026-11-01, 2026-11-01T09:00:00Z or 7d", s)
}

// want decides by a record's stored form.
func (q *filter) want() func([]byte) bool {
	var all []func([]byte) bool
	for _, s := range []string{q.request, q.event, q.region, q.served} {
		if s != "" {
			all = append(all, trail.Of(s))
		}
	}
	return func(body []byte) bool {
		for _, f := range all {
			if !f(body) {
				return false
			}
		}
		return trail.Events(body)
	}
}

func (q *filter) matches(r *trail.Record) bool {
	switch {
	case q.request != "" && r.RequestID != q.request,
		q.event != "" && r.Name != q.event,
		q.region != "" && r.Region != q.region,
		q.profile != "" && !residency.Like(q.profile, r.Request.Get("modelId").Str()),
		q.execution != "" && !strings.Contains(r.ExecutionARN, q.execution),
		q.failed != "" && (r.ErrorCode == "" || !residency.Like(q.failed, r.ErrorCode)),
		q.served != "" && r.Additional.Get("inferenceRegion").Str() != q.served,
		!q.from.IsZero() && r.Time.Before(q.from),
		!q.to.IsZero() && !r.Time.Before(q.to):
		return false
	}
	return q.principal == "" || strings.Contains(r.Identity.ARN, q.principal) || strings.Contains(r.Username(), q.principal) || r.Identity.AccessKeyID == q.principal
}

func trailSearch() *cobra.Command {
	var f trailFlags
	var q filter
	var format string
	var limit int
	c := &cobra.Command{
		Use:   "search",
		Short: "Find records: by request, event, principal, execution, error, Region and time",
		Long: `Find records, oldest first: by request id, event name, principal, execution, error,
Region and time; all that is said must fit. A server may be writing meanwhile. The exit
status is 1 if there is none.`,
		Example: `  tokaido trail search --profile 'jp.*' --served-in ap-northeast-3 --since 7d
  tokaido trail search --error AccessDenied --principal intern --format json
  tokaido trail search --execution order-4711`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			if limit < 0 {
				return usageError{fmt.Errorf("--limit is %d, must not be negative", limit)}
			}
			n := 0
			w := c.OutOrStdout()
			err := q.walk(c, &f, func(r *trail.Record) (bool, error) {
				n++
				var err error
				if format == "json" {
					_, err = fmt.Fprintln(w, r.CloudTrail().JSON())
				} else {
					_, err = fmt.Fprintln(w, searchLine(r))
				}
				return limit == 0 || n < limit, err
			})
			if err == nil && n == 0 {
				err = errors.New("no record fits")
			}
			return err
		},
	}
	f.add(c)
	q.add(c)
	c.Flags().StringVar(&format, "format", "text", "text, or json: an event on each line, as CloudTrail has them")
	c.Flags().IntVar(&limit, "limit", 0, "`number` of records at most (default: all)")
	return c
}

// walk yields the records that match, in order, until each says that it is enough.
func (q *filter) walk(c *cobra.Command, f *trailFlags, each func(*trail.Record) (more bool, err error)) error {
	if err := q.parse(time.Now()); err != nil {
		return err
	}
	dir, _, err := f.where(c)
	if err != nil {
		return err
	}
	tuneMemory()
	show, end := progressBar(c)
	defer end()
	for batch, err := range trail.Walk(c.Context(), dir, q.want(), show, func(s trail.Stored) (*trail.Record, bool) { return s.Record, q.matches(s.Record) }) {
		if err != nil {
			return err
		}
		for _, r := range batch {
			if more, err := each(r); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func searchLine(r *trail.Record) string {
	region := r.Region
	if served := r.Additional.Get("inferenceRegion").Str(); served != "" && served != region {
		region += " → " + served
	}
	who := r.Identity.ARN
	if who == "" {
		who = r.Username()
	}
	if who == "" {
		who = "-"
	}
	what := r.Name
	if id := r.Request.Get("modelId").Str(); id != "" {
		what += " " + id
	}
	line := fmt.Sprintf("%s  %s  %-30s  %s  %s", r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), r.RequestID, region, what, who)
	if r.ErrorCode != "" {
		line += "  " + r.ErrorCode
	}
	return line
}

func trailExport() *cobra.Command {
	var f trailFlags
	var q filter
	var format, to string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write records as CloudTrail's log files, or as JSON lines",
		Long: `Write records as CloudTrail does: as log files in AWS's layout below a directory
(AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/….json.gz), or as events, one on each
line. What is exported can be selected as in a search.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := oneOf("format", format, "cloudtrail", "jsonl"); err != nil {
				return err
			}
			if format == "cloudtrail" && to == "" {
				return usageError{errors.New("--to is needed: the directory that log files go to")}
			}
			var err error
			n := 0
			if format == "jsonl" {
				err = exportLines(c, &f, to, &q, &n)
			} else {
				x := &exporter{to: to, groups: map[[3]string]*exportGroup{}}
				err = q.walk(c, &f, func(r *trail.Record) (bool, error) {
					n++
					return true, x.add(r)
				})
				if err == nil {
					err = x.flush()
				}
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "%d events\n", n)
			return nil
		},
	}
	f.add(c)
	q.add(c)
	c.Flags().StringVar(&format, "format", "cloudtrail", "cloudtrail or jsonl")
	c.Flags().StringVar(&to, "to", "", "`path` of the directory; of jsonl the file (default: standard output)")
	return c
}

func exportLines(c *cobra.Command, f *trailFlags, to string, q *filter, n *int) (err error) {
	w := c.OutOrStdout()
	if to != "" {
		out, oerr := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
		if oerr != nil {
			return oerr
		}
		defer func() { err = errors.Join(err, out.Close()) }()
		w = out
	}
	var buf []byte
	return q.walk(c, f, func(r *trail.Record) (bool, error) {
		*n++
		buf = append(r.CloudTrail().AppendJSON(buf[:0]), '\n')
		_, err := w.Write(buf)
		return true, err
	})
}

// Sizes of what is exported at once.
const (
	exportRecords = 10_000  // of one file
	exportHeld    = 100_000 // records in memory
)

type exporter struct {
	to     string
	groups map[[3]string]*exportGroup // by account, Region and day
	held   int
}

type exportGroup struct {
	body  []byte
	n     int
	first *trail.Record
}

func (x *exporter) add(r *trail.Record) error {
	if r.Region == "" || r.Account == "" {
		return nil // nobody's call, in no Region: AWS has no place for it
	}
	k := [3]string{r.Account, r.Region, r.Time.UTC().Format("2006/01/02")}
	g := x.groups[k]
	if g == nil {
		g = &exportGroup{body: []byte(`{"Records":[`), first: r}
		x.groups[k] = g
	}
	if g.n > 0 {
		g.body = append(g.body, ',')
	}
	g.body = r.CloudTrail().AppendJSON(g.body)
	g.n++
	x.held++
	if g.n >= exportRecords {
		return x.write(k)
	}
	if x.held >= exportHeld {
		return x.flush()
	}
	return nil
}

func (x *exporter) flush() error {
	for _, k := range slices.SortedFunc(maps.Keys(x.groups), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		if err := x.write(k); err != nil {
			return err
		}
	}
	return nil
}

// write writes one file. Its name follows from its first event, so that the same
// export has the same names.
func (x *exporter) write(k [3]string) error {
	g := x.groups[k]
	delete(x.groups, k)
	x.held -= g.n
	sum := sha256.Sum256([]byte(g.first.EventID))
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	unique := make([]byte, 16)
	for i := range unique {
		unique[i] = letters[int(sum[i])%len(letters)]
	}
	name := filepath.Join(x.to, "AWSLogs", k[0], "CloudTrail", k[1], filepath.FromSlash(k[2]),
		fmt.Sprintf("%s_CloudTrail_%s_%s_%s.json.gz", k[0], k[1], g.first.Time.UTC().Format("20060102T1504Z"), unique))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(append(g.body, "]}"...)); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return durable.WriteFile(name, out.Bytes())
}

func trailProve() *cobra.Command {
	var f trailFlags
	var since, to string
	c := &cobra.Command{
		Use:   "prove [REQUEST-ID]",
		Short: "Make a proof that a record is in the log, or that the log only grew",
		Long: `Make a proof for somebody who has the public key and not the log: that the records of
a request are in it (one file for each record: NAME, NAME.2, …), or, with --since, that
it has all that it had at an earlier checkpoint. "tokaido trail verify --proof" checks
it. Proofs are of what the latest checkpoint covers.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == (since != "") {
				return usageError{errors.New("a REQUEST-ID or --since is needed, and not both")}
			}
			dir, _, err := f.where(c)
			if err != nil {
				return err
			}
			var proofs []string
			if since != "" {
				b, err := os.ReadFile(since)
				if err != nil {
					return err
				}
				p, err := trail.ProveGrowth(c.Context(), dir, b)
				if err != nil {
					return err
				}
				proofs = []string{p}
			} else if proofs, err = trail.Prove(c.Context(), dir, args[0]); err != nil {
				return err
			}
			for i, p := range proofs {
				if to == "" {
					if _, err := fmt.Fprint(c.OutOrStdout(), p); err != nil {
						return err
					}
					continue
				}
				name := to
				if i > 0 {
					name += "." + strconv.Itoa(i+1)
				}
				if err := os.WriteFile(name, []byte(p), 0o600); err != nil {
					return err
				}
				with := "--proof " + name
				if since != "" {
					with += " --checkpoint " + since
				}
				fmt.Fprintf(c.ErrOrStderr(), "%s: \"tokaido trail verify %s\" checks it\n", name, with)
			}
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVar(&since, "since", "", "`file` of an earlier checkpoint: prove that the log has all that it had then")
	c.Flags().StringVar(&to, "to", "", "`file` to write to (default: standard output)")
	return c
}

func trailCompact() *cobra.Command {
	var f trailFlags
	c := &cobra.Command{
		Use:   "compact",
		Short: "Compress all segments that are full, at once",
		Long: `Compress all segments that are full, which then take a tenth of the disk or less. The log
says the same as before, byte by byte: it verifies, and is searched and proven from as it
is. A server does this by itself, a day after the last record of a segment or when
trail.compressAfter says; this command is for a log that no server has open.`,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, _, err := f.where(c)
			if err != nil {
				return err
			}
			show, end := progressBar(c)
			done, err := trail.Compress(c.Context(), dir, show)
			end()
			if errors.Is(err, trail.ErrOpen) {
				return fmt.Errorf("a server has %s open, and compresses its segments itself: trail.compressAfter says when", dir)
			}
			w := c.OutOrStdout()
			if done.Segments > 0 {
				fmt.Fprintf(w, "%d segments compressed: %s are %s now (%.1f %%).\n", done.Segments, size(done.Before), size(done.After), 100*float64(done.After)/float64(done.Before))
			}
			if done.Already > 0 {
				fmt.Fprintf(w, "%d segments were compressed before.\n", done.Already)
			}
			if err == nil && done == (trail.Compressed{}) {
				fmt.Fprintln(w, "No segment is full yet: there is nothing to compress.")
			}
			return err
		},
	}
	f.add(c)
	return c
}

// size is a number of bytes as people say it.
func size(n int64) string {
	for _, u := range []struct {
		bytes float64
		name  string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "KB"}} {
		if float64(n) >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

func trailKeys() *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:   "keys",
		Short: "Print the public keys of checkpoints and receipts",
		Long:  `Print the public keys that "tokaido trail verify --key" and other nodes need, one on each line.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			dir := filepath.Join(cfg.DataDir, server.KeysDir)
			all, err := trail.Public(dir)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				return fmt.Errorf("%s has no public keys: a server makes them when it starts", dir)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), strings.Join(all, "\n"))
			return err
		},
	}
	f.data(c)
	return c
}
