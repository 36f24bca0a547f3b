package breaker

import (
	"maps"
	"slices"

	"github.com/commontrip/commontrip/store"
)

// delivery is what a breaker's listeners were told and what they have missed, so that each hears every transition once and
// in order. It is not safe for concurrent use: its coordinator's mu guards it. Listeners have locks of their own.
type delivery struct {
	audience        *audience
	generation, rev uint64     // of the newest transition that was delivered, or of the moment when delivery began
	delivered       *delivered // nil: no event was delivered
	began           bool       // there is a moment from which on every transition is delivered
	gap             bool       // transitions were missed; the store's history has them
	conflict        bool       // the policies differ, and listeners were told
}

// delivered is what an idle breaker's delivery does without.
type delivered struct {
	counts     map[EventClass]uint64
	repairedAt int64 // when the newest repair that was delivered was made, in Unix ms
}

// audience is who hears a breaker's events, and as which replica.
type audience struct {
	replica   string
	listeners []*listener
}

// hear hands an event to the listeners. It never blocks.
func (a *audience) hear(e Event) {
	for _, l := range a.listeners {
		l.hear(e)
	}
}

// news is what a store told: the transition that a request made or a push tells of, and the state after it.
type news struct {
	transition *store.Transition // nil: the request made none
	after      *store.Snapshot   // nil: there is no news
	pushed     bool
}

// deliver counts an event and hands it to the listeners.
func (d *delivery) deliver(name string, e Event) {
	e.Name = name
	d.past().counts[classOf(&e, d.audience.replica)]++
	d.audience.hear(e)
}

func (d *delivery) past() *delivered {
	if d.delivered == nil {
		d.delivered = &delivered{counts: map[EventClass]uint64{}}
	}
	return d.delivered
}

// counts is how many events of each class were delivered; nil: none.
func (d *delivery) counts() map[EventClass]uint64 {
	if d.delivered == nil {
		return nil
	}
	return maps.Clone(d.delivered.counts)
}

// startAnew is for when what the replica knew is dropped: what the store tells next has lower numbers.
func (d *delivery) startAnew(name string, why error) {
	d.began, d.gap, d.generation, d.rev, d.past().repairedAt = false, false, 0, 0, 0
	d.deliver(name, Event{Kind: Disowned, Err: why})
}

// miss notes that something happened which neither an answer nor a push told.
func (d *delivery) miss() { d.gap = d.gap || d.began }

// observe delivers what is news, or notes that something was missed. generation is that of the fleet state.
func (d *delivery) observe(name string, generation uint64, n news) {
	t, after := n.transition, n.after
	switch {
	case after == nil:
		return
	case n.pushed:
		d.observePush(name, generation, t)
		return
	case after.PolicyConflict != d.conflict:
		d.conflict = after.PolicyConflict
		if d.conflict {
			d.deliver(name, Event{Kind: PolicyConflict})
		}
	}
	if !d.began {
		d.began = true
		d.generation, d.rev = after.Generation, after.Rev
		if t != nil && t.Name == name {
			d.deliver(name, eventOf(t))
		}
		return
	}
	if t != nil {
		d.deliverNext(name, t)
	}
	d.gap = d.gap || after.Generation > d.generation || after.Rev > d.rev
}

func (d *delivery) observePush(name string, generation uint64, t *store.Transition) {
	switch {
	case !d.began || t.Name != name:
	case d.deliverNext(name, t):
	// mutant: missed
	case t.Generation > d.generation || t.Rev > d.rev:
		d.gap = true
	case t.Generation == generation:
		d.deliverRepair(name, t)
	}
}

// deliverNext delivers a transition if it comes right after the last one that was delivered.
func (d *delivery) deliverNext(name string, t *store.Transition) bool {
	newer := t.Generation > d.generation || t.Rev > d.rev
	if d.gap || !newer || t.Prev != d.generation || t.Rev != d.rev {
		return false // a rev that has moved does not say by how many commands
	}
	d.generation, d.rev = t.Generation, t.Rev
	d.deliver(name, eventOf(t))
	return true
}

// fill delivers what a history, newest first, has and listeners have not heard. upTo are the numbers of the fleet state
// before the history was asked for, now those of after: if they are the same, nothing is missed any more.
func (d *delivery) fill(name string, history []store.Transition, upTo, now store.Version) {
	for _, t := range slices.Backward(history) {
		switch {
		case t.Name != name:
		case t.Generation > d.generation || t.Rev > d.rev:
			d.generation, d.rev = t.Generation, t.Rev
			d.deliver(name, eventOf(&t))
		case t.Generation == now.Generation:
			d.deliverRepair(name, &t)
		}
	}
	if upTo == now {
		d.gap = false
		d.generation, d.rev = max(d.generation, now.Generation), max(d.rev, now.Rev)
	}
}

// deliverRepair delivers, once, that a store was told what it had lost: the number of that is not a new one.
func (d *delivery) deliverRepair(name string, t *store.Transition) {
	if t.Reason != store.ByRepair || t.From != t.To {
		return
	}
	// mutant: repaired
	if at := t.At.UnixMilli(); at > d.past().repairedAt {
		d.past().repairedAt = at
		d.deliver(name, eventOf(t))
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
	return Event{Kind: kind, Transition: *t}
}
