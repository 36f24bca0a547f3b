package main

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

// pace is how many times faster than life the demo goes.
type pace float64

// of gives the time that d takes at this pace.
func (p pace) of(d time.Duration) time.Duration { return time.Duration(float64(d) / float64(p)) }

// callTimeout bounds one call of a tier, whatever the pace: tiers are as slow as they are. It is long enough that a busy
// machine, which lets a process wait for its turn, rarely looks like a tier that does not answer.
const callTimeout = 500 * time.Millisecond

// stage is what both halves of the story are played on.
type stage struct {
	pace   pace
	screen *screen
	report *report
	redis  *redisSide
	logs   io.Writer
	fail   context.CancelCauseFunc // ends the story, with an error
	ends   []func()                // of what this half has started
}

// half is a half of the story: what it needs, and what happens.
type half interface {
	open(ctx context.Context, s *stage) error
	scenes() []func(ctx context.Context)
}

// play plays the halves that are wanted, until ctx ends. What the last of them started goes on until clear.
func (s *stage) play(ctx context.Context, only string) error {
	s.screen = openScreen(os.Stdout, isTerminal(os.Stdout))
	defer s.screen.close()
	var halves []half
	if only != "tiers" {
		halves = append(halves, &fleetHalf{})
	}
	if only != "fleet" {
		halves = append(halves, &tiersHalf{})
	}
	for _, h := range halves {
		s.clear()
		s.report.half()
		if err := h.open(ctx, s); err != nil {
			return err
		}
		for _, scene := range h.scenes() {
			if scene(ctx); ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// clear ends all that was started, at once.
func (s *stage) clear() {
	var ending sync.WaitGroup
	for _, end := range s.ends {
		ending.Go(end)
	}
	ending.Wait()
	s.ends = nil
}

// scene opens a scene, on the screen and for the promises that are judged in it.
func (s *stage) scene(format string, a ...any) {
	s.report.scene()
	s.screen.scene(format, a...)
}

// tell notes a transition in its own words; the empty one is one that was waited for and did not come.
func (s *stage) tell(t store.Transition) {
	if t.Name == "" {
		s.screen.note("nothing changed")
		return
	}
	s.screen.note("%s", t.Sentence())
}

// pause lets a scene be looked at.
func (s *stage) pause(ctx context.Context, d time.Duration) { wait(ctx, s.pace.of(d)) }

// environment is what the replicas of both halves are configured by. Package config reads it, there and here.
func (s *stage) environment(more ...string) []string {
	lease := max(s.pace.of(time.Second), 2*callTimeout) // always longer than a call may take
	return append([]string{
		"CIRCUIT_BREAKER_STORE_URL=" + s.redis.url,
		"CIRCUIT_BREAKER_STORE_PREFIX=" + s.redis.prefix,
		"CIRCUIT_BREAKER_FAILURE_THRESHOLD=5",
		"CIRCUIT_BREAKER_FAILURE_RATE=0.5",
		"CIRCUIT_BREAKER_MIN_CALLS=20",
		"CIRCUIT_BREAKER_REPORTERS=2",
		"CIRCUIT_BREAKER_RECOVERY_TIMEOUT=" + s.pace.of(2*time.Second).String(),
		"CIRCUIT_BREAKER_HALF_OPEN_CALLS=2",
		"CIRCUIT_BREAKER_SUCCESS_THRESHOLD=3",
		"CIRCUIT_BREAKER_PROBE_LEASE=" + lease.String(),
	}, more...)
}
