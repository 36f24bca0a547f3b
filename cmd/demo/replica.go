package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/lab/process"
	"github.com/commontrip/commontrip/store"
)

// replicaMark is the first argument of a replica process, which the demo starts of itself. The second is its serviceSpec.
const replicaMark = "__replica"

// order is what the story asks of a replica, which answers with its tally.
type order struct {
	Census bool  // from here on, the longest waits and the recent requests are counted again
	Cut    *bool // whether its network loses every call from now on
}

// tally is what a replica counted and believes. It says so 20 times a second unasked.
type tally struct {
	StoreUp bool
	Tiers   map[string]belief
	Ways    map[string]count
	Late    time.Duration // the latest beat of the replica's pulse since the tally before
	Heard   *heard        // said at once, and alone
}

// heard is a transition of the fleet, and when a replica's listener was told of it.
type heard struct {
	At         time.Time
	Transition store.Transition
}

// replica is the life of a replica process. It serves requests that it makes of itself until its input ends, and so does not
// outlive the story, however that ends.
func replica(ctx context.Context, args []string) error {
	var spec serviceSpec
	if err := json.Unmarshal([]byte(strings.Join(args, " ")), &spec); err != nil {
		return err
	}
	parent := process.NewParent[order, tally](os.Stdin, os.Stdout)
	s, err := newService(ctx, spec, func(e breaker.Event) {
		if e.Kind == breaker.Transitioned || e.Kind == breaker.Commanded {
			_ = parent.Say(tally{Heard: &heard{time.Now(), e.Transition}}) // a parent that does not hear it is gone
		}
	})
	if err != nil {
		return err
	}
	defer s.close()
	p := newPulse()
	tell := func(census bool) tally {
		t := tally{Late: p.take(time.Now()), Ways: map[string]count{}}
		t.Tiers, t.StoreUp = s.beliefs()
		for _, w := range s.ways {
			t.Ways[w.name] = w.read(census)
		}
		return t
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { p.run(ctx) })
	running.Go(func() { arrivals(ctx, spec.Rate, s.serve) })
	running.Go(func() {
		for parent.Say(tell(false)) == nil && wait(ctx, 50*time.Millisecond) {
		}
	})
	return parent.Obey(func(o order) (tally, error) {
		if o.Cut != nil {
			s.cut.Store(*o.Cut)
		}
		return tell(o.Census), nil
	})
}

// arrivals starts a request rate times a second, somewhat unevenly, whether or not those before it are done; it returns
// when ctx has ended and the last one is done.
func arrivals(ctx context.Context, rate float64, serve func(context.Context)) {
	var requests sync.WaitGroup
	defer requests.Wait()
	mean := float64(time.Second) / rate
	for wait(ctx, time.Duration(mean*(0.5+rand.Float64()))) { //nolint:gosec // no secret
		requests.Go(func() { serve(ctx) })
	}
}

// wait waits for that long; false: ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
