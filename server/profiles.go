package server

import (
	"context"
	"iter"
	"strings"

	"tokaido/bedrock"
	"tokaido/flow"
)

// Where application inference profiles and the configurations of invocation logs
// are, in flow's store: away from what flow itself keeps there.
const (
	profilePrefix = "bedrock/profile/"
	loggingPrefix = "bedrock/logging/"
)

// part is a part of flow's store as bedrock wants one.
type part struct {
	flow.Store
	prefix string
}

// Load implements [bedrock.Store].
func (p part) Load(ctx context.Context) iter.Seq2[bedrock.Entry, error] {
	return func(yield func(bedrock.Entry, error) bool) {
		for e, err := range p.Store.Load(ctx, p.prefix) {
			if !yield(bedrock.Entry{Key: strings.TrimPrefix(e.Key, p.prefix), Data: e.Data}, err) {
				return
			}
		}
	}
}

// Save implements [bedrock.Store].
func (p part) Save(ctx context.Context, changes ...bedrock.Change) error {
	all := make([]flow.Change, len(changes))
	for i, c := range changes {
		all[i] = flow.Change{Key: p.prefix + c.Key, Data: c.Data}
	}
	return p.Store.Save(ctx, all...)
}
