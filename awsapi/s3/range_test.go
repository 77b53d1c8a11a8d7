package s3

import "testing"

// FuzzRange: a range that is taken lies within the object and is not empty.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"", "bytes=0-0", "bytes=-1", "bytes=1-", "bytes=5-3", "bytes=0-1,2-3", "bytes=", "bytes=-", "lines=1-2", "bytes=18446744073709551615-", "bytes=0-4611686018427387903"} {
		f.Add(s, int64(5))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		from, to, err := span(header, size)
		if err == nil && header != "" && (from < 0 || from >= to || to > size) {
			t.Errorf("%q of %d: %d to %d", header, size, from, to)
		}
	})
}
