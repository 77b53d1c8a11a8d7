package server

import (
	"context"
	"iter"
	"strings"

	"tokaido/bedrock"
	"tokaido/flow"
)

// profilePrefix is where application inference profiles are, in flow's store:
// away from what flow itself keeps there.
const profilePrefix = "bedrock/profile/"

// profiles is a part of flow's store as bedrock wants one.
type profiles struct{ flow.Store }

// Load implements [bedrock.Store].
func (p profiles) Load(ctx context.Context) iter.Seq2[bedrock.Entry, error] {
	return func(yield func(bedrock.Entry, error) bool) {
		for e, err := range p.Store.Load(ctx, profilePrefix) {
			if !yield(bedrock.Entry{Key: strings.TrimPrefix(e.Key, profilePrefix), Data: e.Data}, err) {
				return
			}
		}
	}
}

// Save implements [bedrock.Store].
func (p profiles) Save(ctx context.Context, changes ...bedrock.Change) error {
	all := make([]flow.Change, len(changes))
	for i, c := range changes {
		all[i] = flow.Change{Key: profilePrefix + c.Key, Data: c.Data}
	}
	return p.Store.Save(ctx, all...)
}
