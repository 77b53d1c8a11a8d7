package bedrock

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/fault"
)

// mapStore is a Store whose next Save can fail: before it happened, or after.
type mapStore struct {
	mu             sync.Mutex
	data           map[string][]byte
	before, after_ error
}

func (s *mapStore) Load(context.Context) iter.Seq2[Entry, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.data)
	return func(yield func(Entry, error) bool) {
		for k, v := range all {
			if !yield(Entry{k, v}, nil) {
				return
			}
		}
	}
}

func (s *mapStore) Save(_ context.Context, changes ...Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.before; err != nil {
		s.before = nil
		return err
	}
	for _, c := range changes {
		if c.Data == nil {
			delete(s.data, c.Key)
		} else {
			s.data[c.Key] = c.Data
		}
	}
	err := s.after_
	s.after_ = nil
	return err
}

func open(t *testing.T, s *mapStore) *Profiles {
	t.Helper()
	p, err := OpenProfiles(t.Context(), s, catalog.Load())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var someTime = time.Date(2026, 11, 21, 1, 2, 3, 0, time.UTC)

func newApp() NewApplication {
	return NewApplication{Region: "ap-northeast-1", Account: account, Name: "team one", CopyFrom: ProfileARN("ap-northeast-1", account, jp45), Token: "t-1", Tags: map[string]string{"team": "one"}}
}

func TestProfilesLive(t *testing.T) {
	s := &mapStore{data: map[string][]byte{}}
	p := open(t, s)
	a, err := p.Create(t.Context(), newApp(), someTime)
	if err != nil || len(a.ID) != 12 || !strings.HasPrefix(a.ARN(), "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/") {
		t.Fatalf("%+v, %v", a, err)
	}
	if again, err := p.Create(t.Context(), newApp(), someTime); err != nil || again.ID != a.ID {
		t.Errorf("the same token made another: %v, %v", again, err)
	}
	other := newApp()
	other.Name = "team two"
	if _, err := p.Create(t.Context(), other, someTime); fault.Code(err) != "ConflictException" {
		t.Errorf("the token for something else: %v", err)
	}
	rt := New(Config{Backend: only(fake{}), Applications: p})
	plan, err := rt.Plan("ap-northeast-1", account, a.ARN())
	if err != nil || plan.Profile.ID != jp45 || plan.Needs(ActionInvoke)[0].Resource != a.ARN() {
		t.Errorf("plan: %+v, %v", plan, err)
	}
	if err := p.Tag(t.Context(), a.Region, a.Account, a.ID, map[string]string{"cost": "7"}, []string{"team"}, someTime.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	// A restart sees what was acknowledged.
	p = open(t, s)
	got, ok := p.Get(a.Region, a.Account, a.ID)
	if !ok || len(got.Tags) != 1 || got.Tags["cost"] != "7" || !got.Created.Equal(someTime) || !got.Updated.Equal(someTime.Add(time.Hour)) {
		t.Errorf("after a restart: %+v", got)
	}
	if m, sys := p.Source(got); m.ID != bare45 || sys.ID != jp45 {
		t.Errorf("source: %v %v", m, sys)
	}
	if err := p.Delete(t.Context(), a.Region, a.Account, a.ID); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(t.Context(), a.Region, a.Account, a.ID); fault.Code(err) != "ResourceNotFoundException" {
		t.Errorf("deleted twice: %v", err)
	}
	if len(p.In(a.Region, a.Account)) != 0 || len(s.data) != 0 {
		t.Error("it is still there")
	}
}

// A write fails, and a write fails that happened all the same.
func TestProfilesFaultPairs(t *testing.T) {
	disk := errors.New("disk")
	s := &mapStore{data: map[string][]byte{}}
	p := open(t, s)
	s.before = disk
	if _, err := p.Create(t.Context(), newApp(), someTime); !errors.Is(err, disk) || len(p.In("ap-northeast-1", account)) != 0 {
		t.Errorf("failed: %v", err)
	}
	s.after_ = disk
	if _, err := p.Create(t.Context(), newApp(), someTime); !errors.Is(err, disk) {
		t.Errorf("failed but happened: %v", err)
	}
	// The client tries again with its token and gets the one that was made.
	a, err := p.Create(t.Context(), newApp(), someTime)
	if err != nil || len(p.In("ap-northeast-1", account)) != 1 || len(s.data) != 1 {
		t.Fatalf("%v, %d profiles, %d stored", err, len(p.In("ap-northeast-1", account)), len(s.data))
	}
	s.after_ = disk
	if err := p.Delete(t.Context(), a.Region, a.Account, a.ID); !errors.Is(err, disk) {
		t.Errorf("delete: %v", err)
	}
	if err := p.Delete(t.Context(), a.Region, a.Account, a.ID); fault.Code(err) != "ResourceNotFoundException" {
		t.Errorf("deleted, and found: %v", err)
	}
}

func TestProfilesRefuse(t *testing.T) {
	p := open(t, &mapStore{data: map[string][]byte{}})
	many := map[string]string{}
	for i := range MaxTags + 1 {
		many[fmt.Sprint("k", i)] = ""
	}
	for name, c := range map[string]struct {
		change func(*NewApplication)
		code   string
	}{
		"no-name":       {func(n *NewApplication) { n.Name = "" }, "ValidationException"},
		"name":          {func(n *NewApplication) { n.Name = "a  b" }, "ValidationException"},
		"long-name":     {func(n *NewApplication) { n.Name = strings.Repeat("a", 65) }, "ValidationException"},
		"description":   {func(n *NewApplication) { n.Description = "a, b" }, "ValidationException"},
		"token":         {func(n *NewApplication) { n.Token = "-" }, "ValidationException"},
		"no-source":     {func(n *NewApplication) { n.CopyFrom = "" }, "ValidationException"},
		"other-region":  {func(n *NewApplication) { n.CopyFrom = ProfileARN("ap-northeast-3", account, jp45) }, "ValidationException"},
		"other-account": {func(n *NewApplication) { n.CopyFrom = ProfileARN("ap-northeast-1", "999999999999", jp45) }, "ValidationException"},
		"not-callable":  {func(n *NewApplication) { n.CopyFrom = ProfileARN("ap-northeast-1", account, "us."+bare45) }, "ValidationException"},
		"profile-only":  {func(n *NewApplication) { n.CopyFrom = ModelARN("ap-northeast-1", "ap-northeast-1", bare45) }, "ValidationException"},
		"embeddings": {func(n *NewApplication) {
			n.CopyFrom = ModelARN("ap-northeast-1", "ap-northeast-1", "amazon.titan-embed-text-v2:0")
		}, "ValidationException"},
		"copy-of-a-copy":   {func(n *NewApplication) { n.CopyFrom = ApplicationARN("ap-northeast-1", account, "abcdefghij12") }, "ValidationException"},
		"many-tags":        {func(n *NewApplication) { n.Tags = many }, "TooManyTagsException"},
		"reserved-tag":     {func(n *NewApplication) { n.Tags = map[string]string{"aws:x": ""} }, "ValidationException"},
		"tag-of-no-letter": {func(n *NewApplication) { n.Tags = map[string]string{"a*": ""} }, "ValidationException"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newApp()
			c.change(&n)
			if _, err := p.Create(t.Context(), n, someTime); fault.Code(err) != c.code {
				t.Error(err)
			}
		})
	}
	n := newApp()
	n.CopyFrom = ModelARN("ap-northeast-1", "ap-northeast-1", lite)
	if _, err := p.Create(t.Context(), n, someTime); err != nil {
		t.Errorf("a copy of a model on demand: %v", err)
	}
	if _, err := OpenProfiles(t.Context(), &mapStore{data: map[string][]byte{"x": []byte("{}")}}, catalog.Load()); err == nil {
		t.Error("opened a damaged store")
	}
}
