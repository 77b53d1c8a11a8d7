package flow

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"tokaido/engine"
	"tokaido/value"
)

// Logs writes executions' events as machines' logging configurations ask for
// them: one line of JSON for each event, of the form that Step Functions gives
// CloudWatch Logs. It stands between a driver, which must not wait for it, and a
// writer, which may be slow: what is more than maxQueued lots behind is left out,
// counted, and said once.
type Logs struct {
	library *Library
	w       io.Writer
	logger  *slog.Logger
	queue   chan []byte
	done    chan struct{}
	dropped atomic.Int64
	close   sync.Once
}

// maxQueued is how many lots of lines wait to be written.
const maxQueued = 4096

// NewLogs writes the lines of executions of a library's machines to w.
func NewLogs(l *Library, w io.Writer, logger *slog.Logger) *Logs {
	if logger == nil {
		logger = slog.Default()
	}
	s := &Logs{library: l, w: w, logger: logger, queue: make(chan []byte, maxQueued), done: make(chan struct{})}
	go s.write()
	return s
}

func (l *Logs) write() {
	defer close(l.done)
	failed := false
	for b := range l.queue {
		if _, err := l.w.Write(b); err != nil && !failed {
			failed = true // an execution does not depend on its log
			l.logger.Error("execution logs cannot be written", "err", err)
		}
	}
}

// Close writes what is queued. Nobody may be observing any more.
func (l *Logs) Close() error {
	l.close.Do(func() { close(l.queue) })
	<-l.done
	return nil
}

// Dropped is how many events were left out because the writer was too slow.
func (l *Logs) Dropped() int64 { return l.dropped.Load() }

// Wants reports whether executions of a revision are logged.
func (l *Logs) Wants(r Revision) bool { return r.Logging.Level != "" && r.Logging.Level != "OFF" }

// logged reports whether a level has events of a type.
func logged(level string, t engine.EventType) bool {
	switch level {
	case "ALL":
		return true
	case "ERROR":
		name := t.String()
		return t == engine.FailStateEntered || strings.HasSuffix(name, "Failed") || strings.HasSuffix(name, "TimedOut") || strings.HasSuffix(name, "Aborted")
	case "FATAL":
		return t == engine.ExecutionFailed || t == engine.ExecutionTimedOut || t == engine.ExecutionAborted
	}
	return false
}

// Observe is a driver's observer.
func (l *Logs) Observe(x *Execution, events []engine.Event) {
	r, err := l.library.revision(context.Background(), x.Revision)
	if err != nil {
		return // the driver would not have it either
	}
	c := x.config(r)
	var b []byte
	n := 0
	for i := range events {
		e := &events[i]
		if e.ID == 0 || !logged(r.Logging.Level, e.Type) {
			continue
		}
		n++
		b = appendLogLine(b, &c, x, e, r.Logging.IncludeData)
	}
	if n == 0 {
		return
	}
	select {
	case l.queue <- b:
	default:
		if l.dropped.Add(int64(n)) == int64(n) {
			l.logger.Warn("execution logs are left out: their writer is too slow", "execution", x.ARN)
		}
	}
}

// config is what the projection of events needs of an execution.
func (x *Execution) config(r *Revision) engine.Config {
	return engine.Config{
		ExecutionARN: x.ARN, Name: x.Name, MachineARN: x.MachineARN, MachineName: r.MachineName,
		VersionARN: x.VersionARN, AliasARN: x.AliasARN, RoleARN: r.RoleARN, Program: r.program,
	}
}

func appendLogLine(b []byte, c *engine.Config, x *Execution, e *engine.Event, data bool) []byte {
	number := func(n int64) value.Value { return value.String(strconv.FormatInt(n, 10)) }
	_, details := c.Details(e, data)
	if details.IsUndefined() {
		details = value.Object()
	}
	v := value.Object(
		value.Member{Key: "id", Value: number(e.ID)},
		value.Member{Key: "type", Value: value.String(e.Type.String())},
		value.Member{Key: "details", Value: details},
		value.Member{Key: "previous_event_id", Value: number(e.Prev)},
		value.Member{Key: "event_timestamp", Value: number(e.At)},
		value.Member{Key: "execution_arn", Value: value.String(x.ARN)},
		value.Member{Key: "redrive_count", Value: number(x.RedriveCount)},
	)
	return append(v.AppendJSON(b), '\n')
}
