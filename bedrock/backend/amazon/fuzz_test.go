package amazon

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"tokaido/awsapi/wire"
	"tokaido/bedrock"
	"tokaido/bedrock/backend/upstream"
	"tokaido/value"
)

// Whatever another node, or AWS, sends as a stream: it is chunks that are JSON, or
// an error; cut into pieces it says the same; and what is a last chunk has no
// metrics left.
func FuzzStream(f *testing.F) {
	event := func(name, payload string) []byte {
		b, err := wire.AppendEvent(nil, name, []byte(payload))
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	chunk := func(s string) []byte {
		return event("chunk", `{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(s))+`","p":"abc"}`)
	}
	exception, err := wire.AppendException(nil, "throttlingException", []byte(`{"message":"x"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(chunk(`{"type":"message_start"}`), chunk(`{"type":"message_stop","`+bedrock.MetricsMember+`":{"inputTokenCount":3}}`)...))
	f.Add(append(chunk(`{"`+bedrock.MetricsMember+`":{}}`), event(ReceiptEvent, `{"receipt":"abc"}`)...))
	f.Add(chunk(`{"a":{"` + bedrock.MetricsMember + `":1},"amazon-bedrock-invocation\u004detrics":{}}`))
	f.Add(chunk(`{"a":"` + bedrock.MetricsMember + `"}`))
	f.Add(exception)
	f.Add([]byte("nothing of the kind"))
	u, err := upstream.New(upstream.Config{Name: "x", URL: "http://127.0.0.1:1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		read := func(r io.Reader) string {
			var out strings.Builder
			b := &Backend{}
			for m, err := range eventStream(r) {
				var c bedrock.Chunk
				if err == nil {
					c, err = b.chunk(u, m)
				}
				if err != nil {
					out.WriteString("error")
					break
				}
				if c.Usage != nil {
					v, err := value.Parse(c.Body)
					if err != nil || v.Has(bedrock.MetricsMember) {
						t.Fatalf("%v: %s", err, c.Body)
					}
				}
				fmt.Fprintf(&out, "%s %v\n", c.Body, c.Usage != nil)
			}
			return out.String()
		}
		if a, b := read(bytes.NewReader(in)), read(iotest.OneByteReader(bytes.NewReader(in))); a != b {
			t.Errorf("%q and %q", a, b)
		}
	})
}

// FuzzLastChunk goes past the framing, whose check sums keep most of what
// FuzzStream makes from getting far: whatever a chunk holds, its metrics come off,
// and where our own runtime has put them there, to the byte.
func FuzzLastChunk(f *testing.F) {
	f.Add(`{"type":"message_stop"}`)
	f.Add(`{"a":{"` + bedrock.MetricsMember + `":1},"amazon-bedrock-invocation\u004detrics":{}}`)
	f.Add(`{"` + bedrock.MetricsMember + `":{"inputTokenCount":3}}`)
	f.Add(`{ }`)
	f.Fuzz(func(t *testing.T, native string) {
		v, err := value.ParseString(native)
		if err != nil || !v.IsObject() {
			return
		}
		if v.Has(bedrock.MetricsMember) {
			w, err := value.Parse(withoutMetrics([]byte(native), v))
			if err != nil || w.Has(bedrock.MetricsMember) {
				t.Fatalf("%v: %s", err, w)
			}
			return
		}
		// As bedrock adds them: before the last bracket.
		body := strings.TrimRight(native, " \t\r\n")
		with := strings.TrimSuffix(body, "}")
		if v.Len() > 0 {
			with += ","
		}
		with += `"` + bedrock.MetricsMember + `":{"inputTokenCount":1}}`
		x, err := value.ParseString(with)
		if err != nil {
			t.Fatalf("%v: %s", err, with)
		}
		if got := string(withoutMetrics([]byte(with), x)); got != body && !strings.Contains(native, bedrock.MetricsMember) {
			t.Errorf("%q came back as %q", body, got)
		}
	})
}
