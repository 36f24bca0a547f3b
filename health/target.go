package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/internal/guard"
	"github.com/commontrip/commontrip/store"
)

// target is one check and what is known of it.
type target struct {
	Check
	cfg       Config // with the check's own Interval and Timeout
	listeners []*listener

	down atomic.Pointer[DownError] // what guards refuse with; nil = they admit
	due  atomic.Pointer[time.Time] // when the next background check starts; nil = none will

	mu      sync.Mutex
	life    context.Context // ends with Close and Remove, and its cause says with which
	end     context.CancelCauseFunc
	looped  chan struct{} // closed when the background checks of this life have ended; nil = none were started
	status  Status
	current *run // the one that has not returned; nil = none
}

// remains are what a target that was stopped leaves behind.
type remains struct {
	name   string
	looped <-chan struct{} // closed when its background checks have ended; nil = there are none
	run    *run            // that has not returned; nil = none
}

func newTarget(c Check, cfg Config, listeners []*listener) *target {
	t := &target{Check: c, cfg: cfg, listeners: listeners, status: Status{Name: c.Name, Since: time.Now()}}
	t.life, t.end = context.WithCancelCause(context.Background())
	return t
}

// start begins the background checks.
func (t *target) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.looped = make(chan struct{})
	go t.loop(t.life, t.looped)
}

// stop ends the life, and lets guards admit.
func (t *target) stop(why error) remains {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(why)
	t.down.Store(nil)
	return remains{name: t.Name, looped: t.looped, run: t.current}
}

// renew begins another life. What was known in the one before is forgotten.
func (t *target) renew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.life, t.end = context.WithCancelCause(context.Background())
	before := t.status.Health
	t.status = Status{Name: t.Name, Since: time.Now()}
	if before != Unknown {
		t.tell()
	}
}

// tell hands the status to the listeners. The caller holds mu, so that they get changes in order.
func (t *target) tell() {
	for _, l := range t.listeners {
		l.put(t.status)
	}
}

// run is one call of the check's function. Its verdict comes with its return or with its timeout, whichever is first.
type run struct {
	life     context.Context // the target's when it began
	began    time.Time
	judged   chan struct{} // closed with the verdict
	returned chan struct{} // closed when the function has returned
	late     bool          // judged before it returned
	entered  atomic.Bool   // the function was reached: no breaker refused
}

// loop checks at once and then at every interval, until the life ends.
func (t *target) loop(life context.Context, looped chan<- struct{}) {
	defer close(looped)
	for {
		wait := spread(t.cfg.Interval)
		due := time.Now().Add(wait)
		t.due.Store(&due)
		_ = t.check(life) // the verdict is in the status
		// Not 0: timers that are due already make the race detector's own code fail in testing/synctest
		// (go.dev/issue/78156).
		select {
		case <-time.After(max(time.Until(due), 1)):
		case <-life.Done():
			return
		}
	}
}

// spread draws from 90 % to 110 % of d.
func spread(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// check runs the function, or joins the run that is under way, and returns when that has its verdict. A run that has
// outlived its verdict is not joined: that it still hangs is one more failure. The error is that of ctx, or says why the
// life has ended.
func (t *target) check(ctx context.Context) error {
	r, life := t.begin()
	judged := wait(ctx, r.judged)
	switch {
	case life.Err() != nil:
		return context.Cause(life)
	case !judged:
		return guard.Ended(ctx)
	}
	return nil
}

// begin gives the run to wait for, a new one if none is under way, and the life in which it was asked for.
func (t *target) begin() (*run, context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.current; r != nil {
		if r.late {
			t.judge(t.life, r, t.tooLate())
		}
		return r, t.life
	}
	r := &run{life: t.life, began: time.Now(), judged: make(chan struct{}), returned: make(chan struct{})}
	if t.life.Err() != nil {
		close(r.judged)
		return r, t.life
	}
	t.current = r
	ctx, cancel := context.WithTimeout(t.life, t.cfg.Timeout)
	stop := context.AfterFunc(ctx, func() { t.settle(r, t.tooLate(), false) })
	go func() {
		defer func() { stop(); cancel() }()
		t.call(ctx, r)
	}()
	return r, t.life
}

func (t *target) tooLate() error {
	return fmt.Errorf("no answer within %v: %w", t.cfg.Timeout, context.DeadlineExceeded)
}

// call runs the function, on a goroutine that is the run's own, and settles the run whatever the function does.
func (t *target) call(ctx context.Context, r *run) {
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanic, v)
		}
		if errors.Is(err, errPanic) {
			r.entered.Store(true) // a breaker that panics is a fault to be seen, no refusal
		}
		if ctx.Err() != nil {
			err = t.tooLate()
		}
		t.settle(r, err, true)
	}()
	err = t.through(ctx, r)
}

// through calls the function, by way of the breaker if Feed says so.
func (t *target) through(ctx context.Context, r *run) error {
	fn := func(ctx context.Context) error {
		r.entered.Store(true)
		err := t.Run(ctx)
		if guard.Refused(err) {
			r.entered.Store(false) // a guard within the check: it has not reached the tier
		}
		return err
	}
	if t.Feed == FeedAll || t.Feed == FeedProbes && t.Breaker.State() != store.Closed {
		return t.Breaker.Run(ctx, fn)
	}
	return fn(ctx)
}

// settle gives r its verdict, unless it has one, and makes room for the next run once it has returned.
func (t *target) settle(r *run, err error, returned bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-r.judged:
	default:
		t.judge(r.life, r, err)
		r.late = !returned
		close(r.judged)
	}
	if returned {
		t.current = nil
		close(r.returned)
	}
}

// judge counts one result, unless the end of its life or a refusing breaker made it say nothing of the tier. The caller
// holds mu.
func (t *target) judge(life context.Context, r *run, err error) {
	if life.Err() != nil || !r.entered.Load() {
		return
	}
	before := t.status.Health
	now := time.Now()
	t.status = t.status.after(t.cfg, now, now.Sub(r.began), err)
	if t.status.Health == before {
		return
	}
	if t.status.Health == Down {
		t.down.Store(&DownError{Name: t.Name, target: t})
	} else {
		t.down.Store(nil)
	}
	t.tell()
}

// known is the status as it is now.
func (t *target) known() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}
