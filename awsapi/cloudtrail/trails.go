package cloudtrail

import (
	"context"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

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
				return []iam.Authorization{{Action: "cloudtrail:" + name, Resource: resource}}, nil
			},
			Params: func(r *awsapi.Request) value.Value {
				if r.Input.Len() == 0 {
					return value.Value{}
				}
				return awsapi.LowerFirst(r.Input)
			},
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
		op("GetTrail", "Name", true, h.get),
		op("DescribeTrails", "", true, h.describe),
		op("ListTrails", "", true, h.list),
		op("GetTrailStatus", "Name", true, h.status),
		op("StartLogging", "Name", false, h.start),
		op("StopLogging", "Name", false, h.stop),
		op("DeleteTrail", "Name", false, h.remove),
		op("PutEventSelectors", "TrailName", false, h.putSelectors),
		op("GetEventSelectors", "TrailName", true, h.getSelectors),
		op("ListPublicKeys", "", true, h.publicKeys),
	}
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
	if r.Input.Get("TagsList").Len() > 0 {
		return nil, fault.Newf("InvalidTagParameterException", "Tags of trails are not supported by this server.")
	}
	t := delivery.Trail{Name: n, HomeRegion: r.Region, Bucket: r.Input.Get("S3BucketName").Str(), Prefix: r.Input.Get("S3KeyPrefix").Str()}
	if p := t.Prefix; len(p) > 200 || strings.ContainsAny(p, "\\\x00") || p != "" && slices.ContainsFunc(strings.Split(p, "/"), func(s string) bool { return s == "" || s[0] == '.' }) {
		return nil, fault.Newf("InvalidS3PrefixException", "The prefix %.200s is not valid: up to 200 characters, its parts neither empty nor beginning with a period.", p)
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
	organization, err := flag(r, "IsOrganizationTrail", false)
	if err != nil {
		return nil, err
	}
	switch {
	case organization:
		return nil, fault.Newf("OrganizationsNotInUseException", "The account is not a member of an organization: IsOrganizationTrail true is not supported by this server.")
	case t.MultiRegion && !t.Global:
		return nil, fault.Newf("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
	}
	if t, err = h.trails.Create(t); err != nil {
		return nil, err
	}
	return &awsapi.Response{Body: shape(&t)}, nil
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

// putSelectors takes what can be acted on: one selector of management events.
// There are no data events to be had, and no advanced selectors.
func (h handlers) putSelectors(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	if err := r.Refuse("TrailName", "EventSelectors"); err != nil {
		return nil, err
	}
	n, err := name(r, "TrailName")
	if err != nil {
		return nil, err
	}
	bad := func(format string, args ...any) (*awsapi.Response, error) {
		return nil, fault.Newf("InvalidEventSelectorsException", format, args...)
	}
	list := r.Input.Get("EventSelectors")
	if !list.IsArray() || list.Len() != 1 {
		return bad("EventSelectors must have exactly one selector on this server: that of management events.")
	}
	in := list.At(0)
	sel := delivery.Selector{ReadWrite: "All"}
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
	if err := h.trails.Select(r.Region, n, sel); err != nil {
		return nil, err
	}
	t, err := h.trails.Get(r.Region, n)
	if err != nil {
		return nil, err
	}
	return selectors(&t), nil
}

func (h handlers) getSelectors(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	t, err := h.trail(r, "TrailName")
	if err != nil {
		return nil, err
	}
	return selectors(&t), nil
}

func selectors(t *delivery.Trail) *awsapi.Response {
	var exclude []value.Value
	for _, s := range t.Selector.Exclude {
		exclude = append(exclude, value.String(s))
	}
	return awsapi.OK(
		value.Member{Key: "TrailARN", Value: value.String(t.ARN)},
		value.Member{Key: "EventSelectors", Value: value.Array(value.Object(
			value.Member{Key: "ReadWriteType", Value: value.String(t.Selector.ReadWrite)},
			value.Member{Key: "IncludeManagementEvents", Value: value.Bool(true)},
			value.Member{Key: "DataResources", Value: value.Array()},
			value.Member{Key: "ExcludeManagementEventSources", Value: value.Array(exclude...)},
		))},
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
