package bedrockctl

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tokaido/arn"
	"tokaido/awsapi"
	"tokaido/bedrock"
	"tokaido/iam"
	"tokaido/value"
)

// applicationOps are the operations on inference profiles of an account's own.
func (c ctl) applicationOps() []awsapi.Op {
	op := func(name, route string, needs func(*awsapi.Request) ([]iam.Authorization, error), handle func(context.Context, *awsapi.Request) (*awsapi.Response, error)) awsapi.Op {
		return awsapi.Op{
			Service: service, Source: source, Name: name, Protocol: awsapi.RESTJSON, Route: route,
			ReadOnly: strings.HasPrefix(name, "List"), Result: awsapi.Elements,
			Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) { return needs(r) },
			Handle: func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
				if c.apps == nil {
					return nil, invalidf("%s is not supported by this server: it keeps no application inference profiles.", name)
				}
				if _, err := query(r.Query); err != nil {
					return nil, err
				}
				return handle(ctx, r)
			},
		}
	}
	return []awsapi.Op{
		op("CreateInferenceProfile", "POST /inference-profiles", c.createNeeds, c.create),
		op("DeleteInferenceProfile", "DELETE /inference-profiles/{inferenceProfileIdentifier}", c.deleteNeeds, c.remove),
		op("TagResource", "POST /tagResource", c.tagNeeds("bedrock:TagResource"), c.tag),
		op("UntagResource", "POST /untagResource", c.tagNeeds("bedrock:UntagResource"), c.untag),
		op("ListTagsForResource", "POST /listTagsForResource", c.tagNeeds("bedrock:ListTagsForResource"), c.tags),
	}
}

// application is a profile of the account's own as it is described.
func (c ctl) application(a *bedrock.Application, r *awsapi.Request) value.Value {
	m, p := c.apps.Source(a)
	behind := value.Array()
	switch {
	case p != nil:
		behind = models(p, r.Region)
	case m != nil:
		behind = value.Array(object("modelArn", str(bedrock.ModelARN(r.Region, r.Region, m.ID))))
	}
	description := value.Value{}
	if a.Description != "" {
		description = str(a.Description)
	}
	return object(
		"inferenceProfileName", str(a.Name),
		"description", description,
		"createdAt", str(a.Created.Format(time.RFC3339Nano)),
		"updatedAt", str(a.Updated.Format(time.RFC3339Nano)),
		"inferenceProfileArn", str(a.ARN()),
		"models", behind,
		"inferenceProfileId", str(a.ID),
		"status", str("ACTIVE"),
		"type", str("APPLICATION"))
}

// readTags reads [{"key": …, "value": …}].
func readTags(v value.Value) (map[string]string, error) {
	if v.IsUndefined() {
		return nil, nil
	}
	out := make(map[string]string, v.Len())
	for _, t := range v.Items() {
		k, x := t.Get("key"), t.Get("value")
		if !k.IsString() || !x.IsString() || t.Len() != 2 {
			return nil, invalidf("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have key and value")
		}
		if _, twice := out[k.Str()]; twice {
			return nil, invalidf("The tag key %.128s is given more than once.", k.Str())
		}
		out[k.Str()] = x.Str()
	}
	if !v.IsArray() {
		return nil, invalidf("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must be a list")
	}
	return out, nil
}

// tagContext is the condition keys of a request that sets tags.
func tagContext(tags map[string]string) iam.Context {
	if len(tags) == 0 {
		return nil
	}
	keys := slices.Sorted(maps.Keys(tags))
	c := iam.Context{{Key: "aws:TagKeys", Values: keys, Multi: true}}
	for _, k := range keys {
		c = append(c, iam.Attribute{Key: "aws:RequestTag/" + k, Values: []string{tags[k]}})
	}
	return c
}

func (c ctl) createNeeds(r *awsapi.Request) ([]iam.Authorization, error) {
	tags, err := readTags(r.Input.Get("tags"))
	if err != nil {
		return nil, err
	}
	from := r.Input.Get("modelSource").Get("copyFrom").Str()
	if !arn.Is(from) {
		return nil, invalidf("1 validation error detected: Value at 'modelSource.copyFrom' failed to satisfy constraint: Member must be the ARN of a foundation model or an inference profile")
	}
	with := tagContext(tags)
	every := bedrock.ApplicationARN(r.Region, r.Account, "*")
	needs := []iam.Authorization{
		{Action: "bedrock:CreateInferenceProfile", Resource: from, Context: with},
		{Action: "bedrock:CreateInferenceProfile", Resource: every, Context: with},
	}
	if len(tags) > 0 {
		needs = append(needs, iam.Authorization{Action: "bedrock:TagResource", Resource: every, Context: with})
	}
	return needs, nil
}

func (c ctl) create(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("inferenceProfileName", "description", "clientRequestToken", "modelSource", "tags"); err != nil {
		return nil, err
	}
	tags, err := readTags(r.Input.Get("tags"))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"description", "clientRequestToken"} {
		if v := r.Input.Get(name); !v.IsUndefined() && (!v.IsString() || v.Str() == "") {
			return nil, invalidf("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must be a string of length greater than or equal to 1", name)
		}
	}
	from := r.Input.Get("modelSource")
	for name := range from.Members() {
		if name != "copyFrom" {
			return nil, invalidf("1 validation error detected: Value at 'modelSource' failed to satisfy constraint: Member must have exactly one of copyFrom, not %.64s", name)
		}
	}
	n := bedrock.NewApplication{Region: r.Region, Account: r.Account, Name: r.Input.Get("inferenceProfileName").Str(),
		Description: r.Input.Get("description").Str(), CopyFrom: from.Get("copyFrom").Str(),
		Token: r.Input.Get("clientRequestToken").Str(), Tags: tags}
	a, err := c.apps.Create(ctx, n, r.Time)
	if err != nil {
		return nil, err
	}
	return &awsapi.Response{Status: http.StatusCreated, Body: object("inferenceProfileArn", str(a.ARN()), "status", str("ACTIVE"))}, nil
}

func (c ctl) resourceTags(region, account, id string) iam.Context {
	var out iam.Context
	if a, ok := c.apps.Get(region, account, id); ok {
		for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
			out = append(out, iam.Attribute{Key: "aws:ResourceTag/" + k, Values: []string{a.Tags[k]}})
		}
	}
	return out
}

// applicationID is the id in an application profile's id or ARN, which must be
// one of the caller's in this Region.
func applicationID(r *awsapi.Request, id string) (string, error) {
	if !arn.Is(id) {
		return id, nil
	}
	rest, ok := strings.CutPrefix(id, bedrock.ApplicationARN(r.Region, r.Account, ""))
	if !ok || rest == "" {
		return "", invalidf("The provided resource %.256s is not an application inference profile of this account and Region.", id)
	}
	return rest, nil
}

func (c ctl) deleteNeeds(r *awsapi.Request) ([]iam.Authorization, error) {
	id, err := applicationID(r, r.Path["inferenceProfileIdentifier"])
	if err != nil {
		return nil, err
	}
	return []iam.Authorization{{Action: "bedrock:DeleteInferenceProfile", Resource: bedrock.ApplicationARN(r.Region, r.Account, id), Context: c.resourceTags(r.Region, r.Account, id)}}, nil
}

func (c ctl) remove(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse(); err != nil {
		return nil, err
	}
	id, err := applicationID(r, r.Path["inferenceProfileIdentifier"])
	if err != nil {
		return nil, err
	}
	if _, ok := c.catalog.Profile(id); ok {
		return nil, invalidf("The inference profile %s is system-defined and cannot be deleted.", id)
	}
	if err := c.apps.Delete(ctx, r.Region, r.Account, id); err != nil {
		return nil, err
	}
	return awsapi.OK(), nil
}

// missing is the refusal of a request without a member that it must have.
func missing(name string) error {
	return invalidf("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", name)
}

// taggedID is the profile that a tagging operation is about.
func taggedID(r *awsapi.Request) (string, error) {
	res := r.Input.Get("resourceARN").Str()
	if !arn.Is(res) {
		return "", invalidf("1 validation error detected: Value at 'resourceARN' failed to satisfy constraint: Member must be an ARN")
	}
	return applicationID(r, res)
}

func (c ctl) tagNeeds(action string) func(*awsapi.Request) ([]iam.Authorization, error) {
	return func(r *awsapi.Request) ([]iam.Authorization, error) {
		id, err := taggedID(r)
		if err != nil {
			return nil, err
		}
		tags, err := readTags(r.Input.Get("tags"))
		if err != nil {
			return nil, err
		}
		with := append(c.resourceTags(r.Region, r.Account, id), tagContext(tags)...)
		if keys := r.Input.Get("tagKeys"); keys.Len() > 0 {
			var list []string
			for _, k := range keys.Items() {
				list = append(list, k.Str())
			}
			with = append(with, iam.Attribute{Key: "aws:TagKeys", Values: list, Multi: true})
		}
		return []iam.Authorization{{Action: action, Resource: bedrock.ApplicationARN(r.Region, r.Account, id), Context: with}}, nil
	}
}

func (c ctl) tag(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("resourceARN", "tags"); err != nil {
		return nil, err
	}
	id, err := taggedID(r)
	if err != nil {
		return nil, err
	}
	if r.Input.Get("tags").IsUndefined() {
		return nil, missing("tags")
	}
	tags, err := readTags(r.Input.Get("tags"))
	if err != nil {
		return nil, err
	}
	if err := c.apps.Tag(ctx, r.Region, r.Account, id, tags, nil, r.Time); err != nil {
		return nil, err
	}
	return awsapi.OK(), nil
}

func (c ctl) untag(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("resourceARN", "tagKeys"); err != nil {
		return nil, err
	}
	id, err := taggedID(r)
	if err != nil {
		return nil, err
	}
	var without []string
	if r.Input.Get("tagKeys").IsUndefined() {
		return nil, missing("tagKeys")
	}
	if !r.Input.Get("tagKeys").IsArray() {
		return nil, invalidf("1 validation error detected: Value at 'tagKeys' failed to satisfy constraint: Member must be a list of strings")
	}
	for _, k := range r.Input.Get("tagKeys").Items() {
		if !k.IsString() {
			return nil, invalidf("1 validation error detected: Value at 'tagKeys' failed to satisfy constraint: Member must be a list of strings")
		}
		without = append(without, k.Str())
	}
	if err := c.apps.Tag(ctx, r.Region, r.Account, id, nil, without, r.Time); err != nil {
		return nil, err
	}
	return awsapi.OK(), nil
}

func (c ctl) tags(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("resourceARN"); err != nil {
		return nil, err
	}
	id, err := taggedID(r)
	if err != nil {
		return nil, err
	}
	a, ok := c.apps.Get(r.Region, r.Account, id)
	if !ok {
		return nil, notFound("The application inference profile %.64s does not exist.", id)
	}
	out := []value.Value{}
	for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
		out = append(out, object("key", str(k), "value", str(a.Tags[k])))
	}
	return awsapi.OK(value.Member{Key: "tags", Value: value.Array(out...)}), nil
}
