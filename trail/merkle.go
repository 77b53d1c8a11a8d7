package trail

import (
	"crypto/sha256"
	"errors"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// A log's records are the leaves of a Merkle tree as in RFC 6962; a leaf's data
// is the record's hash, the SHA-256 of its payload. tree is what is needed to
// make it grow: the roots of the perfect subtrees that its leaves make, the
// largest first. Its zero value is empty.
type tree struct {
	n     uint64
	roots []tlog.Hash // one for each bit that is set in n
}

// leafHash is the leaf of the record with the hash sum, as tlog.RecordHash makes
// it. A record is hashed when it is written and whenever it is verified.
func leafHash(sum hash) tlog.Hash {
	var b [1 + len(sum)]byte // prefix 0
	copy(b[1:], sum[:])
	return sha256.Sum256(b[:])
}

// nodeHash is tlog.NodeHash.
func nodeHash(left, right tlog.Hash) tlog.Hash {
	var b [1 + 2*len(left)]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+len(left):], right[:])
	return sha256.Sum256(b[:])
}

// add appends a leaf. node, if not nil, is told of every node that is complete
// with it, the leaf first.
func (t *tree) add(leaf tlog.Hash, node func(level int, n int64, h tlog.Hash)) {
	level, n := 0, t.n
	h := leaf
	if node != nil {
		node(0, int64(n), h)
	}
	for ; n&1 == 1; n >>= 1 {
		h = nodeHash(t.roots[len(t.roots)-1], h)
		t.roots = t.roots[:len(t.roots)-1]
		level++
		if node != nil {
			node(level, int64(n>>1), h)
		}
	}
	t.roots = append(t.roots, h)
	t.n++
}

// root is the hash of the whole tree.
func (t *tree) root() tlog.Hash {
	if t.n == 0 {
		h, _ := tlog.TreeHash(0, nil) // never reads
		return h
	}
	h := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		h = nodeHash(t.roots[i], h)
	}
	return h
}

func (t *tree) clone() tree { return tree{t.n, append([]tlog.Hash(nil), t.roots...)} }

// nodes calls node for each of the roots.
func (t *tree) nodes(node func(level int, n int64, h tlog.Hash)) {
	at := uint64(0)
	i := 0
	for level := 63; level >= 0; level-- {
		if t.n>>level&1 == 1 {
			node(level, int64(at>>level), t.roots[i])
			at += 1 << level
			i++
		}
	}
}

// treeOf is a tree of n leaves with these roots.
func treeOf(n uint64, roots []tlog.Hash) (tree, error) {
	if bits.OnesCount64(n) != len(roots) {
		return tree{}, errors.New("the number of subtrees does not fit the size of the tree")
	}
	return tree{n, roots}, nil
}

// wanted collects the hashes that tlog asks for, from one pass over the log.
type wanted struct {
	want map[int64]int // by stored index: where it goes
	got  []tlog.Hash
	have int
}

// errWanted ends the first of two calls: now it is known what is needed.
var errWanted = errors.New("hashes are wanted")

// ask finds out which hashes prove needs.
func ask(prove func(tlog.HashReader) error) (*wanted, error) {
	w := &wanted{want: map[int64]int{}}
	err := prove(tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		for i, x := range indexes {
			w.want[x] = i
		}
		w.got = make([]tlog.Hash, len(indexes))
		return nil, errWanted
	}))
	if err != nil && !errors.Is(err, errWanted) {
		return nil, err
	}
	return w, nil
}

// node takes a hash if it is wanted.
func (w *wanted) node(level int, n int64, h tlog.Hash) {
	if i, ok := w.want[tlog.StoredHashIndex(level, n)]; ok {
		w.got[i] = h
		w.have++
	}
}

// ReadHashes gives tlog what it asked for.
func (w *wanted) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	if w.have != len(w.want) {
		return nil, errors.New("the log does not hold all hashes of the proof")
	}
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		at, ok := w.want[x]
		if !ok {
			return nil, errors.New("another hash than before is wanted")
		}
		out[i] = w.got[at]
	}
	return out, nil
}
