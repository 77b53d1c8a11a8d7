package cloudtrail

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tokaido/awsapi"
	"tokaido/awsapi/wire"
	"tokaido/delivery"
	"tokaido/fault"
	"tokaido/iam"
	"tokaido/value"
)

// Trails are what deliver.
type Trails interface {
	ARN(region, nameOrARN string) string
	Create(delivery.Trail) (delivery.Trail, error)
	Update(ctx context.Context, region, nameOrARN string, u delivery.Update) (delivery.Trail, error)
	Tag(region, arn string, tags map[string]string) error
	Untag(region, arn string, tags map[string]string) error
	Get(region, nameOrARN string) (delivery.Trail, error)
	List(region string, shadows bool) []delivery.Trail
	Delete(region, nameOrARN string) error
	Start(region, nameOrARN string) error
	Stop(ctx context.Context, region, nameOrARN string) error
	Select(region, nameOrARN string, s delivery.Selector) error
	PublicKeys(from, to time.Time) []delivery.PublicKey
}

const target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."

// TrailOps are the operations on trails.
func TrailOps(t Trails) []awsapi.Op {
	h := handlers{t}
	// named is the member that names the trail an operation is about; "": none.
	op := func(name, named string, readOnly bool, handle func(context.Context, *awsapi.Request) (*awsapi.Response, error)) awsapi.Op {
		o := awsapi.Op{
			Service: "cloudtrail", Source: "cloudtrail.amazonaws.com", Name: name, Protocol: awsapi.JSON11, Target: target + name, ReadOnly: readOnly,
			Needs: func(_ context.Context, r *awsapi.Request) ([]iam.Authorization, error) {
				resource := "*"
				if named != "" {
					resource = t.ARN(r.Region, r.Input.Get(named).Str())
				}
				var keys iam.Context
				if named != "" {
					keys = h.tagKeys(r, resource)
				}
				return []iam.Authorization{{Action: "cloudtrail:" + name, Resource: resource, Context: keys}}, nil
			},
			Params: params,
			Handle: handle,
		}
		if !readOnly {
			o.Result = func(_ *awsapi.Request, resp *awsapi.Response) value.Value {
				if resp.Body.Len() == 0 {
					return value.Value{}
				}
				return awsapi.LowerFirst(resp.Body)
			}
		}
		return o
	}
	return []awsapi.Op{
		op("CreateTrail", "Name", false, h.create),
		op("UpdateTrail", "Name", false, h.update),
		op("AddTags", "ResourceId", false, h.addTags),
		op("RemoveTags", "ResourceId", false, h.removeTags),
		{ // of several trails
			Service: "cloudtrail", Source: "cloudtrail.amazonaws.com", Name: "ListTags", Protocol: awsapi.JSON11, Target: target + "ListTags", ReadOnly: true,
			Needs: h.tagsNeeds, Params: params, Handle: h.listTags,
		},
		op("GetTrail", "Name", true, h.get),
		op("DescribeTrails", "", true, h.describe),
		op("ListTrails", "", true, h.list),
		op("GetTrailStatus", "Name", true, h.status),
		op("StartLogging", "Name", false, h.start),
		op("StopLogging", "Name", false, h.stop),
		op("DeleteTrail", "Name", false, h.remove),
		op("PutEventSelectors", "TrailName", false, h.putSelectors),
		op("GetEventSelectors", "TrailName", true, h.getSelectors),
		op("PutInsightSelectors", "TrailName", false, h.putInsights),
		op("GetInsightSelectors", "TrailName", true, h.getInsights),
		op("ListPublicKeys", "", true, h.publicKeys),
	}
}

// params is the record's requestParameters.
func params(r *awsapi.Request) value.Value {
	if r.Input.Len() == 0 {
		return value.Value{}
	}
	return awsapi.LowerFirst(r.Input)
}

type handlers struct{ trails Trails }

var trailName = regexp.MustCompile(`^[A-Za-z0-9](?:[._-]?[A-Za-z0-9])*$`)

// name reads the name, or ARN, of a trail.
func name(r *awsapi.Request, member string) (string, error) {
	v := r.Input.Get(member)
	switch {
	case !given(v):
		return "", fault.Newf("InvalidTrailNameException", "Trail name cannot be blank!")
	case !v.IsString():
		return "", wrongType(member, "a string", v)
	}
	s := v.Str()
	if strings.HasPrefix(s, "arn:") {
		if !strings.Contains(s, ":cloudtrail:") || !strings.Contains(s, ":trail/") {
			return "", fault.Newf("CloudTrailARNInvalidException", "%.256s is not the ARN of a trail.", s)
		}
		return s, nil
	}
	if len(s) < 3 || len(s) > 128 || !trailName.MatchString(s) {
		return "", fault.Newf("InvalidTrailNameException", "Trail name %.128s is not valid: 3 to 128 letters, digits, and between them single periods, underscores and hyphens.", s)
	}
	return s, nil
}

func flag(r *awsapi.Request, member string, otherwise bool) (bool, error) {
	v := r.Input.Get(member)
	switch {
	case !given(v):
		return otherwise, nil
	case v.Kind() != value.KindBool:
		return false, wrongType(member, "a boolean", v)
	}
	return v.Bool(), nil
}

func (h handlers) create(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("Name", "S3BucketName", "S3KeyPrefix", "IncludeGlobalServiceEvents", "IsMultiRegionTrail", "EnableLogFileValidation", "IsOrganizationTrail", "TagsList"); err != nil {
		return nil, err
	}
	n, err := name(r, "Name")
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(n, "arn:") {
		return nil, fault.Newf("InvalidTrailNameException", "A trail is created with a name, not with an ARN.")
	}
	t := delivery.Trail{Name: n, HomeRegion: r.Region, Bucket: r.Input.Get("S3BucketName").Str(), Prefix: r.Input.Get("S3KeyPrefix").Str()}
	if given(r.Input.Get("TagsList")) {
		if t.Tags, err = tags(r); err != nil {
			return nil, err
		}
	}
	if err := checkPrefix(t.Prefix); err != nil {
		return nil, err
	}
	if t.Global, err = flag(r, "IncludeGlobalServiceEvents", true); err != nil {
		return nil, err
	}
	if t.MultiRegion, err = flag(r, "IsMultiRegionTrail", false); err != nil {
		return nil, err
	}
	if t.Validation, err = flag(r, "EnableLogFileValidation", false); err != nil {
		return nil, err
	}
	if err := notOrganization(r); err != nil {
		return nil, err
	}
	if t.MultiRegion && !t.Global {
		return nil, fault.Newf("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
	}
	if t, err = h.trails.Create(t); err != nil {
		return nil, err
	}
	return &awsapi.Response{Body: shape(&t)}, nil
}

func checkPrefix(p string) error {
	if len(p) > 200 || strings.ContainsAny(p, "\\\x00") || p != "" && slices.ContainsFunc(strings.Split(p, "/"), func(s string) bool { return s == "" || s[0] == '.' }) {
		return fault.Newf("InvalidS3PrefixException", "The prefix %.200s is not valid: up to 200 characters, its parts neither empty nor beginning with a period.", p)
	}
	return nil
}

func (h handlers) update(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("Name", "S3BucketName", "S3KeyPrefix", "IncludeGlobalServiceEvents", "IsMultiRegionTrail", "EnableLogFileValidation", "IsOrganizationTrail"); err != nil {
		return nil, err
	}
	n, err := name(r, "Name")
	if err != nil {
		return nil, err
	}
	var u delivery.Update
	for member, to := range map[string]**string{"S3BucketName": &u.Bucket, "S3KeyPrefix": &u.Prefix} {
		if v := r.Input.Get(member); given(v) {
			if !v.IsString() {
				return nil, wrongType(member, "a string", v)
			}
			*to = new(v.Str())
		}
	}
	if u.Prefix != nil {
		if err := checkPrefix(*u.Prefix); err != nil {
			return nil, err
		}
	}
	for member, to := range map[string]**bool{"IncludeGlobalServiceEvents": &u.Global, "IsMultiRegionTrail": &u.MultiRegion, "EnableLogFileValidation": &u.Validation} {
		if given(r.Input.Get(member)) {
			b, err := flag(r, member, false)
			if err != nil {
				return nil, err
			}
			*to = &b
		}
	}
	if err := notOrganization(r); err != nil {
		return nil, err
	}
	t, err := h.trails.Update(ctx, r.Region, n, u)
	if err != nil {
		return nil, err
	}
	return &awsapi.Response{Body: shape(&t)}, nil
}

func notOrganization(r *awsapi.Request) error {
	organization, err := flag(r, "IsOrganizationTrail", false)
	if err == nil && organization {
		err = fault.Newf("OrganizationsNotInUseException", "The account is not a member of an organization: IsOrganizationTrail true is not supported by this server.")
	}
	return err
}

// tags reads TagsList.
func tags(r *awsapi.Request) (map[string]string, error) {
	list := r.Input.Get("TagsList")
	if !list.IsArray() {
		return nil, wrongType("TagsList", "a list", list)
	}
	bad := func(format string, args ...any) (map[string]string, error) {
		return nil, fault.Newf("InvalidTagParameterException", format, args...)
	}
	if list.Len() > delivery.MaxTags {
		return nil, fault.Newf("TagsLimitExceededException", "The number of tags per trail has exceeded the limit of %d.", delivery.MaxTags)
	}
	all := map[string]string{}
	for _, tag := range list.Items() {
		for k, v := range tag.Members() {
			if k != "Key" && k != "Value" || !v.IsString() {
				return bad("A tag has a Key and a Value, both strings; one has %.64s: %.64s.", k, v.JSON())
			}
		}
		k, v := tag.Get("Key").Str(), tag.Get("Value").Str()
		switch _, twice := all[k]; {
		case k == "" || utf8.RuneCountInString(k) > 128 || strings.HasPrefix(strings.ToLower(k), "aws:"):
			return bad("The tag key %.128q is not valid: 1 to 128 characters, not beginning with aws:.", k)
		case utf8.RuneCountInString(v) > 256:
			return bad("The value of the tag %.128s has more than 256 characters.", k)
		case twice:
			return bad("The tag key %.128s is given twice.", k)
		}
		all[k] = v
	}
	return all, nil
}

// tagged is the ARN of the trail whose tags are meant.
func (h handlers) tagged(v value.Value) (string, error) {
	arn := v.Str()
	if !strings.HasPrefix(arn, "arn:") || !strings.Contains(arn, ":cloudtrail:") {
		return "", fault.Newf("CloudTrailARNInvalidException", "%.256s is not the ARN of a trail.", v)
	}
	if !strings.Contains(arn, ":trail/") {
		return "", fault.Newf("ResourceTypeNotSupportedException", "%.256s is not the ARN of a trail: nothing else is supported by this server.", arn)
	}
	return arn, nil
}

// notThere says in the words for resources that there is no such trail.
func notThere(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == "TrailNotFoundException" {
		return fault.Newf("ResourceNotFoundException", "%s", f.Message)
	}
	return err
}

func (h handlers) addTags(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return h.changeTags(r, h.trails.Tag)
}

func (h handlers) removeTags(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return h.changeTags(r, h.trails.Untag)
}

func (h handlers) changeTags(r *awsapi.Request, change func(region, arn string, all map[string]string) error) (*awsapi.Response, error) {
	if err := r.Refuse("ResourceId", "TagsList"); err != nil {
		return nil, err
	}
	arn, err := h.tagged(r.Input.Get("ResourceId"))
	if err != nil {
		return nil, err
	}
	all, err := tags(r)
	if err != nil {
		return nil, err
	}
	if err := change(r.Region, arn, all); err != nil {
		return nil, notThere(err)
	}
	return awsapi.OK(), nil
}

// maxTagged is how many trails ListTags answers for at once.
const maxTagged = 20

// tagKeys are the condition keys of a trail's tags, and of those in the request.
func (h handlers) tagKeys(r *awsapi.Request, arn string) (keys iam.Context) {
	add := func(prefix string, all map[string]string) (names []string) {
		names = slices.Sorted(maps.Keys(all))
		for _, k := range names {
			keys = append(keys, iam.Attribute{Key: prefix + k, Values: []string{all[k]}})
		}
		return names
	}
	if t, err := h.trails.Get(r.Region, arn); err == nil {
		add("aws:ResourceTag/", t.Tags)
	}
	given := map[string]string{}
	for _, tag := range r.Input.Get("TagsList").Items() {
		given[tag.Get("Key").Str()] = tag.Get("Value").Str()
	}
	if names := add("aws:RequestTag/", given); len(names) > 0 {
		keys = append(keys, iam.Attribute{Key: "aws:TagKeys", Values: names, Multi: true})
	}
	return keys
}

func (h handlers) tagsNeeds(_ context.Context, r *awsapi.Request) (all []iam.Authorization, err error) {
	list := r.Input.Get("ResourceIdList")
	if list.Len() == 0 || list.Len() > maxTagged {
		return nil, fault.Newf("ValidationException", "ResourceIdList must have 1 to %d members.", maxTagged)
	}
	for _, v := range list.Items() {
		all = append(all, iam.Authorization{Action: "cloudtrail:ListTags", Resource: v.Str(), Context: h.tagKeys(r, v.Str())})
	}
	return all, nil
}

func (h handlers) listTags(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("ResourceIdList", "NextToken"); err != nil {
		return nil, err
	}
	if given(r.Input.Get("NextToken")) {
		return nil, fault.Newf("InvalidTokenException", "The token in the request is invalid.")
	}
	var all []value.Value
	for _, v := range r.Input.Get("ResourceIdList").Items() {
		arn, err := h.tagged(v)
		if err != nil {
			return nil, err
		}
		t, err := h.trails.Get(r.Region, arn)
		if err != nil {
			return nil, notThere(err)
		}
		var tags []value.Value
		for _, k := range slices.Sorted(maps.Keys(t.Tags)) {
			tags = append(tags, value.Object(value.Member{Key: "Key", Value: value.String(k)}, value.Member{Key: "Value", Value: value.String(t.Tags[k])}))
		}
		all = append(all, value.Object(value.Member{Key: "ResourceId", Value: value.String(arn)}, value.Member{Key: "TagsList", Value: value.Array(tags...)}))
	}
	return awsapi.OK(value.Member{Key: "ResourceTagList", Value: value.Array(all...)}), nil
}

// shape is a trail as CreateTrail answers.
func shape(t *delivery.Trail) value.Value {
	return value.Object(
		value.Member{Key: "Name", Value: value.String(t.Name)},
		value.Member{Key: "S3BucketName", Value: value.String(t.Bucket)},
		value.Member{Key: "S3KeyPrefix", Value: text(t.Prefix)},
		value.Member{Key: "IncludeGlobalServiceEvents", Value: value.Bool(t.Global)},
		value.Member{Key: "IsMultiRegionTrail", Value: value.Bool(t.MultiRegion)},
		value.Member{Key: "TrailARN", Value: value.String(t.ARN)},
		value.Member{Key: "LogFileValidationEnabled", Value: value.Bool(t.Validation)},
		value.Member{Key: "IsOrganizationTrail", Value: value.Bool(false)},
	)
}

// described is a trail as DescribeTrails answers.
func described(t *delivery.Trail) value.Value {
	return shape(t).With("HomeRegion", value.String(t.HomeRegion)).With("HasCustomEventSelectors", value.Bool(t.HasSelector)).
		With("HasInsightSelectors", value.Bool(false))
}

func (h handlers) get(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	t, err := h.trail(r, "Name")
	if err != nil {
		return nil, err
	}
	return awsapi.OK(value.Member{Key: "Trail", Value: described(&t)}), nil
}

// trail finds the trail that a request with one parameter names.
func (h handlers) trail(r *awsapi.Request, member string) (delivery.Trail, error) {
	if err := r.Refuse(member); err != nil {
		return delivery.Trail{}, err
	}
	n, err := name(r, member)
	if err != nil {
		return delivery.Trail{}, err
	}
	return h.trails.Get(r.Region, n)
}

func (h handlers) describe(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("trailNameList", "includeShadowTrails"); err != nil {
		return nil, err
	}
	shadows, err := flag(r, "includeShadowTrails", true)
	if err != nil {
		return nil, err
	}
	list := r.Input.Get("trailNameList")
	if given(list) && !list.IsArray() {
		return nil, wrongType("trailNameList", "a list", list)
	}
	var all []value.Value
	if list.Len() == 0 {
		for _, t := range h.trails.List(r.Region, shadows) {
			all = append(all, described(&t))
		}
	}
	for _, v := range list.Items() {
		t, err := h.trails.Get(r.Region, v.Str())
		if fault.Code(err) == "TrailNotFoundException" {
			continue // a name that there is none of is left out, as at AWS
		}
		if err != nil {
			return nil, err
		}
		all = append(all, described(&t))
	}
	return awsapi.OK(value.Member{Key: "trailList", Value: value.Array(all...)}), nil
}

func (h handlers) list(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("NextToken"); err != nil {
		return nil, err
	}
	if given(r.Input.Get("NextToken")) {
		return nil, fault.Newf("InvalidNextTokenException", "The token in the request is invalid.")
	}
	var all []value.Value
	for _, t := range h.trails.List("", false) {
		all = append(all, value.Object(
			value.Member{Key: "TrailARN", Value: value.String(t.ARN)},
			value.Member{Key: "Name", Value: value.String(t.Name)},
			value.Member{Key: "HomeRegion", Value: value.String(t.HomeRegion)},
		))
	}
	return awsapi.OK(value.Member{Key: "Trails", Value: value.Array(all...)}), nil
}

func (h handlers) status(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	t, err := h.trail(r, "Name")
	if err != nil {
		return nil, err
	}
	at := func(x time.Time) value.Value {
		if x.IsZero() {
			return value.Value{}
		}
		return wire.EpochSeconds(x)
	}
	said := func(x time.Time) value.Value {
		if x.IsZero() {
			return value.String("")
		}
		return value.String(x.UTC().Format("2006-01-02T15:04:05Z"))
	}
	succeeded := t.LatestTry
	if t.LatestError != "" {
		succeeded = t.LatestDelivery
	}
	return awsapi.OK(
		value.Member{Key: "IsLogging", Value: value.Bool(t.Logging)},
		value.Member{Key: "LatestDeliveryError", Value: text(t.LatestError)},
		value.Member{Key: "LatestDeliveryTime", Value: at(t.LatestDelivery)},
		value.Member{Key: "StartLoggingTime", Value: at(t.Started)},
		value.Member{Key: "StopLoggingTime", Value: at(t.Stopped)},
		value.Member{Key: "LatestDigestDeliveryTime", Value: at(t.LatestDigest)},
		value.Member{Key: "LatestDeliveryAttemptTime", Value: said(t.LatestTry)},
		value.Member{Key: "LatestNotificationAttemptTime", Value: value.String("")},
		value.Member{Key: "LatestNotificationAttemptSucceeded", Value: value.String("")},
		value.Member{Key: "LatestDeliveryAttemptSucceeded", Value: said(succeeded)},
		value.Member{Key: "TimeLoggingStarted", Value: said(t.Started)},
		value.Member{Key: "TimeLoggingStopped", Value: said(t.Stopped)},
	), nil
}

// act does something with the trail that a request names, and answers nothing.
func (h handlers) act(r *awsapi.Request, do func(region, name string) error) (*awsapi.Response, error) {
	if err := r.Refuse("Name"); err != nil {
		return nil, err
	}
	n, err := name(r, "Name")
	if err != nil {
		return nil, err
	}
	if err := do(r.Region, n); err != nil {
		return nil, err
	}
	return awsapi.OK(), nil
}

func (h handlers) start(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return h.act(r, h.trails.Start)
}

func (h handlers) stop(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return h.act(r, func(region, name string) error { return h.trails.Stop(ctx, region, name) })
}

func (h handlers) remove(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	return h.act(r, h.trails.Delete)
}

// excludable are the sources that AWS lets a trail leave out.
var excludable = []string{"kms.amazonaws.com", "rdsdata.amazonaws.com"}

// putSelectors takes what can be acted on: selectors of management events.
// There are no data events to be had.
func (h handlers) putSelectors(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("TrailName", "EventSelectors", "AdvancedEventSelectors"); err != nil {
		return nil, err
	}
	n, err := name(r, "TrailName")
	if err != nil {
		return nil, err
	}
	basic, advanced := r.Input.Get("EventSelectors"), r.Input.Get("AdvancedEventSelectors")
	var sel delivery.Selector
	switch {
	case given(basic) && given(advanced):
		return nil, fault.Newf("InvalidEventSelectorsException", "EventSelectors and AdvancedEventSelectors cannot be given both.")
	case given(advanced):
		sel, err = advancedSelectors(advanced)
	default:
		sel, err = basicSelector(basic)
	}
	if err != nil {
		return nil, err
	}
	if err := h.trails.Select(r.Region, n, sel); err != nil {
		return nil, err
	}
	t, err := h.trails.Get(r.Region, n)
	if err != nil {
		return nil, err
	}
	return selectors(&t), nil
}

func basicSelector(list value.Value) (sel delivery.Selector, err error) {
	bad := func(format string, args ...any) (delivery.Selector, error) {
		return sel, fault.Newf("InvalidEventSelectorsException", format, args...)
	}
	if !list.IsArray() || list.Len() != 1 {
		return bad("EventSelectors must have exactly one selector on this server: that of management events.")
	}
	in := list.At(0)
	sel.ReadWrite = "All"
	for k, v := range in.Members() {
		switch k {
		case "ReadWriteType":
			if sel.ReadWrite = v.Str(); sel.ReadWrite != "All" && sel.ReadWrite != "ReadOnly" && sel.ReadWrite != "WriteOnly" {
				return bad("ReadWriteType is %.64s, must be ReadOnly, WriteOnly or All.", v)
			}
		case "IncludeManagementEvents":
			if !v.Bool() {
				return bad("IncludeManagementEvents must be true on this server: it delivers nothing else.")
			}
		case "DataResources":
			if v.Len() > 0 {
				return bad("DataResources must be empty on this server: it delivers management events only.")
			}
		case "ExcludeManagementEventSources":
			for _, s := range v.Items() {
				if !slices.Contains(excludable, s.Str()) {
					return bad("ExcludeManagementEventSources has %.64s, may have %s.", s, strings.Join(excludable, " and "))
				}
				sel.Exclude = append(sel.Exclude, s.Str())
			}
		default:
			return bad("The member %.64s of an event selector is not supported by this server.", k)
		}
	}
	return sel, nil
}

// maxSelectors is how many advanced selectors a trail has at most, and
// maxSelectorName how long a name of one may be.
const (
	maxSelectors    = 5
	maxSelectorName = 1000
)

// advancedSelectors takes selectors of management events: with the category,
// with readOnly, and with sources that are left out.
func advancedSelectors(list value.Value) (sel delivery.Selector, err error) {
	bad := func(format string, args ...any) (delivery.Selector, error) {
		return sel, fault.Newf("InvalidEventSelectorsException", format, args...)
	}
	if !list.IsArray() || list.Len() == 0 || list.Len() > maxSelectors {
		return bad("AdvancedEventSelectors must have 1 to %d selectors.", maxSelectors)
	}
	for _, in := range list.Items() {
		var a delivery.Advanced
		for k, v := range in.Members() {
			switch {
			case k == "Name" && v.IsString() && utf8.RuneCountInString(v.Str()) <= maxSelectorName:
				a.Name = v.Str()
			case k == "FieldSelectors" && v.IsArray():
				for _, f := range v.Items() {
					one, err := fieldSelector(f)
					if err != nil {
						return sel, err
					}
					if slices.ContainsFunc(a.Fields, func(x delivery.Field) bool { return x.Field == one.Field }) {
						return bad("The field %s is given twice in an advanced event selector.", one.Field)
					}
					a.Fields = append(a.Fields, one)
				}
			default:
				return bad("The member %.64s of an advanced event selector cannot be %.64s.", k, v.JSON())
			}
		}
		if !slices.ContainsFunc(a.Fields, func(f delivery.Field) bool { return f.Field == "eventCategory" }) {
			return bad("An advanced event selector must say eventCategory.")
		}
		sel.Any = append(sel.Any, a)
	}
	return sel, nil
}

func fieldSelector(in value.Value) (f delivery.Field, err error) {
	bad := func(format string, args ...any) (delivery.Field, error) {
		return f, fault.Newf("InvalidEventSelectorsException", format, args...)
	}
	for k, v := range in.Members() {
		var to *[]string
		switch k {
		case "Field":
			f.Field = v.Str()
			continue
		case "Equals":
			to = &f.Equals
		case "NotEquals":
			to = &f.NotEquals
		default:
			return bad("The operator %.64s of the field %.64s is not supported by this server.", k, in.Get("Field").Str())
		}
		if !v.IsArray() || v.Len() == 0 {
			return bad("%s of the field %.64s must be a list of values.", k, in.Get("Field").Str())
		}
		for _, s := range v.Items() {
			*to = append(*to, s.Str())
		}
	}
	ok := false
	switch f.Field {
	case "eventCategory":
		if ok = f.NotEquals == nil && slices.Equal(f.Equals, []string{"Management"}); !ok {
			return bad("eventCategory must be Management on this server: it delivers nothing else.")
		}
	case "readOnly":
		ok = f.NotEquals == nil && len(f.Equals) == 1 && (f.Equals[0] == "true" || f.Equals[0] == "false")
	case "eventSource":
		ok = f.Equals == nil && f.NotEquals != nil && !slices.ContainsFunc(f.NotEquals, func(s string) bool { return !slices.Contains(excludable, s) })
	default:
		return bad("The field %.64s is not supported by this server: eventCategory, readOnly and eventSource are.", f.Field)
	}
	if !ok {
		return bad("The field %s cannot be %.128s: readOnly Equals true or false, eventSource NotEquals %s.", f.Field, in.JSON(), strings.Join(excludable, " and "))
	}
	return f, nil
}

func (h handlers) getSelectors(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	t, err := h.trail(r, "TrailName")
	if err != nil {
		return nil, err
	}
	return selectors(&t), nil
}

// putInsights takes no Insights off a trail, and refuses to put any on: nothing here
// looks for unusual activity.
func (h handlers) putInsights(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("TrailName", "InsightSelectors"); err != nil {
		return nil, err
	}
	n, err := name(r, "TrailName")
	if err != nil {
		return nil, err
	}
	list := r.Input.Get("InsightSelectors")
	if !list.IsArray() {
		return nil, wrongType("InsightSelectors", "a list", list)
	}
	t, err := h.trails.Get(r.Region, n)
	switch {
	case err != nil:
		return nil, err
	case t.HomeRegion != r.Region:
		return nil, fault.Newf("InvalidHomeRegionException", "Trail %s must be changed in its home region, %s.", t.ARN, t.HomeRegion)
	case list.Len() > 0:
		return nil, fault.Newf("UnsupportedOperationException", "InsightSelectors has %.64s: this server does not look for unusual activity, so the list must be empty.", list.At(0).Get("InsightType"))
	}
	return awsapi.OK(value.Member{Key: "TrailARN", Value: value.String(t.ARN)}, value.Member{Key: "InsightSelectors", Value: value.Array()}), nil
}

func (h handlers) getInsights(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	t, err := h.trail(r, "TrailName")
	if err != nil {
		return nil, err
	}
	return nil, fault.Newf("InsightNotEnabledException", "Trail %s does not have Insights enabled. Edit the trail settings to enable Insights, and then try the operation again.", t.ARN)
}

func strs(all []string) value.Value {
	var out []value.Value
	for _, s := range all {
		out = append(out, value.String(s))
	}
	return value.Array(out...)
}

func selectors(t *delivery.Trail) *awsapi.Response {
	if t.Selector.Any != nil {
		return advancedShape(t)
	}
	return awsapi.OK(
		value.Member{Key: "TrailARN", Value: value.String(t.ARN)},
		value.Member{Key: "EventSelectors", Value: value.Array(value.Object(
			value.Member{Key: "ReadWriteType", Value: value.String(t.Selector.ReadWrite)},
			value.Member{Key: "IncludeManagementEvents", Value: value.Bool(true)},
			value.Member{Key: "DataResources", Value: value.Array()},
			value.Member{Key: "ExcludeManagementEventSources", Value: strs(t.Selector.Exclude)},
		))},
	)
}

func advancedShape(t *delivery.Trail) *awsapi.Response {
	var all []value.Value
	for _, a := range t.Selector.Any {
		var fields []value.Value
		for _, f := range a.Fields {
			m := []value.Member{{Key: "Field", Value: value.String(f.Field)}}
			if f.Equals != nil {
				m = append(m, value.Member{Key: "Equals", Value: strs(f.Equals)})
			}
			if f.NotEquals != nil {
				m = append(m, value.Member{Key: "NotEquals", Value: strs(f.NotEquals)})
			}
			fields = append(fields, value.Object(m...))
		}
		all = append(all, value.Object(value.Member{Key: "Name", Value: text(a.Name)}, value.Member{Key: "FieldSelectors", Value: value.Array(fields...)}))
	}
	return awsapi.OK(
		value.Member{Key: "TrailARN", Value: value.String(t.ARN)},
		value.Member{Key: "AdvancedEventSelectors", Value: value.Array(all...)},
	)
}

func (h handlers) publicKeys(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("StartTime", "EndTime", "NextToken"); err != nil {
		return nil, err
	}
	if given(r.Input.Get("NextToken")) {
		return nil, fault.Newf("InvalidTokenException", "The token in the request is invalid.")
	}
	from, err := moment(r.Input, "StartTime")
	if err != nil {
		return nil, err
	}
	to, err := moment(r.Input, "EndTime")
	if err != nil {
		return nil, err
	}
	if to.IsZero() {
		to = r.Time
	}
	if from.IsZero() {
		from = r.Time
	}
	if from.After(to) {
		return nil, fault.Newf("InvalidTimeRangeException", "Start time must be before or equal to end time.")
	}
	var all []value.Value
	for _, k := range h.trails.PublicKeys(from, to) {
		all = append(all, value.Object(
			value.Member{Key: "Value", Value: value.String(base64.StdEncoding.EncodeToString(k.DER))},
			value.Member{Key: "ValidityStartTime", Value: wire.EpochSeconds(k.From)},
			value.Member{Key: "ValidityEndTime", Value: wire.EpochSeconds(k.To)},
			value.Member{Key: "Fingerprint", Value: value.String(k.Fingerprint)},
		))
	}
	return awsapi.OK(value.Member{Key: "PublicKeyList", Value: value.Array(all...)}), nil
}
