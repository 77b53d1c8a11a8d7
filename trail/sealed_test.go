package trail

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSortLinks holds sortLinks to an ordinary sort.
func TestSortLinks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		links := make([]link, r.IntN(2000))
		mask := []uint64{0, 1, 0xff, 0xff00000000000001, 0x00ff00ff00ff00ff, 1<<63 | 1, ^uint64(0)}[round%7]
		for i := range links {
			links[i] = link{key: r.Uint64() & mask, no: uint32(i / 3), older: uint32(i)}
			if r.IntN(3) == 0 {
				links[i].key = ^uint64(0)
			}
		}
		want := slices.Clone(links)
		slices.SortStableFunc(want, func(a, b link) int { return cmp.Compare(a.key, b.key) })
		before := slices.Clone(links)
		if got := sortLinks(links); !slices.Equal(got, want) {
			t.Fatalf("%d links, mask %x", len(links), mask)
		}
		if !slices.Equal(links, before) {
			t.Fatal("the links of the index that goes on were moved")
		}
	}
}
