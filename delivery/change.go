package delivery

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"tokaido/fault"
	"tokaido/trail"
)

// Update says what of a trail is to be changed; nil leaves it as it is.
type Update struct {
	Bucket, Prefix                  *string
	Global, MultiRegion, Validation *bool
}

// Update changes a trail. What was delivered stays where it is.
func (s *Service) Update(ctx context.Context, region, nameOrARN string, u Update) (out Trail, err error) {
	err = s.change(region, nameOrARN, func(t *state) error {
		if t.Plan != nil { // the file that is planned belongs to where it was planned for
			if err := s.deliver(ctx, t, false); err != nil {
				return err
			}
		}
		set(&t.Bucket, u.Bucket)
		set(&t.Prefix, u.Prefix)
		set(&t.Global, u.Global)
		set(&t.MultiRegion, u.MultiRegion)
		if t.MultiRegion && !t.Global {
			return fault.Newf("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
		}
		if err := s.makeBucket(t.Bucket); err != nil {
			return err
		}
		if was := t.Validation; u.Validation != nil && *u.Validation != was {
			t.Validation = *u.Validation
			regions := map[string]*regionState{} // a chain of digests begins, or is left
			if now := s.cfg.Now().UTC(); t.Validation {
				regions[t.HomeRegion] = &regionState{Since: now}
				for r := range t.Regions {
					regions[r] = &regionState{Since: now}
				}
			}
			t.Regions = regions
		}
		out = t.shown()
		return nil
	})
	return out, err
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

// makeBucket makes the folder of a bucket, if need be.
func (s *Service) makeBucket(name string) error {
	if !ValidBucket(name) {
		return fault.Newf("InvalidS3BucketNameException", "Bucket name %.128s is not valid: 3 to 63 lower-case letters, digits, dots and hyphens.", name)
	}
	return os.MkdirAll(filepath.Join(s.cfg.Buckets, name), 0o700)
}

// MaxTags is how many tags a trail has at most.
const MaxTags = 50

// Tag sets tags of a trail.
func (s *Service) Tag(region, arn string, tags map[string]string) error {
	return s.change(region, arn, func(t *state) error {
		all := maps.Clone(t.Tags)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, tags)
		if len(all) > MaxTags {
			return fault.Newf("TagsLimitExceededException", "The number of tags per trail has exceeded the limit of %d.", MaxTags)
		}
		t.Tags = all
		return nil
	})
}

// Untag removes tags of a trail: those that it has with these keys and, where
// one is given, this value.
func (s *Service) Untag(region, arn string, tags map[string]string) error {
	return s.change(region, arn, func(t *state) error {
		t.Tags = maps.Clone(t.Tags)
		for k, v := range tags {
			if v == "" || v == t.Tags[k] {
				delete(t.Tags, k)
			}
		}
		return nil
	})
}

// Selector says which events are delivered: those that ReadWrite and Exclude let
// through, or with Any set those that one of it takes.
type Selector struct {
	ReadWrite string   // All, ReadOnly, WriteOnly
	Exclude   []string // event sources
	Any       []Advanced
}

// Advanced is one advanced selector: each of its fields must fit.
type Advanced struct {
	Name   string
	Fields []Field
}

// Field is a condition on one field of an event.
type Field struct {
	Field             string // eventCategory, readOnly or eventSource
	Equals, NotEquals []string
}

// takes reports whether an event is selected.
func (s *Selector) takes(r *trail.Record) bool {
	if s.Any != nil {
		return slices.ContainsFunc(s.Any, func(a Advanced) bool { return a.takes(r) })
	}
	if s.ReadWrite == "ReadOnly" && !r.ReadOnly || s.ReadWrite == "WriteOnly" && r.ReadOnly {
		return false
	}
	return !slices.Contains(s.Exclude, r.Source)
}

func (a *Advanced) takes(r *trail.Record) bool {
	for _, f := range a.Fields {
		v := ""
		switch f.Field {
		case "eventCategory":
			v = "Management"
		case "readOnly":
			if v = "false"; r.ReadOnly {
				v = "true"
			}
		case "eventSource":
			v = r.Source
		}
		if f.Equals != nil && !slices.Contains(f.Equals, v) || slices.Contains(f.NotEquals, v) {
			return false
		}
	}
	return true
}
