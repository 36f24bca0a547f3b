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
	*world
	mu     sync.Mutex
	events []store.Event
	stop   context.CancelFunc
	done   chan error    // what Watch returned
	ended  chan struct{} // closed when it has
}

// watch starts a Watch on the world's handle and waits for its first Resync; look, if any, is called with each event
// before it is noted.
func (w *world) watch(look func(store.Event)) *watcher {
	w.Helper()
	ctx, stop := context.WithCancel(w.ctx)
	v := &watcher{world: w, stop: stop, done: make(chan error, 1), ended: make(chan struct{})}
	go func() {
		defer close(v.ended)
		v.done <- w.store.Watch(ctx, func(e store.Event) {
			if look != nil {
				look(e)
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			v.events = append(v.events, e)
		})
	}()
	w.Cleanup(func() {
		stop()
		select {
		case <-v.ended:
		case <-time.After(patient):
			w.Errorf("Watch did not return within %v of its context's end", patient)
		}
	})
	v.waitFor("the first event", func(events []store.Event) bool { return len(events) > 0 })
	return v
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
func (w *world) until(what string, holds func() bool) {
	w.Helper()
	deadline, look := time.After(patient), time.NewTicker(ms)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline:
			w.Fatalf("waited %v in vain for %s", patient, what)
		}
	}
}

var watchRules = []rule{
	{
		"a watch begins with a Resync",
		"Watch calls fn first with a Resync: what happened before is read, not told.",
		func(w *world) {
			earlier := w.watch(nil)
			w.trip()
			earlier.waitForTold(1) // then its push is not on its way any more, as it may be between the nodes of a Cluster
			v := w.watch(nil)
			truly(w, "the first event is a Resync", v.all()[0].Resync)
			w.do(store.Reset)
			v.waitForTold(1)
			same(w, "the first transition told", v.transitions()[0].Action, store.Reset)
		},
	},
	{
		"every watcher is told each transition once, in order",
		"A transition is pushed to every replica's watch, its maker's too: once each, in order.",
		func(w *world) {
			others := []*watcher{w.watch(nil), w.on(w.open()).watch(nil), w.on(w.open()).watch(nil)}
			w.policy = doubling
			w.trip()
			w.round(store.Failure)
			w.round(store.Success)
			w.do(store.ForceClosed)
			w.do(store.Lift)
			w.do(store.Trip)
			history := w.history()
			for _, v := range others {
				v.waitForTold(len(history))
				told := v.transitions()
				same(w, "transitions told", len(told), len(history))
				for i, got := range told {
					want := history[len(history)-1-i]
					same(w, "At", got.At.UnixMilli(), want.At.UnixMilli())
					got.At = want.At
					same(w, "a transition told", plain(got), plain(want))
				}
			}
		},
	},
	{
		"a push carries the snapshot just after it",
		"An event has the snapshot after its transition: of the same breaker, with at least its generation and rev.",
		func(w *world) {
			v := w.watch(nil)
			w.trip()
			w.do(store.ForceOpen)
			v.waitForTold(2)
			for _, e := range v.all()[1:] {
				truly(w, "the numbers fit", e.Snapshot.Generation >= e.Transition.Generation && e.Snapshot.Rev >= e.Transition.Rev)
				same(w, "name", e.Snapshot.Name, tier)
			}
			s := v.all()[1].Snapshot
			same(w, "the trip's snapshot", []any{s.State, s.RetryIn, s.Cause, s.Policy}, []any{store.Open, minute, "a", w.policy})
		},
	},
	{
		"a push comes after the commit",
		"All writes come before the push: whoever reads on being told finds at least that generation and rev.",
		func(w *world) {
			var behind atomic.Int64
			v := w.watch(func(e store.Event) {
				if e.Resync {
					return
				}
				seen, err := w.store.Versions(w.ctx, e.Transition.Name)
				if err != nil || len(seen) != 1 || seen[0].Generation < e.Transition.Generation || seen[0].Rev < e.Transition.Rev {
					behind.Add(1)
				}
			})
			w.touch()
			for range 10 {
				w.do(store.Trip)
				w.do(store.ForceOpen)
				w.do(store.Lift)
			}
			v.waitForTold(30)
			same(w, "reads that were behind their push", behind.Load(), 0)
		},
	},
	{
		"a watch calls back one at a time",
		"fn is called serially.",
		func(w *world) {
			var inside, overlaps atomic.Int64
			v := w.watch(func(store.Event) {
				if inside.Add(1) > 1 {
					overlaps.Add(1)
				}
				runtime.Gosched()
				inside.Add(-1)
			})
			var wg sync.WaitGroup
			for i := range 4 {
				name := fmt.Sprintf("b%d", i)
				s := w.open()
				wg.Go(func() {
					s.Sync(w.ctx, []store.Report{{Name: name, Policy: w.policy, Replica: "a", Seq: 1}})
					for range 5 {
						_, _ = s.Command(w.ctx, store.Command{Name: name, Action: store.Trip, By: oncall})
					}
				})
			}
			wg.Wait()
			v.waitForTold(20)
			same(w, "overlapping calls", overlaps.Load(), 0)
		},
	},
	{
		"a watcher may use its store",
		"fn may call the store: it does not deadlock.",
		func(w *world) {
			var once sync.Once
			v := w.watch(func(e store.Event) {
				if !e.Resync {
					once.Do(func() {
						_, _ = w.store.Command(w.ctx, store.Command{Name: tier, Action: store.ForceOpen, By: "watcher"})
						_, _ = w.store.Read(w.ctx)
					})
				}
			})
			w.trip()
			v.waitForTold(2)
			same(w, "who forced", v.transitions()[1].Cause, "watcher")
		},
	},
	{
		"a watch ends with its context",
		"Watch returns ctx.Err() when its context ends, and calls fn no more.",
		func(w *world) {
			v := w.watch(nil)
			v.stop()
			v.wantEnd(context.Canceled)
			told := len(v.all())
			w.trip()
			same(w, "events", len(v.all()), told)
		},
	},
	{
		"a watch ends with its handle",
		"Watch returns ErrClosed when its store is closed; other handles' watches go on.",
		func(w *world) {
			handle, several := w.another()
			v, u := w.on(handle).watch(nil), w.watch(nil)
			_ = handle.Close()
			v.wantEnd(store.ErrClosed)
			if !several {
				return
			}
			w.trip()
			u.waitForTold(1)
		},
	},
	{
		"a handle's watchers are each told",
		"Several watches on one handle are told everything each.",
		func(w *world) {
			v, u := w.watch(nil), w.watch(nil)
			w.trip()
			v.waitForTold(1)
			u.waitForTold(1)
			v.stop()
			v.wantEnd(context.Canceled)
			w.do(store.Reset)
			u.waitForTold(2)
		},
	},
	{
		"a watcher that blocks holds nobody up",
		"While fn blocks, verbs and other watches go on; what it missed is told later or becomes a Resync.",
		func(w *world) {
			release, blocked := make(chan struct{}), make(chan struct{})
			free := sync.OnceFunc(func() { close(release) })
			defer free()
			var once sync.Once
			v := w.watch(func(e store.Event) {
				if !e.Resync {
					once.Do(func() { close(blocked); <-release })
				}
			})
			u := w.on(w.open()).watch(nil)
			w.trip()
			w.until("the watcher to be called", func() bool {
				select {
				case <-blocked:
					return true
				default:
					return false
				}
			})
			for range 100 {
				w.do(store.Reset)
				w.do(store.Trip)
			}
			last := w.read().Generation
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
		func(w *world) {
			v := w.watch(nil)
			w.fail(3)
			w.announce("a", another)
			w.retune(lenient, sec)
			w.force(store.ForceClosed, sec)
			w.after(sec)
			w.touch()
			w.recall("b", store.Known{Generation: w.read().Generation + 1, State: store.HalfOpen})
			history := w.history()
			same(w, "entries", len(history), 6)
			v.waitForTold(6)
			for i, got := range v.transitions() {
				want := history[len(history)-1-i]
				same(w, "a push", []any{got.Generation, got.Rev, got.Reason}, []any{want.Generation, want.Rev, want.Reason})
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
