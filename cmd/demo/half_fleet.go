package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// fleetHalf is the first half: one tier, eight replicas with one breaker between them, and, as a measure, eight
// breakers that share nothing and get the same calls at the same moments.
type fleetHalf struct {
	*stage
	policy store.Policy
	timing breaker.Timing
	tier   *tierHandle
	fleet  *fleet

	trip       *news          // the fleet's, when the tier died
	dead       []replicaTally // all that was counted until the tier was well again
	tierDead   tierTally      // the same by the tier's own count
	calm, away []replicaTally // just before and just after Redis was away
	wait       time.Duration  // the longest that the breaker added to a call while Redis was there
	waitAlone  time.Duration  // the same of the breakers that share nothing
	generation uint64         // before Redis was away
}

// victim is the replica whose network breaks: one whose calls a fleet would notice.
const victim = 6

// playFleet plays the first half.
func (s *stage) playFleet(ctx context.Context) error {
	h := &fleetHalf{
		stage: s,
		policy: store.Policy{
			WindowCalls: 100, ConsecutiveFailures: 5, FailureRate: 0.5, MinCalls: 20, Reporters: 2,
			OpenFor: s.pace.of(2 * time.Second), Probes: 2, ProbeSuccesses: 3,
			ProbeLease: s.lease(), RampUp: s.pace.of(1500 * time.Millisecond),
		},
		timing: breaker.Timing{
			RefreshInterval: time.Second, StaleAfter: max(time.Second, s.pace.of(1500*time.Millisecond)),
		},
	}
	defer s.clear()
	s.report.half()
	if err := h.open(ctx); err != nil {
		return err
	}
	s.screen.show(h.board)
	defer s.screen.show(nil)
	for _, scene := range []func(context.Context) error{
		h.healthy, h.dies, h.hangs, h.refuses, h.recovers, h.lonely, h.operated, h.redisAway, h.redisBack,
	} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	if err := h.measure(ctx); err != nil || !h.alone {
		return err
	}
	return h.linger(ctx)
}

func (h *fleetHalf) open(ctx context.Context) (err error) {
	if h.tier, err = h.openTier(ctx, tierName, tierSpec{Latency: 10 * time.Millisecond, Flaky: 0.01}); err != nil {
		return err
	}
	single := singleSpec{
		Redis: h.redis.url, Prefix: h.redis.prefix, URL: h.tier.url, Policy: h.policy, Timing: h.timing, Timeout: callTimeout,
	}
	h.fleet, err = h.openFleet(ctx, h.told, func(*member) (replicaSpec, []string) { return replicaSpec{Single: &single}, nil })
	return err
}

// told notes what one replica alone has to say; what holds for the fleet the scenes note.
func (h *fleetHalf) told(m *member, e *heard) {
	switch {
	case e.is(breaker.OwnTripped):
		h.screen.note("%s opens for itself alone", m.name)
	case e.is(breaker.OwnClosed):
		h.screen.note("%s is closed again, by its own probes", m.name)
	}
}

// are is a condition on every replica's view of the tier.
func (h *fleetHalf) are(met func(belief) bool) func() bool {
	return h.fleet.all(func(t replicaTally) bool { return met(t.Breakers[tierName]) })
}

func isOpen(b belief) bool   { return b.State == breaker.Open }
func isClosed(b belief) bool { return b.State == breaker.Closed && b.Mode == breaker.Auto }

// count asks all replicas what they counted.
func (h *fleetHalf) count(ctx context.Context) ([]replicaTally, error) {
	tallies, err := h.fleet.census(ctx)
	for _, t := range tallies {
		h.wait, h.waitAlone = max(h.wait, t.Calls[shared].Wait), max(h.waitAlone, t.Calls[alone].Wait)
	}
	return tallies, err
}

func (h *fleetHalf) healthy(ctx context.Context) error {
	total := 0.0
	for _, m := range h.fleet.members {
		total += m.rate
	}
	h.scene("%d replicas call one tier, %.0f calls a second in all", len(h.fleet.members), total)
	first, last := h.fleet.members[0], h.fleet.members[len(h.fleet.members)-1]
	h.screen.note("from %s, %.0f a second, to %s, %.0f", first.name, first.rate, last.name, last.rate)
	h.screen.note("%s keeps their verdict", h.redis)
	if err := h.pause(ctx, 3*time.Second); err != nil {
		return err
	}
	well := func(t replicaTally) bool { return t.StoreUp && isClosed(t.Breakers[tierName]) }
	stalled := sum(h.fleet.look(), shared).Burnt > 0 // the machine stood still for so long that calls timed out
	h.report.promise(h.fleet.until(ctx, patience, h.fleet.all(well)) && (len(h.fleet.transitions()) == 0 || stalled),
		"errors of 1 % open nothing", "%s", counted(len(h.fleet.transitions()), "transition"))
	return nil
}

func (h *fleetHalf) dies(ctx context.Context) error {
	h.scene("The tier answers 503")
	if err := h.tier.behave(ctx, fails, 0); err != nil {
		return err
	}
	all := h.fleet.until(ctx, patience, h.are(isOpen))
	h.trip = h.fleet.latest(tierName, store.Open)
	if h.trip == nil {
		h.report.promise(false, "one trip opens every replica", "nothing opened")
		return nil
	}
	h.tell(&h.trip.Transition)
	h.screen.note("the last of the %d knew %s after the commit", len(h.trip.heard), brief(h.trip.behind(h.redis.ahead)))
	h.report.promise(all, "one trip opens every replica", "%d of %d", len(h.trip.heard), len(h.fleet.members))
	return h.pause(ctx, 2500*time.Millisecond)
}

func (h *fleetHalf) hangs(ctx context.Context) error {
	h.scene("The tier takes calls and never answers")
	if err := h.tier.behave(ctx, hangs, 0); err != nil {
		return err
	}
	return h.pause(ctx, 2500*time.Millisecond)
}

func (h *fleetHalf) refuses(ctx context.Context) error {
	h.scene("The tier refuses connections")
	if err := h.tier.behave(ctx, refuses, 0); err != nil {
		return err
	}
	return h.pause(ctx, 2500*time.Millisecond)
}

func (h *fleetHalf) recovers(ctx context.Context) error {
	h.scene("The tier is well again")
	if err := h.tier.behave(ctx, answers, 0); err != nil {
		return err
	}
	closed := h.fleet.until(ctx, patience, h.are(isClosed))
	h.tell(h.fleet.latest(tierName, store.Closed).transition())
	h.screen.note("a ramp of %s lets a growing share of the calls through", brief(h.policy.RampUp))
	h.report.promise(closed, "a tier that is well gets its calls back", "closed: %s", yes(closed))
	if err := h.pause(ctx, 2*time.Second); err != nil {
		return err
	}
	var err error
	if h.dead, err = h.count(ctx); err != nil {
		return err
	}
	h.tierDead, err = h.tier.census(ctx)
	return err
}

func (h *fleetHalf) lonely(ctx context.Context) error {
	lonely := h.fleet.members[victim]
	before := len(h.fleet.transitions())
	h.scene("The network between %s and the tier breaks", lonely.name)
	if _, err := lonely.proc.ask(ctx, order{Do: network, Up: false}); err != nil {
		return err
	}
	alone := h.fleet.until(ctx, patience, func() bool {
		b := lonely.last.Breakers[tierName]
		return b.Own && isOpen(b)
	})
	if err := h.pause(ctx, 2500*time.Millisecond); err != nil {
		return err
	}
	others := 0
	for i, t := range h.fleet.look() {
		if i != victim && isClosed(t.Breakers[tierName]) {
			others++
		}
	}
	h.screen.note("the other %d go on as before", others)
	quiet := len(h.fleet.transitions()) == before
	h.report.promise(alone && quiet && others == len(h.fleet.members)-1,
		"a broken network isolates one replica only", "it opened: %s; all: %s", yes(alone), yes(!quiet))
	if _, err := lonely.proc.ask(ctx, order{Do: network, Up: true}); err != nil {
		return err
	}
	h.screen.note("its network works again")
	h.report.promise(h.fleet.until(ctx, patience, h.are(isClosed)),
		"which comes back by its own probes", "%s", lonely.name)
	return h.pause(ctx, time.Second)
}

func (h *fleetHalf) operated(ctx context.Context) error {
	const by, because = "oncall", "INC-42: the card network is being moved"
	h.scene("An operator forces the breaker open")
	force := store.Command{Name: tierName, Action: store.ForceOpen, For: 10 * time.Minute, By: by, Why: because}
	done, err := h.redis.operator.Command(ctx, force)
	if err != nil {
		return fmt.Errorf("force open: %w", err)
	}
	forced := func(b belief) bool { return b.Mode == breaker.ForcedOpen && b.State == breaker.Open }
	all := h.fleet.until(ctx, patience, h.are(forced))
	h.tell(done.Made)
	h.screen.note("the last of the %d obeyed %s after the command", len(h.fleet.members), brief(h.fleet.commanded(done.Snapshot.Rev).behind(h.redis.ahead)))
	if err := h.pause(ctx, 1500*time.Millisecond); err != nil {
		return err
	}
	if done, err = h.redis.operator.Command(ctx, store.Command{Name: tierName, Action: store.Lift, By: by, Why: "moved"}); err != nil {
		return fmt.Errorf("lift: %w", err)
	}
	h.tell(done.Made)
	lifted := h.fleet.until(ctx, patience, h.are(isClosed))
	h.report.promise(all && lifted, "an operator's command holds everywhere",
		"forced: %s; lifted: %s", yes(all), yes(lifted))
	return h.pause(ctx, 2*time.Second) // the ramp ends
}

func (h *fleetHalf) redisAway(ctx context.Context) (err error) {
	h.scene("Redis hangs, and then is gone")
	snapshot, err := h.verdict(ctx)
	if err != nil {
		return err
	}
	h.generation = snapshot.Generation
	if h.calm, err = h.count(ctx); err != nil {
		return err
	}
	h.redis.wire.hang()
	lost := h.fleet.until(ctx, patience, h.fleet.all(func(t replicaTally) bool { return !t.StoreUp }))
	h.redis.wire.cut()
	h.redis.lose()
	h.screen.note("each replica stands on its own verdict, and says so")
	h.report.promise(lost, "a replica without Redis knows it", "all say so: %s", yes(lost))
	if err := h.pause(ctx, 2500*time.Millisecond); err != nil {
		return err
	}
	h.away, err = h.fleet.census(ctx)
	return err
}

func (h *fleetHalf) redisBack(ctx context.Context) error {
	if h.redis.embedded != nil {
		h.scene("Redis is back, and has forgotten everything")
	} else {
		h.scene("Redis is back")
	}
	if err := h.redis.wire.heal(); err != nil {
		return err
	}
	up := h.fleet.until(ctx, patience, h.fleet.all(func(t replicaTally) bool { return t.StoreUp }))
	now, agree := h.agree(ctx)
	if h.redis.embedded != nil {
		h.screen.note("the replicas told it all again: %s, generation %d", now.State, now.Generation)
	}
	h.report.promise(up && agree, "Redis, even emptied, and fleet agree again", "agreed: %s", yes(up && agree))
	if agree {
		h.report.law(now.Generation >= h.generation, "and take no step back", "generation %d, before %d", now.Generation, h.generation)
	}
	return h.pause(ctx, 1500*time.Millisecond)
}

// agree waits until every replica holds what Redis holds.
func (h *fleetHalf) agree(ctx context.Context) (now store.Snapshot, agreed bool) {
	for limit := time.Now().Add(patience); !agreed && time.Now().Before(limit) && ctx.Err() == nil; {
		var err error
		now, err = h.verdict(ctx)
		same := h.are(func(b belief) bool { return b.Generation == now.Generation && isClosed(b) })
		agreed = err == nil && h.fleet.until(ctx, 100*time.Millisecond, same)
	}
	return now, agreed
}

// verdict asks Redis what it holds.
func (h *fleetHalf) verdict(ctx context.Context) (store.Snapshot, error) {
	found, err := h.redis.operator.Read(ctx, tierName)
	if err != nil || len(found) == 0 {
		return store.Snapshot{}, err
	}
	return found[0], nil
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func words(r store.Reason) string { return strings.ReplaceAll(string(r), "-", " ") }

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
