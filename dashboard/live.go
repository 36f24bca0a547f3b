package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
)

const (
	readEvery = time.Second
	readAgain = 100 * time.Millisecond // at the earliest, if the store says that something was missed
	readShare = 10                     // reading takes at most one part in ten of the time

	maxIdle       = 1000             // breakers that no replica reports on, and that are plainly closed
	readIdleEvery = 30 * time.Second // how often all are read if there are more; those on the board are read in between
	idlePatience  = 10 * time.Second // how long reading all may take then
)

// live is the board that all streams share. It is fed by one watch and one periodic read, from the first stream's coming
// to the last one's going, and kept in between.
type live struct {
	store      store.Store
	manager    *breaker.Manager // nil: none
	health     *health.Monitor  // nil: none
	maxStreams int
	born       time.Time
	wake       chan struct{} // holds a token if a read is wanted at once
	running    sync.WaitGroup

	mu      sync.Mutex // of all below; never held while the store is asked
	board   map[string]*entry
	contact contact
	readAll time.Time // when all breakers were read last
	turn    string    // the name whose roster was looked at last
	streams map[*stream]struct{}
	stop    context.CancelFunc // of what feeds the board; nil: nothing does
	closed  bool
}

func newLive(s store.Store) *live {
	return &live{
		store: s, maxStreams: 1000, born: time.Now(), wake: make(chan struct{}, 1),
		board: map[string]*entry{}, streams: map[*stream]struct{}{},
	}
}

func (l *live) uptime(at time.Time) int64 { return at.Sub(l.born).Milliseconds() }

// here is what this replica holds of a breaker, or nil.
func (l *live) here(name string) *here {
	if l.manager == nil {
		return nil
	}
	b, ok := l.manager.Breaker(name)
	if !ok {
		return nil
	}
	return hereOf(b.Status())
}

// feed runs until ctx ends.
func (l *live) feed(ctx context.Context) {
	l.running.Go(func() { l.watch(ctx) })
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		began := time.Now()
		l.read(ctx)
		timer.Reset(max(readEvery, readShare*time.Since(began)) - time.Since(began))
		if !l.due(ctx, timer, began) {
			return
		}
	}
}

// due waits until the timer fires, or until readAgain after began if it is woken. It is false if ctx ended.
func (l *live) due(ctx context.Context, timer *time.Timer, began time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-l.wake:
			rest := readAgain - time.Since(began)
			if rest <= 0 {
				return true
			}
			timer.Reset(rest)
		}
	}
}

// watch follows the store's transitions; one that cannot be watched is still read.
func (l *live) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.store.Watch(ctx, func(e store.Event) {
			if ctx.Err() == nil {
				l.heard(e)
			}
		})
		if errors.Is(err, store.ErrClosed) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(readEvery):
		}
	}
}

// heard tells the streams of a transition at once.
func (l *live) heard(e store.Event) {
	if e.Resync {
		select {
		case l.wake <- struct{}{}:
		default:
		}
		return
	}
	now, own := time.Now(), l.here(e.Snapshot.Name)
	l.mu.Lock()
	defer l.mu.Unlock()
	m := message{Now: l.uptime(now), Transition: &e.Transition}
	known, ok := l.board[e.Snapshot.Name]
	if !ok {
		known = &entry{}
		l.board[e.Snapshot.Name] = known
	}
	if newer(e.Snapshot, known.Snapshot) {
		rate := rates{}
		if known.Live != nil {
			rate = *known.Live
		}
		rate.AsOf = m.Now
		known.pushed, known.row = now, row{Snapshot: e.Snapshot, Live: &rate, Here: own}
		known.outage = known.outage.since([]store.Transition{e.Transition})
		known.explain()
		m.Rows = append(m.Rows, known.tell())
	}
	l.publish("transition", m)
}

// newer compares the two numbers that only grow.
func newer(a, b store.Snapshot) bool {
	return a.Generation >= b.Generation && a.Rev >= b.Rev
}

// tellAbout tells the streams what has changed of some breakers since it was last told.
func (l *live) tellAbout(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, contact := time.Now(), l.contact
	m := message{Now: l.uptime(now), Store: &contact, Replicas: l.apart()}
	for _, name := range names {
		if e, ok := l.board[name]; ok && e.changed() {
			m.Rows = append(m.Rows, e.tell())
		}
	}
	if len(m.Rows) > 0 {
		l.publish("tick", m)
	}
}

// tell notes what is told of the entry, and gives its text.
func (e *entry) tell() json.RawMessage {
	e.shown = e.face()
	e.text, _ = json.Marshal(e.row)
	return e.text
}

// read takes one look at all breakers and tells what changed, then a closer one at some of them.
func (l *live) read(ctx context.Context) {
	began := time.Now()
	names, within := l.toRead(began)
	asking, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	snapshots, err := l.store.Read(asking, names...)
	m := message{Health: l.checks()}
	own := l.look(&m)
	if ctx.Err() != nil {
		return // nobody looks any more
	}
	l.tick(m, snapshots, err, own, began)
	if err == nil || isUnreadable(err) {
		l.lookCloser(asking, snapshots)
	}
}

// toRead are the names to read, none for all, and how long that may take. A name that is idle stays for hours: a flood of
// them (hosts, pods) must not make each second's read longer.
func (l *live) toRead(now time.Time) (names []string, within time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.contact.LeftOut == 0 {
		within = patience
	} else if within = idlePatience; now.Sub(l.readAll) < readIdleEvery {
		return slices.Sorted(maps.Keys(l.board)), patience
	}
	l.readAll = now
	return nil, within
}

// idle reports that no replica has reported on the breaker lately, and that nothing stands or waits in it.
func idle(s *store.Snapshot) bool {
	return s.Replicas == 0 && s.State == store.Closed && s.Mode == store.Auto && !s.Retuned
}

// tick tells what a read brought.
func (l *live) tick(m message, snapshots []store.Snapshot, err error, own map[string]*here, began time.Time) {
	now, up := time.Now(), err == nil || isUnreadable(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.contact.Up, l.contact.Problem, l.contact.Unreadable = &up, "", nil
	if unreadable, some := errors.AsType[*store.UnreadableError](err); some {
		l.contact.Unreadable = unreadable.Names[:min(len(unreadable.Names), 10)]
	}
	if up {
		m.Seconds = l.update(&m, snapshots, own, began, now)
	} else {
		l.contact.Problem = trouble(err)
	}
	contact := l.contact
	m.Now, m.Store, m.Replicas = l.uptime(now), &contact, l.apart()
	l.publish("tick", m)
}

// update puts what was read on the board, and says for how many seconds its rates stand. What was pushed after the read
// began is newer.
func (l *live) update(m *message, snapshots []store.Snapshot, own map[string]*here, began, now time.Time) int {
	seconds := int((l.uptime(now) - l.contact.SinceMS + 500) / 1000)
	l.contact.SinceMS = l.uptime(now)
	seen, idlers := make(map[string]bool, len(snapshots)), 0
	for _, s := range snapshots {
		if idle(&s) {
			if idlers++; idlers > maxIdle {
				continue
			}
		}
		seen[s.Name] = true
		e, ok := l.board[s.Name]
		if !ok {
			e = &entry{}
			l.board[s.Name] = e
		}
		e.measure(s, now)
		e.Live.AsOf, e.Here = l.uptime(now), own[s.Name]
		if !e.pushed.After(began) {
			e.Snapshot = s
		}
		e.explain()
		if e.changed() {
			m.Rows = append(m.Rows, e.tell())
		}
	}
	for name, e := range l.board {
		if !seen[name] && !e.pushed.After(began) {
			delete(l.board, name)
			m.Gone = append(m.Gone, name)
		}
	}
	if all := l.readAll.Equal(began); all {
		l.contact.LeftOut = max(idlers-maxIdle, 0)
	}
	return min(max(seconds, 1), sparkSeconds)
}

// look adds this replica's own view, and gives that of each breaker.
func (l *live) look(m *message) map[string]*here {
	if l.manager == nil {
		return nil
	}
	st := l.manager.Status()
	m.Replica = &replicaView{st.Replica, st.StoreUp, st.SinceExchange.Milliseconds()}
	own := make(map[string]*here, len(st.Breakers))
	for _, b := range st.Breakers {
		own[b.Name] = hereOf(b)
	}
	return own
}

func (l *live) checks() []health.Status {
	if l.health == nil {
		return nil
	}
	return l.health.All()
}

// apart is what the rosters say of all breakers together.
func (l *live) apart() *replicas {
	degraded, disagree := map[string]bool{}, map[string]bool{}
	for _, e := range l.board {
		for _, r := range e.roster {
			if r.OwnOpen && e.Effective() == store.Closed {
				degraded[r.Name] = true
			}
			if r.Conflict {
				disagree[r.Name] = true
			}
		}
	}
	return &replicas{sorted(degraded), sorted(disagree)}
}

// sorted is never nil, so that its JSON is an array.
func sorted(set map[string]bool) []string {
	names := slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
	slices.Sort(names)
	return names
}
