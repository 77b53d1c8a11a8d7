package principal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tokaido/fault"
	"tokaido/iam"
)

// regionsSCP is the usual guard: nothing outside two Regions, but for what lives
// in no Region.
const regionsSCP = `{"Version":"2012-10-17","Statement":[{"Sid":"Regions","Effect":"Deny","NotAction":["iam:*","sts:*","organizations:*"],"Resource":"*",
	"Condition":{"StringNotEquals":{"aws:RequestedRegion":["ap-northeast-1","us-east-1"]}}}]}`

const denyS3RCP = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}`

func ask(t testing.TB, d *Directory, key AccessKey, action, region string) iam.Decision {
	t.Helper()
	c, err := d.Credential(t.Context(), key.ID, "", t0)
	must(t, err)
	p := c.Principal
	return iam.Evaluate(&p.Policies, &iam.Request{
		By: p.Caller(), Authorization: iam.Authorization{Action: action, Resource: "*"},
		Global: append(p.Context(), iam.Attribute{Key: "aws:RequestedRegion", Values: []string{region}}),
	})
}

func TestOrganizationBinds(t *testing.T) {
	s := &fakeStore{}
	d := open(t, s)
	_, key := user(t, d, "u")
	must(t, d.PutInline(t.Context(), KindUser, "u", "all", allowAll))
	root, err := d.CreateKey(t.Context(), "")
	must(t, err)
	trusted := role(t, d, "r", statesTrust)
	must(t, d.PutInline(t.Context(), KindRole, "r", "all", allowAll))

	allowed := func(want bool, action, region string) {
		t.Helper()
		for _, k := range []AccessKey{key, root} {
			if got := ask(t, d, k, action, region); got.Allowed != want {
				t.Errorf("%s in %s by %s: allowed %v by %v, want %v", action, region, got.Request.By.ARN, got.Allowed, got.Layer, want)
			}
		}
	}
	allowed(true, "states:ListActivities", "eu-west-1")

	o, err := d.CreateOrganization(t.Context())
	must(t, err)
	_, err = d.EnableType(t.Context(), o.Root, ServiceControl)
	must(t, err)
	p, err := d.CreateControl(t.Context(), ControlPolicy{Name: "regions", Description: "two", Type: ServiceControl, Document: regionsSCP})
	must(t, err)
	allowed(true, "states:ListActivities", "eu-west-1") // attached nowhere
	must(t, d.AttachControl(t.Context(), p.ID, testAccount))
	allowed(false, "states:ListActivities", "eu-west-1")
	allowed(true, "states:ListActivities", "ap-northeast-1")
	allowed(true, "iam:ListRoles", "eu-west-1")
	if denied := ask(t, d, key, "states:ListActivities", "eu-west-1"); !strings.HasSuffix(denied.Message(), "with an explicit deny in a service control policy: "+p.ARN) {
		t.Error(denied.Message())
	}

	// It survives a restart, and so does a role's session see it.
	d = open(t, s)
	allowed(false, "states:ListActivities", "eu-west-1")
	session, err := d.AssumeForService(t.Context(), trusted.ARN, "states.amazonaws.com", "arn:aws:states:ap-northeast-1:"+testAccount+":stateMachine:m", testAccount, "x1", t0)
	must(t, err)
	if len(session.Policies.SCP) != 2 || session.Organization != o.Path() {
		t.Errorf("%+v", session.Policies.SCP)
	}
	if c := session.Context(); !slices.ContainsFunc(c, func(a iam.Attribute) bool { return a.Key == "aws:PrincipalOrgID" && a.Values[0] == o.ID }) {
		t.Errorf("%+v", c)
	}

	// An allow list: FullAWSAccess taken away.
	q, err := d.CreateControl(t.Context(), ControlPolicy{Name: "only", Type: ServiceControl, Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}]}`})
	must(t, err)
	must(t, d.AttachControl(t.Context(), q.ID, o.Root))
	must(t, d.DetachControl(t.Context(), "p-FullAWSAccess", o.Root))
	allowed(false, "states:ListActivities", "ap-northeast-1")
	allowed(true, "bedrock:ListFoundationModels", "ap-northeast-1")
	if err := d.DetachControl(t.Context(), q.ID, o.Root); fault.Code(err) != "ConstraintViolationException" {
		t.Errorf("the last one: %v", err)
	}
	_, err = d.DisableType(t.Context(), o.Root, ServiceControl)
	must(t, err)
	allowed(true, "states:ListActivities", "eu-west-1")

	// RCPs bind the service that wants a role, too.
	_, err = d.EnableType(t.Context(), o.Root, ResourceControl)
	must(t, err)
	r, err := d.CreateControl(t.Context(), ControlPolicy{Name: "rcp", Type: ResourceControl, Document: strings.Replace(denyS3RCP, "s3:*", "sts:AssumeRole", 1)})
	must(t, err)
	must(t, d.AttachControl(t.Context(), r.ID, o.Root))
	if _, err := d.AssumeForService(t.Context(), trusted.ARN, "states.amazonaws.com", "arn:aws:states:ap-northeast-1:"+testAccount+":stateMachine:m", testAccount, "x1", t0); fault.Code(err) != "AccessDeniedException" {
		t.Errorf("AssumeForService: %v", err)
	}
}

func TestOrganizationFaults(t *testing.T) {
	const document = regionsSCP
	for _, c := range []struct {
		name, code string
		do         func(ctx context.Context, d *Directory, o Organization, id string) error
	}{
		{"twice", "AlreadyInOrganizationException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			_, err := d.CreateOrganization(ctx)
			return err
		}},
		{"notEmpty", "OrganizationNotEmptyException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			return d.DeleteOrganization(ctx)
		}},
		{"noRoot", "RootNotFoundException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			_, err := d.EnableType(ctx, "r-none", ServiceControl)
			return err
		}},
		{"enabled", "PolicyTypeAlreadyEnabledException", func(ctx context.Context, d *Directory, o Organization, _ string) error {
			_, err := d.EnableType(ctx, o.Root, ServiceControl)
			return err
		}},
		{"notEnabled", "PolicyTypeNotEnabledException", func(ctx context.Context, d *Directory, o Organization, _ string) error {
			_, err := d.DisableType(ctx, o.Root, ResourceControl)
			return err
		}},
		{"otherType", "InvalidInputException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			_, err := d.CreateControl(ctx, ControlPolicy{Name: "t", Type: "TAG_POLICY", Document: "{}"})
			return err
		}},
		{"duplicate", "DuplicatePolicyException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			_, err := d.CreateControl(ctx, ControlPolicy{Name: "p", Type: ServiceControl, Document: document})
			return err
		}},
		{"ofAWS", "DuplicatePolicyException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			_, err := d.CreateControl(ctx, ControlPolicy{Name: "FullAWSAccess", Type: ServiceControl, Document: document})
			return err
		}},
		{"malformed", "MalformedPolicyDocumentException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			_, err := d.CreateControl(ctx, ControlPolicy{Name: "q", Type: ServiceControl, Document: denyS3RCP}) // it has a principal
			return err
		}},
		{"malformedUpdate", "MalformedPolicyDocumentException", func(ctx context.Context, d *Directory, _ Organization, id string) error {
			_, err := d.UpdateControl(ctx, id, nil, nil, new("{"))
			return err
		}},
		{"tooLong", "ConstraintViolationException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			_, err := d.CreateControl(ctx, ControlPolicy{Name: "q", Type: ServiceControl, Document: long(maxControlSize)})
			return err
		}},
		{"immutable", "InvalidInputException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			return d.DeleteControl(ctx, "p-FullAWSAccess")
		}},
		{"notThere", "PolicyNotFoundException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			return d.DeleteControl(ctx, "p-00000000")
		}},
		{"inUse", "PolicyInUseException", func(ctx context.Context, d *Directory, o Organization, id string) error {
			if err := d.AttachControl(ctx, id, o.Root); err != nil {
				return err
			}
			return d.DeleteControl(ctx, id)
		}},
		{"attachedTwice", "DuplicatePolicyAttachmentException", func(ctx context.Context, d *Directory, o Organization, id string) error {
			if err := d.AttachControl(ctx, id, o.Root); err != nil {
				return err
			}
			return d.AttachControl(ctx, id, o.Root)
		}},
		{"notAttached", "PolicyNotAttachedException", func(ctx context.Context, d *Directory, o Organization, id string) error {
			return d.DetachControl(ctx, id, o.Root)
		}},
		{"noTarget", "TargetNotFoundException", func(ctx context.Context, d *Directory, _ Organization, id string) error {
			return d.AttachControl(ctx, id, "999999999999")
		}},
		{"tagNoTarget", "TargetNotFoundException", func(ctx context.Context, d *Directory, _ Organization, _ string) error {
			return d.TagOrganization(ctx, "p-00000000", []Tag{{"a", "b"}})
		}},
		{"typeNotEnabled", "PolicyTypeNotEnabledException", func(ctx context.Context, d *Directory, o Organization, _ string) error {
			p, err := d.CreateControl(ctx, ControlPolicy{Name: "r", Type: ResourceControl, Document: denyS3RCP})
			if err != nil {
				return err
			}
			return d.AttachControl(ctx, p.ID, o.Root)
		}},
		{"tooMany", "ConstraintViolationException", func(ctx context.Context, d *Directory, o Organization, id string) error {
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				p, err := d.CreateControl(ctx, ControlPolicy{Name: name, Type: ServiceControl, Document: document})
				if err == nil {
					err = d.AttachControl(ctx, p.ID, o.Root)
				}
				if err != nil {
					return err
				}
			}
			return errors.New("five besides FullAWSAccess were attached")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &fakeStore{}
			d := open(t, s)
			if _, err := d.Organization(); fault.Code(err) != "AWSOrganizationsNotInUseException" {
				t.Fatal(err)
			}
			o, err := d.CreateOrganization(t.Context())
			must(t, err)
			_, err = d.EnableType(t.Context(), o.Root, ServiceControl)
			must(t, err)
			p, err := d.CreateControl(t.Context(), ControlPolicy{Name: "p", Type: ServiceControl, Document: document})
			must(t, err)
			if err := c.do(t.Context(), d, o, p.ID); fault.Code(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

// A change that the store refused is not seen; one that it made after all is
// there after a restart.
func TestOrganizationFaultPairs(t *testing.T) {
	s := &fakeStore{}
	d := open(t, s)
	o, err := d.CreateOrganization(t.Context())
	must(t, err)
	s.fail = errors.New("full")
	if _, err := d.EnableType(t.Context(), o.Root, ServiceControl); err == nil {
		t.Fatal("the store refused, and nobody was told")
	}
	if now, err := d.Organization(); err != nil || len(now.Enabled) != 0 {
		t.Errorf("%+v, %v", now, err)
	}
	s.fail, s.lie = nil, errors.New("timeout")
	if _, err := d.EnableType(t.Context(), o.Root, ServiceControl); err == nil {
		t.Fatal("the store refused, and nobody was told")
	}
	s.lie = nil
	if now, err := open(t, s).Organization(); err != nil || !slices.Equal(now.Enabled, []PolicyType{ServiceControl}) {
		t.Errorf("%+v, %v", now, err)
	}
}

func TestOrganizationOfTheConfiguration(t *testing.T) {
	s := &fakeStore{}
	begin := func(c ControlOptions) (*Directory, error) {
		return Open(t.Context(), s, Options{Account: testAccount, Now: func() time.Time { return t0 }, Control: c})
	}
	d, err := begin(ControlOptions{Policies: []ControlPolicy{{Name: "regions", Type: ServiceControl, Document: regionsSCP}}})
	must(t, err)
	key, err := d.CreateKey(t.Context(), "")
	must(t, err)
	got := ask(t, d, key, "states:ListActivities", "eu-west-1")
	if got.Allowed || !strings.HasPrefix(got.PolicyARN, "arn:aws:organizations::"+testAccount+":policy/o-") {
		t.Errorf("%+v", got)
	}
	o, err := d.Organization()
	must(t, err)
	all, err := d.ControlsOf(o.Root, ServiceControl)
	must(t, err)
	i := slices.IndexFunc(all, func(p ControlPolicy) bool { return p.Name == "regions" })
	if len(all) != 2 || i < 0 || all[i].ARN != got.PolicyARN {
		t.Fatalf("%+v", all)
	}
	id := all[i].ID
	for name, err := range map[string]error{
		"DetachControl": d.DetachControl(t.Context(), id, o.Root), "DeleteControl": d.DeleteControl(t.Context(), id),
		"TagOrganization": d.TagOrganization(t.Context(), id, []Tag{{"a", "b"}}),
	} {
		if fault.Code(err) != "InvalidInputException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.DisableType(t.Context(), o.Root, ServiceControl); fault.Code(err) != "ConstraintViolationException" {
		t.Errorf("DisableType: %v", err)
	}
	if err := d.DeleteOrganization(t.Context()); fault.Code(err) != "OrganizationNotEmptyException" {
		t.Errorf("DeleteOrganization: %v", err)
	}

	// The organization stays the same, and without the configuration nothing binds.
	d, err = begin(ControlOptions{})
	must(t, err)
	if again, err := d.Organization(); err != nil || again.ID != o.ID {
		t.Errorf("%+v, %v", again, err)
	}
	if !ask(t, d, key, "states:ListActivities", "eu-west-1").Allowed {
		t.Error("a policy that is configured no more binds")
	}

	d, err = begin(ControlOptions{Narrow: true, Policies: []ControlPolicy{{Name: "b", Type: ServiceControl, Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}]}`}}})
	must(t, err)
	if ask(t, d, key, "states:ListActivities", "eu-west-1").Allowed || !ask(t, d, key, "bedrock:ListFoundationModels", "eu-west-1").Allowed {
		t.Error("without FullAWSAccess only what is listed should be allowed")
	}
	for name, c := range map[string]ControlOptions{
		"nothing":   {Narrow: true},
		"malformed": {Policies: []ControlPolicy{{Name: "x", Type: ServiceControl, Document: "{}"}}},
		"twice":     {Policies: []ControlPolicy{{Name: "x", Type: ServiceControl, Document: regionsSCP}, {Name: "x", Type: ServiceControl, Document: regionsSCP}}},
		"noType":    {Policies: []ControlPolicy{{Name: "x", Document: regionsSCP}}},
	} {
		if _, err := begin(c); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}
