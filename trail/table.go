package trail

import "math/rand/v2"

// table is a map from keys, which are hashes, to numbers other than 0. A record
// has a dozen keys, and all who append wait for the goroutine that enters them.
// Here a key is looked for once, to learn what was there and to put what is. A
// table grows in pieces, so that nobody waits for all of it.
type table struct {
	factor uint64 // odd and not known to others: who chooses keys does not choose places
	pieces []slots
}

const (
	pieceBits = 8 // of a key's place that name its piece
	minSlots  = 8
)

// slots is an open hash table, three quarters full at most.
type slots struct {
	all  []slot // a power of two
	used int
}

type slot struct {
	key uint64
	n   uint32 // 0: free
}

func newTable() table {
	return table{factor: rand.Uint64() | 1, pieces: make([]slots, 1<<pieceBits)}
}

// get returns the number of a key, 0 if it has none.
func (t *table) get(key uint64) uint32 {
	h := key * t.factor
	s := &t.pieces[h>>(64-pieceBits)]
	if s.used == 0 {
		return 0
	}
	return s.all[s.find(key, h)].n
}

// at returns where the number of a key is, or is to be put: the caller must not
// leave 0 there. It is good until the next call.
func (t *table) at(key uint64) *uint32 {
	h := key * t.factor
	s := &t.pieces[h>>(64-pieceBits)]
	if s.used >= len(s.all)/4*3 {
		s.grow(t.factor)
	}
	x := &s.all[s.find(key, h)]
	if x.n == 0 {
		x.key = key
		s.used++
	}
	return &x.n
}

// find returns the slot of a key, or the free one where it belongs.
func (s *slots) find(key, h uint64) int {
	mask := len(s.all) - 1
	for i := int(h>>(64-pieceBits-24)) & mask; ; i = (i + 1) & mask {
		if x := &s.all[i]; x.n == 0 || x.key == key {
			return i
		}
	}
}

func (s *slots) grow(factor uint64) {
	old := s.all
	s.all = make([]slot, max(minSlots, 2*len(old)))
	for _, x := range old {
		if x.n != 0 {
			s.all[s.find(x.key, x.key*factor)] = x
		}
	}
}
