package sts

import (
	"context"
	"errors"
	"slices"

	"tokaido/awsapi"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/trail"
	"tokaido/value"
)

// maxEncoded bounds EncodedMessage, as AWS's model does.
const maxEncoded = 10240

// Records is where refusals are kept.
type Records interface {
	// Find must return every record of a request, oldest first; none is no error.
	Find(ctx context.Context, requestID string) ([]*trail.Record, error)
}

// DecodeOps is DecodeAuthorizationMessage. At AWS the encoded message is in the
// text of some services' refusals; here the request id of any refusal is one,
// since the trail holds what was decided, and with which policies.
func DecodeOps(records Records) []awsapi.Op {
	return []awsapi.Op{{
		Service: "sts", Source: source, Name: "DecodeAuthorizationMessage", Protocol: awsapi.Query, Version: version, ReadOnly: true,
		Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
			a := r.Args()
			m := a.Need("EncodedMessage")
			a.Check(len(m) <= maxEncoded, "EncodedMessage", "have length less than or equal to 10240")
			return []iam.Authorization{{Action: "sts:DecodeAuthorizationMessage", Resource: "*"}}, a.End()
		},
		Handle: func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			refusal, err := find(ctx, records, r.Input.Get("EncodedMessage").Str())
			if err != nil {
				return nil, err
			}
			return awsapi.OK(value.Member{Key: "DecodedMessage", Value: value.String(decoded(&refusal).JSON())}), nil
		},
	}}
}

func find(ctx context.Context, records Records, id string) (trail.Refusal, error) {
	all, err := records.Find(ctx, id)
	if err != nil {
		return trail.Refusal{}, err
	}
	for _, r := range all {
		refusal, err := r.Refusal()
		if !errors.Is(err, trail.ErrNoEvidence) {
			return refusal, err
		}
	}
	if len(all) > 0 {
		return trail.Refusal{}, fault.Newf("InvalidAuthorizationMessageException", "Request %s was not refused by a policy", id)
	}
	return trail.Refusal{}, fault.Newf("InvalidAuthorizationMessageException", "The message is not the request ID of a call that was refused here")
}

// decoded has AWS's members, of the part of the call that AWS names in its
// refusal, and explanation: the whole call, and the least fix.
func decoded(r *trail.Refusal) value.Value {
	d := r.Decisions[0]
	for i := range r.Decisions {
		if !r.Decisions[i].Allowed {
			d = r.Decisions[i]
			break
		}
	}
	by := d.Request.By
	var matched []value.Value
	for _, reason := range d.Reasons() {
		if reason.Failed == iam.Matched && (!reason.Allow || !d.Explicit) {
			matched = append(matched, statement(r.Call.Policies, &reason))
		}
	}
	who := []value.Member{{Key: "id", Value: value.String(by.ID)}}
	if by.SessionName != "" {
		who = append(who, value.Member{Key: "name", Value: value.String(by.SessionName)})
	}
	who = append(who, value.Member{Key: "arn", Value: value.String(by.ARN)})
	e := iam.Explain(r.Call)
	return value.Object(
		value.Member{Key: "allowed", Value: value.Bool(d.Allowed)},
		value.Member{Key: "explicitDeny", Value: value.Bool(d.Explicit)},
		value.Member{Key: "matchedStatements", Value: items(matched)},
		value.Member{Key: "failures", Value: items(nil)},
		value.Member{Key: "context", Value: value.Object(
			value.Member{Key: "principal", Value: value.Object(who...)},
			value.Member{Key: "action", Value: value.String(d.Request.Action)},
			value.Member{Key: "resource", Value: value.String(d.Request.Resource)},
			value.Member{Key: "conditions", Value: conditions(d.Request.Context, d.Request.Global)},
		)},
		value.Member{Key: "explanation", Value: explanation(&e, r)},
	)
}

// explanation is what iam.Explain found, with what a simulation of each part
// needs, and its text in both languages.
func explanation(e *iam.Explanation, r *trail.Refusal) value.Value {
	v := e.Value()
	var parts []value.Value
	for i, p := range v.Get("parts").Items() {
		need := &e.Parts[i].Need
		parts = append(parts, p.With("conditions", conditions(need.Context, r.Call.Global)))
	}
	missing := make([]value.Value, len(r.Missing))
	for i, name := range r.Missing {
		missing[i] = value.String(name)
	}
	who := r.Call.By.RoleARN
	if who == "" {
		who = r.Call.By.ARN
	}
	return v.With("parts", value.Array(parts...)).
		With("principal", value.String(who)).
		With("notRecorded", value.Array(missing...)).
		With("text", value.Object(
			value.Member{Key: "en", Value: value.String(e.Text("en"))},
			value.Member{Key: "ja", Value: value.String(e.Text("ja"))},
		))
}

func items(vs []value.Value) value.Value {
	return value.Object(value.Member{Key: "items", Value: value.Array(vs...)})
}

func values(texts []string) value.Value {
	vs := make([]value.Value, len(texts))
	for i, t := range texts {
		vs[i] = value.Object(value.Member{Key: "value", Value: value.String(t)})
	}
	return items(vs)
}

// conditions are the keys of a request; those of the part go first.
func conditions(own, global iam.Context) value.Value {
	var vs []value.Value
	for _, a := range slices.Concat(own, global) {
		if a.Values != nil {
			vs = append(vs, value.Object(value.Member{Key: "key", Value: value.String(a.Key)}, value.Member{Key: "values", Value: values(a.Values)}))
		}
	}
	return items(vs)
}

// statement is one that decided, in AWS's form.
func statement(p *iam.Policies, r *iam.Reason) value.Value {
	effect := "DENY"
	if r.Allow {
		effect = "ALLOW"
	}
	var doc value.Value
	if b := bound(p, r); b != nil && r.Statement < len(b.Policy.Statements()) {
		doc = b.Policy.Statements()[r.Statement]
	}
	var where []value.Value
	for op, keys := range doc.Get("Condition").Members() {
		for key, v := range keys.Members() {
			where = append(where, value.Object(
				value.Member{Key: "operator", Value: value.String(op)},
				value.Member{Key: "key", Value: value.String(key)},
				value.Member{Key: "values", Value: values(texts(v))},
			))
		}
	}
	m := []value.Member{
		{Key: "statementId", Value: value.String(r.Sid)},
		{Key: "effect", Value: value.String(effect)},
	}
	for _, k := range []struct{ name, element string }{{"principals", "Principal"}, {"actions", "Action"}, {"notActions", "NotAction"}, {"resources", "Resource"}, {"notResources", "NotResource"}} {
		if v := doc.Get(k.element); !v.IsUndefined() || k.name[0] != 'n' {
			m = append(m, value.Member{Key: k.name, Value: values(texts(v))})
		}
	}
	return value.Object(append(m, value.Member{Key: "conditions", Value: items(where)}, value.Member{Key: "policy", Value: value.String(r.Policy)})...)
}

// texts are the strings in an element, whichever of its forms it has.
func texts(v value.Value) (ts []string) {
	switch {
	case v.IsString():
		return []string{v.Str()}
	case v.IsArray():
		for _, x := range v.Items() {
			ts = append(ts, texts(x)...)
		}
	case v.IsObject():
		for _, x := range v.Members() {
			ts = append(ts, texts(x)...)
		}
	case !v.IsUndefined():
		return []string{v.JSON()} // true, 3
	}
	return ts
}

func bound(p *iam.Policies, r *iam.Reason) *iam.Bound {
	if p == nil {
		return nil
	}
	var all []iam.Bound
	level := func(ls [][]iam.Bound) {
		if r.Level < len(ls) {
			all = ls[r.Level]
		}
	}
	one := func(b *iam.Bound) {
		if b != nil {
			all = []iam.Bound{*b}
		}
	}
	switch r.Layer {
	case iam.LayerIdentity:
		all = p.Identity
	case iam.LayerSession:
		all = p.Session
	case iam.LayerBoundary:
		one(p.Boundary)
	case iam.LayerResource, iam.LayerTrust:
		one(p.Resource)
	case iam.LayerSCP:
		level(p.SCP)
	case iam.LayerRCP:
		level(p.RCP)
	}
	i := slices.IndexFunc(all, func(b iam.Bound) bool { return b.Policy != nil && b.Name == r.Policy && b.ARN == r.ARN })
	if i < 0 {
		return nil
	}
	return &all[i]
}
