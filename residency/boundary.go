package residency

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tokaido/bedrock/catalog"
)

// Boundary is a set of Regions that calls must not leave.
type Boundary struct {
	Name    string // as it was asked for
	Regions []string
}

// Has reports whether a Region is inside.
func (b *Boundary) Has(region string) bool { return slices.Contains(b.Regions, region) }

// countries are boundaries with a name: the Regions on a country's soil, by its
// ISO 3166 code, and eu: of the member states of the European Union (not those
// of London and Zurich).
var countries = map[string][]string{
	"jp": {"ap-northeast-1", "ap-northeast-3"},
	"kr": {"ap-northeast-2"},
	"tw": {"ap-east-2"},
	"sg": {"ap-southeast-1"},
	"au": {"ap-southeast-2", "ap-southeast-4"},
	"nz": {"ap-southeast-6"},
	"id": {"ap-southeast-3"},
	"my": {"ap-southeast-5"},
	"th": {"ap-southeast-7"},
	"in": {"ap-south-1", "ap-south-2"},
	"us": {"us-east-1", "us-east-2", "us-west-1", "us-west-2"},
	"ca": {"ca-central-1", "ca-west-1"},
	"mx": {"mx-central-1"},
	"br": {"sa-east-1"},
	"gb": {"eu-west-2"},
	"ch": {"eu-central-2"},
	"eu": {"eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"},
	"za": {"af-south-1"},
	"il": {"il-central-1"},
}

// ParseBoundary reads a boundary: the code of a country, eu, or Regions, or
// several of these with commas between.
func ParseBoundary(s string, c *catalog.Catalog) (*Boundary, error) {
	b := &Boundary{Name: s}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		if regions, ok := countries[part]; ok {
			b.Regions = append(b.Regions, regions...)
			continue
		}
		if _, ok := c.Region(part); !ok {
			return nil, fmt.Errorf("%q is neither a Region nor one of %s", part, strings.Join(slices.Sorted(maps.Keys(countries)), ", "))
		}
		b.Regions = append(b.Regions, part)
	}
	slices.Sort(b.Regions)
	b.Regions = slices.Compact(b.Regions)
	return b, nil
}
