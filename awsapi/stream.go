package awsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/value"
)

// errGone says that nobody reads the answer any more: to the record it is what a
// call is that was cancelled.
var errGone = fmt.Errorf("the client is gone: %w", context.Canceled)

// stream is the EventWriter of one answer. It is used by one goroutine.
type stream struct {
	w       http.ResponseWriter
	flush   *http.ResponseController
	header  http.Header
	started bool
	failed  error // of the connection
	buf     []byte
}

func (s *stream) start() {
	if s.started {
		return
	}
	s.started = true
	h := s.w.Header()
	for k, vs := range s.header {
		h[http.CanonicalHeaderKey(k)] = vs
	}
	h.Set("Content-Type", "application/vnd.amazon.eventstream")
	s.w.WriteHeader(http.StatusOK)
}

// Event implements EventWriter.
func (s *stream) Event(name string, payload value.Value) error {
	b, err := wire.AppendEvent(s.buf[:0], name, payload.AppendJSON(nil))
	if err != nil {
		return err
	}
	return s.write(b)
}

func (s *stream) write(b []byte) error {
	if s.failed != nil {
		return s.failed
	}
	s.buf = b
	var err error
	if s.started {
		err = s.send(b)
	} else {
		// The header goes out with the first event, and what net/http needs for that
		// would make the stack of every open stream twice as large.
		sent := make(chan error, 1)
		go func() {
			s.start()
			sent <- s.send(b)
		}()
		err = <-sent
	}
	if err != nil {
		s.failed = errors.Join(errGone, err)
	}
	return s.failed
}

func (s *stream) send(b []byte) error {
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.flush.Flush()
}

// end writes what remains to be said after the last event: nothing, or why
// there are no more.
func (s *stream) end(f *fault.Error) error {
	if f == nil {
		s.start()
		if s.failed == nil && s.flush.Flush() != nil {
			return errGone
		}
		return s.failed
	}
	e, _ := wireError(RESTJSON, f, "")
	b, err := wire.AppendException(s.buf[:0], exceptionName(e.Code), e.RESTJSON())
	if err != nil {
		return err
	}
	return s.write(b)
}
