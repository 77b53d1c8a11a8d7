package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"tokaido/fault"
)

func read(t *testing.T, in io.Reader) (out []Event, err error) {
	t.Helper()
	for e, err := range Events(in) {
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
	return out, nil
}

func TestEvents(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []Event
	}{
		{"plain", "data: a\n\ndata: b\n\n", []Event{{"", "a"}, {"", "b"}}},
		{"named", "event: x\ndata: a\n\n", []Event{{"x", "a"}}},
		{"lines", "data: a\ndata: b\n\n", []Event{{"", "a\nb"}}},
		{"crlf", "data: a\r\n\r\ndata: b\r\n\r\n", []Event{{"", "a"}, {"", "b"}}},
		{"cr", "data: a\r\rdata: b\r\r", []Event{{"", "a"}, {"", "b"}}},
		{"comment", ": hi\n\ndata:a\n\n", []Event{{"", "a"}}},
		{"incomplete", "data: a\n\ndata: b", []Event{{"", "a"}}},
		{"mark", "\ufeffdata: a\n\n", []Event{{"", "a"}}},
		{"other-fields", "id: 1\nretry: 5\ndata: a\n\n", []Event{{"", "a"}}},
		{"name-without-data", "event: x\n\ndata: a\n\n", []Event{{"", "a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
				got, err := read(t, in)
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("%q %v, want %q", got, err, c.want)
				}
			}
		})
	}
	if _, err := read(t, strings.NewReader("data: "+strings.Repeat("x", MaxLine+1))); err == nil {
		t.Error("a line without an end was taken")
	}
	if _, err := read(t, iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a lost connection is %v", err)
	}
}

// However a stream is cut into pieces, it says the same.
func FuzzEvents(f *testing.F) {
	f.Add("data: a\r\n\r\nevent: x\rdata: b\n\n")
	f.Add(": c\ndata\n\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		a, err1 := read(t, strings.NewReader(s))
		b, err2 := read(t, iotest.OneByteReader(strings.NewReader(s)))
		if !slices.Equal(a, b) || (err1 == nil) != (err2 == nil) {
			t.Errorf("%q %v and %q %v", a, err1, b, err2)
		}
	})
}

func TestConfig(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bad, []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in   Config
		want string
	}{
		{Config{URL: "localhost:1"}, `"localhost:1"`},
		{Config{URL: "ftp://x"}, "http://"},
		{Config{URL: "http://u:p@x"}, "more than a host"},
		{Config{URL: "http://x?y"}, "more than a host"},
		{Config{URL: "http://x", CAFile: bad}, "no certificate"},
	} {
		if _, err := New(c.in); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), ":p@") {
			t.Errorf("%+v: %v", c.in, err)
		}
	}
}

// A connection serves many requests, a key does not follow a redirect, and a
// path is sent as it is written.
func TestDo(t *testing.T) {
	var conns atomic.Int32
	var target string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target = r.RequestURI
		if strings.HasSuffix(target, "/moved") {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			return
		}
		io.WriteString(w, "ok")
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c, err := New(Config{Name: "x", URL: s.URL + "/base/"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if b, _, err := c.Whole(t.Context(), Request{Path: "/model/a%3Ab%2Fc/invoke", Body: []byte("{}")}); err != nil || string(b) != "ok" {
			t.Fatalf("%q %v", b, err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("three requests took %d connections", n)
	}
	if target != "/base/model/a%3Ab%2Fc/invoke" {
		t.Errorf("it asked for %s", target)
	}
	if _, _, err := c.Whole(t.Context(), Request{Path: "/moved"}); err == nil || !strings.Contains(err.Error(), "307") {
		t.Errorf("a redirect: %v", err)
	}
}

// A connection that was kept and that the server closes in the moment of a
// request costs nobody an answer.
func TestKeptConnectionIsClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closed := make(chan struct{}, 8)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				r := bufio.NewReader(in)
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				if v, sent := req.Header["Idempotency-Key"]; sent {
					t.Errorf("Idempotency-Key: %q", v)
				}
				io.WriteString(in, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				if _, err := http.ReadRequest(r); err == nil { // the next one is read, and not answered
					closed <- struct{}{}
				}
			}()
		}
	}()
	c, err := New(Config{Name: "x", URL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if b, _, err := c.Whole(t.Context(), Request{Path: "/x", Body: []byte("{}")}); err != nil || string(b) != "ok" {
			t.Fatalf("request %d: %q %v", i, b, err)
		}
	}
	if len(closed) != 3 {
		t.Errorf("%d requests met a connection that was closed, want 3", len(closed))
	}
}

func TestFault(t *testing.T) {
	c, err := New(Config{Name: "x", URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]string{
		400: "ValidationException", 413: "ValidationException", 422: "ValidationException", 429: "ThrottlingException", 408: "ModelTimeoutException", 504: "ModelTimeoutException",
		401: "ServiceUnavailableException", 403: "ServiceUnavailableException", 404: "ServiceUnavailableException", 500: "ServiceUnavailableException", 529: "ServiceUnavailableException", 302: "ServiceUnavailableException",
	} {
		if got := fault.Code(c.Fault(&Refusal{Status: status, Body: []byte("why")}, "")); got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}

// A stream that is nearly over may be given less time for the rest.
func TestWithin(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	c, err := New(Config{Name: "x", URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(t.Context(), Request{Path: "/", Body: []byte("{}")}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	resp.Within(10 * time.Millisecond)
	if _, err := resp.Body.Read(make([]byte, 1)); fault.Code(err) != "ModelTimeoutException" {
		t.Errorf("%v", err)
	}
}
