package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/fault"
	"tokaido/internal/installed"
	"tokaido/value"
)

func TestDecodeJSON(t *testing.T) {
	for in, want := range map[string]string{"": "{}", `{"a":1}`: `{"a":1}`} {
		if v, err := DecodeJSON([]byte(in)); err != nil || v.JSON() != want {
			t.Errorf("%q: %v %v", in, v, err)
		}
	}
	for _, in := range []string{"[]", "1", "{", `{"a":}`, "null", "\xff"} {
		if _, err := DecodeJSON([]byte(in)); fault.Code(err) != "SerializationException" {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// decodeForm reads the body of a Query request as the front door does.
func decodeForm(body string) (Form, error) {
	fields, err := FormFields(body)
	if err != nil {
		return Form{}, err
	}
	return FoldFields(fields)
}

func TestDecodeForm(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Action=ListRoles&Version=2010-05-08", `{}`},
		{"Action=ListRoles&Version=2010-05-08&PathPrefix=%2Fa%2F&MaxItems=5", `{"PathPrefix":"/a/","MaxItems":"5"}`},
		{"Action=ListRoles&Version=2010-05-08&Tags.member.1.Key=a&Tags.member.1.Value=b+c&Tags.member.2.Key=%E6%97%A5&Tags.member.2.Value=", `{"Tags":[{"Key":"a","Value":"b c"},{"Key":"日","Value":""}]}`},
		{"Action=ListRoles&Version=2010-05-08&L.member.10=c&L.member.2=b&L.member.1=a", `{"L":["a","b","c"]}`},
		{"Action=ListRoles&Version=2010-05-08&M.entry.1.key=x&M.entry.1.value=1&M.entry.2.key=y&M.entry.2.value=2", `{"M":{"x":"1","y":"2"}}`},
		{"Action=ListRoles&Version=2010-05-08&Tags=", `{"Tags":""}`},
		{"Action=ListRoles&Version=2010-05-08&S.A.B=1&S.C=2", `{"S":{"A":{"B":"1"},"C":"2"}}`},
		{"Action=ListRoles&Version=2010-05-08&S.member.x=1", `{"S":{"member":{"x":"1"}}}`},
		{"Action=ListRoles&Version=2010-05-08&S.member.01=1", `{"S":{"member":{"01":"1"}}}`},
		{"&&Action=ListRoles&Version=2010-05-08&", `{}`},
	} {
		f, err := decodeForm(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if f.Action != "ListRoles" || f.Version != "2010-05-08" || f.Input.JSON() != c.want {
			t.Errorf("%s: %+v %s, want %s", c.in, f, f.Input, c.want)
		}
	}
	for in, code := range map[string]string{
		"Action=A&Action=B":                     "MalformedInput",
		"A.member.1=x&A.member.1=y":             "MalformedInput",
		"A=x&A.B=y":                             "MalformedInput",
		"A..B=y":                                "MalformedInput",
		"M.entry.1.key=x":                       "MalformedInput",
		"M.entry.1.value=x":                     "MalformedInput",
		"A=%zz":                                 "MalformedQueryString",
		"A=%ff":                                 "MalformedQueryString",
		strings.Repeat("a=b&", MaxFormFields+1): "MalformedInput",
		strings.Repeat("a.", MaxFormDepth) + "b=1":       "MalformedInput",
		"M.entry.1.key=x&M.entry.1.value=1&M.entry.1.z=": "MalformedInput",
	} {
		if _, err := decodeForm(in); fault.Code(err) != code {
			t.Errorf("%.40s: %v, want %s", in, err, code)
		}
	}
}

func TestXML(t *testing.T) {
	body := value.MustParse(`{"Role":{"Name":"a<b>&\"'","Tags":[{"Key":"k"}],"Empty":[],"N":3,"B":true,"Null":null},"T":"x\ry\u0001z"}`)
	got := string(XML("GetRole", Namespace("iam", "2010-05-08"), "id-1", body))
	want := `<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <GetRoleResult><Role><Name>a&lt;b&gt;&amp;"'</Name><Tags><member><Key>k</Key></member></Tags><Empty></Empty><N>3</N><B>true</B></Role><T>x&#xD;y` + "\uFFFD" + `z</T></GetRoleResult>
  <ResponseMetadata>
    <RequestId>id-1</RequestId>
  </ResponseMetadata>
</GetRoleResponse>
`
	if got != want {
		t.Errorf("got %s", got)
	}
	if got := string(XML("DeleteRole", "n", "i", value.Value{})); strings.Contains(got, "Result") {
		t.Errorf("an operation without output has a result: %s", got)
	}
	wellFormed(t, []byte(got))
}

func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		_, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
	}
}

func TestErrorDocuments(t *testing.T) {
	e := Error{Code: "ExecutionDoesNotExist", Message: "no <x>", RequestID: "r", Members: []value.Member{{Key: "originalStatusCode", Value: value.Int(424)}}}
	for got, want := range map[string]string{
		string(e.JSON()):     `{"__type":"ExecutionDoesNotExist","message":"no <x>","originalStatusCode":424}`,
		string(e.RESTJSON()): `{"message":"no <x>","originalStatusCode":424}`,
		string((&Error{Code: "AccessDeniedException", Message: "m", Auth: true}).JSON()):     `{"__type":"AccessDeniedException","Message":"m"}`,
		string((&Error{Code: "AccessDeniedException", Message: "m", Auth: true}).RESTJSON()): `{"Message":"m"}`,
		string((&Error{Code: "NoSuchEntity", Message: "a&b", RequestID: "r"}).XML("https://iam.amazonaws.com/doc/2010-05-08/")): `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <Error>
    <Type>Sender</Type>
    <Code>NoSuchEntity</Code>
    <Message>a&amp;b</Message>
  </Error>
  <RequestId>r</RequestId>
</ErrorResponse>
`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 11, 21, 1, 2, 3, 456789000, time.FixedZone("JST", 9*3600))
	if got := EpochSeconds(at).JSON(); got != "1795190523.456" {
		t.Error(got)
	}
	if got := EpochSeconds(at.Truncate(time.Second)).JSON(); got != "1795190523" {
		t.Error(got)
	}
	if got := ISO8601(at).Str(); got != "2026-11-20T16:02:03Z" {
		t.Error(got)
	}
}

func allHeaders() []EventHeader {
	return []EventHeader{
		{"t", HeaderTrue, []byte{}}, {"f", HeaderFalse, []byte{}}, {"b", HeaderByte, []byte{1}}, {"s", HeaderInt16, []byte{1, 2}},
		{"i", HeaderInt32, []byte{0, 0, 0, 4}}, {"l", HeaderInt64, []byte{0, 0, 0, 0, 0, 0, 0, 8}}, {"bytes", HeaderBytes, []byte("abc")},
		StringHeader("str", "日本"), {"ts", HeaderTimestamp, []byte{0, 0, 1, 0, 0, 0, 0, 0}}, {"u", HeaderUUID, []byte("0123456789abcdef")},
	}
}

func TestEventStream(t *testing.T) {
	m := Message{allHeaders(), []byte(`{"x":1}`)}
	b, err := AppendMessage(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = AppendEvent(b, "chunk", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	got, rest, err := DecodeMessage(b)
	if err != nil || !sameMessage(got, m) {
		t.Fatalf("got %+v, %v", got, err)
	}
	second, rest, err := DecodeMessage(rest)
	if err != nil || len(rest) != 0 || second.Header(":event-type") != "chunk" || second.Header(":message-type") != "event" || string(second.Payload) != "{}" {
		t.Fatalf("got %+v, %d left, %v", second, len(rest), err)
	}
	one := b[:len(b)-len(mustEvent(t))]
	for i := range one {
		if _, _, err := DecodeMessage(one[:i]); !errors.Is(err, ErrShort) {
			t.Fatalf("%d bytes: %v", i, err)
		}
		bad := bytes.Clone(one)
		bad[i] ^= 1
		if _, _, err := DecodeMessage(bad); err == nil {
			t.Fatalf("byte %d changed, not noticed", i)
		}
	}
	for name, m := range map[string]Message{
		"longname":  {Headers: []EventHeader{StringHeader(strings.Repeat("a", 256), "")}},
		"noname":    {Headers: []EventHeader{StringHeader("", "")}},
		"longvalue": {Headers: []EventHeader{StringHeader("a", strings.Repeat("a", 1<<15))}},
		"wrongsize": {Headers: []EventHeader{{"a", HeaderInt16, []byte{1}}}},
		"type":      {Headers: []EventHeader{{"a", 10, nil}}},
		"payload":   {Payload: make([]byte, MaxEventPayload+1)},
	} {
		if b, err := AppendMessage(nil, m); err == nil || len(b) != 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}

func mustEvent(t *testing.T) []byte {
	b, err := AppendEvent(nil, "chunk", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sameMessage(a, b Message) bool {
	return bytes.Equal(a.Payload, b.Payload) && slices.EqualFunc(a.Headers, b.Headers, func(x, y EventHeader) bool {
		return x.Name == y.Name && x.Type == y.Type && bytes.Equal(x.Value, y.Value)
	})
}

func FuzzDecodeForm(f *testing.F) {
	f.Add("Action=A&Version=2010-05-08&Tags.member.1.Key=a&Tags.member.1.Value=b")
	f.Add("M.entry.1.key=x&M.entry.1.value.member.1=1&a=%zz")
	f.Add("a.b.c.member.2=1&a.b.c.member.1=2&a=")
	f.Fuzz(func(t *testing.T, s string) {
		form, err := decodeForm(s)
		if err != nil {
			if fault.Code(err) == "" {
				t.Fatalf("not a fault: %v", err)
			}
			return
		}
		if !form.Input.IsObject() || !value.Valid(form.Input.JSON()) {
			t.Fatalf("%q: %s", s, form.Input)
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	b, _ := AppendMessage(nil, Message{allHeaders(), []byte("x")})
	f.Add(b)
	b, _ = AppendException(nil, "throttlingException", []byte(`{"message":"m"}`))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := DecodeMessage(b)
		if err != nil {
			return
		}
		again, err := AppendMessage(nil, m)
		if err != nil || !bytes.Equal(again, b[:len(b)-len(rest)]) {
			t.Fatalf("decoded %x, encoded %x, %v", b, again, err)
		}
	})
}

// Random bytes rarely have good checksums, so this one gives them some.
func FuzzEventRoundTrip(f *testing.F) {
	f.Add(":event-type", uint8(7), []byte("chunk"), []byte("{}"))
	f.Fuzz(func(t *testing.T, name string, typ uint8, v, payload []byte) {
		m := Message{[]EventHeader{{name, HeaderType(typ), v}}, payload}
		b, err := AppendMessage(nil, m)
		if err != nil {
			return
		}
		got, rest, err := DecodeMessage(b)
		if err != nil || len(rest) != 0 || !sameMessage(got, m) {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}

func FuzzXMLText(f *testing.F) {
	f.Add("a<b>&\r\n\x00\xff\uFFFE")
	f.Fuzz(func(t *testing.T, s string) {
		wellFormed(t, XML("Op", "n", "r", value.Object(value.Member{Key: "A", Value: value.String(s)})))
	})
}

// botocore reads what we write.
func TestBotocoreReadsIt(t *testing.T) {
	python := installed.Botocore(t, "its parsers did not read what we write")
	const script = `
import sys, json, botocore.loaders, botocore.model, botocore.parsers, botocore.eventstream
parts = json.load(sys.stdin)
def shape(service, op):
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, 'service-2'), service).operation_model(op)
def parse(proto, body, status, op, headers={}):
    return botocore.parsers.create_parser(proto).parse({'body': body.encode(), 'headers': headers, 'status_code': status}, op.output_shape)
out = {}
out['role'] = parse('query', parts['role'], 200, shape('iam', 'GetRole'))
out['list'] = parse('query', parts['list'], 200, shape('iam', 'ListRoles'))
out['none'] = parse('query', parts['none'], 200, shape('iam', 'DeleteRole'))
out['xmlerror'] = parse('query', parts['xmlerror'], 404, shape('iam', 'GetRole'))
out['jsonerror'] = parse('json', parts['jsonerror'], 400, shape('stepfunctions', 'DescribeExecution'))
out['autherror'] = parse('rest-json', parts['autherror'], 403, shape('bedrock-runtime', 'Converse'), {'x-amzn-errortype': 'AccessDeniedException'})
buf = botocore.eventstream.EventStreamBuffer()
buf.add_data(bytes.fromhex(parts['stream']))
out['stream'] = [[m.headers, m.payload.decode()] for m in buf]
print(json.dumps(out, default=str, sort_keys=True, ensure_ascii=False))
`
	ns := Namespace("iam", "2010-05-08")
	stream, _ := AppendEvent(nil, "contentBlockDelta", []byte(`{"delta":{"text":"こ"}}`))
	stream, _ = AppendException(stream, "throttlingException", []byte(`{"message":"m"}`))
	hexStream := fmt.Sprintf("%x", stream)
	role := `{"Path":"/","RoleName":"r<&>","RoleId":"AROA","Arn":"arn:aws:iam::1:role/r","CreateDate":"2026-11-21T01:02:03Z","MaxSessionDuration":3600,"Tags":[{"Key":"k","Value":" 日 "}]}`
	in := value.Object(
		value.Member{Key: "role", Value: value.String(string(XML("GetRole", ns, "rid", value.MustParse(`{"Role":`+role+`}`))))},
		value.Member{Key: "list", Value: value.String(string(XML("ListRoles", ns, "rid", value.MustParse(`{"Roles":[],"IsTruncated":false}`))))},
		value.Member{Key: "none", Value: value.String(string(XML("DeleteRole", ns, "rid", value.Value{})))},
		value.Member{Key: "xmlerror", Value: value.String(string((&Error{Code: "NoSuchEntity", Message: "The role with name <x> cannot be found.", RequestID: "rid"}).XML(ns)))},
		value.Member{Key: "jsonerror", Value: value.String(string((&Error{Code: "ExecutionDoesNotExist", Message: "m"}).JSON()))},
		value.Member{Key: "autherror", Value: value.String(string((&Error{Code: "AccessDeniedException", Message: "User: x", Auth: true}).RESTJSON()))},
		value.Member{Key: "stream", Value: value.String(hexStream)},
	)
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = strings.NewReader(in.JSON())
	out, err := cmd.Output()
	if err != nil {
		ee, _ := errors.AsType[*exec.ExitError](err)
		t.Fatalf("%v: %s", err, ee.Stderr)
	}
	got, err := value.Parse(bytes.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"role.Role.RoleName":              `"r<&>"`,
		"role.Role.MaxSessionDuration":    `3600`,
		"role.Role.CreateDate":            `"2026-11-21 01:02:03+00:00"`,
		"role.Role.Tags":                  `[{"Key":"k","Value":" 日 "}]`,
		"role.ResponseMetadata.RequestId": `"rid"`,
		"list.Roles":                      `[]`,
		"list.IsTruncated":                `false`,
		"none.ResponseMetadata.RequestId": `"rid"`,
		"xmlerror.Error.Code":             `"NoSuchEntity"`,
		"xmlerror.Error.Message":          `"The role with name <x> cannot be found."`,
		"jsonerror.Error.Code":            `"ExecutionDoesNotExist"`,
		"jsonerror.Error.Message":         `"m"`,
		"autherror.Error.Code":            `"AccessDeniedException"`,
		"autherror.Error.Message":         `"User: x"`,
		"stream":                          `[[{":content-type":"application/json",":event-type":"contentBlockDelta",":message-type":"event"},"{\"delta\":{\"text\":\"こ\"}}"],[{":content-type":"application/json",":exception-type":"throttlingException",":message-type":"exception"},"{\"message\":\"m\"}"]]`,
	} {
		v := got
		for part := range strings.SplitSeq(path, ".") {
			v = v.Get(part)
		}
		if !value.Equal(v, value.MustParse(want)) {
			t.Errorf("%s: got %s, want %s", path, v.JSON(), want)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	payload := []byte(`{"contentBlockIndex":0,"delta":{"text":"hello"},"p":"abcdefgh"}`)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = AppendEvent(buf[:0], "contentBlockDelta", payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	m, _ := AppendEvent(nil, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":"hello"},"p":"abcdefgh"}`))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodeMessage(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeForm(b *testing.B) {
	const form = "Action=CreateRole&Version=2010-05-08&RoleName=r&Path=%2F&AssumeRolePolicyDocument=%7B%22Version%22%3A%222012-10-17%22%7D&Tags.member.1.Key=a&Tags.member.1.Value=b"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeForm(form); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkXML(b *testing.B) {
	body := value.MustParse(`{"Role":{"Path":"/","RoleName":"r","RoleId":"AROA","Arn":"arn:aws:iam::1:role/r","CreateDate":"2026-11-21T01:02:03Z","MaxSessionDuration":3600}}`)
	b.ReportAllocs()
	for b.Loop() {
		XML("GetRole", "https://iam.amazonaws.com/doc/2010-05-08/", "rid", body)
	}
}
