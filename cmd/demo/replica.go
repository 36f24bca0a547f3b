package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/zaplog"
)

// replicaSpec is what a replica process is to be.
type replicaSpec struct {
	Name   string      `json:"name"`
	Rate   float64     `json:"rate"`             // calls a second
	Single *singleSpec `json:"single,omitempty"` // the first half: one tier
	Chain  *chainSpec  `json:"chain,omitempty"`  // the second: three
}

// load is what a replica does all day: it serves requests, which call tiers.
type load interface {
	serve(ctx context.Context)
	network(up bool)
	tally(fresh bool) *replicaTally // fresh: the largest waits start again
	close(ctx context.Context)
}

// replicaTally is what a replica counted and believes.
type replicaTally struct {
	StoreUp  bool              `json:"store_up"`
	Breakers map[string]belief `json:"breakers"`
	Calls    map[string]count  `json:"calls"`            // by the way taken
	Health   map[string]string `json:"health,omitempty"` // by tier, what active checks say
	Recent   map[string]int    `json:"recent,omitempty"` // requests that began after the last census, by the tier that served
	Error    string            `json:"error,omitempty"`  // the newest of a request that every tier of a chain refused
	Again    time.Duration     `json:"again,omitempty"`  // and when it said to ask again
}

// letsThrough reports whether a chain's calls reach a tier: neither its breaker nor its check holds them back.
func (t *replicaTally) letsThrough(tier string) bool {
	return t.Breakers[tier].State == breaker.Closed && t.Health[tier] != health.Down.String()
}

// belief is a breaker's status in short.
type belief struct {
	State      breaker.State `json:"state"`
	Mode       breaker.Mode  `json:"mode"`
	Own        bool          `json:"own"` // the replica's own verdict rules
	RetryAfter time.Duration `json:"retry_after"`
	Generation uint64        `json:"generation"` // the fleet's, as last seen
}

func believe(s breaker.Status) belief {
	return belief{
		State: s.State, Mode: s.Mode, Own: s.Verdict == breaker.Own,
		RetryAfter: s.RetryAfter, Generation: s.Fleet.Generation,
	}
}

// replicaProcess is the life of a replica's process.
func replicaProcess(m *mouth, in <-chan order, spec replicaSpec, first int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	logger := newLogger(spec.Name)
	listen := func(e breaker.Event) { m.say(said{Event: hear(e, time.Now())}) }
	var work load
	var err error
	if spec.Chain != nil {
		work, err = newChainLoad(ctx, *spec.Chain, logger, listen)
	} else {
		work, err = newSingleLoad(ctx, spec.Name, *spec.Single, listen, zaplog.Listener(logger))
	}
	if err != nil {
		m.say(said{ID: first, Error: err.Error()})
		return
	}
	m.say(said{ID: first})
	obey(ctx, m, in, spec.Rate, work)
	last, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	work.close(last)
}

// obey serves and reports until the parent stops it or is gone.
func obey(ctx context.Context, m *mouth, in <-chan order, rate float64, work load) {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	serving.Go(func() { arrivals(ctx, rate, work.serve) })
	report := time.NewTicker(50 * time.Millisecond)
	defer report.Stop()
	for {
		select {
		case <-report.C:
			m.say(said{Replica: work.tally(false)})
		case o, ok := <-in:
			if !ok || o.Do == stop {
				return
			}
			s := said{ID: o.ID}
			switch o.Do {
			case network:
				work.network(o.Up)
			case census:
				s.Replica = work.tally(true)
			}
			m.say(s)
		}
	}
}

// arrivals starts a request rate times a second, somewhat unevenly, whether or not those before it are done; it returns
// when the last one is.
func arrivals(ctx context.Context, rate float64, serve func(context.Context)) {
	var requests sync.WaitGroup
	defer requests.Wait()
	mean := float64(time.Second) / rate
	pause := func() time.Duration { return time.Duration(mean * (0.5 + rand.Float64())) } //nolint:gosec // no secret
	next := time.NewTimer(time.Duration(mean * rand.Float64()))                           //nolint:gosec // no secret
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(pause())
			requests.Go(func() { serve(ctx) })
		}
	}
}

// newLogger writes one JSON object a line to standard error, which the parent keeps.
func newLogger(name string) *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	core := zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zap.InfoLevel)
	return zap.New(core).With(zap.String("replica", name))
}

// child is a process that the demo started of itself: it learns what to be from its first order.
func child() int {
	beating, rest := context.WithCancel(context.Background())
	defer rest()
	p := newPulse()
	m := newMouth(os.Stdout, p)
	go p.run(beating, func() { m.say(said{}) })
	in := orders(os.Stdin)
	o, ok := <-in
	switch {
	case !ok:
		return 0
	case o.Tier != nil:
		tierProcess(m, in, *o.Tier, o.ID)
	case o.Replica != nil && (o.Replica.Single != nil || o.Replica.Chain != nil):
		replicaProcess(m, in, *o.Replica, o.ID)
	default:
		m.say(said{ID: o.ID, Error: fmt.Sprintf("order %q says nothing to be", o.Do)})
		return 1
	}
	return 0
}
