package trail

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"tokaido/internal/durable"
)

// Keys are the Ed25519 keys of this node in a directory: each NAME.key, for the
// owner only, and NAME.pub, for everybody. They are written as C2SP signed notes
// write keys. What was signed can be checked with the .pub files alone.
type Keys struct {
	dir, origin string

	mu      sync.Mutex
	signers map[string]note.Signer // guarded by mu
}

const (
	keySuffix    = ".key"
	publicSuffix = ".pub"

	// LogKey is the name of the file of the key that signs checkpoints.
	LogKey = "trail"
	// regionKey begins the names of the files of keys that sign receipts.
	regionKey = "region-"
)

// OpenKeys opens the keys in dir, which is made if need be. origin begins the
// names of keys that are made.
func OpenKeys(dir, origin string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &Keys{dir: dir, origin: origin, signers: map[string]note.Signer{}}, nil
}

// Log is the key that signs the checkpoints of the log.
func (k *Keys) Log() (note.Signer, error) { return k.signer(LogKey, k.origin+"/trail") }

// Region is the key that signs receipts for what runs in a Region.
func (k *Keys) Region(region string) (note.Signer, error) {
	if region == "" || strings.ContainsAny(region, "/\\.+ ") {
		return nil, fmt.Errorf("a key for the Region %q", region)
	}
	return k.signer(regionKey+region, k.origin+"/region/"+region)
}

// signer reads a key, or makes it.
func (k *Keys) signer(file, name string) (note.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.signers[file]; s != nil {
		return s, nil
	}
	private := filepath.Join(k.dir, file+keySuffix)
	b, err := os.ReadFile(private)
	if errors.Is(err, os.ErrNotExist) {
		var secret, public string
		if secret, public, err = note.GenerateKey(rand.Reader, name); err != nil {
			return nil, err
		}
		// The public half first: a signature that nobody can check is worth nothing.
		if err := durable.WriteFile(filepath.Join(k.dir, file+publicSuffix), []byte(public+"\n")); err != nil {
			return nil, err
		}
		if err := durable.WriteFile(private, []byte(secret+"\n")); err != nil {
			return nil, err
		}
		b, err = []byte(secret), nil
	}
	if err != nil {
		return nil, err
	}
	s, err := note.NewSigner(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", private, err) // note's errors do not tell the key
	}
	k.signers[file] = s
	return s, nil
}

// Public lists the public keys in a directory, each as one line of text.
func Public(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+publicSuffix))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				all = append(all, line)
			}
		}
	}
	return all, nil
}

// Ring is the public keys that signatures are checked with.
type Ring struct {
	byName map[string]ringKey // by name and hash
}

// ringKey is a key that checks signatures one by one and, if it has the second,
// many at once.
type ringKey struct {
	note.Verifier
	many *publicKey
}

// NewRing reads public keys as text.
func NewRing(public ...string) (*Ring, error) {
	r := &Ring{byName: map[string]ringKey{}}
	for _, p := range public {
		v, err := note.NewVerifier(p)
		if err != nil {
			return nil, fmt.Errorf("public key %.60q: %w", p, err)
		}
		r.byName[keyID(v.Name(), v.KeyHash())] = ringKey{v, manyOf(p)}
	}
	return r, nil
}

// manyOf is the Ed25519 key in NAME+HASH+BASE64, whose first byte is its kind; nil
// if there is none.
func manyOf(public string) *publicKey {
	parts := strings.SplitN(public, "+", 3)
	b, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != noteEd25519 {
		return nil
	}
	return newPublicKey(b[1:])
}

// noteEd25519 is the kind of key that signed notes call Ed25519.
const noteEd25519 = 1

// Len is how many keys there are.
func (r *Ring) Len() int {
	if r == nil {
		return 0
	}
	return len(r.byName)
}

// Verifier implements note.Verifiers.
func (r *Ring) Verifier(name string, hash uint32) (note.Verifier, error) {
	if v := r.byID(keyID(name, hash)); v.Verifier != nil {
		return v, nil
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// byID finds a key by what keyID returned for it; without a Verifier: there is none.
func (r *Ring) byID(id string) ringKey {
	if r == nil {
		return ringKey{}
	}
	return r.byName[id]
}

// keyID names a key.
func keyID(name string, hash uint32) string { return fmt.Sprintf("%s+%08x", name, hash) }

// Dir is the directory of the keys.
func (k *Keys) Dir() string { return k.dir }
