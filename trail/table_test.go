package trail

import (
	"math/rand/v2"
	"testing"
)

// TestTable holds a table to a map.
func TestTable(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for round := range 20 {
		x, m := newTable(), map[uint64]uint32{}
		n := 1 << r.IntN(17)
		for range n {
			k := r.Uint64N(uint64(n)) // small numbers, and again and again
			if round%2 == 0 {
				k <<= 40
			}
			at := x.at(k)
			if *at != m[k] {
				t.Fatalf("%d has %d, want %d", k, *at, m[k])
			}
			*at = 1 + r.Uint32N(1<<30)
			m[k] = *at
		}
		for range 1000 {
			k := r.Uint64N(2 * uint64(n))
			if got := x.get(k); got != m[k] {
				t.Fatalf("%d has %d, want %d", k, got, m[k])
			}
		}
		for k, want := range m {
			if got := x.get(k); got != want {
				t.Fatalf("%d has %d, want %d", k, got, want)
			}
		}
	}
	if x := newTable(); x.get(0) != 0 {
		t.Error("an empty table has something")
	}
}
