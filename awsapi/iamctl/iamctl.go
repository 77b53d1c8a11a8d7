// Package iamctl is IAM's operation table over principal: roles, users, groups,
// access keys, managed and inline policies.
//
// It says what each operation needs (an action on the ARN with its path, and
// the condition keys that belong to it), reads the request, and shapes the
// answer. What may exist, and what a policy may say, is principal's to refuse.
package iamctl

import (
	"context"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"tokaido/awsapi"
	"tokaido/awsapi/wire"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/principal"
	"tokaido/trail"
	"tokaido/value"
)

const (
	version = "2010-05-08"
	source  = "iam.amazonaws.com"
	region  = "us-east-1" // where IAM lives, whoever calls from wherever
)

// Limits of a request; principal knows the others.
const (
	maxItems     = 1000 // of a page
	defaultItems = 100
	maxTags      = 50
)

// call is a request that was read: what it needs, and what it does.
type call struct {
	action   string // if it is not the operation's own name
	resource string
	context  iam.Context
	kind     string // the resource's type for the record, "AWS::IAM::Role"; "" for none
	do       func(context.Context) (value.Value, error)
}

// build reads the arguments of one operation. It must have no effect: it runs
// once to decide and once to perform.
type build func(t *table, r *awsapi.Request, a *awsapi.Args) call

type table struct {
	dir *principal.Directory
	log Log
}

// Log is the trail, which knows when a key was last used: nothing is written for
// that. Lookup must find the newest records first.
type Log interface {
	Lookup(context.Context, trail.Query) (trail.Page, error)
}

// Ops are the operations.
func Ops(dir *principal.Directory, log Log) []awsapi.Op {
	t := &table{dir, log}
	var ops []awsapi.Op
	for _, o := range operations {
		ops = append(ops, t.op(o))
	}
	return ops
}

type operation struct {
	name  string
	read  bool // it changes nothing
	build build
}

// operations is in the order of AWS's documentation: by subject.
var operations = slices.Concat(roles, users, groups, policies, apiKeys, accounts, simulations)

func (t *table) op(o operation) awsapi.Op {
	op := awsapi.Op{
		Service: "iam", Source: source, Name: o.name, Protocol: awsapi.Query, Version: version, Region: region, ReadOnly: o.read,
		Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
			a := r.Args()
			c := o.build(t, r, a)
			if err := a.End(); err != nil {
				return nil, err
			}
			if c.kind != "" {
				r.Resources = []trail.Resource{{Type: c.kind, Name: c.resource}}
			}
			action := c.action
			if action == "" {
				action = o.name
			}
			return []iam.Authorization{{Action: "iam:" + action, Resource: c.resource, Context: c.context}}, nil
		},
		Handle: func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			body, err := o.build(t, r, r.Args()).do(ctx)
			if err != nil {
				return nil, err
			}
			return &awsapi.Response{Body: body}, nil
		},
	}
	if !o.read {
		op.Result = withoutSecrets
	}
	if strings.HasSuffix(o.name, "LoginProfile") {
		op.Params = func(r *awsapi.Request) value.Value { return awsapi.Parameters(r).Without("password") }
	}
	return op
}

// withoutSecrets records an answer but for the secrets that IAM hands out.
func withoutSecrets(r *awsapi.Request, resp *awsapi.Response) value.Value {
	body := resp.Body
	if k := body.Get("AccessKey"); !k.IsUndefined() {
		body = body.With("AccessKey", k.Without("SecretAccessKey"))
	}
	if k := body.Get("ServiceSpecificCredential"); !k.IsUndefined() {
		body = body.With("ServiceSpecificCredential", k.Without("ServiceCredentialSecret"))
	}
	if body.Len() == 0 {
		return value.Value{}
	}
	return awsapi.LowerFirst(body)
}

// none is the answer of operations without output.
var none = value.Value{}

// done makes the do of an operation without output.
func done(f func(context.Context) error) func(context.Context) (value.Value, error) {
	return func(ctx context.Context) (value.Value, error) { return none, f(ctx) }
}

// names of the kinds in requests, answers and records.
type kindNames struct{ param, title, record string }

var kinds = map[principal.Kind]kindNames{
	principal.KindUser:  {"UserName", "User", "AWS::IAM::User"},
	principal.KindRole:  {"RoleName", "Role", "AWS::IAM::Role"},
	principal.KindGroup: {"GroupName", "Group", "AWS::IAM::Group"},
}

const policyType = "AWS::IAM::Policy"

func (t *table) account() string { return t.dir.Account() }

// newARN is the ARN that something with this path and name has.
func (t *table) newARN(kind, path, name string) string {
	if path == "" {
		path = "/"
	}
	return "arn:aws:iam::" + t.account() + ":" + kind + path + name
}

// on is the part of a call that follows from the entity it is about: its ARN
// with the path, and the keys that its tags and boundary give.
func (t *table) on(k principal.Kind, name string, more ...iam.Attribute) call {
	c := call{resource: t.newARN(k.String(), "/", name), kind: kinds[k].record, context: more}
	e, err := t.dir.Get(k, name)
	if err != nil {
		return c // it is refused or not found under the name that was given
	}
	c.resource = e.ARN
	c.context = append(c.context, resourceTags(e.Tags)...)
	if e.Boundary != "" && !slices.ContainsFunc(c.context, func(a iam.Attribute) bool { return a.Key == "iam:PermissionsBoundary" }) {
		c.context = append(c.context, one("iam:PermissionsBoundary", e.Boundary))
	}
	return c
}

// onPolicy is the same for a managed policy.
func (t *table) onPolicy(arn string, more ...iam.Attribute) call {
	c := call{resource: arn, kind: policyType, context: more}
	if p, err := t.dir.Policy(arn); err == nil {
		c.context = append(c.context, resourceTags(p.Tags)...)
	}
	return c
}

func (c call) doing(f func(context.Context) (value.Value, error)) call {
	c.do = f
	return c
}

func one(key, v string) iam.Attribute { return iam.Attribute{Key: key, Values: []string{v}} }

func resourceTags(tags []principal.Tag) (out iam.Context) {
	for _, t := range tags {
		out = append(out, one("aws:ResourceTag/"+t.Key, t.Value), one("iam:ResourceTag/"+t.Key, t.Value))
	}
	return out
}

// requestTags are the keys that tags in a request give.
func requestTags(tags []principal.Tag) (out iam.Context) {
	var keys []string
	for _, t := range tags {
		out = append(out, one("aws:RequestTag/"+t.Key, t.Value))
		keys = append(keys, t.Key)
	}
	return append(out, tagKeys(keys)...)
}

func tagKeys(keys []string) iam.Context {
	if len(keys) == 0 {
		return nil
	}
	return iam.Context{{Key: "aws:TagKeys", Values: keys, Multi: true}}
}

// readTags reads the member Tags.
func readTags(a *awsapi.Args) (tags []principal.Tag) {
	for _, t := range a.Structs("Tags", maxTags, "Key", "Value") {
		tags = append(tags, principal.Tag{Key: t[0], Value: t[1]})
	}
	return tags
}

func member(key string, v value.Value) value.Member { return value.Member{Key: key, Value: v} }

func str(s string) value.Value { return value.String(s) }

// text is a string, or no member where it is empty.
func text(s string) value.Value {
	if s == "" {
		return value.Value{}
	}
	return value.String(s)
}

// document is a policy as IAM's answers hold it: percent-encoded.
func document(doc string) value.Value {
	return value.String(strings.ReplaceAll(url.QueryEscape(doc), "+", "%20"))
}

func tagList(tags []principal.Tag) value.Value {
	items := make([]value.Value, len(tags))
	for i, t := range tags {
		items[i] = value.Object(member("Key", str(t.Key)), member("Value", str(t.Value)))
	}
	return value.Array(items...)
}

// someTags is tagList, or no member where there are none.
func someTags(tags []principal.Tag) value.Value {
	if len(tags) == 0 {
		return value.Value{}
	}
	return tagList(tags)
}

func boundary(arn string) value.Value {
	if arn == "" {
		return value.Value{}
	}
	return value.Object(member("PermissionsBoundaryType", str("Policy")), member("PermissionsBoundaryArn", str(arn)))
}

// page is the piece of a list that a request asks for.
type page struct {
	marker string
	size   int
}

func readPage(a *awsapi.Args) page {
	return page{a.String("Marker"), int(a.Int("MaxItems", 1, maxItems, defaultItems))}
}

const maxMarker = 320

// cut returns the items of a page and the members that say where it ends. The
// items must be in the order of their keys: a marker is the key of the last one
// seen, so that a list may change between its pages.
func cut[T any](p page, items []T, key func(T) string) ([]T, []value.Member, error) {
	if p.marker != "" {
		b, err := base64.RawURLEncoding.DecodeString(p.marker)
		last, ok := strings.CutPrefix(string(b), "1:")
		if err != nil || !ok {
			return nil, nil, fault.Newf("ValidationError", "Invalid Marker: %.*q", maxMarker, p.marker)
		}
		from := slices.IndexFunc(items, func(x T) bool { return key(x) > last })
		if from < 0 {
			from = len(items)
		}
		items = items[from:]
	}
	if len(items) <= p.size {
		return items, []value.Member{member("IsTruncated", value.Bool(false))}, nil
	}
	items = items[:p.size]
	marker := base64.RawURLEncoding.EncodeToString([]byte("1:" + key(items[p.size-1])))
	return items, []value.Member{member("IsTruncated", value.Bool(true)), member("Marker", str(marker))}, nil
}

// listing is the answer of a List operation.
func listing[T any](p page, name string, items []T, key func(T) string, show func(T) value.Value) (value.Value, error) {
	items, m, err := cut(p, items, key)
	if err != nil {
		return none, err
	}
	out := make([]value.Value, len(items))
	for i, x := range items {
		out[i] = show(x)
	}
	return value.Object(append([]value.Member{member(name, value.Array(out...))}, m...)...), nil
}

// prefix reads PathPrefix.
func prefix(a *awsapi.Args) string {
	if !a.Has("PathPrefix") {
		return "/"
	}
	p := a.String("PathPrefix")
	a.Check(len(p) <= 512 && strings.HasPrefix(p, "/"), "PathPrefix", `satisfy regular expression pattern: \u002F[\u0021-\u007F]*`)
	return p
}

func created(e *principal.Entity) value.Member { return member("CreateDate", wire.ISO8601(e.Created)) }
