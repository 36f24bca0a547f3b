package dashboard

import (
	"slices"
	"time"
)

// How refusals are reported. A replica whose calls are admitted reports what it refused beside them. One that refuses all of
// them has nothing else to say, and reports at its next sign of life, each time for the nine to ten seconds since the last.
const (
	signOfLife = 10 * time.Second           // at the latest
	silence    = signOfLife * 9 / 10        // at the earliest
	reportDue  = signOfLife + 2*time.Second // without a report for this time, nobody refuses any more
)

// refusals makes a rate of a total that grows in steps, one for each read that found it grown.
type refusals struct {
	steps    []step    // the newest last
	rareFrom time.Time // when reports began to be rare
	rareAt   time.Time // when they were rare last
}

// step is calls that were reported by a read.
type step struct {
	at    time.Time
	calls float64
}

// rate is in calls a second, of which calls are new since the last read. If reports are not rare, it is the rate since the last
// read. If they are, it is an average, and stays one for signOfLife longer: what is not reported when that time ends comes
// soon after it.
func (r *refusals) rate(calls float64, last, now time.Time, rare bool) float64 {
	over := now.Sub(r.rareAt) > signOfLife
	switch {
	case rare && over:
		*r = refusals{rareFrom: last, rareAt: now}
	case rare:
		r.rareAt = now
	case over:
		return calls / now.Sub(last).Seconds()
	}
	if calls > 0 {
		r.steps = append(r.steps, step{now, calls})
	}
	r.steps = slices.DeleteFunc(r.steps, func(s step) bool { return now.Sub(s.at) > 2*signOfLife })
	if n := len(r.steps); n == 0 || now.Sub(r.steps[n-1].at) > reportDue {
		return 0
	}
	return r.average(now)
}

// average is the mean, over the last signOfLife, of what each silence that ended in it brought: a replica reports at most once
// in a silence. The mean makes up for the moments when some report is not yet there.
func (r *refusals) average(now time.Time) (rate float64) {
	begin := now.Add(-signOfLife)
	if full := r.rareFrom.Add(signOfLife); begin.Before(full) { // before that not all have reported
		begin = full
	}
	if !begin.Before(now) {
		begin = now.Add(-1) // only the silence that ends now
	}
	for _, s := range r.steps {
		from, to := s.at.Add(-1), s.at.Add(silence-1) // silences with this step end between them
		if from.Before(begin) {
			from = begin
		}
		if to.After(now) {
			to = now
		}
		rate += s.calls * max(0, to.Sub(from).Seconds())
	}
	return rate / now.Sub(begin).Seconds() / silence.Seconds()
}
