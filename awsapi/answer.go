package awsapi

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/value"
)

// statuses are those of a fault's code where the fault has none, as AWS's
// service models give them.
var statuses = map[Protocol]map[string]int{
	RESTJSON: {
		"AccessDeniedException": 403, "ResourceNotFoundException": 404, "ThrottlingException": 429, "ModelTimeoutException": 408,
		"InternalServerException": 500, "ServiceUnavailableException": 503, "ModelNotReadyException": 429, "ModelErrorException": 424,
		"ModelStreamErrorException": 424, "UnrecognizedClientException": 403, "ExpiredTokenException": 403,
	},
	Query: {
		"NoSuchEntity": 404, "EntityAlreadyExists": 409, "LimitExceeded": 409, "DeleteConflict": 409, "ConcurrentModification": 409,
		"EntityTemporarilyUnmodifiable": 409, "AccessDenied": 403, "RegionDisabledException": 403, "InvalidClientTokenId": 403, "ExpiredToken": 403,
	},
}

// wireError returns how a protocol says f.
func wireError(p Protocol, f *fault.Error, requestID string) (wire.Error, int) {
	e := wire.Error{
		Code: f.Code, Message: f.Message, Auth: f.Auth, Server: f.Kind == fault.Server,
		RequestID: requestID,
	}
	for _, m := range f.Members {
		// A member that is no JSON is left out: the code and the text matter more.
		if v, err := value.Of(m.Value); err == nil {
			e.Members = append(e.Members, value.Member{Key: m.Name, Value: v})
		}
	}
	switch {
	case p == S3:
		return s3Error(e, f)
	case f.Auth && p == Query:
		if e.Code == "AccessDeniedException" {
			e.Code = "AccessDenied"
		}
		return e, http.StatusForbidden
	case f.Auth && p == RESTJSON:
		return e, http.StatusForbidden
	case f.Auth:
		return e, http.StatusBadRequest
	case f.Kind == fault.Server:
		if f.Status >= 500 {
			return e, f.Status
		}
		if s := statuses[p][f.Code]; s >= 500 {
			return e, s
		}
		return e, http.StatusInternalServerError
	case p == JSON10 || p == JSON11:
		// Whatever the code, these answer 400; but a body that was not read whole
		// must not look like one that was.
		if f.Status == http.StatusRequestEntityTooLarge {
			return e, f.Status
		}
		return e, http.StatusBadRequest
	case f.Status != 0:
		return e, f.Status
	}
	if s := statuses[p][f.Code]; s != 0 {
		return e, s
	}
	if f.Kind == fault.Throttle && p == RESTJSON {
		return e, http.StatusTooManyRequests
	}
	return e, http.StatusBadRequest
}

// internal is what a caller learns of what went wrong here.
func internal(p Protocol) *fault.Error {
	code := "InternalFailure"
	if p == RESTJSON {
		code = "InternalServerException"
	}
	return &fault.Error{Kind: fault.Server, Code: code, Message: "The request processing has failed because of an unknown error, exception or failure."}
}

// writeFault answers with f's document.
func writeFault(w http.ResponseWriter, p Protocol, namespace string, f *fault.Error, requestID string) {
	e, status := wireError(p, f, requestID)
	h := w.Header()
	var doc []byte
	switch p {
	case Query:
		h.Set("Content-Type", "text/xml")
		doc = e.XML(namespace)
	case S3:
		h.Set("Content-Type", "application/xml")
		doc = s3Document(e)
	case RESTJSON:
		h.Set("Content-Type", "application/json")
		h.Set("X-Amzn-Errortype", e.Code)
		doc = e.RESTJSON()
	default:
		h.Set("Content-Type", contentType(p))
		h.Set("X-Amzn-Errortype", e.Code)
		doc = e.JSON()
	}
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	w.WriteHeader(status)
	_, _ = w.Write(doc) // a client that is gone needs no answer
}

func contentType(p Protocol) string {
	switch p {
	case JSON10:
		return "application/x-amz-json-1.0"
	case JSON11:
		return "application/x-amz-json-1.1"
	case RESTJSON:
		return "application/json"
	}
	return "text/xml"
}

// writeResponse answers with resp, which is no stream.
func writeResponse(w http.ResponseWriter, op *Op, resp *Response, requestID string) error {
	h := w.Header()
	for k, vs := range resp.Header {
		if op.Protocol != S3 { // the SDKs keep the case of the names of metadata
			k = http.CanonicalHeaderKey(k)
		}
		h[k] = vs
	}
	status := resp.Status
	if status == 0 {
		status = http.StatusOK
	}
	body := resp.Raw
	if body == nil {
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", contentType(op.Protocol))
		}
		switch {
		case op.Protocol == Query:
			body = wire.XML(op.Name, wire.Namespace(op.Service, op.Version), requestID, resp.Body)
		case status == http.StatusNoContent:
			h.Del("Content-Type")
		case resp.Body.IsUndefined():
			body = []byte("{}")
		default:
			body = resp.Body.AppendJSON(nil)
		}
	}
	if status != http.StatusNoContent && h.Get("Content-Length") == "" { // HEAD says of what
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// Elements is a Result that records the Body as CloudTrail spells it: members
// begin with a small letter. It is for answers without secrets.
func Elements(_ *Request, resp *Response) value.Value { return LowerFirst(resp.Body) }

// LowerFirst returns v with the first letter of every member in lower case, as
// CloudTrail writes them. It is for parameters and answers, not for documents
// whose names are the user's.
func LowerFirst(v value.Value) value.Value {
	switch v.Kind() {
	case value.KindObject:
		m := make([]value.Member, 0, v.Len())
		for k, x := range v.Members() {
			if k != "" && k[0] >= 'A' && k[0] <= 'Z' {
				k = string(k[0]|0x20) + k[1:]
			}
			m = append(m, value.Member{Key: k, Value: LowerFirst(x)})
		}
		return value.Object(m...)
	case value.KindArray:
		items := make([]value.Value, 0, v.Len())
		for _, x := range v.Items() {
			items = append(items, LowerFirst(x))
		}
		return value.Array(items...)
	}
	return v
}

// Parameters is what a record tells of a request unless its Op says otherwise:
// labels of the path, parameters of the query, and the Input, as CloudTrail
// spells them.
func Parameters(r *Request) value.Value {
	m := make([]value.Member, 0, len(r.Path)+len(r.Query)+r.Input.Len())
	if r.Op.Protocol == RESTJSON {
		for _, name := range sorted(r.Path) {
			m = append(m, value.Member{Key: name, Value: value.String(r.Path[name])})
		}
		for _, name := range sorted(r.Query) {
			if vs := r.Query[name]; len(vs) == 1 {
				m = append(m, value.Member{Key: name, Value: value.String(vs[0])})
			} else {
				all := make([]value.Value, len(vs))
				for i, s := range vs {
					all[i] = value.String(s)
				}
				m = append(m, value.Member{Key: name, Value: value.Array(all...)})
			}
		}
	}
	if r.Op.Protocol == Query {
		if r.Input.Len() == 0 {
			return value.Value{}
		}
		return LowerFirst(r.Input)
	}
	for k, v := range r.Input.Members() {
		m = append(m, value.Member{Key: k, Value: v})
	}
	if len(m) == 0 {
		return value.Value{}
	}
	return value.Object(m...)
}

// Refuse returns a fault that names the members of the Input that are not
// known, so that nothing is accepted and ignored; nil if all are.
func (r *Request) Refuse(known ...string) error {
	for k := range r.Input.Members() {
		if !contains(known, k) {
			code := "ValidationException"
			if r.Op.Protocol == Query {
				code = "ValidationError"
			}
			return fault.Newf(code, "The parameter %.128s is not supported by %s.", k, r.Op.Name)
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}

// LogValue keeps bodies out of logs.
func (r *Request) LogValue() slog.Value {
	return slog.GroupValue(slog.String("op", r.Op.Name), slog.String("id", r.Meta.RequestID), slog.Int("bytes", len(r.Raw)))
}

// exceptionName is an error's code as the member of a stream: ThrottlingException
// is throttlingException there.
func exceptionName(code string) string {
	if code == "" {
		return code
	}
	return strings.ToLower(code[:1]) + code[1:]
}
