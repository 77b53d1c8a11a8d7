package flow

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"tokaido/asl"
	"tokaido/value"
)

// Revision is what a machine was at one time: what its executions run, and as
// whom. It never changes.
type Revision struct {
	UID         string // ours, unique for ever
	MachineARN  string // without qualifier
	MachineName string
	ID          string // AWS's revisionId; "" for the one a machine was created with
	Digest      string // of the definition's text
	RoleARN     string
	Express     bool
	Logging     Logging
	Tracing     bool
	Updated     time.Time
	definition  string
	program     *asl.Program
}

// Logging is a machine's logging configuration.
type Logging struct {
	Level        string // ALL, ERROR, FATAL or OFF
	IncludeData  bool
	Destinations []string // ARNs of log groups; nil: the member was not given
}

// programsKept is how many programs a Library holds at most; those that
// executions run are held by the executions besides.
const programsKept = 4096

// Keys of a [Store]. Definitions are kept under the digest of their text, so a
// text that many revisions share is there once.
const (
	machinePrefix    = "machine/"
	revisionPrefix   = "revision/"
	definitionPrefix = "definition/"
	activityPrefix   = "activity/"
	secretKey        = "secret/tokens"
)

// Library is the revisions and programs of a store: what executions run.
type Library struct {
	store Store

	mu    sync.Mutex
	cache map[string]*Revision // guarded by mu; by UID
}

// NewLibrary returns the library of a store.
func NewLibrary(s Store) *Library {
	return &Library{store: s, cache: map[string]*Revision{}}
}

// Program returns a revision and its program. It implements [Programs].
func (l *Library) Program(ctx context.Context, uid string) (Revision, *asl.Program, error) {
	r, err := l.revision(ctx, uid)
	if err != nil {
		return Revision{}, nil, err
	}
	return *r, r.program, nil
}

// Secret is the key of task tokens; the first call makes it. It implements
// [Secrets].
func (l *Library) Secret(ctx context.Context) ([]byte, error) {
	b, err := l.store.Get(ctx, secretKey)
	if !errors.Is(err, ErrNotFound) {
		return b, err
	}
	b = make([]byte, 32)
	rand.Read(b) // never fails
	return b, l.store.Save(ctx, Change{secretKey, b})
}

// Refuse refuses tasks of activities that are not there. It implements [Refuser].
func (l *Library) Refuse(part *asl.TaskPart, _ value.Value) string {
	if part.Kind != asl.ActivityTask {
		return ""
	}
	_, err := l.store.Get(context.Background(), activityPrefix+part.Resource)
	if errors.Is(err, ErrNotFound) {
		return "The activity " + part.Resource + " does not exist."
	}
	return "" // a store that cannot tell is no reason to fail a workflow: the task waits for a worker
}

// Revision returns a revision and the text of its definition.
func (l *Library) Revision(ctx context.Context, uid string) (Revision, string, error) {
	r, err := l.revision(ctx, uid)
	if err != nil {
		return Revision{}, "", err
	}
	return *r, r.definition, nil
}

func (l *Library) revision(ctx context.Context, uid string) (*Revision, error) {
	l.mu.Lock()
	r := l.cache[uid]
	l.mu.Unlock()
	if r != nil {
		return r, nil
	}
	b, err := l.store.Get(ctx, revisionPrefix+uid)
	if err != nil {
		return nil, fmt.Errorf("revision %s: %w", uid, err)
	}
	r = new(Revision)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("revision %s: %w", uid, err)
	}
	text, err := l.store.Get(ctx, definitionPrefix+r.Digest)
	if err != nil {
		return nil, fmt.Errorf("definition of revision %s: %w", uid, err)
	}
	p, ds := Diagnose(string(text), r.Express)
	if p == nil {
		return nil, fmt.Errorf("definition of revision %s no longer parses: %v", uid, ds)
	}
	r.definition, r.program = string(text), p
	l.put(r)
	return r, nil
}

// put remembers a revision, forgetting any others if there are too many.
func (l *Library) put(r *Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.cache {
		if len(l.cache) < programsKept {
			break
		}
		delete(l.cache, k)
	}
	l.cache[r.UID] = r
}

// add is the changes that store a new revision.
func (l *Library) add(r *Revision) ([]Change, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return []Change{
		{definitionPrefix + r.Digest, []byte(r.definition)},
		{revisionPrefix + r.UID, b},
	}, nil
}

func digest(definition string) string {
	h := sha256.Sum256([]byte(definition))
	return hex.EncodeToString(h[:])
}
