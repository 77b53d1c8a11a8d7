package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"tokaido/engine"
	"tokaido/server"
)

// jsonProgress prints every event as a line of JSON, and what is waited for with
// when that ends.
func jsonProgress(w io.Writer) func(server.Progress) {
	return func(p server.Progress) {
		line := map[string]any{"type": p.Type.String(), "at": p.Time().Format(time.RFC3339Nano), "execution": p.Execution}
		if p.ID != 0 {
			line["id"] = p.ID
		}
		if p.In != "" {
			line["state"] = p.In
		}
		if p.InferenceRegion != "" {
			line["inferenceRegion"] = p.InferenceRegion
		}
		if due := until(&p); !due.IsZero() {
			line["until"] = due.Format(time.RFC3339Nano)
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
	}
}

// until is when what an event begins to wait for ends by itself; zero: it waits
// for nothing, or for something else.
func until(p *server.Progress) time.Time {
	if p.More == nil {
		return time.Time{}
	}
	switch {
	case p.Type == engine.WaitScheduled, p.Type == engine.RetryScheduled:
		return time.UnixMilli(p.More.Due).UTC()
	case p.More.TimeoutSeconds > 0 && taskBegins(p.Type):
		return p.Time().Add(time.Duration(p.More.TimeoutSeconds) * time.Second)
	}
	return time.Time{}
}

// taskBegins reports whether an attempt of a task is waited for from an event on.
func taskBegins(t engine.EventType) bool {
	switch t {
	case engine.ServiceTaskScheduled, engine.LambdaFunctionScheduled, engine.ActivityScheduled:
		return true
	}
	return false
}

const (
	// redraw is how often the line about what is waited for is written anew.
	redraw = 200 * time.Millisecond
	// maxShown is how many of those that wait it names.
	maxShown = 4
	// defaultWidth is a terminal's whose size cannot be told.
	defaultWidth = 80
)

// view prints what happens in a run: states entered and left, retries, failures,
// where inferences ran. On a terminal the last line says what is being waited for,
// and how long, or how long still.
type view struct {
	w     io.Writer
	live  bool
	width func() int

	mu       sync.Mutex
	main     string    // the execution that the run is; guarded by mu, like the rest
	began    time.Time // when it started
	waits    []waiting // in the order in which they began
	drawn    bool      // the last line is ours to write again
	attempts map[spot]int
}

// spot is where something happens: one of the threads of an execution.
type spot struct {
	execution string
	thread    int32
}

// waiting is what is waited for at a spot.
type waiting struct {
	spot
	what  string
	since time.Time
	until time.Time // zero: nobody knows
	task  bool      // until is when it fails
}

func newView(w io.Writer) *view {
	v := &view{w: w, attempts: map[spot]int{}, width: func() int { return defaultWidth }}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		v.live = true
		v.width = func() int {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
				return n
			}
			return defaultWidth
		}
	}
	return v
}

// follow redraws the last line until end is called.
func (v *view) follow() (end func()) {
	if !v.live {
		return func() {}
	}
	done := make(chan struct{})
	var over sync.WaitGroup
	over.Go(func() {
		t := time.NewTicker(redraw)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-t.C:
				v.draw(now)
			}
		}
	})
	return func() {
		close(done)
		over.Wait()
		v.mu.Lock()
		defer v.mu.Unlock()
		v.clear()
	}
}

// show takes the next event.
func (v *view) show(p server.Progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.began.IsZero() {
		v.began, v.main = p.Time(), p.Execution
	}
	at := spot{p.Execution, p.Thread}
	v.waits = slices.DeleteFunc(v.waits, func(w waiting) bool {
		return w.spot == at && !goesOn(p.Type) || w.execution == p.Execution && p.Type.Closes()
	})
	name := p.In
	if p.State != "" {
		name = p.State
	}
	text := describe(p)
	switch {
	case strings.HasSuffix(p.Type.String(), "StateEntered"):
		delete(v.attempts, at)
	case p.Type == engine.WaitScheduled:
		due := until(&p)
		text = fmt.Sprintf("… %s waits %s, until %s", name, span(due.Sub(p.Time())), due.Local().Format("15:04:05"))
		v.waits = append(v.waits, waiting{spot: at, what: name, since: p.Time(), until: due})
	case p.Type == engine.RetryScheduled:
		v.attempts[at]++
		due := until(&p)
		text = fmt.Sprintf("↻ %s: retry %d in %s", name, v.attempts[at], span(due.Sub(p.Time())))
		v.waits = append(v.waits, waiting{spot: at, what: name + " (retry)", since: p.Time(), until: due})
	case taskBegins(p.Type):
		v.waits = append(v.waits, waiting{spot: at, what: name, since: p.Time(), until: until(&p), task: true})
	}
	if text == "" {
		return
	}
	if p.Execution != v.main {
		text = "[" + p.Execution[strings.LastIndexByte(p.Execution, ':')+1:] + "] " + text
	}
	v.clear()
	fmt.Fprintf(v.w, "%8.3fs %s\n", p.Time().Sub(v.began).Seconds(), strings.Map(printable, text))
}

// printable leaves nothing in a line that a terminal would act on: causes are
// whatever a service said.
func printable(r rune) rune {
	switch {
	case r == '\n', r == '\t':
		return ' '
	case r < ' ', r >= 0x7f && r < 0xa0:
		return -1
	}
	return r
}

// goesOn reports whether what is waited for is still that after an event.
func goesOn(t engine.EventType) bool {
	switch t {
	case engine.ServiceTaskStarted, engine.ServiceTaskSubmitted, engine.LambdaFunctionStarted, engine.ActivityStarted, engine.TaskBeat:
		return true
	}
	return false
}

// draw writes the last line.
func (v *view) draw(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clear()
	if len(v.waits) == 0 {
		return
	}
	var parts []string
	for i, w := range v.waits {
		if i == maxShown {
			parts = append(parts, fmt.Sprintf("and %d more", len(v.waits)-i))
			break
		}
		took := span(now.Sub(w.since))
		switch {
		case w.task && !w.until.IsZero():
			parts = append(parts, fmt.Sprintf("%s %s of %s", w.what, took, span(w.until.Sub(w.since))))
		case w.task:
			parts = append(parts, w.what+" "+took)
		default:
			parts = append(parts, fmt.Sprintf("%s %s left", w.what, span(w.until.Sub(now))))
		}
	}
	fmt.Fprint(v.w, cut(strings.Map(printable, "          … "+strings.Join(parts, " · ")), v.width()-1))
	v.drawn = true
}

func (v *view) clear() {
	if v.drawn {
		fmt.Fprint(v.w, "\r\x1b[K")
		v.drawn = false
	}
}

// span is a time as people say it: whole seconds, or less if it is short.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	}
	return strings.Replace(strings.Replace(d.Round(time.Second).String(), "m0s", "m", 1), "h0m", "h", 1)
}

// cut shortens a line to a terminal's width, in which Chinese, Japanese and Korean
// characters are two wide.
func cut(s string, width int) string {
	n := 0
	for i, r := range s {
		w := 1
		if r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
			r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x1f300) {
			w = 2
		}
		if n += w; n > width {
			return s[:i]
		}
	}
	return s
}

// describe is an event in a line; "" if it says nothing that another does not.
func describe(p server.Progress) string {
	name := p.Type.String()
	why := ""
	if p.More != nil && p.More.Error != nil {
		why = ": " + *p.More.Error
	}
	if p.More != nil && p.More.Cause != nil {
		why += ": " + *p.More.Cause
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
