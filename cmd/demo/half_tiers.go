package main

import (
	"context"
	"strings"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// The three tiers of the account service.
const (
	mcp  = "tier1_mcp"
	sdk  = "tier2_sdk"
	rest = "tier3_rest"
)

// tierNames are the three, in the order in which they are asked.
var tierNames = []string{mcp, sdk, rest}

// tiersHalf is the second half: an account service of three tiers, and replicas that ask the second if the first does not
// serve, and the third if neither does.
type tiersHalf struct {
	*fleet
	served   measurements // a row a scene
	left     measurements // a row a tier that the fleet left
	unserved int          // requests, while one tier was left
	allDown  bool         // there was a time when none was
}

func (h *tiersHalf) open(ctx context.Context, s *stage) (err error) {
	h.served = s.report.table("Three tiers: who served how many requests, when", "", mcp, sdk, rest, nobody)
	h.left = s.report.table("From the first replica that left a tier to the last", "tier", "by", "replicas", "within")
	h.fleet, err = s.startFleet(ctx, s.environment(
		"CIRCUIT_BREAKER__TIER2_SDK__SLOW_CALL_RATE=0.5",
		"CIRCUIT_BREAKER__TIER2_SDK__SLOW_CALL_AFTER=80ms",
		"MAX_RETRY_ATTEMPTS=2",
		"RETRY_BASE_DELAY=20ms",
		"RETRY_MAX_RETRY_AFTER=50ms",
		"HEALTH_CHECK_INTERVAL="+s.pace.of(500*time.Millisecond).String(),
		"HEALTH_CHECK_TIMEOUT=200ms",
	), false, tierNames...)
	return err
}

func (h *tiersHalf) scenes() []func(context.Context) {
	return []func(context.Context){
		h.act("all well", h.allWell),
		h.act(mcp+" answers 503", h.firstFails),
		h.act(sdk+" is slow", h.secondSlow),
		h.act(sdk+" hangs, "+rest+" is gone", h.allGone),
		h.act(rest+" is back", h.comesBack(rest)),
		h.act(sdk+" is back", h.comesBack(sdk)),
		h.act(mcp+" is back", h.comesBack(mcp)),
		h.measure,
	}
}

// act plays one scene and counts who served its requests.
func (h *tiersHalf) act(title string, play func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		before := sum(h.census(ctx), shared).Served
		play(ctx)
		served := sum(h.census(ctx), shared).Served
		for by, n := range before {
			served[by] -= n
		}
		h.served.row(title, served[mcp], served[sdk], served[rest], served[nobody])
		if !h.allDown {
			h.unserved += served[nobody]
		}
	}
}

func (h *tiersHalf) allWell(ctx context.Context) {
	h.scene("An account service of three tiers: mcp, else sdk, else rest")
	h.screen.note("each with checks, a retrier and a breaker, set by the environment")
	h.pause(ctx, 2500*time.Millisecond)
}

func (h *tiersHalf) firstFails(ctx context.Context) {
	h.scene("%s answers 503", mcp)
	h.become(mcp, fails)
	h.lose(ctx, mcp, sdk)
}

func (h *tiersHalf) secondSlow(ctx context.Context) {
	h.scene("%s answers, but slowly", sdk)
	h.tiers[sdk].slow(180 * time.Millisecond)
	h.lose(ctx, sdk, rest)
}

func (h *tiersHalf) allGone(ctx context.Context) {
	h.allDown = true
	h.scene("%s hangs, and %s refuses connections: nobody is left", sdk, rest)
	h.become(sdk, hangs)
	h.become(rest, refuses)
	h.lose(ctx, rest, nobody)
	lines := strings.Split(strings.Replace(sum(h.look(ctx), shared).Error, "failed: ", "failed; ", 1), "; ")
	h.screen.note("one error, which says why and when to ask again:")
	for _, line := range lines {
		h.screen.note("  %s", line)
	}
	h.report.promise(lines[0] != "", "all down: one error says when to ask again", "%s", lines[0])
}

// lose sees the fleet fall from a tier to the next.
func (h *tiersHalf) lose(ctx context.Context, tier, next string) {
	all := h.allHold(ctx, tier, isOpen)
	n, told := h.told(ctx, into(tier, store.Open))
	within := n.spread()
	h.left.row(tier, n.Reason, len(n.heard), brief(within))
	h.tell(n.Transition)
	if next == nobody {
		h.screen.note("all replicas gave up on it within %s", brief(within))
	} else {
		h.screen.note("all replicas fell to %s within %s", next, brief(within))
	}
	h.report.promise(all && told && within < 2*time.Second, // a refresh, and one exchange
		"the whole fleet leaves "+tier+" at once", "%d within %s", len(n.heard), brief(within))
	h.pause(ctx, 2500*time.Millisecond)
}

// comesBack mends a tier and sees its breaker close. What the tier then carries is counted from the moment when every replica
// lets calls through: its breaker is closed and its own check finds the tier up, which may come later.
func (h *tiersHalf) comesBack(tier string) func(context.Context) {
	return func(ctx context.Context) {
		h.scene("%s is well again", tier)
		h.tiers[tier].slow(latencies[tier])
		h.become(tier, answers)
		closed := h.allHold(ctx, tier, func(b belief) bool { return b.State == breaker.Closed })
		end, _ := h.told(ctx, into(tier, store.Closed))
		h.tell(end.Transition)
		through := h.allHold(ctx, tier, func(b belief) bool { return b.State == breaker.Closed && !b.Down })
		h.census(ctx) // from here on
		h.pause(ctx, 1500*time.Millisecond)
		recent := sum(h.census(ctx), shared).Recent
		all := recent[mcp] + recent[sdk] + recent[rest] + recent[nobody]
		h.report.promise(closed && through && all > 0 && recent[tier]*10 >= all*9,
			tier+" carries again once it is well", "%d of the next %d", recent[tier], all)
	}
}

func (h *tiersHalf) measure(context.Context) {
	h.report.whole = true
	h.report.promise(h.unserved == 0, "while one tier is left, no request fails", "%d did", h.unserved)
}
