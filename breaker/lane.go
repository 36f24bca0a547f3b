package breaker

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lane is the breakers whose names share their fate at the store, such as one Redis node. One exchange a lane is in
// flight, so that a part of the store that hangs holds only its own breakers. Freshness is the lane's.
type lane struct {
	m  *Manager
	up atomic.Bool // answered, and lately

	mu        sync.Mutex // guards what follows, and the schedule of each member
	members   []*Breaker
	active    []*Breaker                   // those with a call in the last inUse
	queue     []*Breaker                   // those that want something of the store
	waiters   map[*Breaker][]chan struct{} // closed at the end of a breaker's next exchange
	busy      bool                         // an exchange is in flight
	fails     int                          // failed exchanges in a row
	notBefore time.Duration
	drainAt   time.Duration // when what cannot be sent gets its age next
	sentAt    instant       // when the last exchange was sent
	freshAt   instant       // when the last one that was answered was sent
	firstAt   instant       // when the first one ever was sent
	lost      bool          // and it was said so
	why       error         // the last failure
	timer     *time.Timer
	refreshAt time.Duration
	cursor    int // of the idle members
}

// schedule is what a breaker wants of its lane, and when.
type schedule struct {
	due                             time.Duration
	wantSync, wantRead, wantHistory bool
	queued, isActive, gone          bool
	retries                         uint8
	again                           time.Duration // the store's wish
	readAt, syncAt, usedAt          time.Duration // last compared, last reported, last called
	refusedSeen                     uint64
}

// The rhythm of what is not Timing.
const (
	inUse      = 10 * time.Second // after a call
	signOfLife = 10 * time.Second // a report, even of nothing
	idleShare  = 10               // idle breakers are compared so many times less often
	batch      = 500              // breakers an exchange
	retold     = 4                // histories an exchange: each is a request of its own
)

// outcome is called when a breaker has something to report.
func (l *lane) outcome(b *Breaker) {
	l.mu.Lock()
	at := uptime()
	l.use(b, at)
	b.wantSync = true
	l.enqueue(b, l.m.slot(at, l.wait(b)))
	l.mu.Unlock()
	l.m.poke()
}

// wait is how long an outcome may wait at most.
func (l *lane) wait(b *Breaker) time.Duration {
	t := l.m.core.timing
	if !l.m.core.remote {
		return t.RefreshInterval
	}
	return min(max(t.FlushInterval, min(b.again, time.Second)), t.exchange()) // else it would be too old to be sent
}

// hurry reports all that a breaker has at once.
func (l *lane) hurry(b *Breaker) {
	if l == nil || b.alone.Load() {
		return
	}
	l.mu.Lock()
	b.wantSync = true
	l.enqueue(b, uptime())
	l.mu.Unlock()
	l.m.poke()
}

// request asks for an exchange of b's now; the channel is closed at its end, or at once where b is no member any more.
func (l *lane) request(b *Breaker) <-chan struct{} {
	done := make(chan struct{})
	l.mu.Lock()
	if b.gone {
		l.mu.Unlock()
		close(done)
		return done
	}
	b.wantSync = true
	l.waiters[b] = append(l.waiters[b], done)
	l.enqueue(b, uptime())
	l.mu.Unlock()
	l.m.poke()
	return done
}

// history asks for the transitions that b missed.
func (l *lane) history(b *Breaker) {
	l.mu.Lock()
	b.wantHistory = true
	l.enqueue(b, uptime())
	l.mu.Unlock()
	l.m.poke()
}

// enqueue lets b wait until due at the latest. l.mu is held.
func (l *lane) enqueue(b *Breaker, due time.Duration) {
	switch {
	case b.gone:
		return
	case !b.queued:
		b.queued, b.due = true, due
		l.queue = append(l.queue, b)
	case b.retries == 0: // else it waits for its turn, whoever asks
		b.due = min(b.due, due)
	}
}

// use notes a call. l.mu is held.
func (l *lane) use(b *Breaker, at time.Duration) {
	b.usedAt = at
	if !b.isActive && !b.gone {
		b.isActive = true
		l.active = append(l.active, b)
	}
}

// wake is called by the first call after a breaker was idle: the store is asked at once.
func (b *Breaker) wake() {
	b.mu.Lock()
	b.asleep = false
	b.restance()
	b.mu.Unlock()
	if b.lane == nil || b.alone.Load() {
		return
	}
	l := b.lane
	l.mu.Lock()
	at := uptime()
	l.use(b, at)
	b.wantSync = true
	l.enqueue(b, at)
	l.mu.Unlock()
	l.m.poke()
}

// work is what one exchange does, and what is to be done beside it.
type work struct {
	syncs, reads, histories []*Breaker
	waiters                 []chan struct{}
	drains                  []*Breaker // their successes get their age now, since they cannot be sent
	sleepers                []*Breaker // not used lately
	start                   bool       // an exchange: the lane is busy until it is finished
}

func (w *work) full() bool { return len(w.syncs)+len(w.reads) >= batch }

// plan takes what is due and says when to look again. Where it gives something to exchange the lane is busy.
func (l *lane) plan(at time.Duration) (w work, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.sleepers = l.refresh(at)
	next = l.refreshAt
	ready := !l.busy && at >= l.notBefore
	if !l.busy && !ready {
		next = min(next, l.notBefore)
	}
	drain := !ready && at >= l.drainAt
	if drain {
		l.drainAt = at + l.m.core.timing.FlushInterval
	}
	if !ready && len(l.queue) > 0 {
		next = min(next, l.drainAt)
	}
	kept := l.queue[:0]
	for _, b := range l.queue {
		switch {
		case b.gone:
			b.queued = false
			l.takeWaiters(b, &w)
			continue
		case b.due > at:
			next = min(next, b.due)
		case !ready:
			if drain {
				w.drains = append(w.drains, b)
			}
		case !w.full():
			if all := l.take(b, at, &w); all {
				continue
			}
		}
		kept = append(kept, b)
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	w.start = len(w.syncs)+len(w.reads)+len(w.histories) > 0
	l.busy = l.busy || w.start
	return w, next
}

// take moves what b wants into w: all of it, unless there is no place for a history. l.mu is held.
func (l *lane) take(b *Breaker, at time.Duration, w *work) (all bool) {
	switch {
	case b.wantSync:
		w.syncs = append(w.syncs, b)
		b.readAt, b.syncAt = at, at
	case b.wantRead:
		w.reads = append(w.reads, b)
		b.readAt = at
	}
	if b.wantHistory && len(w.histories) < retold {
		w.histories = append(w.histories, b)
		b.wantHistory = false
	}
	b.wantSync, b.wantRead = false, false
	l.takeWaiters(b, w)
	b.queued = b.wantHistory
	return !b.queued
}

func (l *lane) takeWaiters(b *Breaker, w *work) {
	w.waiters = append(w.waiters, l.waiters[b]...)
	delete(l.waiters, b)
}

// refresh lets those wait that are to be compared with the store: each RefreshInterval the breakers in use and a share of
// the others. Between, something is asked often enough that freshness never lapses while the store answers. It gives
// those that are in use no more. l.mu is held.
func (l *lane) refresh(at time.Duration) (sleepers []*Breaker) {
	t := l.m.core.timing
	if at >= l.refreshAt {
		tick := t.heartbeat()
		if len(l.active) > 0 {
			tick = max(tick/4, time.Millisecond)
		}
		l.refreshAt = at + tick
		sleepers = l.refreshActive(at, t.RefreshInterval-tick)
		l.refreshIdle(at, tick)
	}
	if l.m.core.remote && !l.busy && len(l.queue) == 0 && len(l.members) > 0 && at-l.sentAt.up >= t.heartbeat()*3/4 {
		b := l.members[l.cursor%len(l.members)]
		b.wantRead = true
		l.enqueue(b, at)
	}
	return sleepers
}

func (l *lane) refreshActive(at, interval time.Duration) (sleepers []*Breaker) {
	l.active = slices.DeleteFunc(l.active, func(b *Breaker) bool {
		if refused := b.rejected(); refused != b.refusedSeen {
			b.refusedSeen, b.usedAt = refused, at
		}
		if b.gone || at-b.usedAt > inUse {
			b.isActive = false
			sleepers = append(sleepers, b)
			return true
		}
		l.compare(b, at, interval)
		return false
	})
	return sleepers
}

// refreshIdle goes round the members, so that each comes once in idleShare intervals.
func (l *lane) refreshIdle(at, tick time.Duration) {
	n := len(l.members)
	if n == 0 || !l.m.core.remote { // what others do in a local store is pushed in this very process
		return
	}
	round := min(idleShare*l.m.core.timing.RefreshInterval, signOfLife)
	for range int(float64(n)*float64(tick)/float64(round)) + 1 {
		l.cursor = (l.cursor + 1) % n
		if b := l.members[l.cursor]; !b.isActive {
			l.compare(b, at, round*9/10)
		}
	}
}

// compare lets b wait to be compared, or to give a sign of life, where the last time is long enough ago and no report
// that does both is due in time.
func (l *lane) compare(b *Breaker, at, interval time.Duration) {
	switch {
	case b.wantSync && b.due <= b.readAt+l.m.core.timing.RefreshInterval:
		return
	case at-b.syncAt >= signOfLife*9/10:
		b.wantSync = true
	case at-b.readAt >= interval:
		b.wantRead = true
	default:
		return
	}
	l.enqueue(b, at)
}

// finish ends an exchange.
func (l *lane) finish(w *work) {
	l.mu.Lock()
	l.busy = false
	l.mu.Unlock()
	w.release()
	l.m.poke()
}

func (w *work) release() {
	for _, done := range w.waiters {
		close(done)
	}
}

// retry lets b wait for the next exchange, after a little where only its own last one failed.
func (l *lane) retry(b *Breaker, alone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.wantSync = true
	at := uptime()
	if alone {
		b.retries = min(b.retries+1, 16)
		at += l.backoff(int(b.retries))
	}
	l.enqueue(b, at)
}

// backoff is full jitter, up to an exchange's longest time.
func (l *lane) backoff(fails int) time.Duration {
	t := l.m.core.timing
	doublings := min(fails, 20)
	most := min(t.FlushInterval, t.exchange()>>doublings) << doublings
	return time.Millisecond + rand.N(max(most, time.Millisecond))
}

// join and leave keep the members. leave tells whether the lane was lost with the last of them.
func (l *lane) join(b *Breaker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members = append(l.members, b)
}

func (l *lane) leave(b *Breaker) (lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.gone = true
	if i := slices.Index(l.members, b); i >= 0 {
		l.members = slices.Delete(l.members, i, i+1)
	}
	if i := slices.Index(l.active, b); i >= 0 {
		l.active = slices.Delete(l.active, i, i+1)
	}
	lost = l.lost && len(l.members) == 0
	l.lost = l.lost && !lost
	return lost
}
