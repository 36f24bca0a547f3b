package machine

import "time"

// moment is machine time: at never goes back, and at - off is the store's clock.
type moment struct{ at, off int64 }

// moment brings machine time to the store's clock, now. It never goes back: a clock that stepped back is carried on from
// where machine time was. The step costs the time in which no request came, and lengthens no deadline beyond that.
func (m *Machine) moment(now int64) moment {
	// mutant: moment
	at := max(m.at, now+m.off)
	// mutant: off = return moment{at: at, off: m.off}
	return moment{at: at, off: at - now}
}

// lateness is for how long a request was under way, in ms, by the store's own clock: how far that is ahead of what the sender
// reckoned it to be. It is 0 if the sender did not say.
func (t moment) lateness(sentAt time.Time) int64 {
	if sentAt.IsZero() {
		return 0
	}
	return max(t.at-t.off-sentAt.UnixMilli(), 0)
}

// nextNumber is the generation or rev after number: one more, or machine time if that is greater, so that a store that
// forgot number does not use it again.
// mutant: next-number
func nextNumber(number uint64, at int64) uint64 { return max(number+1, uint64(at)) }
