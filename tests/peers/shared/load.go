package shared

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/tests/peers/measure"
)

// load is what callers did to replicas.
type load struct {
	calls, refused, failed uint64
	wall                   time.Duration
	added                  measure.Histogram // what a guarded call took beyond its work
}

// push lets callers call their replicas, each one after the other, for so long. Work is what a call takes. Of calls that
// take nothing a sixteenth is timed, since a look at the clock takes longer than they do.
func push(guards []guard, callers int, work, d time.Duration) *load {
	each := 1
	if work == 0 {
		each = 16
	}
	var over atomic.Bool
	var done sync.WaitGroup
	loads := make([]load, callers)
	begun := time.Now()
	for i := range loads {
		done.Go(func() { loads[i].push(guards[i%len(guards)], work, each, &over) })
	}
	stop := time.AfterFunc(d, func() { over.Store(true) })
	defer stop.Stop()
	done.Wait()
	all := &load{wall: time.Since(begun)}
	for i := range loads {
		all.add(&loads[i])
	}
	return all
}

func (l *load) add(other *load) {
	l.calls, l.refused, l.failed = l.calls+other.calls, l.refused+other.refused, l.failed+other.failed
	l.added.Merge(&other.added)
}

func (l *load) push(g guard, work time.Duration, each int, over *atomic.Bool) {
	var inside time.Duration
	bare := func() error { return nil }
	timed := func() error {
		begun := time.Now()
		if work > 0 {
			time.Sleep(work)
		}
		inside = time.Since(begun)
		return nil
	}
	for n := 0; !over.Load(); n++ {
		var err error
		if n%each == 0 {
			begun := time.Now()
			inside = 0
			err = g(timed)
			l.added.Add(time.Since(begun) - inside)
		} else {
			err = g(bare)
		}
		switch {
		case errors.Is(err, errRefused):
			l.refused++
		case err != nil:
			l.failed++
		default:
			l.calls++
		}
	}
}

// trip lets callers call a tier that always fails until each was refused, and counts the calls that ran. It gives up after
// so long; then tripped is false.
func trip(guards []guard, callers int, work, most time.Duration) (ran uint64, tripped bool) {
	var n atomic.Uint64
	var refused atomic.Int64
	var done sync.WaitGroup
	end := time.Now().Add(most)
	for i := range callers {
		done.Go(func() {
			for time.Now().Before(end) {
				err := guards[i%len(guards)](func() error {
					n.Add(1)
					if work > 0 {
						time.Sleep(work)
					}
					return errTier
				})
				if errors.Is(err, errRefused) {
					refused.Add(1)
					return
				}
			}
		})
	}
	done.Wait()
	return n.Load(), refused.Load() == int64(callers)
}
