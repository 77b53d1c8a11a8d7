package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// MaxLine is the longest line of a stream, in bytes.
const MaxLine = 8 << 20

// Event is one server-sent event.
type Event struct {
	Name string // "": message
	Data string
}

// Events reads server-sent events. An error ends them; an event that is not
// complete at the end is none. Ids, retry times and comments are skipped: there
// is nothing to come back to.
func Events(in io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, 0, 1<<10), MaxLine)
		lines.Split(splitLines())
		var e Event
		var data strings.Builder
		any, first := false, true
		for lines.Scan() {
			line := lines.Text()
			if first {
				line, first = strings.TrimPrefix(line, "\ufeff"), false
			}
			if line == "" {
				if any {
					e.Data = data.String()
					if !yield(e, nil) {
						return
					}
				}
				e, any = Event{}, false
				data.Reset()
				continue
			}
			field, text, _ := strings.Cut(line, ":")
			text = strings.TrimPrefix(text, " ")
			switch field {
			case "data":
				if any {
					data.WriteByte('\n')
				}
				if data.Len()+len(text) > MaxLine {
					yield(Event{}, fmt.Errorf("an event of more than %d bytes", MaxLine))
					return
				}
				data.WriteString(text)
				any = true
			case "event":
				e.Name = text
			}
		}
		if err := lines.Err(); err != nil {
			if errors.Is(err, bufio.ErrTooLong) {
				err = fmt.Errorf("a line of more than %d bytes", MaxLine)
			}
			yield(Event{}, err)
		}
	}
}

// splitLines cuts at \n, \r\n and \r, and does not wait after a \r to see whether
// a \n follows: that one is skipped when it comes.
func splitLines() bufio.SplitFunc {
	skip := false // the last line ended in \r
	return func(data []byte, atEOF bool) (int, []byte, error) {
		from := 0
		if skip && len(data) > 0 {
			if data[0] == '\n' {
				from = 1
			}
			skip = false
		}
		for i := from; i < len(data); i++ {
			switch data[i] {
			case '\n':
				return i + 1, data[from:i], nil
			case '\r':
				skip = true
				return i + 1, data[from:i], nil
			}
		}
		if atEOF {
			return len(data), nil, nil
		}
		if from > 0 {
			return from, nil, nil
		}
		return 0, nil, nil
	}
}
