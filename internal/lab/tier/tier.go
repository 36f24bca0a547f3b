// Package tier is what a fleet calls: a tier that can fail, hang, be slow and refuse connections, in this process and over
// HTTP. It keeps a ledger of every call that reached it: the truth that breakers are held to. The fleet's tests and the
// demo stand on it.
package tier

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// ErrDown is a call that the tier failed.
var ErrDown = errors.New("tier is down")

// Caller says who calls, and how it was admitted.
type Caller struct {
	Door       string // which of several doors of the tier is called; they are counted apart
	Replica    string
	Generation uint64 // of the fleet
	Probe      bool
	Own        bool // the probe is one of the replica's own verdict, which has a budget of its own
}

// Func calls a tier. Its error is [ErrDown] if the tier failed the call.
type Func func(ctx context.Context, by Caller) error

// Tier is a tier. The zero value is well and quick. Its methods are safe for concurrent use, and know virtual time.
type Tier struct {
	CountsOnly bool // no ledger is kept, for fleets that call for hours; to be set before the first call

	mu       sync.Mutex
	failing  float64
	min, max time.Duration
	hung     chan struct{} // closed when the tier hangs no more; nil: it does not hang
	ledger   Ledger
	counts   map[string]*Count // by door
	probing  int               // probes of the fleet that run
	most     int               // at once, of those
}

// Count is what reached a tier, or one of its doors.
type Count struct {
	Calls     int `json:"calls"`
	Failed    int `json:"failed"`     // of the calls, by the tier or because their callers gave up
	Dead      int `json:"dead"`       // of the calls: came while every call failed, or hung
	Probes    int `json:"probes"`     // of the calls: of the fleet
	OwnProbes int `json:"own_probes"` // of the calls: of replicas by their own verdict
}

// Fail makes a share of the calls fail, from now on: 0 none, 1 all.
func (t *Tier) Fail(share float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failing = share
}

// Slow makes every call take so long, from now on.
func (t *Tier) Slow(d time.Duration) { t.Latency(d, d) }

// Latency makes every call take from least to most, drawn evenly, from now on.
func (t *Tier) Latency(least, most time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.min, t.max = least, most
}

// Hang makes calls wait until their callers give up, or until it ends.
func (t *Tier) Hang(hang bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case hang && t.hung == nil:
		t.hung = make(chan struct{})
	case !hang && t.hung != nil:
		close(t.hung)
		t.hung = nil
	}
}

// Call is a [Func].
func (t *Tier) Call(ctx context.Context, by Caller) error {
	return t.CallDrawn(ctx, by, rand.Float64()) //nolint:gosec // no secret
}

// CallDrawn is Call with a draw of the caller's, from 0 to 1, so that a run can be played again. The call fails if the draw
// is below the share that fails.
func (t *Tier) CallDrawn(ctx context.Context, by Caller, draw float64) error {
	i, hung, latency := t.enter(by)
	err := wait(ctx, hung, latency)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && draw < t.failing {
		err = ErrDown
	}
	t.leave(i, by, err != nil)
	return err
}

// enter notes a call and says how it goes; i is its place in the ledger.
func (t *Tier) enter(by Caller) (i int, hung <-chan struct{}, latency time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.door(by.Door)
	c.Calls++
	if t.failing >= 1 || t.hung != nil {
		c.Dead++
	}
	switch {
	case by.Probe && by.Own:
		c.OwnProbes++
	case by.Probe:
		c.Probes++
		t.probing++
		t.most = max(t.most, t.probing)
	}
	if !t.CountsOnly {
		t.ledger = append(t.ledger, Call{Caller: by, Start: time.Now()})
	}
	if latency = t.min; t.max > t.min {
		latency += rand.N(t.max - t.min) //nolint:gosec // no secret
	}
	return len(t.ledger) - 1, t.hung, latency
}

// leave notes the end of a call. t.mu is held.
func (t *Tier) leave(i int, by Caller, failed bool) {
	if failed {
		t.door(by.Door).Failed++
	}
	if by.Probe && !by.Own {
		t.probing--
	}
	if !t.CountsOnly {
		t.ledger[i].End, t.ledger[i].Failed = time.Now(), failed
	}
}

// door gives the counts of a door. t.mu is held.
func (t *Tier) door(name string) *Count {
	if t.counts == nil {
		t.counts = map[string]*Count{}
	}
	if t.counts[name] == nil {
		t.counts[name] = &Count{}
	}
	return t.counts[name]
}

// wait waits while the tier hangs, and then as long as the call takes.
func wait(ctx context.Context, hung <-chan struct{}, latency time.Duration) error {
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if latency <= 0 { // no timer that is due at once: it makes a virtual clock's order the scheduler's
		return ctx.Err()
	}
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ledger is a copy of the calls so far, in the order of their starts.
func (t *Tier) Ledger() Ledger {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(Ledger(nil), t.ledger...)
}

// Count counts the calls so far, of all doors.
func (t *Tier) Count() (sum Count) {
	for _, c := range t.Counts() {
		sum.Calls += c.Calls
		sum.Failed += c.Failed
		sum.Dead += c.Dead
		sum.Probes += c.Probes
		sum.OwnProbes += c.OwnProbes
	}
	return sum
}

// Counts counts the calls so far, by door.
func (t *Tier) Counts() map[string]Count {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]Count{}
	for door, c := range t.counts {
		all[door] = *c
	}
	return all
}

// MostProbes is the greatest number of the fleet's probes that were with the tier at one time.
func (t *Tier) MostProbes() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.most
}
