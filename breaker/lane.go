package breaker

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lane is the breakers whose names share their fate at the store, such as one Redis node: which they are, what each wants of
// the store and when, and whether the store answers. One exchange a lane is in flight, so that a part of the store that
// hangs holds only its own breakers. It is safe for concurrent use. Its lock may be taken while a coordinator's mu is held, and
// never the other way round.
type lane struct {
	timing  Timing
	remote  bool
	salt    uint64 // tells replicas apart, so that a fleet does not report in phase
	stats   *exchangeStats
	wake    func()            // makes the reporter look again
	turned  func(*lane, turn) // hears of each change of liveness, without any lock
	healthy atomic.Bool       // answered, and lately

	mu        sync.Mutex // guards what follows, and the schedule of each member
	members   []*member
	active    []*member                   // those with a call within the last inUse
	queue     []*member                   // those that want something of the store
	waiters   map[*member][]chan struct{} // closed at the end of a member's next exchange
	busy      bool                        // an exchange is in flight
	fails     int                         // failed exchanges in a row
	notBefore time.Duration               // uptime before which no exchange begins; 0: none failed
	collectAt time.Duration               // uptime when successes that cannot be sent get their ages next
	refreshAt time.Duration               // uptime when members are compared next
	cursor    int                         // of the idle members
	sentAt    instant                     // when the last exchange was sent
	lastGood  instant                     // when the last successful exchange was sent; zero: there was none
	backAt    instant                     // when the exchange was sent that made the lane healthy; zero: it never was
	firstSent instant                     // when the first exchange was sent; zero: there was none
	toldLost  bool                        // listeners were told that this lane is lost
	why       error                       // of the last exchange that failed
	timer     *time.Timer                 // finds the lane unhealthy; nil: no answer is owed yet
	closed    bool                        // the Manager stops
}

// member is a lane's record of one breaker. Only the lane's methods touch it, under the lane's lock, except for the fields
// that never change. A nil one is that of a breaker made by New, which has no
// lane: flushSoon, syncNow, useNow and patience may be called on it.
type member struct {
	lane    *lane        // never changes
	breaker *coordinator // never changes

	due                             time.Duration // if queued: uptime when it is served
	wantSync, wantRead, wantHistory bool
	queued, isActive, gone          bool
	retries                         uint8
	readAt, syncAt, usedAt          time.Duration // uptimes of the last comparison, report and call
	againMicros                     uint32        // how long the store asks reports to wait, in microseconds
	refusedSeen                     uint32        // how many of its calls were refused when it was last looked at
}

// The rhythm that Timing does not set.
const (
	inUse      = 10 * time.Second // after a call
	signOfLife = 10 * time.Second // a report, even an empty one
	idleShare  = 10               // how many times less often idle breakers are compared
	batch      = 500              // breakers an exchange
	histories  = 4                // histories an exchange: each is a request of its own
)

// join makes m a member.
func (l *lane) join(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members = append(l.members, m)
}

// leave ends a membership. It reports that the lane was told to be lost, and has no member any more: it is lost no longer.
func (m *member) leave() (lost bool) {
	l := m.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	m.gone = true
	same := func(other *member) bool { return other == m }
	l.members = slices.DeleteFunc(l.members, same)
	l.active = slices.DeleteFunc(l.active, same)
	lost = l.toldLost && len(l.members) == 0
	l.toldLost = l.toldLost && !lost
	return lost
}

// flushSoon asks for a report at the next flush, since an outcome waits.
func (m *member) flushSoon() {
	if m == nil {
		return
	}
	l := m.lane
	l.mu.Lock()
	at := uptime()
	l.use(m, at)
	m.wantSync = true
	l.enqueue(m, l.nextFlush(m, at))
	l.mu.Unlock()
	l.wake()
}

// syncNow asks for a report at once.
func (m *member) syncNow() {
	if m == nil {
		return
	}
	l := m.lane
	l.mu.Lock()
	m.wantSync = true
	l.enqueue(m, uptime())
	l.mu.Unlock()
	l.wake()
}

// useNow asks for a report at once, since there was a call after a long time.
func (m *member) useNow() {
	if m == nil {
		return
	}
	l := m.lane
	l.mu.Lock()
	l.use(m, uptime())
	l.mu.Unlock()
	m.syncNow()
}

// requestSync asks for a report now. The channel is closed at its end, or at once if the breaker is not a member any more.
func (m *member) requestSync() <-chan struct{} {
	done := make(chan struct{})
	l := m.lane
	l.mu.Lock()
	if m.gone {
		l.mu.Unlock()
		close(done)
		return done
	}
	m.wantSync = true
	l.waiters[m] = append(l.waiters[m], done)
	l.enqueue(m, uptime())
	l.mu.Unlock()
	l.wake()
	return done
}

// requestHistory asks for the transitions that the breaker missed, at once or after a pause.
func (m *member) requestHistory(pause time.Duration) {
	l := m.lane
	l.mu.Lock()
	m.wantHistory = true
	l.enqueue(m, uptime()+pause)
	l.mu.Unlock()
	l.wake()
}

// patience is how long the store asks this breaker's requests to wait, so that a big fleet does not crowd it; 0: it need not.
func (m *member) patience() time.Duration {
	if m == nil {
		return 0
	}
	m.lane.mu.Lock()
	defer m.lane.mu.Unlock()
	return m.again()
}

// compareAll asks for a comparison of every member.
func (l *lane) compareAll() {
	l.mu.Lock()
	at := uptime()
	for _, m := range l.members {
		m.wantRead = true
		l.enqueue(m, at)
	}
	l.mu.Unlock()
	l.wake()
}

// reported notes the answer to a report: what the store asks for, and that more waits or history is missed. What waits is
// not reported at once: how often it may is for the store to say.
func (m *member) reported(again time.Duration, more, missed bool) {
	l := m.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	at := uptime()
	m.retries = 0
	// mutant: again
	m.againMicros = uint32(min(max(again, 0), time.Second) / time.Microsecond)
	if more {
		m.wantSync = true
		l.enqueue(m, l.nextFlush(m, at))
	}
	if missed {
		m.wantHistory = true
		l.enqueue(m, at+rand.N(m.again()+1)) // not all replicas of a big fleet at once
	}
}

// retry asks for a report again, after a pause if only this member's last one failed.
func (m *member) retry(alone bool) {
	l := m.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	m.wantSync = true
	at := uptime()
	if alone {
		m.retries = min(m.retries+1, 16)
		at += l.backoff(int(m.retries))
	}
	l.enqueue(m, at)
	m.due = at // also if a call has queued it meanwhile
}

// ended notes the end of an exchange, and backs off if it failed.
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

// backoff is full jitter, up to the longest time of an exchange.
func (l *lane) backoff(fails int) time.Duration {
	t := l.timing
	doublings := min(fails, 20)
	most := min(t.FlushInterval, t.exchange()>>doublings) << doublings
	return time.Millisecond + rand.N(max(most, time.Millisecond))
}

// wait is how long an outcome may wait at most.
func (l *lane) wait(m *member) time.Duration {
	t := l.timing
	if !l.remote {
		return t.RefreshInterval
	}
	return min(max(t.FlushInterval, m.again()), t.exchange()) // longer, and it would be too old to be sent
}

// nextFlush is the next time, from at on, at which this replica reports what may wait for so long: the same for all of its
// breakers, so that they share exchanges, and another for each replica, so that a fleet does not report in phase.
func (l *lane) nextFlush(m *member, at time.Duration) time.Duration {
	wait := l.wait(m)
	phase := time.Duration(l.salt % uint64(wait))
	return at + wait - (at-phase)%wait
}

// again is how long the store asks m's reports to wait, at most a second. l.mu is held.
func (m *member) again() time.Duration { return time.Duration(m.againMicros) * time.Microsecond }

// enqueue lets m wait to be served, until due at the latest. l.mu is held.
func (l *lane) enqueue(m *member, due time.Duration) {
	switch {
	case m.gone:
		return
	case !m.queued:
		m.queued, m.due = true, due
		l.queue = append(l.queue, m)
	// mutant: turn
	case m.retries == 0: // one that is to be sent again waits for its turn, whoever asks
		m.due = min(m.due, due)
	}
}

// use notes a call. l.mu is held.
func (l *lane) use(m *member, at time.Duration) {
	m.usedAt = at
	if !m.isActive && !m.gone {
		m.isActive = true
		l.active = append(l.active, m)
	}
}

// work is what one exchange does, and what is to be done beside it.
type work struct {
	syncs, reads, histories []*member
	waiters                 []chan struct{}
	collects                []*member // their successes get their ages now, since they cannot be sent
	sleepers                []*member // no call of theirs is within inUse any more
	start                   bool      // there is an exchange: the lane is busy until it is finished
}

func (w *work) full() bool { return len(w.syncs)+len(w.reads) >= batch }

func (w *work) release() {
	for _, done := range w.waiters {
		close(done)
	}
}

// plan takes what is due, and says when to look again. If there is something to exchange, the lane is busy from now on.
func (l *lane) plan(at time.Duration) (w work, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.sleepers = l.refresh(at)
	next = l.refreshAt
	// mutant: ready
	ready := !l.busy && at >= l.notBefore
	if !l.busy && !ready {
		next = min(next, l.notBefore)
	}
	collect := !ready && at >= l.collectAt
	if collect {
		l.collectAt = at + l.timing.FlushInterval
	}
	if !ready && len(l.queue) > 0 {
		next = min(next, l.collectAt)
	}
	if !ready && l.busy && !collect {
		return w, next // the end of the exchange looks again; until then each wake would walk all of a long queue
	}
	kept := l.queue[:0]
	for _, m := range l.queue {
		switch {
		case m.gone:
			m.queued = false
			l.takeWaiters(m, &w)
			continue
		case m.due > at:
			next = min(next, m.due)
		case !ready:
			if collect {
				w.collects = append(w.collects, m)
			}
		case !w.full():
			if all := l.take(m, at, &w); all {
				continue
			}
		}
		kept = append(kept, m)
	}
	clear(l.queue[len(kept):])
	if l.queue = kept; len(kept) == 0 && cap(kept) > 2*batch {
		l.queue = nil // all breakers may have stood in it once
	}
	w.start = len(w.syncs)+len(w.reads)+len(w.histories) > 0
	l.busy = l.busy || w.start
	return w, next
}

// take moves what m wants into w: all of it, unless there is no place for a history. l.mu is held.
func (l *lane) take(m *member, at time.Duration, w *work) (all bool) {
	switch {
	case m.wantSync:
		w.syncs = append(w.syncs, m)
		m.readAt, m.syncAt = at, at
	case m.wantRead:
		w.reads = append(w.reads, m)
		m.readAt = at
	}
	if m.wantHistory && len(w.histories) < histories {
		w.histories = append(w.histories, m)
		m.wantHistory = false
	}
	m.wantSync, m.wantRead = false, false
	l.takeWaiters(m, w)
	m.queued = m.wantHistory
	return !m.queued
}

// takeWaiters moves what waits for m's next exchange into w. l.mu is held.
func (l *lane) takeWaiters(m *member, w *work) {
	w.waiters = append(w.waiters, l.waiters[m]...)
	delete(l.waiters, m)
}

// refresh queues the members that are to be compared with the store: each RefreshInterval those in use and a share of the
// others. In between, something is asked often enough that the lane stays healthy while the store answers. It gives the
// members that are not in use any more. l.mu is held.
func (l *lane) refresh(at time.Duration) (sleepers []*member) {
	t := l.timing
	if at >= l.refreshAt {
		tick := t.heartbeat()
		if len(l.active) > 0 {
			tick = max(tick/4, time.Millisecond)
		}
		l.refreshAt = at + tick
		sleepers = l.refreshActive(at, t.RefreshInterval-tick)
		l.refreshIdle(at, tick)
	}
	if l.remote && !l.busy && len(l.queue) == 0 && len(l.members) > 0 && at-l.sentAt.up >= t.heartbeat()*3/4 {
		m := l.members[l.cursor%len(l.members)]
		m.wantRead = true
		l.enqueue(m, at)
	}
	return sleepers
}

func (l *lane) refreshActive(at, interval time.Duration) (sleepers []*member) {
	l.active = slices.DeleteFunc(l.active, func(m *member) bool {
		if refused := uint32(m.breaker.refused.total()); refused != m.refusedSeen {
			m.refusedSeen, m.usedAt = refused, at
		}
		if m.gone || at-m.usedAt > inUse {
			m.isActive = false
			sleepers = append(sleepers, m)
			return true
		}
		l.compare(m, at, interval)
		return false
	})
	return sleepers
}

// refreshIdle goes round the members, so that each is compared once in idleShare intervals.
func (l *lane) refreshIdle(at, tick time.Duration) {
	n := len(l.members)
	if n == 0 || !l.remote { // what others do in a local store is pushed within this process
		return
	}
	round := min(idleShare*l.timing.RefreshInterval, signOfLife)
	for range int(float64(n)*float64(tick)/float64(round)) + 1 {
		l.cursor = (l.cursor + 1) % n
		if m := l.members[l.cursor]; !m.isActive {
			l.compare(m, at, round*9/10)
		}
	}
}

// compare queues m for a comparison or a sign of life, if the last one is long enough ago and no report that does the same
// is due in time.
func (l *lane) compare(m *member, at, interval time.Duration) {
	switch {
	case m.wantSync && m.due <= m.readAt+l.timing.RefreshInterval:
		return
	case at-m.syncAt >= signOfLife*9/10:
		m.wantSync = true
	case at-m.readAt >= interval:
		m.wantRead = true
	default:
		return
	}
	l.enqueue(m, at)
}

// finish ends an exchange.
func (l *lane) finish(w *work) {
	l.mu.Lock()
	l.busy = false
	l.mu.Unlock()
	w.release()
	l.wake()
}
