package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
)

const (
	defaultPing = 3 * time.Second // of silence; as long again without an answer ends the connection
	backoffBase = 100 * time.Millisecond
	backoffMax  = 5 * time.Second
)

// pushes counts what went wrong with the channel, for Pushes.
type pushes struct{ denied, foreign, gaps atomic.Uint64 }

// note counts a push that the server denied; pushed is what the script says of it.
func (p *pushes) note(pushed int64) {
	if pushed == 0 {
		p.denied.Add(1)
	}
}

// PushStats says how the fleet's channel does, since this Store was made.
type PushStats struct {
	Denied  uint64 // pushes that the server refused to this Store's scripts: its user lacks the right to the channel
	Foreign uint64 // messages on the channel that this library did not write
	Gaps    uint64 // connections of Watch that were lost
}

// Pushes says how the fleet's channel does. None of it is an error: what a push misses, the next exchange repairs.
func (s *Store) Pushes() PushStats {
	return PushStats{Denied: s.pushes.denied.Load(), Foreign: s.pushes.foreign.Load(), Gaps: s.pushes.gaps.Load()}
}

// Watch follows the fleet's channel over a connection of its own. A lost connection is made again, with full jitter and
// a Resync; one that is silent for 3 s is pinged, and lost if it does not answer within 3 s more. One to a master that
// Sentinels have replaced is left as soon as the first of them tells, or the new one answers an exchange; that takes a Store
// that Open made. A message that this library did not write gives a Resync, too, at most one a second: it may be a newer
// version's.
func (s *Store) Watch(ctx context.Context, fn func(store.Event)) error {
	if fn == nil {
		panic("redisstore: Watch needs a function; it is nil")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.done:
			cancel(store.ErrClosed)
		case <-ctx.Done():
		}
	}()
	if s.closed() {
		return store.ErrClosed
	}
	subscription, remove := s.failover.subscribe()
	defer remove()
	w := &watcher{s: s, fn: fn, subscription: subscription}
	var movedAt time.Time
	for attempt := 0; ; attempt++ {
		stood, moved := w.follow(subscription.in(ctx))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if stood && !moved || moved && time.Since(movedAt) > backoffMax { // if Sentinels lead it astray for long, it goes slower
			attempt = 0
		}
		if moved {
			movedAt = time.Now()
		}
		s.pushes.gaps.Add(1)
		limit := min(backoffBase<<min(attempt, 10), backoffMax)
		select {
		case <-time.After(rand.N(limit)):
		case <-subscription.leave: // there is a master to ask
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watcher is one Watch.
type watcher struct {
	s            *Store
	fn           func(store.Event)
	subscription *subscription
	resynced     time.Time // after a foreign message
}

// follow subscribes once and delivers until the connection is lost; it says whether the subscription stood, and whether it
// was left because the master is elsewhere.
func (w *watcher) follow(ctx context.Context) (stood, moved bool) {
	channel := w.s.keys.events()
	subscribing, cancel := context.WithTimeout(ctx, w.s.timeout)
	sub := w.s.client.Subscribe(subscribing, channel)
	cancel()
	ended, told := make(chan struct{}), make(chan bool)
	go func() {
		leave := false
		select {
		case <-ctx.Done():
		case <-w.subscription.leave:
			leave = true
		case <-ended:
		}
		_ = sub.Close() // a receive in flight ends with its connection
		told <- leave
	}()
	defer func() {
		close(ended)
		moved = <-told
	}()
	return w.receive(ctx, sub), false
}

// receive delivers what comes, and says whether the subscription stood.
func (w *watcher) receive(ctx context.Context, sub *redis.PubSub) (stood bool) {
	pinged := false
	for {
		wait := w.s.pingAfter
		if !stood {
			wait = w.s.timeout
		}
		message, err := sub.ReceiveTimeout(ctx, wait)
		if ctx.Err() != nil {
			return stood
		}
		if err != nil {
			if !isTimeout(err) || pinged || !stood {
				return stood
			}
			pinged = true
			if sub.Ping(ctx) != nil {
				return stood
			}
			continue
		}
		pinged = false
		switch m := message.(type) {
		case *redis.Subscription:
			if m.Kind == "subscribe" { // also the one that the client makes by itself after a gap
				stood = true
				w.fn(store.Event{Resync: true})
			}
		case *redis.Message:
			w.deliver(m.Payload)
		}
		if ctx.Err() != nil {
			return stood
		}
	}
}

// deliver tells the transitions of a push, or that there was something it cannot read.
func (w *watcher) deliver(payload string) {
	events, err := w.s.decodePush(payload)
	if err != nil {
		w.s.pushes.foreign.Add(1)
		if time.Since(w.resynced) > time.Second {
			w.resynced = time.Now()
			w.fn(store.Event{Resync: true})
		}
		return
	}
	for _, e := range events {
		w.fn(e)
	}
}

const (
	pushVersion = "1"
	pushMost    = 64 // entries of one script
)

// decodePush reads what push in scripts/lua/save.lua writes.
func (s *Store) decodePush(payload string) ([]store.Event, error) {
	d := decoder{of: "push"}
	parts := strings.Split(payload, "\x01")
	if len(parts) < 3 || parts[0] != pushVersion {
		d.fail("%.40q", payload)
		return nil, d.err()
	}
	name, ok := s.keys.name(parts[1])
	n, err := strconv.Atoi(parts[2])
	if !ok || store.ValidateName(name) != nil || err != nil || n < 1 || n > pushMost || len(parts) < 3+n+len(snapshotFieldNames) {
		d.fail("%.40q", payload)
		return nil, d.err()
	}
	f := d.snapshotFields(parts[3+n:], -1)
	snapshot := d.snapshot(name, f, store.Policy{})
	events := make([]store.Event, n)
	for i := range events {
		events[i] = store.Event{Transition: d.transition(name, parts[3+i], f.off), Snapshot: snapshot}
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return events, nil
}

// isTimeout reports that a connection was silent for too long, and no more.
func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
