package bedrockctl

import (
	"context"
	"slices"

	"tokaido/awsapi"
	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// Backend is who answers for a model in a Region.
type Backend struct {
	Region    string
	Name      string // the operator's
	Type      string // openai, anthropic, amazon, simulated
	Simulated bool   // answers are made up, and say so
	Down      bool   // it was asked, and did not answer
}

// Backends tells who answers for a model in each of the Regions; Regions in
// which nobody does are left out.
type Backends func(ctx context.Context, m *catalog.Model, regions []string) []Backend

// Telling adds to GetFoundationModelAvailability what AWS has no member for: by
// "backends" a client learns whether answers will be simulated, and whether who
// gives them can be reached, in each Region that a call from here may run in.
func Telling(ops []awsapi.Op, c *catalog.Catalog, backends Backends) []awsapi.Op {
	for i := range ops {
		if ops[i].Name != "GetFoundationModelAvailability" {
			continue
		}
		handle := ops[i].Handle
		ops[i].Handle = func(ctx context.Context, r *awsapi.Request) (*awsapi.Response, error) {
			out, err := handle(ctx, r)
			if err != nil {
				return out, err
			}
			m, ok := c.Model(out.Body.Get("modelId").Str())
			if !ok {
				return out, nil
			}
			list := []value.Value{}
			for _, b := range backends(ctx, m, mayRun(m, r.Region)) {
				status := "AVAILABLE"
				if b.Down {
					status = "NOT_AVAILABLE"
				}
				list = append(list, object("region", str(b.Region), "name", str(b.Name), "type", str(b.Type), "simulated", value.Bool(b.Simulated), "status", str(status)))
			}
			out.Body = out.Body.With("backends", value.Array(list...))
			return out, nil
		}
	}
	return ops
}

// mayRun are the Regions that a call from a Region may run in, by any profile.
func mayRun(m *catalog.Model, region string) []string {
	var out []string
	if m.OnDemand(region) {
		out = append(out, region)
	}
	for _, p := range m.Profiles() {
		out = append(out, p.Destinations(region)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
