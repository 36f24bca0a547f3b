package breaker

import (
	"context"
	"time"

	"github.com/commontrip/commontrip/store"
)

// reporter is the Manager's one goroutine that decides what is exchanged when. It sleeps until something is due.
func (m *Manager) reporter() {
	defer m.running.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		// Not 0: of Managers in one bubble of testing/synctest, timers that are due where they are waited for trip over each
		// other in the race detector's own code (go.dev/issue/78156).
		if next, some := m.dispatch(uptime()); some {
			timer.Reset(max(next-uptime(), 1))
		}
		select {
		case <-m.ctx.Done():
			return
		case <-m.wakes:
		case <-timer.C:
		}
	}
}

// poke makes the reporter look again.
func (m *Manager) poke() {
	select {
	case m.wakes <- struct{}{}:
	default:
	}
}

// dispatch starts what is due and says when to look again.
func (m *Manager) dispatch(at time.Duration) (next time.Duration, some bool) {
	for _, l := range m.laneList() {
		w, when := l.plan(at)
		if !some || when < next {
			next, some = when, true
		}
		for _, b := range w.sleepers {
			b.sleep()
		}
		for _, b := range w.drains {
			b.mu.Lock()
			b.drain(b.era, now())
			b.mu.Unlock()
		}
		if w.start {
			m.running.Add(1)
			go l.exchange(w)
		} else {
			w.release()
		}
	}
	return next, some
}

// slot is the next time, from at on, at which this replica reports what may wait so long: the same for all of its
// breakers, so that they share exchanges, and another for each replica, so that a fleet does not report in phase.
func (m *Manager) slot(at, wait time.Duration) time.Duration {
	phase := time.Duration(m.core.salt % uint64(wait))
	return at + wait - (at-phase)%wait
}

// sleep makes the next call of an idle breaker ask the store.
func (b *Breaker) sleep() {
	if !b.core.remote {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asleep = true
	b.restance()
}

// exchange carries out w with the store.
func (l *lane) exchange(w work) {
	defer l.m.running.Done()
	defer l.finish(&w)
	if len(w.syncs) > 0 {
		l.sync(w.syncs)
	}
	if len(w.reads) > 0 {
		l.read(w.reads)
	}
	if len(w.histories) > 0 {
		ctx, cancel := l.m.bounded()
		defer cancel()
		for _, b := range w.histories {
			b.catchUp(ctx)
			l.retell(b)
		}
	}
}

// retell lets b wait for what it still misses, where the history did not come, or what came meanwhile made it old.
func (l *lane) retell(b *Breaker) {
	b.mu.Lock()
	missed := b.gap
	b.mu.Unlock()
	if !missed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b.wantHistory = true
	l.enqueue(b, uptime()+l.backoff(20))
}

// bounded is the context of one exchange.
func (m *Manager) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(m.ctx, m.core.timing.exchange())
}

// sync reports.
func (l *lane) sync(breakers []*Breaker) {
	if !l.m.core.remote {
		for _, b := range breakers {
			_ = b.flush(true) // counted, and tried again by the next outcome
		}
		return
	}
	ctx, cancel := l.m.bounded()
	defer cancel()
	at := now()
	sendings := make([]sending, len(breakers))
	reports := make([]store.Report, len(breakers))
	for i, b := range breakers {
		b.mu.Lock()
		b.drain(b.era, at)
		sendings[i], _ = b.freeze(at, true)
		b.mu.Unlock()
		reports[i] = sendings[i].report
	}
	l.sent(at)
	results := l.m.core.store.Sync(ctx, reports)
	failed, why := 0, error(nil)
	for i, b := range breakers {
		r := result(results, i)
		if err := b.answer(&sendings[i], r); err != nil {
			failed, why = failed+1, err
		}
		l.follow(b, r)
	}
	if failed < len(breakers) {
		why = nil
	}
	l.ended(at, why)
	for i, b := range breakers {
		if r := result(results, i); r.Err != nil {
			l.retry(b, why == nil || answered(r.Err))
		}
	}
}

// follow notes what an answer means for b's schedule.
func (l *lane) follow(b *Breaker, r *store.Result) {
	if r.Err != nil {
		return
	}
	b.mu.Lock()
	more := b.book != nil && len(b.book.runs) > 0
	missed := b.gap
	b.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	b.retries = 0
	b.again = max(r.Again, 0)
	if more { // not at once: what a store bears is for it to say, however much there is
		b.wantSync = true
		l.enqueue(b, l.m.slot(uptime(), l.wait(b)))
	}
	if missed {
		b.wantHistory = true
		l.enqueue(b, uptime())
	}
}

// read compares, and lets those report that differ.
func (l *lane) read(breakers []*Breaker) {
	ctx, cancel := l.m.bounded()
	defer cancel()
	names := make([]string, len(breakers))
	for i, b := range breakers {
		names[i] = b.name
	}
	at := now()
	l.sent(at)
	versions, err := l.m.core.store.Versions(ctx, names...)
	l.ended(at, err)
	if err != nil {
		return
	}
	held := make(map[string]store.Version, len(versions))
	for _, v := range versions {
		held[v.Name] = v
	}
	for _, b := range breakers {
		v, ok := held[b.name]
		b.mu.Lock()
		differs := !ok || v.Generation != b.generation || v.Rev != b.rev || b.failing
		b.mu.Unlock()
		if differs {
			l.hurry(b)
		}
	}
}

// ended notes the end of an exchange of this lane's, and backs off where it failed.
func (l *lane) ended(sent instant, err error) {
	l.exchanged(sent, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if answered(err) {
		l.fails, l.notBefore = 0, 0
		return
	}
	l.fails++
	l.notBefore = uptime() + l.backoff(l.fails)
}
