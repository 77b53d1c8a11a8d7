package awsapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"tokaido/fault"
)

// text writes a body in pieces. An error is returned whether or not the client
// could be told, so that the record has it.
func (c *call) text(ctx context.Context, resp *Response) error {
	p := &pieces{w: c.w, flush: http.NewResponseController(c.w), header: resp.Header, status: resp.Status}
	err := resp.Text(ctx, p)
	if err == nil {
		p.start()
	}
	return err
}

// pieces is the TextWriter of one answer. It is used by one goroutine.
type pieces struct {
	w       http.ResponseWriter
	flush   *http.ResponseController
	header  http.Header
	status  int
	started bool
	failed  error // of the connection
}

func (p *pieces) start() {
	if p.started {
		return
	}
	p.started = true
	h := p.w.Header()
	for k, vs := range p.header {
		h[http.CanonicalHeaderKey(k)] = vs
	}
	if p.status == 0 {
		p.status = http.StatusOK
	}
	p.w.WriteHeader(p.status)
}

// WriteText implements TextWriter.
func (p *pieces) WriteText(b []byte) error {
	if p.failed != nil {
		return p.failed
	}
	p.start()
	_, err := p.w.Write(b)
	if err == nil {
		err = p.flush.Flush()
	}
	if err != nil {
		p.failed = errors.Join(errGone, err)
	}
	return p.failed
}

// failAs answers with f in the Op's own form.
func (c *call) failAs(f *fault.Error) {
	e, status := wireError(c.protocol, f, c.id)
	known := *f
	known.Code, known.Message = e.Code, e.Message
	doc := c.op.Fail(&known, status, c.id)
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amzn-Errortype", e.Code)
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(doc) // a client that is gone needs no answer
}
