package breaker

import (
	"math/rand/v2"
	"time"

	"github.com/commontrip/commontrip/internal/machine"
	"github.com/commontrip/commontrip/store"
)

// localBreaker is the replica's own verdict: the same machine as the store's, in this process, fed with this replica's
// outcomes alone. Its generations are a line of their own and never leave the replica. Once open it stays open until its
// own probes close it or the fleet's generation moves, so that a store that comes back causes no thundering herd. It is not
// safe for concurrent use: its coordinator's mu guards it.
//
// Whoever calls it says whether an opening counts now. One that does not count is undone at once.
type localBreaker struct {
	machine    machine.Machine
	generation uint64
	state      State
	refuses    bool          // it is open or half-open, and that counts
	untold     bool          // listeners were not told that it refuses
	retryAt    time.Duration // uptime when an open state is over
	closedAt   time.Duration // uptime when its probes closed it; 0: they did not
	reason     Reason
	probed     uint64        // the fleet's generation whose opening this breaker's probes have ended already; 0: none
	hurriedAt  time.Duration // uptime when an opening that did not count was reported at once; 0: none was in this generation
	policy     *Policy       // the policy that the machine goes by; nil: it has seen none
	seq        uint64        // of the newest report to the machine
	pause      *OpenError    // until when no probe is asked for; nil: one may be asked for
}

// hurryEvery is how often an opening that does not count is reported at once: a replica that is sick alone must not crowd the
// store.
const hurryEvery = 10 * time.Second

// localView is what a local breaker means to admission.
type localView struct {
	refuses  bool
	state    State
	retryAt  time.Duration
	closedAt time.Duration
	reason   Reason
}

// localMove says what a request to a local breaker changed.
type localMove struct {
	moved  bool   // its generation is another one
	opened bool   // it has opened, and the store is to hear of it at once
	event  *Event // what listeners are told of it; nil: nothing
}

// localScene is what a local breaker has to know of its surroundings.
type localScene struct {
	name, replica string
	at            time.Duration
	policy        *Policy
	fleet         uint64 // the fleet's generation
	counts        bool   // an opening refuses calls
	detached      bool   // nothing is reported any more: an opening is not news of the store
}

// view is the local breaker as it stands. A nil one has seen nothing: it is closed.
func (l *localBreaker) view() localView {
	if l == nil {
		return localView{}
	}
	return localView{l.refuses, l.state, l.retryAt, l.closedAt, l.reason}
}

// number is the generation. A nil local breaker has 0.
func (l *localBreaker) number() uint64 {
	if l == nil {
		return 0
	}
	return l.generation
}

// millis is the time of the machine.
func millis(up time.Duration) int64 { return int64(up / time.Millisecond) }

// forOne is the policy p for one replica: there is no second one to see what it sees.
func forOne(p *Policy) Policy {
	alone := *p
	alone.Reporters = 1
	return alone
}

// observe feeds outcomes of one generation of this breaker to the machine. Without outcomes it only hands on the policy.
func (l *localBreaker) observe(s *localScene, generation uint64, runs ...store.Run) localMove {
	l.seq++
	result := l.machine.Report(millis(s.at), store.Report{
		Name: s.name, Policy: forOne(s.policy), Replica: s.replica, Announce: l.policy != s.policy,
		Seq: l.seq, Generation: generation, MaxAge: time.Hour, Runs: runs,
	})
	l.policy = s.policy
	return l.follow(s, &result.Snapshot, result.Made)
}

// follow takes over what the machine says after a request.
func (l *localBreaker) follow(s *localScene, after *store.Snapshot, made *store.Transition) (m localMove) {
	if l.generation == after.Generation {
		return m
	}
	before := l.state
	l.generation, l.state, l.reason = after.Generation, after.State, after.Reason
	m.moved = true
	switch {
	case l.state == Open:
		l.retryAt = s.at + after.RetryIn + rand.N(after.RetryIn/2+1)
		// mutant: undone
		if before == Closed && !s.counts {
			if l.hurriedAt == 0 || s.at-l.hurriedAt >= hurryEvery { // what this replica saw may open the fleet's breaker
				m.opened, l.hurriedAt = true, s.at
			}
			l.command(s, store.Command{Action: store.Reset})
			return m
		}
		m.opened = true
		if !l.refuses {
			l.refuses, l.untold = true, s.detached
			m.event = l.event(s, OwnTripped, made)
		}
	case l.state == Closed && l.refuses:
		l.refuses, l.pause = false, nil
		if l.reason == store.ByProbeSuccesses {
			l.closedAt, l.probed = s.at, s.fleet
		}
		m.event = l.event(s, OwnClosed, made)
	}
	return m
}

// event is what listeners hear of a transition: with the fleet's generation and this replica's time of day, since those of
// the machine mean nothing to anybody else.
func (l *localBreaker) event(s *localScene, kind EventKind, made *store.Transition) *Event {
	if l.untold {
		return nil
	}
	e := &Event{Kind: kind, Name: s.name}
	if made != nil {
		e.Transition = *made
	}
	e.Transition.At, e.Transition.Generation, e.Transition.Prev, e.Transition.Rev = time.Now(), s.fleet, s.fleet, 0
	return e
}

// command gives the machine a command of this replica's.
func (l *localBreaker) command(s *localScene, c store.Command) localMove {
	c.Name, c.By = s.name, s.replica
	result, err := l.machine.Command(millis(s.at), c)
	if err != nil {
		return localMove{}
	}
	return l.follow(s, &result.Snapshot, result.Made)
}

// reset makes it begin again, since the fleet's verdict has moved.
func (l *localBreaker) reset(s *localScene) localMove {
	if l == nil {
		return localMove{}
	}
	l.probed, l.closedAt, l.hurriedAt = 0, 0, 0
	return l.command(s, store.Command{Action: store.Reset, Why: "the fleet's verdict has moved"})
}

// takeOver opens it for a moment in the place of the fleet's open state, whose time ends or has ended while the store is
// away. Without a store there are no leases, and to admit every call would be a thundering herd: so this replica probes on
// its own.
func (l *localBreaker) takeOver(s *localScene, reason Reason) localMove {
	handOn := l.observe(s, 0)
	move := l.command(s, store.Command{
		Action: store.Trip, For: time.Millisecond, Why: "the store went away while the fleet's verdict was open",
	})
	l.reason, l.retryAt = reason, s.at
	move.moved = move.moved || handOn.moved
	return move
}

// mayTakeOver reports that no opening of its own, past or present, stands for this generation of the fleet already.
func (l *localBreaker) mayTakeOver(fleet uint64) bool {
	return l == nil || !l.refuses && l.probed != fleet
}

// claim leases a probe. A lease and a refusal are both nil if it does not refuse any more: then the call looks again.
func (l *localBreaker) claim(s *localScene, id string) (*lease, *OpenError, localMove) {
	if l == nil || !l.refuses {
		return nil, nil, localMove{}
	}
	if l.pause != nil && l.pause.until > s.at {
		return nil, l.pause, localMove{}
	}
	ahead := millis(s.at) + 1 // an opening that was taken over is over at once
	grant, err := l.machine.Claim(ahead, store.Claim{
		Name: s.name, ID: id, Policy: forOne(s.policy), Replica: s.replica, Want: 1,
	}, rand.Int64N(50))
	if err != nil {
		return nil, nil, localMove{}
	}
	move := l.follow(s, &grant.Snapshot, grant.Made)
	if len(grant.Leases) == 0 {
		l.pause = &OpenError{Name: s.name, Refusal: RefusedProbing, Reason: l.reason, until: s.at + grant.RetryIn}
		return nil, l.pause, move
	}
	granted := grant.Leases[0]
	return &lease{granted, s.at + usable(granted.For)}, nil, move
}

// settle tells the machine how a probe of its own went.
func (l *localBreaker) settle(s *localScene, leased *lease, e ending) localMove {
	result := l.machine.Settle(millis(s.at), store.Settlement{
		Lease: leased.Lease, Replica: s.replica, Outcome: e.outcome, Slow: e.slow, Label: e.label,
	})
	l.pause = nil
	return l.follow(s, &result.Snapshot, result.Made)
}
