package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// lease is a probe's time: a second, and always longer than a call may take.
func (s *stage) lease() time.Duration { return max(s.pace.of(time.Second), 2*callTimeout) }

// stage is what both halves play on.
type stage struct {
	pace   pace
	screen *screen
	report *report
	delays *delays
	redis  *redisSide
	page   *page
	logs   io.Writer
	alone  bool // this half is the only one
	stays  bool // the fleet lives on when its story has been told

	mu       sync.Mutex
	children []*process
}

func (s *stage) spawn(name string, env []string, listen func(said)) (*process, error) {
	p, err := spawn(name, env, s.logs, s.delays.note, listen)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.children = append(s.children, p)
	return p, nil
}

// tell notes a transition in its own words; nil: the one that was waited for did not come.
func (s *stage) tell(t *store.Transition) {
	if t == nil {
		s.screen.note("nothing changed")
		return
	}
	s.screen.note("%s", t.Sentence())
}

// clear ends all children, at once.
func (s *stage) clear() {
	s.mu.Lock()
	children := s.children
	s.children = nil
	s.mu.Unlock()
	var ending sync.WaitGroup
	for _, p := range children {
		ending.Go(func() { p.end(3 * time.Second) })
	}
	ending.Wait()
}

// scene opens a scene, on the screen and for the promises that are judged in it.
func (s *stage) scene(format string, a ...any) {
	s.report.scene()
	s.screen.scene(format, a...)
}

// pause lets a scene be looked at.
func (s *stage) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(s.pace.of(d)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tierHandle is a tier process as the parent sees it.
type tierHandle struct {
	name string
	url  string
	proc *process

	mu   sync.Mutex
	mode mode
}

func (s *stage) openTier(ctx context.Context, name string, spec tierSpec) (*tierHandle, error) {
	p, err := s.spawn(name, nil, func(said) {})
	if err != nil {
		return nil, err
	}
	answer, err := p.ask(ctx, order{Do: start, Tier: &spec})
	if err != nil {
		return nil, err
	}
	return &tierHandle{name: name, url: answer.URL, proc: p, mode: answers}, nil
}

// behave tells the tier how to treat calls; latency 0 leaves its latency.
func (t *tierHandle) behave(ctx context.Context, m mode, latency time.Duration) error {
	if _, err := t.proc.ask(ctx, order{Do: behave, Mode: m, Latency: latency}); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mode = m
	return nil
}

func (t *tierHandle) doing() mode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mode
}

func (t *tierHandle) census(ctx context.Context) (tierTally, error) {
	s, err := t.proc.ask(ctx, order{Do: census})
	if err != nil {
		return nil, err
	}
	if s.Tier == nil {
		return nil, fmt.Errorf("%s counted nothing", t.name)
	}
	return *s.Tier, nil
}

// openFleet starts the eight replicas at once, each as what gives for it, with env added to its environment.
func (s *stage) openFleet(ctx context.Context, told func(*member, *heard), what func(*member) (r replicaSpec, env []string)) (*fleet, error) {
	f := newFleet(told)
	errs := make([]error, len(rates))
	var starting sync.WaitGroup
	for i, rate := range rates {
		m := &member{name: fmt.Sprintf("replica-%d", i+1), rate: rate * float64(s.pace)}
		f.members = append(f.members, m)
		r, env := what(m)
		r.Name, r.Rate = m.name, m.rate
		var err error
		if m.proc, err = s.spawn(m.name, env, func(said said) { f.listen(m, said) }); err != nil {
			return nil, err
		}
		starting.Go(func() { _, errs[i] = m.proc.ask(ctx, order{Do: start, Replica: &r}) })
	}
	starting.Wait()
	return f, errors.Join(errs...)
}
