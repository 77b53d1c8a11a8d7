// Package s3 is a small read-only face of S3 over the folders that trails are
// delivered to: what `aws cloudtrail validate-logs` asks for, and nothing more.
package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

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
		op("ListObjects", "GET /{Bucket}", "s3:ListBucket", false, h.list),
		op("GetObject", "GET /{Bucket}/{Key}", "s3:GetObject", true, h.get),
	}
}

func needs(action string, object bool) func(context.Context, *awsapi.Request) ([]iam.Authorization, error) {
	return func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
		a := iam.Authorization{Action: action, Resource: "arn:aws:s3:::" + r.Path["Bucket"]}
		if object {
			a.Resource += "/" + r.Path["Key"]
		} else if action == "s3:ListBucket" {
			a.Context = iam.Context{{Key: "s3:prefix", Values: []string{r.Query.Get("prefix")}}}
		}
		return []iam.Authorization{a}, nil
	}
}

// params is the record's requestParameters, as CloudTrail has them for S3.
func params(r *awsapi.Request) value.Value {
	m := []value.Member{{Key: "bucketName", Value: value.String(r.Path["Bucket"])}}
	if k := r.Path["Key"]; k != "" {
		m = append(m, value.Member{Key: "key", Value: value.String(k)})
	}
	for _, name := range []string{"prefix", "marker", "max-keys"} {
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

type listing struct {
	XMLName     xml.Name `xml:"ListBucketResult"`
	NS          string   `xml:"xmlns,attr"`
	Name        string
	Prefix      string
	Marker      string
	NextMarker  string `xml:",omitempty"`
	MaxKeys     int
	Encoding    string `xml:"EncodingType,omitempty"`
	IsTruncated bool
	Contents    []content
}

type content struct {
	Key          string
	LastModified string
	Size         int64
	StorageClass string
}

func (h handlers) list(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := only(r, "prefix", "marker", "max-keys", "encoding-type"); err != nil {
		return nil, err
	}
	b, err := h.bucket(r)
	if err != nil {
		return nil, err
	}
	l := listing{NS: namespace, Name: r.Path["Bucket"], MaxKeys: maxKeys, Encoding: r.Query.Get("encoding-type")}
	print := func(s string) string { return s }
	switch l.Encoding {
	case "":
	case "url":
		print = func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
	default:
		return nil, fault.Newf("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	if s := r.Query.Get("max-keys"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, fault.Newf("InvalidArgument", "Provided max-keys not an integer or within integer range")
		}
		l.MaxKeys = min(n, maxKeys)
	}
	l.Prefix, l.Marker = print(r.Query.Get("prefix")), print(r.Query.Get("marker"))
	all, more, err := b.List(r.Query.Get("prefix"), r.Query.Get("marker"), l.MaxKeys)
	if err != nil {
		return nil, err
	}
	l.IsTruncated = more && l.MaxKeys > 0
	for _, o := range all {
		l.Contents = append(l.Contents, content{print(o.Key), o.Modified.UTC().Format("2006-01-02T15:04:05.000Z"), o.Size, "STANDARD"})
	}
	return document(l)
}

func (h handlers) get(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := only(r); err != nil {
		return nil, err
	}
	for _, name := range []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if r.Header.Get(name) != "" {
			return nil, &fault.Error{Kind: fault.Client, Code: "NotImplemented", Message: "The header " + name + " is not supported by this server."}
		}
	}
	b, err := h.bucket(r)
	if err != nil {
		return nil, err
	}
	o, err := b.Get(r.Path["Key"])
	if errors.Is(err, delivery.ErrNoKey) {
		return nil, fault.Newf("NoSuchKey", "The specified key does not exist.")
	}
	if err != nil {
		return nil, err
	}
	// What S3 itself says of these files; the content is compressed, not the transfer.
	header := http.Header{
		"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"},
		"Last-Modified": {o.Modified.UTC().Format(http.TimeFormat)},
	}
	if !strings.HasSuffix(o.Key, ".gz") {
		header.Del("Content-Encoding")
	}
	for k, v := range o.Metadata {
		header["x-amz-meta-"+k] = []string{v}
	}
	return &awsapi.Response{Header: header, Raw: o.Body}, nil
}
