// Package s3 is a small read-only face of S3 over the folders that trails are
// delivered to: what `aws cloudtrail validate-logs` and `aws s3 ls`, `cp` and
// `sync` of such a folder ask for, and nothing more.
package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokaido/awsapi"
	"tokaido/delivery"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/value"
)

// Folders are what is served.
type Folders interface {
	// Bucket must return delivery.ErrNoBucket for what is not there.
	Bucket(name string) (*delivery.Bucket, error)
	// Region is where a bucket is, "" if that is not known.
	Region(bucket string) string
	// Buckets must return the names of all, in order.
	Buckets() (names []string, changed []time.Time, err error)
}

const (
	service   = "s3"
	source    = "s3.amazonaws.com"
	namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
	// maxKeys is the most keys of one answer.
	maxKeys = 1000
)

// Ops are the operations.
func Ops(f Folders) []awsapi.Op {
	h := handlers{f}
	op := func(name, route, action string, object bool, handle func(context.Context, *awsapi.Request) (*awsapi.Response, error)) awsapi.Op {
		return awsapi.Op{
			Service: service, Source: source, Name: name, Protocol: awsapi.S3, Route: route, ReadOnly: true,
			Needs:  needs(action, object),
			Params: params,
			Handle: handle,
		}
	}
	return []awsapi.Op{
		op("GetBucketLocation", "GET /{Bucket}?location", "s3:GetBucketLocation", false, h.location),
		op("ListBuckets", "GET /", "s3:ListAllMyBuckets", false, h.buckets),
		op("HeadBucket", "HEAD /{Bucket}", "s3:ListBucket", false, h.headBucket),
		op("ListObjects", "GET /{Bucket}", "s3:ListBucket", false, h.list),
		op("ListObjectsV2", "GET /{Bucket}?list-type", "s3:ListBucket", false, h.list2),
		op("HeadObject", "HEAD /{Bucket}/{Key}", "s3:GetObject", true, h.head),
		op("GetObject", "GET /{Bucket}/{Key}", "s3:GetObject", true, h.get),
	}
}

func needs(action string, object bool) func(context.Context, *awsapi.Request) ([]iam.Authorization, error) {
	return func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
		a := iam.Authorization{Action: action, Resource: "arn:aws:s3:::" + r.Path["Bucket"]}
		if action == "s3:ListAllMyBuckets" {
			a.Resource = "*"
		} else if object {
			a.Resource += "/" + r.Path["Key"]
		} else if action == "s3:ListBucket" {
			a.Context = iam.Context{{Key: "s3:prefix", Values: []string{r.Query.Get("prefix")}}}
		}
		return []iam.Authorization{a}, nil
	}
}

// params is the record's requestParameters, as CloudTrail has them for S3.
func params(r *awsapi.Request) value.Value {
	var m []value.Member
	if b := r.Path["Bucket"]; b != "" {
		m = append(m, value.Member{Key: "bucketName", Value: value.String(b)})
	}
	if k := r.Path["Key"]; k != "" {
		m = append(m, value.Member{Key: "key", Value: value.String(k)})
	}
	for _, name := range []string{"prefix", "delimiter", "marker", "start-after", "max-keys"} {
		if r.Query.Has(name) {
			m = append(m, value.Member{Key: name, Value: value.String(r.Query.Get(name))})
		}
	}
	return value.Object(m...)
}

type handlers struct{ folders Folders }

// only refuses parameters that nothing acts on.
func only(r *awsapi.Request, known ...string) error {
	for name := range r.Query {
		if name != "x-id" && !slices.Contains(known, name) {
			return &fault.Error{Kind: fault.Client, Code: "NotImplemented", Message: "The parameter " + name + " of " + r.Op.Name + " is not supported by this server."}
		}
	}
	return nil
}

func (h handlers) bucket(r *awsapi.Request) (*delivery.Bucket, error) {
	b, err := h.folders.Bucket(r.Path["Bucket"])
	if errors.Is(err, delivery.ErrNoBucket) {
		return nil, fault.Newf("NoSuchBucket", "The specified bucket does not exist")
	}
	return b, err
}

func document(v any) (*awsapi.Response, error) {
	b, err := xml.Marshal(v)
	if err != nil {
		return nil, err
	}
	return &awsapi.Response{Header: http.Header{"Content-Type": {"application/xml"}}, Raw: append([]byte(xml.Header), b...)}, nil
}

func (h handlers) location(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := only(r, "location"); err != nil {
		return nil, err
	}
	if _, err := h.bucket(r); err != nil {
		return nil, err
	}
	type constraint struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		NS      string   `xml:"xmlns,attr"`
		Region  string   `xml:",chardata"`
	}
	region := cmp.Or(h.folders.Region(r.Path["Bucket"]), r.Region)
	if region == "us-east-1" { // S3 has no name for it
		region = ""
	}
	return document(constraint{NS: namespace, Region: region})
}

func (h handlers) headBucket(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := only(r); err != nil {
		return nil, err
	}
	if _, err := h.bucket(r); err != nil {
		return nil, err
	}
	region := cmp.Or(h.folders.Region(r.Path["Bucket"]), r.Region)
	return &awsapi.Response{Header: http.Header{"Content-Type": {"application/xml"}, "X-Amz-Bucket-Region": {region}}, Raw: []byte{}}, nil
}

// head answers as get does: the server leaves out the content.
func (h handlers) head(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return h.object(r, (*delivery.Bucket).Stat)
}

func (h handlers) get(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return h.object(r, (*delivery.Bucket).Get)
}

func (h handlers) object(r *awsapi.Request, read func(*delivery.Bucket, string) (*delivery.Object, error)) (*awsapi.Response, error) {
	if err := only(r); err != nil {
		return nil, err
	}
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if r.Header.Get(name) != "" {
			return nil, &fault.Error{Kind: fault.Client, Code: "NotImplemented", Message: "The header " + name + " is not supported by this server."}
		}
	}
	b, err := h.bucket(r)
	if err != nil {
		return nil, err
	}
	o, err := read(b, r.Path["Key"])
	if errors.Is(err, delivery.ErrNoKey) {
		return nil, fault.Newf("NoSuchKey", "The specified key does not exist.")
	}
	if err != nil {
		return nil, err
	}
	tag := `"` + o.Tag() + `"`
	// What S3 itself says of these files; the content is compressed, not the transfer.
	header := http.Header{
		"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}, "Etag": {tag}, "Accept-Ranges": {"bytes"},
		"Last-Modified": {o.Modified.UTC().Format(http.TimeFormat)},
	}
	if !strings.HasSuffix(o.Key, ".gz") {
		header.Del("Content-Encoding")
	}
	for k, v := range o.Metadata {
		header["x-amz-meta-"+k] = []string{v}
	}
	if m := r.Header.Get("If-Match"); m != "" && m != "*" && strings.Trim(m, `"`) != o.Tag() {
		return nil, &fault.Error{Kind: fault.Client, Code: "PreconditionFailed", Status: http.StatusPreconditionFailed, Message: "At least one of the pre-conditions you specified did not hold"}
	}
	if m := r.Header.Get("If-None-Match"); m != "" && (m == "*" || strings.Trim(m, `"`) == o.Tag()) {
		header.Del("Content-Type")
		header.Del("Content-Encoding")
		return &awsapi.Response{Status: http.StatusNotModified, Header: header, Raw: []byte{}}, nil
	}
	resp := &awsapi.Response{Header: header, Raw: o.Body}
	from, to, err := span(r.Header.Get("Range"), o.Size)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Range") != "" {
		resp.Status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, o.Size))
	}
	if o.Body == nil { // of HEAD
		header.Set("Content-Length", strconv.FormatInt(to-from, 10))
		resp.Raw = []byte{}
		return resp, nil
	}
	resp.Raw = o.Body[from:to]
	return resp, nil
}

// span reads the header Range of a request for an object of a size: from a byte
// to the one before another.
func span(header string, size int64) (from, to int64, err error) {
	if header == "" {
		return 0, size, nil
	}
	bad := &fault.Error{Kind: fault.Client, Code: "InvalidRange", Status: http.StatusRequestedRangeNotSatisfiable, Message: "The requested range is not satisfiable"}
	first, last, ok := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	if !ok || !strings.HasPrefix(header, "bytes=") || strings.Contains(header, ",") {
		return 0, 0, &fault.Error{Kind: fault.Client, Code: "NotImplemented", Message: "The header Range must name one range of bytes on this server."}
	}
	number := func(s string) int64 {
		n, err := strconv.ParseUint(s, 10, 62)
		if err != nil {
			ok = false
		}
		return int64(n)
	}
	switch {
	case first == "":
		from, to = max(0, size-number(last)), size
	case last == "":
		from, to = number(first), size
	default:
		from, to = number(first), min(size, number(last)+1)
	}
	if !ok || from >= to {
		return 0, 0, bad
	}
	return from, to, nil
}
