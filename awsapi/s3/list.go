package s3

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strconv"
	"strings"

	"tokaido/awsapi"
	"tokaido/delivery"
	"tokaido/fault"
)

type content struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
}

type commonPrefix struct{ Prefix string }

// page is what both versions of ListObjects answer.
type page struct {
	XMLName        xml.Name `xml:"ListBucketResult"`
	NS             string   `xml:"xmlns,attr"`
	Name           string
	Prefix         string
	Delimiter      string `xml:",omitempty"`
	MaxKeys        int
	Encoding       string `xml:"EncodingType,omitempty"`
	IsTruncated    bool
	Contents       []content
	CommonPrefixes []commonPrefix

	// of version 1
	Marker     *string
	NextMarker string `xml:",omitempty"`

	// of version 2
	KeyCount              *int
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
}

// moment is a time as lists have it.
const moment = "2006-01-02T15:04:05.000Z"

// fill lists what comes after a key, or after what was grouped under it. It
// returns the last key or group of a page that is not the last.
func (p *page) fill(b *delivery.Bucket, r *awsapi.Request, after string) (last string, err error) {
	p.NS, p.Name, p.MaxKeys, p.Encoding = namespace, r.Path["Bucket"], maxKeys, r.Query.Get("encoding-type")
	prefix, delimiter := r.Query.Get("prefix"), r.Query.Get("delimiter")
	switch p.Encoding {
	case "", "url":
	default:
		return "", fault.Newf("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	if s := r.Query.Get("max-keys"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return "", fault.Newf("InvalidArgument", "Provided max-keys not an integer or within integer range")
		}
		p.MaxKeys = min(n, maxKeys)
	}
	p.Prefix, p.Delimiter = p.print(prefix), p.print(delimiter)
	if p.MaxKeys == 0 {
		return "", nil
	}
	limit := p.MaxKeys
	if delimiter != "" { // a group may have any number of them
		limit = 1 << 30
	}
	all, more, err := b.List(prefix, after, limit)
	if err != nil {
		return "", err
	}
	n, group := 0, ""
	for _, o := range all {
		if g, ok := grouped(o.Key, prefix, delimiter); ok {
			if g == group || g <= after {
				continue
			}
			if group = g; n == p.MaxKeys {
				more = true
				break
			}
			p.CommonPrefixes = append(p.CommonPrefixes, commonPrefix{p.print(g)})
			last = g
		} else {
			if n == p.MaxKeys {
				more = true
				break
			}
			p.Contents = append(p.Contents, content{p.print(o.Key), o.Modified.UTC().Format(moment), `"` + o.Tag() + `"`, o.Size, "STANDARD"})
			last = o.Key
		}
		n++
	}
	p.IsTruncated = more
	if !more {
		last = ""
	}
	return last, nil
}

// grouped is what a key is grouped under.
func grouped(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" {
		return "", false
	}
	rest := key[len(prefix):]
	if i := strings.Index(rest, delimiter); i >= 0 {
		return prefix + rest[:i+len(delimiter)], true
	}
	return "", false
}

// print writes a key as the caller wants it.
func (p *page) print(s string) string {
	if p.Encoding == "url" {
		return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/")
	}
	return s
}

func (h handlers) list(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := only(r, "prefix", "marker", "max-keys", "encoding-type", "delimiter"); err != nil {
		return nil, err
	}
	b, err := h.bucket(r)
	if err != nil {
		return nil, err
	}
	var p page
	last, err := p.fill(b, r, r.Query.Get("marker"))
	if err != nil {
		return nil, err
	}
	p.Marker = new(p.print(r.Query.Get("marker")))
	if p.Delimiter != "" { // without one the last key is the marker
		p.NextMarker = p.print(last)
	}
	return document(p)
}

func (h handlers) list2(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := only(r, "list-type", "prefix", "start-after", "continuation-token", "max-keys", "encoding-type", "delimiter", "fetch-owner"); err != nil {
		return nil, err
	}
	if v := r.Query.Get("list-type"); v != "2" {
		return nil, fault.Newf("InvalidArgument", "Invalid List Type")
	}
	if v := r.Query.Get("fetch-owner"); v != "" && v != "false" {
		return nil, fault.Newf("NotImplemented", "fetch-owner %.16s is not supported by this server: what is delivered has no owner but the account.", v)
	}
	b, err := h.bucket(r)
	if err != nil {
		return nil, err
	}
	after := r.Query.Get("start-after")
	token := r.Query.Get("continuation-token")
	if token != "" {
		key, err := base64.RawURLEncoding.Strict().DecodeString(token)
		if err != nil || len(key) == 0 {
			return nil, fault.Newf("InvalidArgument", "The continuation token provided is incorrect")
		}
		after = string(key)
	}
	var p page
	last, err := p.fill(b, r, after)
	if err != nil {
		return nil, err
	}
	p.KeyCount = new(len(p.Contents) + len(p.CommonPrefixes))
	p.ContinuationToken, p.StartAfter = token, p.print(r.Query.Get("start-after"))
	if last != "" {
		p.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(last))
	}
	return document(p)
}

func (h handlers) buckets(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := only(r); err != nil {
		return nil, err
	}
	names, changed, err := h.folders.Buckets()
	if err != nil {
		return nil, err
	}
	type bucket struct{ Name, CreationDate string }
	type owner struct{ ID string }
	out := struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		NS      string   `xml:"xmlns,attr"`
		Owner   owner
		Buckets []bucket `xml:"Buckets>Bucket"`
	}{NS: namespace, Owner: owner{r.Account}}
	for i, name := range names {
		out.Buckets = append(out.Buckets, bucket{name, changed[i].UTC().Format(moment)})
	}
	return document(out)
}
