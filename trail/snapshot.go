package trail

import (
	"errors"
	"os"
	"time"
)

// snapshot is a log's files as they stood together at one moment, open for
// reading. A writer may go on, and may remove segments: what is open stays
// readable, and nothing beyond the sizes that were found is looked at.
type snapshot struct {
	base  []byte // content of the base; nil: there is none
	files []segmentFile
	total int64 // bytes of the segments

	blocks *blockCache
}

// standingTogether opens base and segments that belong together: the first
// segment is the one that the base names. Where a log does not have it, that is
// for the caller to say; where a writer was removing segments meanwhile, it is
// tried again.
func standingTogether(d disk) (s *snapshot, err error) {
	for try := 1; ; try++ {
		s, err = takeSnapshot(d)
		first, ok := s.first()
		fits := err == nil && (!ok || len(s.files) > 0 && firstOf(s.files[0].name) == first)
		switch {
		case fits, err != nil && !errors.Is(err, os.ErrNotExist), try == offlineTries:
			return s, err
		case err == nil:
			s.close()
		}
		time.Sleep(offlineWait)
	}
}

// first is the sequence of the first record that is kept. It is not known where
// the base is damaged.
func (s *snapshot) first() (seq uint64, ok bool) {
	c, _, err := s.begin(nil)
	return c.next, err == nil
}

func takeSnapshot(d disk) (s *snapshot, err error) {
	s = &snapshot{blocks: new(blockCache)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.base, err = d.ReadFile(baseName)
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errNoAux) {
		return s, err
	}
	names, err := d.List()
	if err != nil {
		return s, err
	}
	first, _ := s.first()
	for i, name := range names {
		if firstOf(name) < first {
			continue // removed but for the file
		}
		f, err := openSegment(d, name, s.blocks)
		if err != nil {
			return s, err
		}
		last := i == len(names)-1
		size, err := sizeOf(f, last)
		if err != nil {
			return s, errors.Join(err, f.Close())
		}
		s.files = append(s.files, segmentFile{name: name, f: f, size: size, last: last, packed: isPacked(f)})
		s.total += size
	}
	return s, nil
}

func (s *snapshot) close() (err error) {
	for _, f := range s.files {
		err = errors.Join(err, f.f.Close())
	}
	s.files = nil
	return err
}

// begin is where the chain stands before the first segment. keys nil: the base's
// signature is not checked.
func (s *snapshot) begin(keys *Ring) (chain, *Checkpoint, error) {
	if s.base == nil {
		return chain{next: 1}, nil, nil
	}
	return readBase(s.base, keys)
}
