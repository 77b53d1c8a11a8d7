package flow

import (
	"net/url"
	"strconv"
	"strings"

	"tokaido/asl"
	"tokaido/engine"
	"tokaido/value"
)

// Tested is what became of a state that was tested.
type Tested struct {
	engine.Tried

	// Of an HTTP Task, nil of others: the request that its parameters amount to,
	// without what a connection adds, and what the mock says that came back.
	Request  *HTTPRequest
	Response *HTTPResponse
}

// HTTPRequest and HTTPResponse are as TestState shows them.
type (
	HTTPRequest  struct{ Protocol, Method, URL, Headers, Body string }
	HTTPResponse struct{ Protocol, StatusCode, StatusMessage, Headers, Body string }
)

// isHTTP reports whether a state is an HTTP Task.
func isHTTP(st *asl.State) bool {
	return st.Task != nil && st.Task.Service == "http" && st.Task.Action == "invoke"
}

// httpRequest is what an HTTP Task with these arguments would send.
func httpRequest(args value.Value, region string) *HTTPRequest {
	endpoint := args.Get("ApiEndpoint").Str()
	r := &HTTPRequest{Method: args.Get("Method").Str(), URL: endpoint}
	r.Protocol, _, _ = strings.Cut(endpoint, "://")
	var q []string
	switch v := args.Get("QueryParameters"); {
	case v.IsString():
		q = append(q, v.Str())
	case v.IsObject():
		q = AppendForm(nil, "", v, "REPEAT")
	case v.IsArray():
		for _, x := range v.Items() {
			q = append(q, scalar(x))
		}
	}
	if len(q) > 0 {
		sep := "?"
		if strings.Contains(endpoint, "?") {
			sep = "&"
		}
		r.URL += sep + strings.Join(q, "&")
	}
	var h []string
	for k, v := range args.Get("Headers").Members() {
		h = append(h, k+": "+scalar(v))
	}
	h = append(h, "User-Agent: Amazon|StepFunctions|HttpInvoke|"+region, "Range: bytes=0-262144")
	r.Headers = "[" + strings.Join(h, ", ") + "]"
	transform := args.Get("Transform")
	switch body := args.Get("RequestBody"); {
	case body.IsUndefined():
	case body.IsString():
		r.Body = body.Str()
	case transform.Get("RequestBodyEncoding").Str() == "URL_ENCODED":
		format := transform.Get("RequestEncodingOptions").Get("ArrayFormat").Str()
		r.Body = strings.Join(AppendForm(nil, "", body, format), "&")
	default:
		r.Body = body.Compact().JSON()
	}
	return r
}

// httpResponse is what a mocked result says that came back.
func httpResponse(result value.Value, protocol string) *HTTPResponse {
	r := &HTTPResponse{Protocol: protocol, StatusCode: scalar(result.Get("StatusCode")), StatusMessage: scalar(result.Get("StatusText"))}
	var h []string
	for k, v := range result.Get("Headers").Members() {
		values := []string{scalar(v)}
		if v.IsArray() {
			values = values[:0]
			for _, x := range v.Items() {
				values = append(values, scalar(x))
			}
		}
		h = append(h, k+": "+strings.Join(values, ", "))
	}
	r.Headers = "[" + strings.Join(h, ", ") + "]"
	r.Body = scalar(result.Get("ResponseBody"))
	return r
}

// scalar is a text as it is, and anything else as JSON.
func scalar(v value.Value) string {
	switch {
	case v.IsUndefined():
		return ""
	case v.IsString():
		return v.Str()
	}
	return v.Compact().JSON()
}

// AppendForm appends v as fields of a form: those of objects inside are name[key], those
// of arrays as format says.
func AppendForm(to []string, name string, v value.Value, format string) []string {
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	switch {
	case v.IsObject():
		for k, x := range v.Members() {
			if k = escape(k); name != "" {
				k = name + "[" + k + "]"
			}
			to = AppendForm(to, k, x, format)
		}
	case v.IsArray() && format == "COMMAS":
		var parts []string
		for _, x := range v.Items() {
			parts = append(parts, escape(scalar(x)))
		}
		to = append(to, name+"="+strings.Join(parts, ","))
	case v.IsArray():
		for i, x := range v.Items() {
			switch format {
			case "REPEAT":
				to = AppendForm(to, name, x, format)
			case "BRACKETS":
				to = AppendForm(to, name+"[]", x, format)
			default:
				to = AppendForm(to, name+"["+strconv.Itoa(i)+"]", x, format)
			}
		}
	default:
		to = append(to, name+"="+escape(scalar(v)))
	}
	return to
}

// tested adds to what was tried what an HTTP Task would have sent and got.
func tested(t engine.Tried, cfg *engine.SingleConfig, region string) Tested {
	out := Tested{Tried: t}
	see := &t.Inspection
	args := see.AfterParameters
	if args.IsUndefined() {
		args = see.AfterArguments
	}
	if !isHTTP(cfg.State) || cfg.Mock == nil || !args.IsObject() {
		return out
	}
	out.Request = httpRequest(args, region)
	if cfg.Mock.Failure == nil {
		out.Response = httpResponse(cfg.Mock.Result, out.Request.Protocol)
	}
	return out
}
