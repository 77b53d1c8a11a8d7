package bedrock

import "time"

// The numbers of routing.
const (
	failuresToEject = 3 // in a row
	failurePause    = 5 * time.Second
	throttlePause   = time.Second
	longestPause    = time.Minute
	fullTrust       = 64  // requests at once that end a recovery
	latencyWeight   = 0.2 // of the newest sample in the moving average
	unknownLatency  = time.Millisecond
	stackRoute      = 48 // candidates routed without allocation
)

// room says whether a lane can take one more request.
type room uint8

const (
	hasRoom room = iota
	noRequests
	noTokens
)

// view is what routing sees of one candidate at one moment.
type view struct {
	inFlight int
	latency  time.Duration // of late; 0: not known
	room     room
	out      time.Duration // passed over until then; 0: not
}

// rank writes to dst, which must have room for them, the indices of the
// candidates worth trying, best first, and returns how many there are. It
// decides only from its arguments. first is the source Region's index, -1 if it
// is not among them.
//
// The source Region comes first while it has room and is not out; then the
// others by the work before a new request there, in the order given where that
// is equal. Those that are out come last, the first to return before the others:
// they are tried when everybody else has failed. Full ones are never tried.
func rank(dst []int, views []view, first int) int {
	var buf [stackRoute]time.Duration
	keys := buf[:]
	if len(views) > stackRoute {
		keys = make([]time.Duration, len(views))
	}
	n := 0
	for i := range views {
		v := &views[i]
		if v.room != hasRoom {
			continue
		}
		key := v.work()
		switch {
		case v.out != 0:
			key = lastResort + v.out
		case i == first:
			key = -1
		}
		j := n
		for j > 0 && key < keys[j-1] { // few, and nearly in order
			dst[j], keys[j] = dst[j-1], keys[j-1]
			j--
		}
		dst[j], keys[j] = i, key
		n++
	}
	return n
}

// lastResort is more work than any Region has before it.
const lastResort time.Duration = 1 << 62

// work estimates how long a new request would wait: everything in flight and
// itself, each as long as they took of late. A Region not known yet looks good,
// so that it becomes known.
func (v *view) work() time.Duration {
	l := v.latency
	if l == 0 {
		l = unknownLatency
	}
	return min(time.Duration(v.inFlight+1)*min(l, time.Hour), lastResort-1)
}
