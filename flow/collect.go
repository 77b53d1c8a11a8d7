package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// collectEvery is how often revisions are looked for that nobody needs any more.
// One goes when it was not needed twice in a row: an execution that was about to
// start with it is in the lists by then, or, an Express one, over.
const collectEvery = time.Hour

// collect removes revisions, and definitions, that neither a machine nor an
// execution that is kept refers to: those of machines that were deleted or
// updated.
func (s *Service) collect() {
	t := time.NewTicker(collectEvery)
	defer t.Stop()
	var before map[string]Revision
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		}
		now, err := s.unneeded(s.ctx)
		if err == nil {
			both := maps.Clone(now)
			maps.DeleteFunc(both, func(uid string, _ Revision) bool { _, was := before[uid]; return !was })
			before = now
			err = s.forget(s.ctx, both)
		}
		if err != nil && s.ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(s.ctx, "cannot remove old revisions", "err", err)
		}
	}
}

// unneeded is the revisions that nothing refers to, by UID.
func (s *Service) unneeded(ctx context.Context) (map[string]Revision, error) {
	s.writing.Lock()
	all, err := s.cfg.Library.revisions(ctx)
	s.unreferenced(all)
	s.writing.Unlock()
	if err != nil {
		return nil, err
	}
	machines := map[string]int{} // how many of its revisions may be unneeded
	for _, r := range all {
		machines[r.MachineARN]++
	}
	for arn, left := range machines {
		for x, err := range s.cfg.Driver.List(ctx, Query{Under: arn}) {
			if err != nil {
				return nil, fmt.Errorf("executions of %s: %w", arn, err)
			}
			if _, ok := all[x.Revision]; ok {
				delete(all, x.Revision)
				if left--; left == 0 {
					break
				}
			}
		}
	}
	return all, nil
}

// unreferenced leaves those revisions that no machine refers to. s.writing is held.
func (s *Service) unreferenced(all map[string]Revision) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, m := range s.machines {
		delete(all, m.Revision)
		for i := range m.Versions {
			delete(all, m.Versions[i].Revision)
		}
	}
}

// forget removes revisions, and the definitions that no other one has.
func (s *Service) forget(ctx context.Context, gone map[string]Revision) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if len(s.doubt) > 0 {
		return nil // a machine that refers to one may have been saved
	}
	s.unreferenced(gone)
	if len(gone) == 0 {
		return nil
	}
	all, err := s.cfg.Library.revisions(ctx)
	if err != nil {
		return err
	}
	return s.cfg.Library.remove(ctx, all, gone)
}

// revisions is all revisions, by UID, without their definitions.
func (l *Library) revisions(ctx context.Context) (map[string]Revision, error) {
	all := map[string]Revision{}
	for e, err := range l.store.Load(ctx, revisionPrefix) {
		if err != nil {
			return nil, fmt.Errorf("read revisions: %w", err)
		}
		var r Revision
		if err := json.Unmarshal(e.Data, &r); err != nil {
			return nil, fmt.Errorf("read %s: %w", e.Key, err)
		}
		all[r.UID] = r
	}
	return all, nil
}

// remove removes revisions out of all, and the definitions that only they have.
func (l *Library) remove(ctx context.Context, all, gone map[string]Revision) error {
	kept := map[string]bool{} // digests
	for uid, r := range all {
		if _, goes := gone[uid]; !goes {
			kept[r.Digest] = true
		}
	}
	var changes []Change
	for uid, r := range gone {
		changes = append(changes, Change{Key: revisionPrefix + uid})
		if !kept[r.Digest] {
			kept[r.Digest] = true // removed once
			changes = append(changes, Change{Key: definitionPrefix + r.Digest})
		}
	}
	if err := l.store.Save(context.WithoutCancel(ctx), changes...); err != nil {
		return fmt.Errorf("remove %d revisions: %w", len(gone), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for uid := range gone {
		delete(l.cache, uid)
	}
	return nil
}
