package breaker

import (
	"context"
	"slices"

	"github.com/commontrip/commontrip/store"
)

// told is how far a breaker's listeners have been told what happened.
type told struct {
	toldGeneration, toldRev uint64 // of the newest transition, or where they began to listen
	*tale                          // nil before the first event
}

// tale is what is kept of the events told.
type tale struct {
	counts   map[EventClass]uint64
	repaired int64 // when the newest repair told was made, in Unix ms
}

// tales makes the tale, if need be. b.mu is held.
func (b *Breaker) tales() *tale {
	if b.tale == nil {
		b.tale = &tale{counts: map[EventClass]uint64{}}
	}
	return b.tale
}

// emit counts an event and hands it to the breaker's listeners. b.mu is held, so that events keep their order.
func (b *Breaker) emit(e Event) {
	b.count(&e)
	for _, l := range b.config.listeners {
		l.tell(e)
	}
}

// hear learns of what happened from a store's answer: the transition that the request made, if any, and the state after
// it. b.mu is held.
func (b *Breaker) hear(made *store.Transition, after *store.Snapshot) {
	if after.PolicyConflict != b.conflictSaid {
		b.conflictSaid = after.PolicyConflict
		if after.PolicyConflict {
			b.emit(Event{Kind: PolicyConflict, Name: b.name})
		}
	}
	if !b.began {
		b.began = true
		b.toldGeneration, b.toldRev = after.Generation, after.Rev
		if made != nil && made.Name == b.name {
			b.emit(eventOf(made))
		}
		return
	}
	if made != nil {
		b.follows(made)
	}
	if after.Generation > b.toldGeneration || after.Rev > b.toldRev {
		b.gap = true
	}
}

// hearPush learns of what happened from a push. b.mu is held.
func (b *Breaker) hearPush(t *store.Transition) {
	switch {
	case !b.began || t.Name != b.name:
	case b.follows(t):
	case t.Generation > b.toldGeneration || t.Rev > b.toldRev:
		b.gap = true
	default:
		b.tellRepair(t)
	}
}

// follows tells a transition that comes right after the last one told. b.mu is held.
func (b *Breaker) follows(t *store.Transition) bool {
	newer := t.Generation > b.toldGeneration || t.Rev > b.toldRev
	if b.gap || !newer || t.Prev != b.toldGeneration || t.Rev != b.toldRev {
		return false // a rev that has moved does not say by how many commands
	}
	b.toldGeneration, b.toldRev = t.Generation, t.Rev
	b.emit(eventOf(t))
	return true
}

// catchUpSoon closes a gap: now where the store is local, else with the lane's next exchange.
func (b *Breaker) catchUpSoon() {
	b.mu.Lock()
	gap := b.gap
	b.mu.Unlock()
	switch {
	case !gap || b.alone.Load():
	case b.core.remote:
		b.lane.history(b)
	default:
		b.catchUp(context.Background())
	}
}

// catchUp tells what was missed, from the store's history.
func (b *Breaker) catchUp(ctx context.Context) {
	for range 3 { // what comes while the history is read is read again
		b.mu.Lock()
		gap, before := b.gap, store.Version{Generation: b.generation, Rev: b.rev}
		b.mu.Unlock()
		if !gap {
			return
		}
		sent := now()
		history, err := b.core.store.History(ctx, b.name, 50)
		b.lane.exchanged(sent, err)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.tellAll(history)
		if b.generation == before.Generation && b.rev == before.Rev {
			b.gap = false
			b.toldGeneration = max(b.toldGeneration, b.generation)
			b.toldRev = max(b.toldRev, b.rev)
		}
		b.mu.Unlock()
	}
}

// tellAll tells those entries of a history, newest first, that are newer than the last one told. b.mu is held.
func (b *Breaker) tellAll(history []store.Transition) {
	for _, t := range slices.Backward(history) {
		switch {
		case t.Name != b.name:
		case t.Generation > b.toldGeneration || t.Rev > b.toldRev:
			b.toldGeneration, b.toldRev = t.Generation, t.Rev
			b.emit(eventOf(&t))
		default:
			b.tellRepair(&t)
		}
	}
}

// tellRepair tells, once, that a store was given back what this replica knew: its number is not new. b.mu is held.
func (b *Breaker) tellRepair(t *store.Transition) {
	if t.Reason != store.ByRepair || t.From != t.To || t.Generation != b.generation {
		return
	}
	if at := t.At.UnixMilli(); at > b.tales().repaired {
		b.tales().repaired = at
		b.emit(eventOf(t))
	}
}

func eventOf(t *store.Transition) Event {
	kind := Transitioned
	switch {
	case t.Reason == store.ByRepair:
		kind = Repaired
	case t.Action != 0:
		kind = Commanded
	}
	return Event{Kind: kind, Name: t.Name, Transition: *t}
}
