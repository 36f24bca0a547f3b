package main

import (
	"context"
	"sync"
	"time"
)

const (
	beat  = 10 * time.Millisecond // how often a pulse beats
	tardy = 50 * time.Millisecond // a beat that is so late says that the machine has no time for this process
)

// pulse measures how late the timers of its process are. It beats on its own goroutine, and notes the latest beat.
type pulse struct {
	mu    sync.Mutex
	last  time.Time     // when it beat
	worst time.Duration // the latest beat that nobody has taken yet
}

func newPulse() *pulse { return &pulse{last: time.Now()} }

// run beats until ctx ends, and calls late after each beat that was tardy.
func (p *pulse) run(ctx context.Context, late func()) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if p.beat(time.Now()) >= tardy {
				late()
			}
		case <-ctx.Done():
			return
		}
	}
}

// beat notes a beat, and says how late it was.
func (p *pulse) beat(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := now.Sub(p.last) - beat
	p.last, p.worst = now, max(p.worst, late)
	return late
}

// take gives the latest beat since the last take. A beat that is due now counts as far as it is late.
func (p *pulse) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := max(p.worst, now.Sub(p.last)-beat, 0)
	p.worst = 0
	return late
}

// delays are what the parent knows of late timers, its own and its children's: what a promise may be excused by.
type delays struct {
	own *pulse

	mu    sync.Mutex
	noted []delay       // the tardy ones, oldest first
	most  time.Duration // the longest of all, tardy or not
}

type delay struct {
	at time.Time // when the parent learned of it
	by time.Duration
}

// note keeps a delay if it is tardy.
func (d *delays) note(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.most = max(d.most, by)
	if by >= tardy {
		d.noted = append(d.noted, delay{time.Now(), by})
	}
}

// longest gives the longest delay of all.
func (d *delays) longest() time.Duration {
	d.note(d.own.take(time.Now()))
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

// since gives the longest delay that was noted since then; 0: every timer was on time.
func (d *delays) since(then time.Time) (longest time.Duration) {
	d.note(d.own.take(time.Now()))
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.noted {
		if !one.at.Before(then) {
			longest = max(longest, one.by)
		}
	}
	return longest
}
