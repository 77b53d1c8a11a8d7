package flow

import (
	"log/slog"
	"time"

	"tokaido/engine"
)

// Limits are what machines and executions may have. 0 is no limit.
type Limits struct {
	Standard, Express engine.Limits

	Open       int           // executions that have not ended, Express ones aside; AWS's million, which it raises on request, is not set
	Machines   int           // of an account, all Regions together
	Activities int           // of an account, all Regions together
	Versions   int           // of a machine
	Aliases    int           // of a machine
	Tags       int           // of a machine or an activity
	Pollers    int           // of an activity, at a time
	Redrivable time.Duration // that an execution can be redriven for, after its end
	Retention  time.Duration // that an execution is kept for, after its end
}

// AWSLimits are AWS's.
func AWSLimits() Limits {
	return Limits{
		Standard: engine.StandardLimits(), Express: engine.ExpressLimits(),
		Machines: 100_000, Activities: 100_000, Versions: 1000, Aliases: 100, Tags: 50, Pollers: 1000,
		Redrivable: 14 * 24 * time.Hour, Retention: 90 * 24 * time.Hour,
	}
}

// Near is how many parts in a hundred of a limit may be used before somebody is
// warned.
const Near = 80

// NearTo is what is Near to a limit.
func NearTo[T int | int64 | time.Duration](limit T) T { return limit/100*Near + limit%100*Near/100 }

// over reports whether there is no room for one more than n.
func over(n, limit int) bool { return limit > 0 && n >= limit }

// counted warns when a number that has just become n has come near its limit.
func (s *Service) counted(what, of string, n, limit int) {
	if limit > 0 && n == max(1, NearTo(limit)) {
		s.cfg.Logger.Warn("a limit is near", "limit", what, "of", of, "value", n, "max", limit, slog.Int("percent", Near))
	}
}

// DataSize is how many bytes an input or output may have; 0: any number.
func (s *Service) DataSize() int { return s.limits.Standard.DataSize }
