package dashboard

import (
	"slices"
	"time"
)

// How refusals are reported. A replica whose calls are admitted reports what it refused beside them. One that refuses all of
// them has nothing else to say, and reports at its next sign of life.
const (
	signOfLife = 10 * time.Second           // at the latest
	reportDue  = signOfLife + 2*time.Second // without a report for this time, nobody refuses any more
)

// refusals makes a rate of a total that grows in steps, one for each read that found it grown.
type refusals struct {
	steps  []step    // the newest last
	rareAt time.Time // when reports were rare last
}

// step is some calls, and when they can have been refused.
type step struct {
	from, to time.Time
	calls    float64
}

// rate is in calls a second, of which calls are new since the last read. If reports are rare, it is the average of signOfLife
// up to the last step, held until the next one is due. What is not reported when that time ends comes soon after it, so that
// an average is given for as long. Else it is the rate since the last read.
func (r *refusals) rate(calls float64, last, now time.Time, rare bool) float64 {
	if rare {
		r.rareAt = now
	}
	begin, end := now.Add(-signOfLife), now
	if begin.After(r.rareAt) {
		begin = last
	}
	if calls > 0 {
		r.add(step{begin, now, calls})
	}
	if n := len(r.steps); rare && n > 0 && now.Sub(r.steps[n-1].to) <= reportDue {
		end = r.steps[n-1].to
		begin = end.Add(-signOfLife)
	}
	r.drop(begin)
	return r.sum(begin) / end.Sub(begin).Seconds()
}

// add appends a step, which begins no earlier than the one before it has ended.
func (r *refusals) add(s step) {
	if n := len(r.steps); n > 0 && r.steps[n-1].to.After(s.from) {
		s.from = r.steps[n-1].to
	}
	r.steps = append(r.steps, s)
}

// drop forgets the steps that were over by a time.
func (r *refusals) drop(by time.Time) {
	r.steps = slices.DeleteFunc(r.steps, func(s step) bool { return !s.to.After(by) })
	if len(r.steps) == 0 {
		r.steps = nil
	}
}

// sum is how many calls were refused from a time on.
func (r *refusals) sum(begin time.Time) (sum float64) {
	for _, s := range r.steps {
		if s.from.Before(begin) {
			s.calls *= float64(s.to.Sub(begin)) / float64(s.to.Sub(s.from))
		}
		sum += s.calls
	}
	return sum
}
