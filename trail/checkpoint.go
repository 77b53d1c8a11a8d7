package trail

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed statement of how the log stood: the first Records of
// it have this tree, and the chain stood at Chain. Its text is a C2SP
// checkpoint in a C2SP signed note, with lines of our own after the three that
// everyone knows, so that any witness can countersign it.
type Checkpoint struct {
	Origin  string // the log's name, which is its key's name too
	Records uint64
	Root    tlog.Hash
	Chain   [32]byte  // hash of the payload before the checkpoint
	Time    time.Time // by the clock of who signed
	Roots   []tlog.Hash
	Note    []byte // as signed
}

const (
	chainLine = "chain "
	timeLine  = "time "
	// rootLine gives a subtree of a base: of a checkpoint that stands for
	// segments that were removed.
	rootLine = "subtree "
	maxNote  = 16 << 10 // bytes of a checkpoint with all its signatures
)

// text is what is signed.
func (c *Checkpoint) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Records, base64.StdEncoding.EncodeToString(c.Root[:]))
	b.WriteString(chainLine + hex.EncodeToString(c.Chain[:]) + "\n")
	b.WriteString(timeLine + c.Time.UTC().Format(time.RFC3339Nano) + "\n")
	for _, r := range c.Roots {
		b.WriteString(rootLine + base64.StdEncoding.EncodeToString(r[:]) + "\n")
	}
	return b.String()
}

// sign makes the note.
func (c *Checkpoint) sign(s note.Signer) (err error) {
	c.Origin = s.Name()
	c.Note, err = note.Sign(&note.Note{Text: c.text()}, s)
	return err
}

// ParseCheckpoint reads a checkpoint and checks its signature: one of keys must
// be the log's own. Signatures of others, of witnesses, may be there too.
func ParseCheckpoint(b []byte, keys note.Verifiers) (*Checkpoint, error) {
	if len(b) > maxNote {
		return nil, fmt.Errorf("a checkpoint of %d bytes is more than %d", len(b), maxNote)
	}
	n, err := note.Open(b, keys)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	c, err := parseCheckpointText(n.Text)
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Concat(n.Sigs, n.UnverifiedSigs) {
		// note is content with bits that stand for nothing; here each byte counts.
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return nil, fmt.Errorf("checkpoint: a signature is not written as signatures are: %w", err)
		}
	}
	for _, s := range n.Sigs {
		if s.Name == c.Origin {
			// note reads base64 whose unused bits are anything: not the bytes that were signed.
			if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
				return nil, fmt.Errorf("checkpoint: the signature is not as it was written: %w", err)
			}
			c.Note = bytes.Clone(b)
			return c, nil
		}
	}
	return nil, fmt.Errorf("checkpoint of %q has no signature of that name", c.Origin)
}

// peekCheckpoint reads a checkpoint whose signature nobody can check here.
func peekCheckpoint(b []byte) (*Checkpoint, error) {
	text, _, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok || len(b) > maxNote {
		return nil, errors.New("a checkpoint without signature")
	}
	c, err := parseCheckpointText(string(text) + "\n")
	if err != nil {
		return nil, err
	}
	c.Note = bytes.Clone(b)
	return c, nil
}

func parseCheckpointText(text string) (*Checkpoint, error) {
	c := new(Checkpoint)
	bad := func(what string) (*Checkpoint, error) { return nil, fmt.Errorf("checkpoint: %s", what) }
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 5 {
		return bad("it has too few lines")
	}
	c.Origin = lines[0]
	n, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || c.Origin == "" || strconv.FormatUint(n, 10) != lines[1] {
		return bad("its size is no number")
	}
	c.Records = n
	if c.Root, err = parseHash(lines[2]); err != nil {
		return bad("its root is no hash")
	}
	at, ok := strings.CutPrefix(lines[3], chainLine)
	if b, err := hex.DecodeString(at); !ok || err != nil || len(b) != len(c.Chain) || at != strings.ToLower(at) {
		return bad("it does not say where the chain stood")
	} else {
		c.Chain = hash(b)
	}
	at, ok = strings.CutPrefix(lines[4], timeLine)
	if c.Time, err = time.Parse(time.RFC3339Nano, at); !ok || err != nil {
		return bad("it has no time")
	}
	for _, l := range lines[5:] {
		at, ok := strings.CutPrefix(l, rootLine)
		h, err := parseHash(at)
		if !ok || err != nil {
			return bad(fmt.Sprintf("unknown line %.40q", l))
		}
		c.Roots = append(c.Roots, h)
	}
	if c.text() != text {
		return bad("it is not written as checkpoints are")
	}
	return c, nil
}

func parseHash(s string) (h tlog.Hash, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, errors.New("not a hash")
	}
	return tlog.Hash(b), nil
}

// fits says what of c is not so where the log stands at chain with the tree t.
func (c *Checkpoint) fits(chain hash, t *tree) error {
	switch {
	case c.Records != t.n:
		return fmt.Errorf("a checkpoint of %d records stands after record %d", c.Records, t.n)
	case c.Chain != chain:
		return errors.New("a checkpoint does not continue the chain")
	case c.Root != t.root():
		return fmt.Errorf("the records before it do not have the tree that the checkpoint of %d records signs", c.Records)
	}
	return nil
}

// base is the state of a log whose first records were removed.
func (c *Checkpoint) base() (chain, error) {
	t, err := treeOf(c.Records, c.Roots)
	if err == nil && t.root() != c.Root {
		err = errors.New("its subtrees do not make its root")
	}
	if err != nil {
		return chain{}, fmt.Errorf("base of the log: %w", err)
	}
	return chain{next: c.Records + 1, prev: c.Chain, tree: t.clone()}, nil
}
