package breaker

import (
	"context"
	"sync"
	"time"
)

// probeContext is what a probe runs under. It ends with the caller's context, or with the lease, as at a deadline. A settled
// probe's lives on: only the caller's end reaches it then, as long as somebody waits for that. What is derived from it in the
// usual way moves over to the caller's context, and nothing stays behind there when it is done.
//
// It says no deadline, since a probe that is settled in time has none. It is safe for concurrent use. Under mu the caller's
// context is asked and watched; nothing that is the user's runs.
type probeContext struct {
	caller context.Context
	call   *probe

	mu        sync.Mutex
	err       error                  // why it has ended; nil: it has not, as far as anybody noticed
	released  bool                   // the lease does not end it any more
	done      chan struct{}          // closed at the end; nil: nobody has asked for it
	asked     int                    // how often somebody has
	derived   int                    // how often a context was derived by AfterFunc
	followers map[*follower]struct{} // what is to run at the end
	unwatch   func() bool            // forgets the caller's context; nil: it is not watched
}

// follower is a function that runs once the context has ended.
type follower struct {
	run  func()
	stop func() bool // takes it back from the caller's context; nil: it is not registered there
}

// Deadline implements context.Context.
func (c *probeContext) Deadline() (time.Time, bool) { return c.caller.Deadline() }

// Err implements context.Context. The end of the lease is a deadline's.
func (c *probeContext) Err() error {
	if err := c.noticed(); err != nil {
		return err
	}
	if err := c.caller.Err(); err != nil {
		return c.end(err)
	}
	return nil
}

// Value implements context.Context.
func (c *probeContext) Value(key any) any {
	if of, ok := key.(probeOf); ok && of.c == c.call.from.c {
		return c.call
	}
	return c.caller.Value(key)
}

func (c *probeContext) noticed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done implements context.Context.
func (c *probeContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		if c.released && c.err == nil {
			return c.caller.Done()
		}
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	c.asked++
	c.watch()
	return c.done
}

// AfterFunc is how package context lets a derived context follow this one, without a goroutine.
func (c *probeContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		go f()
		return func() bool { return false }
	case c.released:
		return context.AfterFunc(c.caller, f)
	}
	c.derived++
	w := &follower{run: f}
	if c.followers == nil {
		c.followers = map[*follower]struct{}{}
	}
	c.followers[w] = struct{}{}
	c.watch()
	return func() bool { return c.forget(w) }
}

// forget reports whether w was still to run, and now is not.
func (c *probeContext) forget(w *follower) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.followers[w]; waits {
		delete(c.followers, w)
		return true
	}
	return w.stop != nil && w.stop()
}

// watch makes the caller's end known here. mu is held.
func (c *probeContext) watch() {
	if c.unwatch == nil && c.err == nil {
		c.unwatch = context.AfterFunc(c.caller, func() { _ = c.end(c.caller.Err()) })
	}
}

// end ends the context, unless it has ended, and gives the error that it has ended with.
func (c *probeContext) end(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	for w := range c.followers {
		go w.run()
	}
	c.followers = nil
	if c.unwatch != nil {
		c.unwatch()
	}
	return err
}

// release is called when the probe is settled. What follows this context follows the caller's from now on. The caller's
// context stays watched only if somebody may wait for the channel itself.
func (c *probeContext) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released = true
	if c.err != nil {
		return
	}
	for w := range c.followers {
		w.stop = context.AfterFunc(c.caller, w.run)
	}
	c.followers = nil
	if waits := c.asked > c.derived*asksOfDerivation; !waits && c.unwatch != nil && c.unwatch() {
		c.done = nil
	}
}

// asksOfDerivation is how often package context asks for a parent's channel when it derives a context from it by AfterFunc. It
// keeps none of them.
var asksOfDerivation = func() int {
	p := &askedParent{Context: context.Background(), done: make(chan struct{})}
	_, cancel := context.WithCancel(p)
	cancel()
	return p.asked
}()

// askedParent is a context that counts who asks for its channel.
type askedParent struct {
	context.Context
	done  chan struct{}
	asked int
}

func (p *askedParent) Done() <-chan struct{}        { p.asked++; return p.done }
func (p *askedParent) AfterFunc(func()) func() bool { return func() bool { return true } }
