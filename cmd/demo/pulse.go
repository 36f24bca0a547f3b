package main

import (
	"context"
	"sync"
	"time"
)

const (
	beat  = 10 * time.Millisecond // how often a pulse beats
	tardy = 50 * time.Millisecond // a beat that is late by as much says that the machine has no time for this process
)

// pulse measures how late the timers of its process are. It beats on its own goroutine, and notes the latest beat.
type pulse struct {
	mu    sync.Mutex
	last  time.Time     // when it beat
	worst time.Duration // the latest beat that nobody has taken yet
}

func newPulse() *pulse { return &pulse{last: time.Now()} }

// run beats until ctx ends.
func (p *pulse) run(ctx context.Context) {
	for wait(ctx, beat) {
		p.beat(time.Now())
	}
}

func (p *pulse) beat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.worst = now, max(p.worst, now.Sub(p.last)-beat)
}

// take gives the latest beat since the last take. A beat that is due now counts as far as it is late.
func (p *pulse) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := max(p.worst, now.Sub(p.last)-beat, 0)
	p.worst = 0
	return late
}
