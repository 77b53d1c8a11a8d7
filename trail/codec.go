package trail

import (
	"fmt"
	"strconv"
	"time"

	"tokaido/value"
)

// format is the version of the stored form. A reader refuses every other.
const format = 1

var phases = [...]string{Whole: "whole", Intent: "intent", Outcome: "outcome"}

func (p Phase) String() string {
	if int(p) < len(phases) {
		return phases[p]
	}
	return "Phase(" + strconv.Itoa(int(p)) + ")"
}

// appendRecord appends r's stored form: a JSON object whose members are always
// in one order, empty ones left out.
func appendRecord(b []byte, r *Record) []byte {
	e := encoder{b: append(b, `{"v":`...)}
	e.b = strconv.AppendInt(e.b, format, 10)
	e.str("id", r.EventID)
	e.time("time", r.Time)
	e.str("phase", r.Phase.String())
	e.str("intent", r.IntentID)
	e.str("source", r.Source)
	e.str("name", r.Name)
	e.str("region", r.Region)
	e.str("account", r.Account)
	e.open("identity")
	e.str("type", r.Identity.Type)
	e.str("principalId", r.Identity.PrincipalID)
	e.str("arn", r.Identity.ARN)
	e.str("account", r.Identity.Account)
	e.str("accessKey", r.Identity.AccessKeyID)
	e.str("user", r.Identity.UserName)
	e.str("invokedBy", r.Identity.InvokedBy)
	e.time("issued", r.Identity.IssuedAt)
	if s := r.Identity.Issuer; s != nil {
		e.open("issuer")
		e.str("type", s.Type)
		e.str("principalId", s.PrincipalID)
		e.str("arn", s.ARN)
		e.str("account", s.Account)
		e.str("user", s.UserName)
		e.b = append(e.b, '}')
	}
	e.b = append(e.b, '}')
	e.str("sourceIP", r.SourceIP)
	e.str("userAgent", r.UserAgent)
	e.str("host", r.Host)
	e.flag("tls", r.TLS)
	e.str("request", r.RequestID)
	e.flag("readOnly", r.ReadOnly)
	e.value("parameters", r.Request)
	e.value("response", r.Response)
	e.value("additional", r.Additional)
	if len(r.Resources) > 0 {
		e.key("resources")
		e.b = append(e.b, '[')
		for i, x := range r.Resources {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.b = append(e.b, '{')
			e.str("type", x.Type)
			e.str("name", x.Name)
			e.b = append(e.b, '}')
		}
		e.b = append(e.b, ']')
	}
	e.str("errorCode", r.ErrorCode)
	e.str("errorMessage", r.ErrorMessage)
	e.value("decisions", r.Decisions)
	e.str("execution", r.ExecutionARN)
	e.str("state", r.State)
	return append(e.b, '}')
}

type encoder struct{ b []byte }

func (e *encoder) key(k string) {
	if e.b[len(e.b)-1] != '{' {
		e.b = append(e.b, ',')
	}
	e.b = append(append(append(e.b, '"'), k...), '"', ':')
}

func (e *encoder) open(k string) {
	e.key(k)
	e.b = append(e.b, '{')
}

func (e *encoder) str(k, v string) {
	if v != "" {
		e.key(k)
		e.b = value.AppendQuoted(e.b, v)
	}
}

func (e *encoder) flag(k string, v bool) {
	if v {
		e.key(k)
		e.b = append(e.b, "true"...)
	}
}

func (e *encoder) time(k string, t time.Time) {
	if !t.IsZero() {
		e.key(k)
		e.b = append(e.b, '"')
		e.b = t.UTC().AppendFormat(e.b, time.RFC3339Nano)
		e.b = append(e.b, '"')
	}
}

func (e *encoder) value(k string, v value.Value) {
	if !v.IsUndefined() {
		e.key(k)
		e.b = v.AppendJSON(e.b)
	}
}

// decodeRecord reads what appendRecord made. It refuses what it does not know:
// a record that is half understood proves nothing.
func decodeRecord(v value.Value) (*Record, error) {
	r := new(Record)
	d := decoder{}
	version := int64(-1)
	for k, m := range d.object("record", v) {
		switch k {
		case "v":
			version, _ = m.Int()
		case "id":
			r.EventID = d.str(k, m)
		case "time":
			r.Time = d.time(k, m)
		case "phase":
			r.Phase = d.phase(k, m)
		case "intent":
			r.IntentID = d.str(k, m)
		case "source":
			r.Source = d.str(k, m)
		case "name":
			r.Name = d.str(k, m)
		case "region":
			r.Region = d.str(k, m)
		case "account":
			r.Account = d.str(k, m)
		case "identity":
			r.Identity = d.identity(k, m)
		case "sourceIP":
			r.SourceIP = d.str(k, m)
		case "userAgent":
			r.UserAgent = d.str(k, m)
		case "host":
			r.Host = d.str(k, m)
		case "tls":
			r.TLS = d.flag(k, m)
		case "request":
			r.RequestID = d.str(k, m)
		case "readOnly":
			r.ReadOnly = d.flag(k, m)
		case "parameters":
			r.Request = m
		case "response":
			r.Response = m
		case "additional":
			r.Additional = m
		case "resources":
			r.Resources = d.resources(k, m)
		case "errorCode":
			r.ErrorCode = d.str(k, m)
		case "errorMessage":
			r.ErrorMessage = d.str(k, m)
		case "decisions":
			r.Decisions = m
		case "execution":
			r.ExecutionARN = d.str(k, m)
		case "state":
			r.State = d.str(k, m)
		default:
			d.fail("unknown member %q", k)
		}
	}
	if d.err == nil && version != format {
		d.fail("record of format %d; this program reads %d", version, format)
	}
	if d.err != nil {
		return nil, d.err
	}
	return r, nil
}

type decoder struct{ err error }

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *decoder) object(k string, v value.Value) func(func(string, value.Value) bool) {
	if !v.IsObject() {
		d.fail("%s is a %v, not an object", k, v.Kind())
	}
	return v.Members()
}

func (d *decoder) str(k string, v value.Value) string {
	if !v.IsString() {
		d.fail("%s is a %v, not a string", k, v.Kind())
	}
	return v.Str()
}

func (d *decoder) flag(k string, v value.Value) bool {
	if v.Kind() != value.KindBool {
		d.fail("%s is a %v, not a boolean", k, v.Kind())
	}
	return v.Bool()
}

func (d *decoder) time(k string, v value.Value) time.Time {
	t, err := time.Parse(time.RFC3339Nano, d.str(k, v))
	if err != nil {
		d.fail("%s: %w", k, err)
	}
	return t.UTC()
}

func (d *decoder) phase(k string, v value.Value) Phase {
	s := d.str(k, v)
	for p, name := range phases {
		if name == s {
			return Phase(p)
		}
	}
	d.fail("unknown phase %q", s)
	return 0
}

func (d *decoder) identity(k string, v value.Value) (id Identity) {
	for k, m := range d.object(k, v) {
		switch k {
		case "type":
			id.Type = d.str(k, m)
		case "principalId":
			id.PrincipalID = d.str(k, m)
		case "arn":
			id.ARN = d.str(k, m)
		case "account":
			id.Account = d.str(k, m)
		case "accessKey":
			id.AccessKeyID = d.str(k, m)
		case "user":
			id.UserName = d.str(k, m)
		case "invokedBy":
			id.InvokedBy = d.str(k, m)
		case "issued":
			id.IssuedAt = d.time(k, m)
		case "issuer":
			id.Issuer = new(Issuer)
			for k, m := range d.object(k, m) {
				switch k {
				case "type":
					id.Issuer.Type = d.str(k, m)
				case "principalId":
					id.Issuer.PrincipalID = d.str(k, m)
				case "arn":
					id.Issuer.ARN = d.str(k, m)
				case "account":
					id.Issuer.Account = d.str(k, m)
				case "user":
					id.Issuer.UserName = d.str(k, m)
				default:
					d.fail("unknown member %q of the issuer", k)
				}
			}
		default:
			d.fail("unknown member %q of the identity", k)
		}
	}
	return id
}

func (d *decoder) resources(k string, v value.Value) (all []Resource) {
	if !v.IsArray() {
		d.fail("%s is a %v, not an array", k, v.Kind())
	}
	for _, x := range v.Items() {
		var one Resource
		for k, m := range d.object("a resource", x) {
			switch k {
			case "type":
				one.Type = d.str(k, m)
			case "name":
				one.Name = d.str(k, m)
			default:
				d.fail("unknown member %q of a resource", k)
			}
		}
		all = append(all, one)
	}
	return all
}
