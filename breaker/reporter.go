package breaker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// reporter is the goroutine of a Manager that decides what is exchanged with the store and when, and the exchanges that it
// starts: one a lane at most. It is safe for concurrent use.
type reporter struct {
	core     *core
	audience *audience // hears when the store is lost and when it is back
	stats    exchangeStats
	made     instant // when the Manager was made

	ctx     context.Context // ends when the Manager stops
	stop    context.CancelFunc
	running sync.WaitGroup // the Manager's goroutines
	wakes   chan struct{}

	mu     sync.Mutex // guards what follows; no lock of a breaker is taken under it
	lanes  map[int]*lane
	order  []*lane // the lanes, in the order in which they were made; only ever added to
	lost   int     // lanes that are lost
	losses uint64  // how often listeners were told that the store is lost
}

func newReporter(c *core, a *audience, exchanged func(took time.Duration)) *reporter {
	r := &reporter{
		core: c, audience: a, stats: exchangeStats{observe: exchanged}, made: now(), wakes: make(chan struct{}, 1), lanes: map[int]*lane{},
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// exchangeContext is the one of claims. A local store serves on after the Manager has stopped.
func (r *reporter) exchangeContext() context.Context {
	if r.core.remote {
		return r.ctx
	}
	return context.Background()
}

// run is the goroutine. It sleeps until something is due.
func (r *reporter) run() {
	defer r.running.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		// Not 0: if several Managers in one test of testing/synctest wait for timers that are due already, the race detector's
		// own code fails (go.dev/issue/78156).
		if next, some := r.dispatch(uptime()); some {
			timer.Reset(max(next-uptime(), 1))
		}
		select {
		case <-r.ctx.Done():
			return
		case <-r.wakes:
		case <-timer.C:
		}
	}
}

// wake makes the goroutine look again.
func (r *reporter) wake() {
	select {
	case r.wakes <- struct{}{}:
	default:
	}
}

// stopped reports that the Manager's goroutines are told to end.
func (r *reporter) stopped() bool { return r.ctx.Err() != nil }

// lane finds or makes the lane of that number.
func (r *reporter) lane(number int) *lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[number]
	if l == nil {
		l = &lane{
			timing: r.core.timing, remote: r.core.remote, salt: r.core.salt, stats: &r.stats,
			wake: r.wake, turned: r.turned, waiters: map[*member][]chan struct{}{},
		}
		r.lanes[number] = l
		r.order = append(slices.Clip(r.order), l)
	}
	return l
}

// laneList gives the lanes.
func (r *reporter) laneList() []*lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.order
}

// turned carries out what a change of a lane's liveness means: listeners hear when the first lane is lost and when the last one
// is back, and then its breakers decide again, so that the cause is told before what follows from it.
func (r *reporter) turned(l *lane, t turn) {
	r.tell(t)
	if t.changed {
		for _, m := range l.memberList() {
			m.breaker.redecide()
		}
	}
}

// tell counts the lanes that are lost, and tells listeners of the first and of the last one.
func (r *reporter) tell(t turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case t.lost && !r.stopped():
		if r.lost++; r.lost == 1 {
			r.losses++
			if t.why == nil {
				t.why = context.DeadlineExceeded
			}
			r.audience.hear(Event{Kind: StoreLost, Err: t.why})
		}
	case t.back:
		if r.lost--; r.lost == 0 {
			r.audience.hear(Event{Kind: StoreBack})
		}
	}
}

// leave ends a membership. A lane that was lost counts no more without a member. The store is back if others are healthy.
func (r *reporter) leave(m *member) {
	if !m.leave() || r.stopped() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	inUse := func(l *lane) bool { return l.healthy.Load() && len(l.memberList()) > 0 }
	if r.lost--; r.lost == 0 && slices.ContainsFunc(r.order, inUse) {
		r.audience.hear(Event{Kind: StoreBack})
	}
}

// dispatch starts what is due, and says when to look again; some is false if there is nothing to wait for.
func (r *reporter) dispatch(at time.Duration) (next time.Duration, some bool) {
	for _, l := range r.laneList() {
		w, when := l.plan(at)
		if !some || when < next {
			next, some = when, true
		}
		for _, m := range w.sleepers {
			m.breaker.sleep()
		}
		for _, m := range w.collects {
			m.breaker.collectNow()
		}
		if w.start {
			r.running.Add(1)
			go r.exchange(l, w)
		} else {
			w.release()
		}
	}
	return next, some
}

// exchange carries out w with the store.
func (r *reporter) exchange(l *lane, w work) {
	defer r.running.Done()
	defer l.finish(&w)
	if len(w.syncs) > 0 {
		r.sync(l, w.syncs)
	}
	if len(w.reads) > 0 {
		r.compare(l, w.reads)
	}
	if len(w.histories) > 0 {
		ctx, cancel := r.bounded()
		defer cancel()
		for _, m := range w.histories {
			m.breaker.fillGap(ctx)
			if m.breaker.hasGap() { // the history did not come, or is old by now
				// mutant: unanswered
				m.requestHistory(l.backoff(20))
			}
		}
	}
}

// bounded is the context of one exchange.
func (r *reporter) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.ctx, r.core.timing.exchange())
}

// sync reports.
func (r *reporter) sync(l *lane, members []*member) {
	if !r.core.remote {
		for _, m := range members {
			_ = m.breaker.flush(true) // counted, and tried again by the next outcome
		}
		return
	}
	ctx, cancel := r.bounded()
	defer cancel()
	at := now()
	var sent []*member
	var sendings []sending
	var reports []store.Report
	for _, m := range members {
		if s, ok := m.breaker.fullReport(at); ok {
			sent, sendings, reports = append(sent, m), append(sendings, s), append(reports, s.report)
		}
	}
	if len(sent) == 0 {
		return
	}
	l.sent(at)
	results := r.core.store.Sync(ctx, reports)
	failed, why := 0, error(nil)
	for i, m := range sent {
		sendings[i].reply.hear(resultOf(results, i))
		if err := m.breaker.check(&sendings[i].reply); err != nil {
			failed, why = failed+1, err
		}
	}
	if failed < len(sent) {
		why = nil
	}
	l.ended(at, why) // first: whether a breaker is live depends on its lane
	for i, m := range sent {
		again := resultOf(results, i).Again
		if more, missed, err := m.breaker.reported(&sendings[i]); err != nil {
			m.retry(why == nil || answered(err))
		} else {
			m.reported(again, more, missed)
		}
	}
}

// compare asks for numbers alone, and lets those report that differ.
func (r *reporter) compare(l *lane, members []*member) {
	ctx, cancel := r.bounded()
	defer cancel()
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.breaker.name
	}
	at := now()
	l.sent(at)
	versions, err := r.core.store.Versions(ctx, names...)
	l.ended(at, err)
	if err != nil {
		return
	}
	held := make(map[string]store.Version, len(versions))
	for _, v := range versions {
		held[v.Name] = v
	}
	for _, m := range members {
		if v, ok := held[m.breaker.name]; !ok || m.breaker.differs(v) {
			m.syncNow()
		}
	}
}

// sinceExchange is the time since the last exchange that was answered was sent; if there was none, since the Manager was made.
func (r *reporter) sinceExchange(at instant) time.Duration {
	if local := time.Duration(r.stats.localAt.Load()); local != 0 {
		return max(at.up-local, 0)
	}
	last := r.made
	for _, l := range r.laneList() {
		if _, good := l.status(); good.up > last.up {
			last = good
		}
	}
	return at.since(last)
}

// storeUp reports that no lane owes an answer.
func (r *reporter) storeUp() bool {
	if r.stopped() {
		return false
	}
	for _, l := range r.laneList() {
		if healthy, _ := l.status(); r.core.remote && !healthy {
			return false
		}
	}
	return true
}

// storeLosses is how often listeners were told that the store is lost.
func (r *reporter) storeLosses() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.losses
}
