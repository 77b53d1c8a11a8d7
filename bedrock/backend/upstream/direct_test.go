package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script is a server whose connections are played by hand: each reads a request,
// and goes on as play says with the number of the connection, from 1.
func script(t *testing.T, play func(conn int, out net.Conn, in *bufio.Reader)) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				if req, err := http.ReadRequest(in); err == nil {
					io.Copy(io.Discard, req.Body)
					play(n, conn, in)
				}
			}()
		}
	}()
	c, err := New(Config{Name: "x", URL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if c.direct == nil {
		t.Skip("there is no direct way on this system")
	}
	return c
}

func said(text string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

var hello = Request{Path: "/", Body: []byte("{}")}

// What a server says unasked is nobody's answer.
func TestUnasked(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late=%v", late), func(t *testing.T) {
			heard, more := make(chan bool), make(chan bool)
			c := script(t, func(conn int, out net.Conn, in *bufio.Reader) {
				switch {
				case conn > 1:
					io.WriteString(out, said("right"))
				case late:
					io.WriteString(out, said("first"))
					<-heard
					io.WriteString(out, said("wrong"))
					close(more)
					in.ReadByte() //nolint:errcheck // until the client closes it
				default:
					io.WriteString(out, said("first")+said("wrong"))
					in.ReadByte() //nolint:errcheck // as above
				}
			})
			for i, want := range []string{"first", "right"} {
				if i == 1 && late {
					close(heard)
					<-more
				}
				if b, _, err := c.Whole(t.Context(), hello); err != nil || string(b) != want {
					t.Errorf("%q %v, want %q", b, err, want)
				}
			}
		})
	}
}

func TestHeads(t *testing.T) {
	hint := "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	for _, c := range []struct{ name, answer, want, err string }{
		{"hinted", hint + hint + said("ok"), "ok", ""},
		{"hinted-for-ever", strings.Repeat(hint, maxInterm+1) + said("ok"), "", "1xx"},
		{"too-long", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHead) + "\r\n\r\n", "", "EOF"},
		{"no-http", "hello\r\n\r\n", "", "malformed"},
		{"nothing", "", "", "without an answer"},
		{"until-it-closes", "HTTP/1.1 200 OK\r\n\r\nok", "ok", ""},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", ""},
		{"half", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "", "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked atomic.Int32
			x := script(t, func(_ int, out net.Conn, _ *bufio.Reader) {
				asked.Add(1)
				io.WriteString(out, c.answer)
			})
			b, _, err := x.Whole(t.Context(), hello)
			if string(b) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q %v, want %q %s", b, err, c.want, c.err)
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
}

// A stream that nobody reads to its end costs its connection, and no time; one
// whose caller is gone says so.
func TestStreamLeft(t *testing.T) {
	var conns atomic.Int32
	c := script(t, func(_ int, out net.Conn, in *bufio.Reader) {
		conns.Add(1)
		io.WriteString(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
		in.ReadByte() //nolint:errcheck // until the client closes it
	})
	for range 2 {
		resp, err := c.Do(t.Context(), hello, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if n := conns.Load(); n != 2 {
		t.Errorf("two streams that were left took %d connections", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := c.Do(ctx, hello, true)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("a stream whose caller is gone: %v", err)
	}
	if _, err := c.Do(ctx, hello, true); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who is gone: %v", err)
	}
}

func echo(t testing.TB) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	}))
	t.Cleanup(s.Close)
	c, err := New(Config{Name: "x", URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Each gets the answer to what he asked, whatever goes on beside, and long bodies
// are answered too.
func TestManyAtOnce(t *testing.T) {
	c := echo(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				text := fmt.Sprintf("%d of %d ", j, i)
				if j == 49 {
					text = strings.Repeat(text, 2*maxDirect/len(text))
				}
				ctx, cancel := context.WithCancel(t.Context())
				if j%7 == 3 {
					cancel()
				}
				b, _, err := c.Whole(ctx, Request{Path: "/", Body: []byte(text)})
				if gone := ctx.Err() != nil; gone && !errors.Is(err, context.Canceled) || !gone && (err != nil || string(b) != text) {
					t.Errorf("%.20q %v, want %.20q", b, err, text)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// Connections that nobody uses are closed in time, and there are not too many.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &direct{}
		var closed atomic.Int32
		open := func() *line {
			here, there := net.Pipe()
			go func() {
				there.Read(make([]byte, 1)) //nolint:errcheck // it ends when here is closed
				closed.Add(1)
			}()
			return &line{conn: here}
		}
		expect := func(want int32) {
			t.Helper()
			synctest.Wait()
			if n := closed.Load(); n != want {
				t.Errorf("%d are closed, want %d", n, want)
			}
		}
		d.keep(open())
		time.Sleep(idleTime / 2)
		d.keep(open())
		expect(0)
		time.Sleep(idleTime/2 + 1)
		expect(1)
		time.Sleep(idleTime)
		expect(2)
		for range idleConns + 3 {
			d.keep(open())
		}
		expect(2 + 3)
		time.Sleep(idleTime + 1)
		expect(2 + 3 + idleConns)
	})
}

// What an exchange costs, the server's side included.
func BenchmarkWhole(b *testing.B) {
	for _, way := range []string{"direct", "transport"} {
		b.Run(way, func(b *testing.B) {
			c := echo(b)
			if way == "transport" {
				c.direct = nil
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := c.Whole(b.Context(), hello); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
