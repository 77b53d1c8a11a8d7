package journal_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokaido/engine"
	"tokaido/flow"
	"tokaido/flow/journal"
	"tokaido/store/memory"
	"tokaido/value"
)

// warnings keeps the warnings of a driver.
type warnings struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (w *warnings) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *warnings) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

var nearLine = regexp.MustCompile(`msg="a limit is near" execution=\S*:(\S+) limit="?([^"=]*?)"? value=(\S+) max=(\S+) percent=80`)

// lines are the warnings: of whom, of which limit, what it is at, of how much.
func (w *warnings) lines() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for line := range strings.Lines(w.b.String()) {
		m := nearLine.FindStringSubmatch(line)
		if m == nil {
			return line
		}
		out = append(out, strings.Join(m[1:], " "))
	}
	return strings.Join(out, "\n")
}

// Each limit is warned of once, by the execution that comes near it: also where
// it only waits, in a process that did not begin it.
func TestNearLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w warnings
		mem := memory.New()
		limits := flow.AWSLimits()
		limits.Standard = engine.Limits{Events: 100, DataSize: 1000, Duration: 100 * time.Hour}
		cfg := journal.Config{Log: mem.Journal(), Logger: w.logger(), Limits: &limits}
		d := open(t, cfg)
		x := start(t, d, "pass", "small")
		whole(t, d, x.ARN)
		if s := w.lines(); s != "" {
			t.Errorf("a small execution warns: %s", s)
		}
		x = start(t, d, "loop", "long")
		if o := whole(t, d, x.ARN); *o.Error != "States.Runtime" {
			t.Error(*o.Error)
		}
		if s := w.lines(); s != "long events of the history 80 100" {
			t.Errorf("events: %s", s)
		}
		w.b.Reset()

		big := execution("pass", "large")
		if _, _, err := d.Start(t.Context(), big, value.MustParse(fmt.Sprintf("%q", strings.Repeat("x", 848)))); err != nil {
			t.Fatal(err)
		}
		whole(t, d, big.ARN)
		if s := w.lines(); s != "large bytes of data 850 1000" {
			t.Errorf("size: %s", s)
		}
		w.b.Reset()
		closed(t, d)

		// A waiting execution is told of within a twentieth of its time.
		cfg.Programs = programs{"wait": parse(t, `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":356400,"End":true}}}`)}
		d = open(t, cfg)
		x = start(t, d, "wait", "old")
		time.Sleep(79 * time.Hour)
		closed(t, d)
		d = open(t, cfg)
		if s := w.lines(); s != "" {
			t.Errorf("before its time: %s", s)
		}
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if s := w.lines(); !regexp.MustCompile(`^old duration 8[0-5]h\S+ 100h0m0s$`).MatchString(s) {
			t.Errorf("age: %s", s)
		}
		whole(t, d, x.ARN)
		if s := w.lines(); strings.Count(s, "\n") != 0 {
			t.Errorf("said again: %s", s)
		}
		closed(t, d)
	})
}

// An Express execution says it with its next step.
func TestNearExpressDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w warnings
		d := open(t, journal.Config{Logger: w.logger(), Programs: programs{"e": parse(t, `{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":250,"End":true}}}`)}})
		x := execution("e", "e")
		x.Express, x.Sync = true, true
		if _, err := d.Run(t.Context(), x, value.Object()); err != nil {
			t.Fatal(err)
		}
		if s := w.lines(); s != "e duration 4m10s 5m0s" {
			t.Error(s)
		}
		closed(t, d)
	})
}

// 0 is no limit, and keeps what has ended.
func TestNoLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, journal.Config{Limits: &flow.Limits{}})
		x := start(t, d, "wait", "w")
		whole(t, d, x.ARN)
		time.Sleep(1000 * 24 * time.Hour)
		if _, err := d.Describe(t.Context(), x.ARN); err != nil {
			t.Error(err)
		}
		closed(t, d)
	})
}
