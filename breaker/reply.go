package breaker

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/commontrip/commontrip/store"
)

var errUnsound = errors.New("the store's answer makes no sense")

// reply is what a store said to one request, or pushed.
type reply struct {
	request uint64  // the request's number; 0: this is a push
	sent    instant // when the request was sent
	news    news
	err     error
}

// newReply numbers a request that is sent now, for the reply to it.
func (c *coordinator) newReply() reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	return reply{request: c.rooms.fleet.nextRequest(), sent: now()}
}

// knows is what a request carries that is sent at that time, beside its own word.
func (c *coordinator) knows(at instant) store.Known {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms.fleet.known(at)
}

// newClaim makes a claim of that id, to be sent now, and the reply to it.
func (c *coordinator) newClaim(id string) (store.Claim, reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := reply{request: c.rooms.fleet.nextRequest(), sent: now()}
	return store.Claim{
		Name: c.name, ID: id, Policy: c.config.policy, Replica: c.core.replica, Want: 1, Known: c.rooms.fleet.known(r.sent),
	}, r
}

// hear fills the reply with what the store said.
func (r *reply) hear(said *store.Result) {
	r.news, r.err = news{transition: said.Made, after: &said.Snapshot}, said.Err
}

// check gives the reply's error, or that of an answer which cannot be this breaker's.
func (c *coordinator) check(r *reply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.err == nil && !c.rooms.fleet.sanitize(c.name, r.news.after) {
		r.err = errUnsound
	}
	return r.err
}

// take takes over a reply to a request of this breaker's own that was an exchange of its own. The lane hears of it first:
// whether a breaker is live depends on its lane.
func (c *coordinator) take(r *reply) error {
	c.lane().exchanged(r.sent, c.check(r))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms.take(r)
}

// take takes over a reply that was checked, and notes whether the store answered this breaker. It gives the reply's error.
func (r *rooms) take(from *reply) error {
	if from.err != nil {
		r.liveness.failed(from.sent, r.c.lane().failed(from.err))
		c := change{}
		if r.fleet.answered(from.err, from.sent) {
			c.fleet.generation = true
			r.delivery.startAnew(r.c.name, from.err)
		}
		r.update(c)
		return from.err
	}
	r.fleet.answered(nil, from.sent)
	r.liveness.succeeded()
	r.apply(from)
	return nil
}

// takeNews takes over a push, or a reply that does not say whether the store answers this breaker's own exchanges. What cannot
// be this breaker's is passed over.
func (c *coordinator) takeNews(r *reply) {
	if c.check(r) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rooms.apply(r)
}

// apply takes over a sanitized snapshot.
func (r *rooms) apply(from *reply) {
	if from.request > 0 {
		r.fleet.hear(from.news.after, from.sent)
	}
	moved := r.fleet.apply(r.c.name, from.news.after, from.request, now(), r.c.core)
	r.update(change{fleet: moved, news: from.news})
}

// requestGap asks for the transitions that were missed, if some were: at once from a local store, else with the lane's next
// exchange.
func (c *coordinator) requestGap() {
	switch {
	case !c.hasGap() || c.detached.Load():
	case c.core.remote:
		c.member.requestHistory(rand.N(c.member.patience() + 1)) // not all replicas of a big fleet at once
	default:
		c.fillGap(context.Background())
	}
}

func (c *coordinator) hasGap() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms.delivery.gap
}

// fillGap delivers what was missed, from the store's history.
func (c *coordinator) fillGap(ctx context.Context) {
	for range 3 { // what comes while the history is read is read again
		c.mu.Lock()
		gap, before := c.rooms.delivery.gap, store.Version{Generation: c.rooms.fleet.generation, Rev: c.rooms.fleet.rev}
		c.mu.Unlock()
		if !gap {
			return
		}
		sent := now()
		history, err := c.core.store.History(ctx, c.name, 50)
		c.lane().exchanged(sent, err)
		if err != nil {
			return
		}
		c.mu.Lock()
		c.rooms.delivery.fill(c.name, history, before, store.Version{Generation: c.rooms.fleet.generation, Rev: c.rooms.fleet.rev})
		c.mu.Unlock()
	}
}
