package breaker

import "time"

// start is what uptimes count from. It lies so far back that no uptime is 0, which means "not set", nor negative, in the
// virtual time of tests either.
var start = time.Now().Add(-50 * 365 * 24 * time.Hour)

// uptime is the monotonic time since start. It stands still while the machine sleeps and never jumps.
func uptime() time.Duration { return time.Since(start) }

// instant is one reading of both clocks.
type instant struct{ up, wall time.Duration }

func now() instant {
	t := time.Now()
	return instant{t.Sub(start), time.Duration(t.UnixNano())}
}

// since is the time from then to i: the larger of monotonic and wall time, so that what a machine held in its sleep is as
// old as it is, and a wall clock that jumps can only make it older.
func (i instant) since(then instant) time.Duration { return max(i.up-then.up, i.wall-then.wall, 0) }

func (i instant) isZero() bool { return i == instant{} }
