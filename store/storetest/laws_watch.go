package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

// watcher collects what a Watch tells.
type watcher struct {
	*fixture
	mu     sync.Mutex
	events []store.Event
	stop   context.CancelFunc
	done   chan error    // what Watch returned
	ended  chan struct{} // closed when it has
}

// watch starts a Watch on the fixture's handle and waits for its first Resync; look, if any, is called with each event
// before it is noted.
func (f *fixture) watch(look func(store.Event)) *watcher {
	f.Helper()
	ctx, stop := context.WithCancel(f.ctx)
	v := &watcher{fixture: f, stop: stop, done: make(chan error, 1), ended: make(chan struct{})}
	go func() {
		defer close(v.ended)
		v.done <- f.store.Watch(ctx, func(e store.Event) {
			if look != nil {
				look(e)
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			v.events = append(v.events, e)
		})
	}()
	f.Cleanup(func() {
		stop()
		select {
		case <-v.ended:
		case <-time.After(patient):
			f.Errorf("Watch did not return within %v of its context's end", patient)
		}
	})
	v.waitToBegin()
	return v
}

// waitToBegin waits for the first event. A store whose Watch never says a word breaks one law, and the others that need a
// Watch say so.
func (v *watcher) waitToBegin() {
	v.Helper()
	deadline, look := time.After(patient), time.NewTicker(ms)
	defer look.Stop()
	for len(v.all()) == 0 {
		select {
		case <-look.C:
			continue
		case err := <-v.done:
			*v.cause = fmt.Sprintf("Watch returned %v before it called fn.", err)
		case <-deadline:
			*v.cause = fmt.Sprintf("Watch has not called fn within %v.", patient)
		}
		*v.cause += " Law 18.01: " + watchBegins
		v.Fatal(*v.cause)
	}
}

const watchBegins = "Watch calls fn first with a Resync: what happened before is read, not told."

// resyncs counts the Resyncs told so far.
func (v *watcher) resyncs() (n int) {
	for _, e := range v.all() {
		if e.Resync {
			n++
		}
	}
	return n
}

// goesOnAfter does something to the connection of a watch, twice. It wants a Resync each time, and to be told after it.
func (f *fixture) goesOnAfter(what string, do func()) {
	f.Helper()
	f.touch()
	v := f.watch(nil)
	for n := range 2 {
		do()
		v.until("a Resync after "+what, func() bool { return v.resyncs() > 1+n })
		f.do(store.Trip)
		generation := f.read().Generation
		v.waitFor("the new connection to tell a transition", knows(generation))
	}
}

func (v *watcher) all() []store.Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]store.Event(nil), v.events...)
}

// transitions are those told so far, the Resyncs left out.
func (v *watcher) transitions() []store.Transition {
	var told []store.Transition
	for _, e := range v.all() {
		if !e.Resync {
			told = append(told, e.Transition)
		}
	}
	return told
}

func (v *watcher) waitFor(what string, holds func([]store.Event) bool) {
	v.Helper()
	v.until(what, func() bool { return holds(v.all()) })
}

// waitForTold waits until so many transitions were told.
func (v *watcher) waitForTold(n int) {
	v.Helper()
	v.until(fmt.Sprintf("%d transitions to be told", n), func() bool { return len(v.transitions()) >= n })
}

// wantEnd waits until the Watch returned, and wants its error.
func (v *watcher) wantEnd(want error) {
	v.Helper()
	select {
	case err := <-v.done:
		truly(v, fmt.Sprintf("Watch returns %v (%v)", want, err), errors.Is(err, want))
	case <-time.After(patient):
		v.Fatalf("Watch did not return within %v", patient)
	}
}

// until waits for a condition that another goroutine brings about.
func (f *fixture) until(what string, holds func() bool) {
	f.Helper()
	deadline, look := time.After(patient), time.NewTicker(ms)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline:
			f.Fatalf("waited %v in vain for %s", patient, what)
		}
	}
}

var watchRules = []rule{
	{
		"a watch begins with a Resync",
		watchBegins,
		func(f *fixture) {
			earlier := f.watch(nil)
			f.trip()
			earlier.waitForTold(1) // then its push is not on its way any more, as it may be between the nodes of a Cluster
			v := f.watch(nil)
			truly(f, "the first event is a Resync", v.all()[0].Resync)
			f.do(store.Reset)
			v.waitForTold(1)
			same(f, "the first transition told", v.transitions()[0].Action, store.Reset)
		},
	},
	{
		"every watcher is told each transition once, in order",
		"A transition is pushed to every replica's watch, its maker's too: once each, in order.",
		func(f *fixture) {
			others := []*watcher{f.watch(nil), f.on(f.open()).watch(nil), f.on(f.open()).watch(nil)}
			f.policy = doubling
			f.trip()
			f.round(store.Failure)
			f.round(store.Success)
			f.do(store.ForceClosed)
			f.do(store.Lift)
			f.do(store.Trip)
			history := f.history()
			for _, v := range others {
				v.waitForTold(len(history))
				told := v.transitions()
				same(f, "transitions told", len(told), len(history))
				for i, got := range told {
					want := history[len(history)-1-i]
					same(f, "At", got.At.UnixMilli(), want.At.UnixMilli())
					got.At = want.At
					same(f, "a transition told", plain(got), plain(want))
				}
			}
		},
	},
	{
		"a push carries the snapshot just after it",
		"An event has the snapshot after its transition: of the same breaker, with at least its generation and rev.",
		func(f *fixture) {
			v := f.watch(nil)
			f.trip()
			f.do(store.ForceOpen)
			v.waitForTold(2)
			for _, e := range v.all()[1:] {
				truly(f, "the numbers fit", e.Snapshot.Generation >= e.Transition.Generation && e.Snapshot.Rev >= e.Transition.Rev)
				same(f, "name", e.Snapshot.Name, tier)
			}
			s := v.all()[1].Snapshot
			same(f, "the trip's snapshot", []any{s.State, s.RetryIn, s.Cause, s.Policy}, []any{store.Open, minute, "a", f.policy})
		},
	},
	{
		"a push comes after the commit",
		"All writes come before the push: a reader that was told finds at least that generation and rev.",
		func(f *fixture) {
			var behind atomic.Int64
			v := f.watch(func(e store.Event) {
				if e.Resync {
					return
				}
				seen, err := f.store.Versions(f.ctx, e.Transition.Name)
				if err != nil || len(seen) != 1 || seen[0].Generation < e.Transition.Generation || seen[0].Rev < e.Transition.Rev {
					behind.Add(1)
				}
			})
			f.touch()
			for range 10 {
				f.do(store.Trip)
				f.do(store.ForceOpen)
				f.do(store.Lift)
			}
			v.waitForTold(30)
			same(f, "reads that were behind their push", behind.Load(), 0)
		},
	},
	{
		"a watch calls back one at a time",
		"fn is called serially.",
		func(f *fixture) {
			var inside, overlaps atomic.Int64
			v := f.watch(func(store.Event) {
				if inside.Add(1) > 1 {
					overlaps.Add(1)
				}
				runtime.Gosched()
				inside.Add(-1)
			})
			var wg sync.WaitGroup
			for i := range 4 {
				name := fmt.Sprintf("b%d", i)
				s := f.open()
				wg.Go(func() {
					s.Sync(f.ctx, []store.Report{{Name: name, Policy: f.policy, Replica: "a", Seq: 1}})
					for range 5 {
						_, _ = s.Command(f.ctx, store.Command{Name: name, Action: store.Trip, By: oncall})
					}
				})
			}
			wg.Wait()
			v.waitForTold(20)
			same(f, "overlapping calls", overlaps.Load(), 0)
		},
	},
	{
		"a watcher may use its store",
		"fn may call the store: it does not deadlock.",
		func(f *fixture) {
			var once sync.Once
			v := f.watch(func(e store.Event) {
				if !e.Resync {
					once.Do(func() {
						_, _ = f.store.Command(f.ctx, store.Command{Name: tier, Action: store.ForceOpen, By: "watcher"})
						_, _ = f.store.Read(f.ctx)
					})
				}
			})
			f.trip()
			v.waitForTold(2)
			same(f, "who forced", v.transitions()[1].Cause, "watcher")
		},
	},
	{
		"a watch ends with its context",
		"Watch returns ctx.Err() when its context ends, and calls fn no more.",
		func(f *fixture) {
			v := f.watch(nil)
			v.stop()
			v.wantEnd(context.Canceled)
			told := len(v.all())
			f.trip()
			same(f, "events", len(v.all()), told)
		},
	},
	{
		"a watch ends with its handle",
		"Watch returns ErrClosed when its store is closed; other handles' watches go on.",
		func(f *fixture) {
			handle, several := f.another()
			v, u := f.on(handle).watch(nil), f.watch(nil)
			_ = handle.Close()
			v.wantEnd(store.ErrClosed)
			if !several {
				return
			}
			f.trip()
			u.waitForTold(1)
		},
	},
	{
		"a handle's watchers are each told",
		"Several watches on one handle are told everything each.",
		func(f *fixture) {
			v, u := f.watch(nil), f.watch(nil)
			f.trip()
			v.waitForTold(1)
			u.waitForTold(1)
			v.stop()
			v.wantEnd(context.Canceled)
			f.do(store.Reset)
			u.waitForTold(2)
		},
	},
	{
		"a watcher that blocks holds nobody up",
		"While fn blocks, verbs and other watches go on; what it missed is told later or becomes a Resync.",
		func(f *fixture) {
			release, blocked := make(chan struct{}), make(chan struct{})
			free := sync.OnceFunc(func() { close(release) })
			defer free()
			var once sync.Once
			v := f.watch(func(e store.Event) {
				if !e.Resync {
					once.Do(func() { close(blocked); <-release })
				}
			})
			u := f.on(f.open()).watch(nil)
			f.trip()
			f.until("the watcher to be called", func() bool {
				select {
				case <-blocked:
					return true
				default:
					return false
				}
			})
			for range 100 {
				f.do(store.Reset)
				f.do(store.Trip)
			}
			last := f.read().Generation
			u.waitFor("the other watcher to know the last generation", knows(last))
			free()
			v.waitFor("the slow watcher to be told, or to be told to read", func(events []store.Event) bool {
				return knows(last)(events) || events[len(events)-1].Resync && len(events) > 1
			})
		},
	},
	{
		"what is written to the history is pushed",
		"A push is an entry of the history: adoptions, commands, their ends, and each of several that one script wrote; a report that wrote none pushes nothing.",
		func(f *fixture) {
			v := f.watch(nil)
			f.fail(3)
			f.announce("a", another)
			f.retune(lenient, sec)
			f.force(store.ForceClosed, sec)
			f.after(sec)
			f.touch()
			f.recall("b", store.Known{Generation: f.read().Generation + 1, State: store.HalfOpen})
			history := f.history()
			same(f, "entries", len(history), 6)
			v.waitForTold(6)
			for i, got := range v.transitions() {
				want := history[len(history)-1-i]
				same(f, "a push", []any{got.Generation, got.Rev, got.Reason}, []any{want.Generation, want.Rev, want.Reason})
			}
		},
	},
	{
		"a watch goes on over another connection",
		"A Watch whose connection has ended connects again by itself, says Resync, and tells what happens from then on.",
		func(f *fixture) {
			if f.h.Cut != nil {
				f.goesOnAfter("the end of its connection", func() { f.h.Cut(f.TB) })
			}
		},
	},
	{
		"a silent connection is noticed",
		"A Watch whose connection carries nothing any more notices it, though nothing happens, and goes on over another one.",
		func(f *fixture) {
			if f.h.Silence != nil {
				f.goesOnAfter("its connection fell silent", func() { f.h.Silence(f.TB) })
			}
		},
	},
}

// knows says whether the newest transition or snapshot told has a generation.
func knows(generation uint64) func([]store.Event) bool {
	return func(events []store.Event) bool {
		newest := uint64(0)
		for _, e := range events {
			newest = max(newest, e.Snapshot.Generation)
		}
		return newest >= generation
	}
}
