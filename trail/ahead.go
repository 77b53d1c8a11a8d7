package trail

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// The segment that is being written has zeros behind its end, which are no part
// of the log. A file that grows with each write has its size changed and blocks
// added, which makes each sync wait for the file system's journal; writing over
// what is there does not. No frame begins with a zero length or ends in a zero
// byte, so the log ends with the last byte that is not zero.
const (
	maxAhead   = 4 << 20  // bytes of zeros that are written ahead, at most
	minAhead   = 64 << 10 // at least; between the two, as many as the segment has
	aheadPiece = 64 << 10 // bytes of one write: who waits for the file waits for one

	// aheadUnit: zeros end at a multiple of it. Where others do, somebody else
	// wrote them.
	aheadUnit = 4 << 10

	// aheadPause is how long none are written after they could not be.
	aheadPause = time.Second
)

var zeros [aheadPiece]byte

// extension is zeros on their way into a file.
type extension struct {
	from int64 // nothing else is written from here on before it has ended
	stop atomic.Bool
	done chan struct{} // closed when it has ended
	end  int64         // of the zeros; set by then
	err  error         // why it did not get further; set by then
}

// extend writes zeros from one place to another, both multiples of aheadUnit, in
// the background.
func extend(f file, from, to int64) *extension {
	x := &extension{from: from, done: make(chan struct{}), end: from}
	go func() {
		defer close(x.done)
		for x.end < to && !x.stop.Load() {
			n := min(to-x.end, aheadPiece)
			if _, x.err = f.WriteAt(zeros[:n], x.end); x.err != nil {
				x.err = errors.Join(x.err, f.Truncate(x.end))
				return
			}
			x.end += n
		}
	}()
	return x
}

// ahead has zeros written behind the end, beside what goes on, where few are
// left.
func (l *Log) ahead() {
	if x := l.extending; x != nil {
		select {
		case <-x.done:
			l.extended()
		default:
			return
		}
	}
	if !l.opts.Sync {
		return
	}
	n := min(max(l.at, minAhead), maxAhead)
	if l.zeroed-l.at > n/2 || time.Now().Before(l.unzeroed) {
		return
	}
	from := roundUp(max(l.zeroed, l.at+frameSize))
	to := min(roundUp(l.at+n), roundUp(l.opts.SegmentSize))
	if to > from {
		l.extending = extend(l.file, from, to)
	}
}

// extended takes what came of an extension that has ended.
func (l *Log) extended() {
	l.zeroed = l.extending.end
	if l.extending.err != nil { // the disk is full, perhaps: the segment grows as it is written
		l.unzeroed = time.Now().Add(aheadPause)
	}
	l.extending = nil
}

// clear makes sure that nobody else writes before an offset, or behind it.
func (l *Log) clear(end int64) {
	if x := l.extending; x != nil && end > x.from {
		x.stop.Store(true)
		<-x.done
		l.extended()
	}
}

// cut ends the file at an offset, with all zeros behind it.
func (l *Log) cut(at int64) error {
	l.clear(maxOffset)
	l.zeroed = at
	return l.file.Truncate(at)
}

const maxOffset = 1<<63 - 1

func roundUp(at int64) int64 { return (at + aheadUnit - 1) / aheadUnit * aheadUnit }

// sizeOf is the size of a segment, of the last one without the zeros.
func sizeOf(f file, last bool) (int64, error) {
	if last {
		return writtenSize(f)
	}
	return f.Size()
}

// writtenSize is the size of the last segment without the zeros ahead. Whoever
// reads beside the writer looks at nothing behind it: what is there now was
// written later.
func writtenSize(f file) (int64, error) {
	var b []byte
	for {
		size, err := f.Size()
		if err != nil || size <= headerSize || size%aheadUnit != 0 {
			return size, err
		}
		if b == nil {
			b = make([]byte, aheadPiece)
		}
		end, err := lastByte(f, b, size)
		if !errors.Is(err, io.EOF) {
			return end, err
		}
		// The zeros were cut off meanwhile.
	}
}

// lastByte returns where, before size, the last byte ends that is not zero and not
// the header's. b is for reading.
func lastByte(f file, b []byte, size int64) (int64, error) {
	for size > headerSize {
		n := min(size-headerSize, int64(len(b)))
		if got, err := f.ReadAt(b[:n], size-n); int64(got) < n {
			return 0, err
		}
		for ; n > 0 && b[n-1] == 0; n-- {
			size--
		}
		if n > 0 {
			break
		}
	}
	return size, nil
}
