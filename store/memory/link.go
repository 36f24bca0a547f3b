package memorystore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Link is one replica's way to a Store, for tests of programs whose breakers share a verdict: a fleet needs no server
// then, an outage is a call of [Link.Cut] or [Link.Fail], and a bad network one of [Link.Degrade]. To the replica the store
// behind it is remote: outcomes travel in batches, and the default policy is that of a fleet. Several links to one Store are
// several replicas' ways, each with faults of its own. A Link is safe for concurrent use. It starts no goroutine but for a
// push that is late, which ends with its Watch; in a test of testing/synctest its time is virtual.
type Link struct {
	mu sync.Mutex // of changing, of net and of rng
	is atomic.Pointer[condition]

	net Network
	rng *rand.Rand
}

// Network is what befalls what crosses a Link. Shares are from 0, nothing, to 1, everything. The zero Network is a perfect one.
type Network struct {
	Delay         time.Duration // of each way of a request, and of a push
	Jitter        time.Duration // what may be added to Delay, drawn evenly; so pushes overtake each other
	LoseRequest   float64       // share of the requests that the store never sees; the caller waits until its context ends
	LoseReply     float64       // share of the requests that the store carries out while the caller waits in vain
	DoubleRequest float64       // share of the requests that the store carries out twice; the second reply counts
	LosePush      float64       // share of the pushes that are lost, of which nobody hears: no Resync follows
	DoublePush    float64       // share of the pushes that come twice
	Seed          uint64        // of what is drawn: with one seed, the same requests in the same order fare alike
}

func (n Network) validate() error {
	for name, d := range map[string]time.Duration{"Delay": n.Delay, "Jitter": n.Jitter} {
		if d < 0 {
			return fmt.Errorf("memorystore: Network.%s is %v; it must be 0 or more", name, d)
		}
	}
	for name, share := range map[string]float64{
		"LoseRequest": n.LoseRequest, "LoseReply": n.LoseReply, "DoubleRequest": n.DoubleRequest, "LosePush": n.LosePush,
		"DoublePush": n.DoublePush,
	} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("memorystore: Network.%s is %v; it must be from 0 to 1", name, share)
		}
	}
	return nil
}

// condition is how a link is for a while.
type condition struct {
	to     *Store
	while  context.Context // ends with it
	end    context.CancelFunc
	silent bool
	err    error
}

var (
	_ store.Store  = (*Link)(nil)
	_ store.Pinger = (*Link)(nil)
)

// NewLink makes a link to s that works.
func NewLink(s *Store) *Link {
	if s == nil {
		panic("memorystore: NewLink needs a store; it was given nil")
	}
	l := &Link{rng: rand.New(rand.NewPCG(0, 0))} //nolint:gosec // faults of tests, no secret
	l.is.Store(newCondition(s, false, nil))
	return l
}

// newCondition makes one that lasts until it is ended.
func newCondition(to *Store, silent bool, err error) *condition {
	while, end := context.WithCancel(context.Background())
	return &condition{to, while, end, silent, err}
}

// Cut makes the link silent, as a network does that drops every packet: a request waits until its context ends, or until
// the link is mended or fails. Pushes are lost.
func (l *Link) Cut() { l.change(true, nil) }

// Fail makes every request fail with err at once, as a server does that is not there. Pushes are lost. An err that is
// [store.ErrInvalid] or [store.ErrUnknown] would say of a working store that it was asked wrongly.
func (l *Link) Fail(err error) {
	if err == nil {
		panic("memorystore: Fail needs an error; it was given nil")
	}
	l.change(false, err)
}

// Degrade puts another network in the link's place from now on; [Network]{} is the perfect one again. Cut, Fail and Mend do
// not touch it. It panics if a field of n is out of its range.
func (l *Link) Degrade(n Network) {
	if err := n.validate(); err != nil {
		panic(err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.net, l.rng = n, rand.New(rand.NewPCG(n.Seed, 0)) //nolint:gosec // faults of tests, no secret
}

// Mend ends what Cut or Fail began. Watchers get a Resync.
func (l *Link) Mend() { l.change(false, nil) }

// Close closes the link for good and leaves the store open.
func (l *Link) Close() error {
	l.change(false, store.ErrClosed)
	return nil
}

// To makes the link lead to another store from now on, as to a server that came back with nothing. Watchers get a Resync
// once the link works.
func (l *Link) To(s *Store) {
	if s == nil {
		panic("memorystore: To needs a store; it was given nil")
	}
	l.become(func(was *condition) *condition { return newCondition(s, was.silent, was.err) })
}

// change puts the link into another condition, unless it is closed.
func (l *Link) change(silent bool, err error) {
	l.become(func(was *condition) *condition { return newCondition(was.to, silent, err) })
}

func (l *Link) become(next func(was *condition) *condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.is.Load()
	if errors.Is(was.err, store.ErrClosed) {
		return
	}
	l.is.Store(next(was))
	was.end()
}

// store is where the link leads.
func (l *Link) store() *Store { return l.is.Load().to }

// cross waits while the link is silent, and tells how it fails.
func (l *Link) cross(ctx context.Context) error {
	for {
		c := l.is.Load()
		if !c.silent {
			return c.err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.while.Done():
		}
	}
}

// crossing is what the network does to one request.
type crossing struct {
	there, back                      time.Duration
	loseRequest, loseReply, doubleIt bool
}

// draw draws what befalls the next request.
func (l *Link) draw() crossing {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.net == (Network{}) {
		return crossing{}
	}
	return crossing{
		there: l.delay(), back: l.delay(), loseRequest: l.chance(l.net.LoseRequest), loseReply: l.chance(l.net.LoseReply),
		doubleIt: l.chance(l.net.DoubleRequest),
	}
}

// delay draws that of one way. l.mu is held.
func (l *Link) delay() time.Duration {
	return l.net.Delay + time.Duration(l.rng.Int64N(int64(l.net.Jitter)+1))
}

// chance draws whether something befalls that share. l.mu is held.
func (l *Link) chance(share float64) bool { return l.rng.Float64() < share }

// across makes a request of the store's, as the link and its network let it.
func across[T any](ctx context.Context, l *Link, request func() (T, error)) (T, error) {
	var none T
	if err := l.cross(ctx); err != nil {
		return none, err
	}
	c := l.draw()
	if err := wait(ctx, c.there); err != nil {
		return none, err
	}
	if c.loseRequest {
		return none, l.lost(ctx)
	}
	if err := l.cross(ctx); err != nil {
		return none, err
	}
	reply, err := request()
	if c.doubleIt {
		reply, err = request()
	}
	if err := wait(ctx, c.back); err != nil {
		return none, err
	}
	switch is := l.is.Load(); {
	case c.loseReply || is.silent:
		return none, l.lost(ctx)
	case is.err != nil:
		return none, is.err // the connection is gone, and the reply with it
	}
	return reply, err
}

// lost waits as one does for what never comes: until its context ends, or the link is closed.
func (l *Link) lost(ctx context.Context) error {
	for {
		c := l.is.Load()
		if errors.Is(c.err, store.ErrClosed) {
			return c.err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.while.Done():
		}
	}
}

// wait takes no timer for no time: one that is due at once makes the order of a virtual clock the scheduler's.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Sync implements [store.Store].
func (l *Link) Sync(ctx context.Context, reports []store.Report) []store.Result {
	results, err := across(ctx, l, func() ([]store.Result, error) { return l.store().Sync(ctx, reports), nil })
	if err != nil {
		results = make([]store.Result, len(reports))
		for i := range results {
			results[i].Err = err
		}
	}
	return results
}

// Claim implements [store.Store].
func (l *Link) Claim(ctx context.Context, c store.Claim) (store.Grant, error) {
	return across(ctx, l, func() (store.Grant, error) { return l.store().Claim(ctx, c) })
}

// Settle implements [store.Store].
func (l *Link) Settle(ctx context.Context, s store.Settlement) (store.Result, error) {
	return across(ctx, l, func() (store.Result, error) { return l.store().Settle(ctx, s) })
}

// Command implements [store.Store].
func (l *Link) Command(ctx context.Context, c store.Command) (store.Result, error) {
	return across(ctx, l, func() (store.Result, error) { return l.store().Command(ctx, c) })
}

// Read implements [store.Store].
func (l *Link) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	return across(ctx, l, func() ([]store.Snapshot, error) { return l.store().Read(ctx, names...) })
}

// Versions implements [store.Store].
func (l *Link) Versions(ctx context.Context, names ...string) ([]store.Version, error) {
	return across(ctx, l, func() ([]store.Version, error) { return l.store().Versions(ctx, names...) })
}

// Roster implements [store.Store].
func (l *Link) Roster(ctx context.Context, name string) ([]store.Replica, error) {
	return across(ctx, l, func() ([]store.Replica, error) { return l.store().Roster(ctx, name) })
}

// History implements [store.Store].
func (l *Link) History(ctx context.Context, name string, limit int) ([]store.Transition, error) {
	return across(ctx, l, func() ([]store.Transition, error) { return l.store().History(ctx, name, limit) })
}

// Remove implements [store.Store].
func (l *Link) Remove(ctx context.Context, name string) error {
	_, err := across(ctx, l, func() (struct{}, error) { return struct{}{}, l.store().Remove(ctx, name) })
	return err
}

// Ping implements [store.Pinger].
func (l *Link) Ping(ctx context.Context) error {
	_, err := across(ctx, l, func() (struct{}, error) { return struct{}{}, l.store().Ping(ctx) })
	return err
}

// Watch implements [store.Store]: while the link works it watches the store, and begins again when it works again.
func (l *Link) Watch(ctx context.Context, fn func(store.Event)) error {
	for {
		c := l.is.Load()
		switch {
		case errors.Is(c.err, store.ErrClosed):
			return store.ErrClosed
		case c.silent || c.err != nil:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-c.while.Done():
			}
		default:
			if err := l.watchWhile(ctx, c, fn); err != nil {
				return err
			}
		}
	}
}

// watchWhile watches as long as the link is so; it returns nil if the link changed.
func (l *Link) watchWhile(ctx context.Context, c *condition, fn func(store.Event)) error {
	ours, stop := context.WithCancel(ctx)
	defer stop()
	unhook := context.AfterFunc(c.while, stop)
	defer unhook()
	d := delivery{l: l, while: c.while, ctx: ours, fn: fn}
	passOn := d.pass
	if fn == nil { // the store says what it thinks of nil
		passOn = nil
	}
	err := c.to.Watch(ours, passOn)
	stop()
	d.underway.Wait()
	if ctx.Err() == nil && c.while.Err() != nil {
		return nil
	}
	return err
}

// delivery is the pushes of one Watch.
type delivery struct {
	l        *Link
	while    context.Context // the link's condition
	ctx      context.Context
	underway sync.WaitGroup
	mu       sync.Mutex // of fn, which is called by one at a time
	fn       func(store.Event)
}

// pass brings an event across the network. A Resync is the link's own word, and comes at once.
func (d *delivery) pass(e store.Event) {
	if e.Resync {
		d.deliver(e, 0)
		return
	}
	for _, delay := range d.l.drawPush() {
		if delay <= 0 {
			d.deliver(e, 0)
		} else {
			d.underway.Go(func() { d.deliver(e, delay) })
		}
	}
}

func (d *delivery) deliver(e store.Event, delay time.Duration) {
	if wait(d.ctx, delay) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.while.Err() == nil {
		d.fn(e)
	}
}

// drawPush draws when a push comes: never, once, or twice.
func (l *Link) drawPush() (delays []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.chance(l.net.LosePush) {
		return nil
	}
	delays = append(delays, l.delay())
	if l.chance(l.net.DoublePush) {
		delays = append(delays, l.delay())
	}
	return delays
}

// Lane implements [store.Store].
func (l *Link) Lane(name string) int { return l.store().Lane(name) }

// Info says that the store is remote.
func (l *Link) Info() store.Info { return store.Info{Kind: l.store().Info().Kind, Remote: true} }
