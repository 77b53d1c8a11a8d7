package sfn

import (
	"context"

	"tokaido/awsapi"
	"tokaido/flow"
	"tokaido/policygen"
	"tokaido/value"
)

// generateRolePolicy is the one operation here that AWS does not have: its
// console makes a role from a definition and shows nobody how. The request is
// CreateStateMachine's without the role, so that a client can ask what role it
// will need before there is one. Nothing is made and nothing looked up: IAM's
// own operations make the role.
//
// Access Analyzer's StartPolicyGeneration looks alike, but asks for a principal
// that exists, and answers what it did.
var generateRolePolicy = operation{"GenerateStateMachineRolePolicy", true, []member{
	{"definition", true, definition}, {"name", true, nameShape}, {"type", false, machineType}, {"loggingConfiguration", false, logging},
	{"tracingConfiguration", false, tracing}, {"language", false, shape{enum: []string{"en", "ja"}}},
}, everything, (*handlers).generate}

func (h *handlers) generate(_ context.Context, r *awsapi.Request) (*awsapi.Response, error) {
	p, err := flow.ParseDefinition(str(r, "definition"), str(r, "type") == "EXPRESS")
	if err != nil {
		return nil, err
	}
	level := r.Input.Get("loggingConfiguration").Get("level").Str()
	res, err := policygen.Generate(policygen.Machine{
		Program: p, Name: str(r, "name"), Region: r.Region, Account: r.Account,
		Logging: level != "" && level != "OFF", Tracing: r.Input.Get("tracingConfiguration").Get("enabled").Bool(),
	}, policygen.Options{})
	if err != nil {
		return nil, err
	}
	lang := str(r, "language")
	findings := make([]value.Value, 0, len(res.Findings))
	for i := range res.Findings {
		f := &res.Findings[i]
		findings = append(findings, value.Object(
			s("id", f.ID), s("severity", f.Severity.String()), s("location", f.Where()), s("message", f.Text(lang))))
	}
	answer := []value.Member{m("findings", value.Array(findings...)), s("trustPolicy", res.Trust.JSON()), s("roleName", res.Machine.RoleName())}
	switch {
	case res.Policies != nil: // one inline policy could not hold it
		split := make([]value.Value, 0, len(res.Policies))
		for _, p := range res.Policies {
			split = append(split, value.String(p.JSON()))
		}
		answer = append(answer, m("managedPolicies", value.Array(split...)))
	case res.Policy != nil:
		answer = append(answer, s("policy", res.Policy.JSON()))
	}
	targets := make([]value.Value, 0, len(res.Targets))
	for _, t := range res.Targets {
		targets = append(targets, value.Object(s("roleArn", t.Role), s("policy", t.Policy.JSON())))
	}
	if len(targets) > 0 {
		answer = append(answer, m("targets", value.Array(targets...)))
	}
	return awsapi.OK(answer...), nil
}
