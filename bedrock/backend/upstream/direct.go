package upstream

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxDirect is the longest body that is written before the answer is looked at:
	// the kernels on both ends hold as much, so that neither side waits for the other.
	maxDirect = 64 << 10
	maxHead   = 1 << 20 // bytes of an answer's head
	maxInterm = 5       // answers of status 1xx before the one that counts
)

// direct is a way to a server in the clear on which the goroutine that asks also
// writes and reads: an exchange is one write, and a read that waits.
//
// http.Transport has two goroutines for each connection, because it may have to
// read while it writes, and because it watches connections that nobody uses. A
// call is handed over between them four times, for more than all else that it
// costs here. So what is short goes this way, and what is long, encrypted, or
// through a proxy goes the other. A kept connection is looked at when it is
// taken; if it is closed just then, a new one is used.
type direct struct {
	address string
	dialer  *net.Dialer

	mu       sync.Mutex
	idle     []*line // guarded by mu; the last one was used last
	sweeping bool    // guarded by mu; sweep will be called
}

// line is a connection. Whoever took it has it alone.
type line struct {
	conn  net.Conn
	limit io.LimitedReader // of conn: what of a head may come
	in    *bufio.Reader    // of limit
	out   *bufio.Writer
	since time.Time // when it became idle
}

// directTo returns the direct way to a URL, nil if there is none.
func directTo(u *url.URL, t *http.Transport, dialer *net.Dialer) *direct {
	if u.Scheme != "http" || !tells {
		return nil
	}
	if proxy, err := t.Proxy(&http.Request{URL: u}); proxy != nil || err != nil {
		return nil
	}
	return &direct{address: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")), dialer: dialer}
}

var errSilent = errors.New("the server closed the connection without an answer")

// RoundTrip implements [http.RoundTripper], for requests with a GetBody if they
// have a Body.
func (d *direct) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := context.Cause(req.Context()); err != nil {
		return nil, err
	}
	if l := d.take(); l != nil {
		resp, err := d.exchange(req, l)
		if !errors.Is(err, errSilent) {
			return resp, err
		}
		// Nobody heard it, or said so: the connection had been closed before.
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
	conn, err := d.dialer.DialContext(req.Context(), "tcp", d.address)
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn, limit: io.LimitedReader{R: conn}, out: bufio.NewWriter(conn)}
	l.in = bufio.NewReader(&l.limit)
	return d.exchange(req, l)
}

// exchange asks, and returns what is answered. Its error is an errSilent if not
// one byte of an answer came, though there was time.
func (d *direct) exchange(req *http.Request, l *line) (*http.Response, error) {
	ctx := req.Context()
	stop := context.AfterFunc(ctx, func() { l.conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // it only ends what waits
	resp, err := l.exchange(req)
	if err != nil {
		stop()
		l.conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	resp.Body = &answer{ctx: ctx, d: d, l: l, in: resp.Body, stop: stop, keep: !resp.Close}
	return resp, nil
}

func (l *line) exchange(req *http.Request) (*http.Response, error) {
	l.limit.N = maxHead
	err := req.Write(l.out)
	if err == nil {
		err = l.out.Flush()
	}
	if err == nil {
		_, err = l.in.Peek(1)
	}
	if err != nil {
		return nil, errors.Join(errSilent, err)
	}
	for range maxInterm + 1 {
		resp, err := http.ReadResponse(l.in, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			l.limit.N = math.MaxInt64
			return resp, nil
		}
	}
	return nil, errors.New("too many answers of status 1xx")
}

// take returns a connection that was kept and is still good; nil if there is none.
func (d *direct) take() *line {
	for {
		l := d.pop()
		if l == nil || quiet(l.conn) {
			return l
		}
		l.conn.Close()
	}
}

func (d *direct) pop() *line {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.idle) - 1
	if n < 0 {
		return nil
	}
	l := d.idle[n]
	d.idle[n], d.idle = nil, d.idle[:n]
	return l
}

// keep keeps a connection whose answer was read whole.
func (d *direct) keep(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) >= idleConns {
		l.conn.Close()
		return
	}
	l.since = time.Now()
	d.idle = append(d.idle, l)
	if !d.sweeping {
		d.sweeping = true
		time.AfterFunc(idleTime, d.sweep)
	}
}

// sweep closes connections that nobody has used for idleTime.
func (d *direct) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(d.idle) && time.Since(d.idle[n].since) >= idleTime {
		d.idle[n].conn.Close()
		n++
	}
	d.idle = slices.Delete(d.idle, 0, n)
	if d.sweeping = len(d.idle) > 0; d.sweeping {
		time.AfterFunc(idleTime, d.sweep)
	}
}

// answer is the body of a Response.
type answer struct {
	ctx  context.Context //nolint:containedctx // the request's, to tell why reading failed
	d    *direct
	l    *line
	in   io.Reader // never closed: that would read to an end that may not come
	stop func() bool
	keep bool // the connection can be used again
	over atomic.Bool
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.in.Read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // Readers return it bare
		a.end(true)
	case err != nil && a.ctx.Err() != nil:
		err = context.Cause(a.ctx)
	}
	return n, err
}

func (a *answer) Close() error {
	a.end(false)
	return nil
}

// end gives the connection back, or up if something may still come on it.
func (a *answer) end(whole bool) {
	if a.over.Swap(true) {
		return
	}
	if a.stop() && whole && a.keep && a.l.in.Buffered() == 0 {
		a.d.keep(a.l)
		return
	}
	a.l.conn.Close()
}
