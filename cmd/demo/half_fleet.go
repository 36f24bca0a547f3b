package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/store"
)

const (
	payments = "payments" // the one tier of the first half, and the name of its breaker
	victim   = 6          // the replica whose network breaks: one whose calls a fleet would notice
)

// fleetHalf is the first half: one tier, eight replicas with one breaker between them, and, as a measure, eight
// breakers that share nothing and get the same calls at the same moments.
type fleetHalf struct {
	*fleet
	policy store.Policy
	timing breaker.Timing

	dead       []tally               // all that was counted until the tier was well again
	reached    map[string]tier.Count // the same by the tier's own count, by way
	calm, away []tally               // just before and just after the store was away
	waitAlone  time.Duration         // the longest that a breaker that shares nothing added to a call
}

func openFleetHalf(ctx context.Context, s *stage) (scenes []func(context.Context), err error) {
	env := s.environment(
		"CIRCUIT_BREAKER_CONSECUTIVE_FOR=0",
		"CIRCUIT_BREAKER_RAMP_UP="+s.pace.of(1500*time.Millisecond).String(),
		"CIRCUIT_BREAKER_STALE_AFTER="+max(time.Second, s.pace.of(1500*time.Millisecond)).String(),
		"MAX_RETRY_ATTEMPTS=1",
	)
	c, err := config.From(env)
	if err != nil {
		return nil, err
	}
	h := &fleetHalf{policy: c.PolicyFor(payments), timing: c.Timing}
	h.fleet, err = s.startFleet(ctx, env, true, payments)
	return []func(context.Context){
		h.healthy, h.dies,
		h.worse("The tier takes calls and never answers", hangs), h.worse("The tier refuses connections", refuses),
		h.recovers, h.lonely, h.operated, h.storeAway, h.storeBack, h.measure,
	}, err
}

func (h *fleetHalf) healthy(ctx context.Context) {
	total := 0.0
	for _, m := range h.members {
		total += m.rate
	}
	h.scene("%d replicas call one tier, %.0f calls a second in all", len(h.members), total)
	first, last := h.members[0], h.members[len(h.members)-1]
	h.screen.note("from %s, %.0f a second, to %s, %.0f", first.name, first.rate, last.name, last.rate)
	h.screen.note("%s keeps their verdict", h.shared.name)
	h.pause(ctx, 3*time.Second)
	well := h.all(ctx, patience, func(t tally) bool { return t.StoreUp && isClosed(t.Tiers[payments]) })
	n := len(h.transitions())
	h.report.promise(well && n == 0, "errors of 1 % open nothing", "transitions: %d", n)
}

func (h *fleetHalf) dies(ctx context.Context) {
	h.scene("The tier answers 503")
	h.become(payments, fails)
	all := h.allHold(ctx, payments, isOpen)
	trip, told := h.told(ctx, into(payments, store.Open))
	h.tell(trip.Transition)
	h.screen.note("the last of the %d knew %s after the commit", trip.heard, brief(trip.last))
	h.report.promise(all && told, "one trip opens every replica", "%d of %d", trip.heard, len(h.members))
	h.pause(ctx, 2500*time.Millisecond)
}

// worse lets the dead tier die in another way.
func (h *fleetHalf) worse(title string, m mode) func(context.Context) {
	return func(ctx context.Context) {
		h.scene("%s", title)
		h.become(payments, m)
		h.pause(ctx, 2500*time.Millisecond)
	}
}

func (h *fleetHalf) recovers(ctx context.Context) {
	h.scene("The tier is well again")
	h.become(payments, answers)
	closed := h.allHold(ctx, payments, isClosed)
	end, _ := h.told(ctx, into(payments, store.Closed))
	h.tell(end.Transition)
	h.screen.note("a ramp of %s lets a growing share of the calls through", brief(h.policy.RampUp))
	h.report.promise(closed, "a tier that is well gets its calls back", "closed: %t", closed)
	h.pause(ctx, 2*time.Second)
	h.dead, h.reached = h.census(ctx), h.tiers[payments].Counts()
}

func (h *fleetHalf) lonely(ctx context.Context) {
	lonely := h.members[victim]
	before := len(h.transitions())
	h.scene("The network between %s and the tier breaks", lonely.name)
	h.ask(ctx, order{Cut: new(true)}, lonely)
	opened := h.until(ctx, patience, func() bool {
		b := lonely.last.Tiers[payments]
		return b.Own && isOpen(b)
	})
	if opened {
		h.screen.note("%s opens for itself alone", lonely.name)
	}
	h.pause(ctx, 2500*time.Millisecond)
	others := 0
	for i, t := range h.look(ctx) {
		if i != victim && isClosed(t.Tiers[payments]) {
			others++
		}
	}
	h.screen.note("the other %d go on as before", others)
	quiet := len(h.transitions()) == before
	h.report.promise(opened && quiet && others == len(h.members)-1,
		"a broken network isolates one replica only", "it opened: %t; all: %t", opened, !quiet)
	h.ask(ctx, order{Cut: new(false)}, lonely)
	h.screen.note("its network works again")
	closed := h.allHold(ctx, payments, isClosed)
	if closed {
		h.screen.note("%s is closed again, by its own probes", lonely.name)
	}
	h.report.promise(closed, "which comes back by its own probes", "%s", lonely.name)
	h.pause(ctx, time.Second)
}

func (h *fleetHalf) operated(ctx context.Context) {
	h.scene("An operator forces the breaker open")
	rev := h.command(ctx, store.Command{Action: store.ForceOpen, For: 10 * time.Minute, Why: "INC-42: the card network is being moved"})
	forced := h.allHold(ctx, payments, func(b belief) bool { return b.Mode == breaker.ForcedOpen && b.State == breaker.Open })
	obeyed, _ := h.told(ctx, func(t store.Transition) bool { return t.Rev == rev })
	h.screen.note("the last of the %d obeyed %s after the command", len(h.members), brief(obeyed.last))
	h.pause(ctx, 1500*time.Millisecond)
	h.command(ctx, store.Command{Action: store.Lift, Why: "moved"})
	lifted := h.allHold(ctx, payments, isClosed)
	h.report.promise(forced && lifted, "an operator's command holds everywhere", "forced: %t; lifted: %t", forced, lifted)
	h.pause(ctx, 2*time.Second) // the ramp ends
}

// command gives one, says what it did, and gives its number.
func (h *fleetHalf) command(ctx context.Context, c store.Command) (rev uint64) {
	c.Name, c.By = payments, "oncall"
	done, err := h.shared.operator.Command(ctx, c)
	if err != nil {
		h.fail(fmt.Errorf("%s: %w", c.Action, err))
		return 0
	}
	if done.Made != nil {
		h.tell(*done.Made)
	}
	return done.Snapshot.Rev
}

func (h *fleetHalf) storeAway(ctx context.Context) {
	h.scene("%s hangs, and then is gone", h.shared.product)
	h.calm = h.census(ctx)
	h.shared.hang()
	lost := h.all(ctx, patience, func(t tally) bool { return !t.StoreUp })
	h.shared.lose()
	h.screen.note("each replica stands on its own verdict, and says so")
	h.report.promise(lost, "a replica without "+h.shared.product+" knows it", "all say so: %t", lost)
	h.pause(ctx, 2500*time.Millisecond)
	h.away = h.census(ctx)
}

func (h *fleetHalf) storeBack(ctx context.Context) {
	h.scene("%s is back%s", h.shared.product, map[bool]string{true: ", and has forgotten everything"}[h.shared.forget != nil])
	before := uint64(0)
	for _, t := range h.look(ctx) {
		before = max(before, t.Tiers[payments].Generation)
	}
	h.shared.heal()
	up := h.all(ctx, patience, func(t tally) bool { return t.StoreUp })
	now, agree := h.agree(ctx)
	if h.shared.forget != nil {
		h.screen.note("the replicas told it all again: %s, generation %d", now.State, now.Generation)
	}
	emptied := map[bool]string{true: ", even emptied,"}[h.shared.forget != nil]
	h.report.promise(up && agree, h.shared.product+emptied+" and fleet agree again", "agreed: %t", up && agree)
	if agree {
		h.report.law(now.Generation >= before, "and take no step back", "generation %d, before %d", now.Generation, before)
	}
	h.pause(ctx, 1500*time.Millisecond)
}

// agree waits until every replica holds what the store holds.
func (h *fleetHalf) agree(ctx context.Context) (now store.Snapshot, agreed bool) {
	for limit := time.Now().Add(patience); !agreed && time.Now().Before(limit) && ctx.Err() == nil; {
		found, err := h.shared.operator.Read(ctx, payments)
		if err != nil {
			h.fail(err)
		}
		for _, now = range found { // one, or none that it was told of yet
		}
		agreed = h.all(ctx, 100*time.Millisecond, func(t tally) bool {
			return t.Tiers[payments].Generation == now.Generation && isClosed(t.Tiers[payments])
		})
	}
	return now, agreed
}

// measure says what the first half came to: in numbers that were counted in this run, by the tier or the replicas.
//
// Times are held against a bar to which the longest wait of the breakers that share nothing is added. They run in the same
// processes, on the same calls, and wait for nobody: their wait is what a busy machine makes of a goroutine's turn.
func (h *fleetHalf) measure(ctx context.Context) {
	last := h.census(ctx)
	for _, census := range [][]tally{h.dead, h.calm, h.away, last} {
		h.waitAlone = max(h.waitAlone, sum(census, alone).Wait)
	}
	h.report.whole = true
	h.burnt()
	h.pushes()
	h.absence(sum(last, shared))
}

// burnt compares what the dead tier cost the fleet with what it cost breakers that share nothing.
func (h *fleetHalf) burnt() {
	one, many := sum(h.dead, shared), sum(h.dead, alone)
	first := h.dead[0].Ways
	slow, slowAlone, atOnce := first[shared].Burnt, first[alone].Burnt, one.Probing.MostAtOnce()
	row := h.report.table("One tier, dead for a while: what was counted, on the same calls", "", "one for all", "eight alone")
	row("calls that reached the dead tier, by its own count", h.reached[shared].Dead, h.reached[alone].Dead)
	row("calls burnt on it, refused connections too", one.Burnt, many.Burnt)
	row(fmt.Sprintf("  of these by the replica that makes %.0f a second", h.members[0].rate), slow, slowAlone)
	row("probes sent until the tier was trusted again", len(one.Probing), len(many.Probing))
	row("most probes at once", atOnce, many.Probing.MostAtOnce())
	h.report.promise(one.Burnt < many.Burnt, "the fleet burns fewer than eight alone", "%d, against %d", one.Burnt, many.Burnt)
	h.report.promise(slow < h.policy.ConsecutiveFailures, "a replica that hardly calls profits", "burnt %d, alone %d", slow, slowAlone)
	h.report.promise(atOnce <= h.policy.Probes, "never more probes at once than allowed", "%d of %d", atOnce, h.policy.Probes)
}

// pushes says how fast the fleet's transitions reached the last replica.
func (h *fleetHalf) pushes() {
	all := h.transitions()
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b news) int { return cmp.Compare(a.last, b.last) })
	slowest := all[len(all)-1]
	h.report.table("From a transition's commit to the last replica that knew", "transitions", "median", "largest", "which was")(
		len(all), brief(all[len(all)/2].last), brief(slowest.last), fmt.Sprintf("%s to %s, %s", slowest.From, slowest.To, slowest.Reason))
	missed := 0
	for _, n := range all {
		missed += max(n.heard, len(h.members)) - min(n.heard, len(h.members)) // to be told twice is as bad
	}
	// What a push misses, the next refresh repairs, by one exchange.
	bar := h.timing.RefreshInterval + h.timing.StaleAfter/3 + h.waitAlone
	h.report.promise(missed == 0 && slowest.last <= bar,
		"each transition is everywhere in "+brief(bar), "missed %d; slowest %s", missed, brief(slowest.last))
}

// absence says what it cost that the store was away.
func (h *fleetHalf) absence(last count) {
	before, after := sum(h.calm, shared), sum(h.away, shared)
	calls, errs, refusals := after.Calls-before.Calls, after.Foreign-before.Foreign, after.Refused-before.Refused
	wait := max(sum(h.dead, shared).Wait, before.Wait, last.Wait)
	row := h.report.table(h.shared.product+", away for some seconds", "", "while there", "while away", "eight alone")
	row("calls", before.Calls, calls, sum(h.away, alone).Calls)
	row("errors not the tier's own", before.Foreign, errs, 0)
	row("longest wait added to a call", brief(wait), brief(after.Wait), brief(h.waitAlone))
	h.report.law(last.Foreign == 0, "without "+h.shared.product+" no call fails by the breaker", "%d of %d", errs, calls)
	h.report.promise(refusals == 0, "nor is refused", "%d of %d", refusals, calls)
	// One call may wait for the claim of a probe.
	bar, longest := h.timing.ClaimTimeout+150*time.Millisecond+h.waitAlone, max(wait, after.Wait)
	h.report.promise(longest <= bar, "nor waits", "%s at most; bar %s", brief(longest), brief(bar))
}
