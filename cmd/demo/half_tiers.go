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
	served   func(cells ...any) // a row a scene
	left     func(cells ...any) // a row a tier that the fleet left
	unserved int                // requests, while one tier was left
	allDown  bool               // there was a time when none was
}

func openTiersHalf(ctx context.Context, s *stage) (scenes []func(context.Context), err error) {
	h := &tiersHalf{
		served: s.report.table("Three tiers: who served how many requests, when", "", mcp, sdk, rest, nobody),
		left:   s.report.table("From the first replica that left a tier to the last", "tier", "by", "replicas", "within"),
	}
	h.fleet, err = s.startFleet(ctx, s.environment(
		"CIRCUIT_BREAKER__TIER2_SDK__SLOW_CALL_RATE=0.5",
		"CIRCUIT_BREAKER__TIER2_SDK__SLOW_CALL_AFTER=80ms",
		"MAX_RETRY_ATTEMPTS=2",
		"RETRY_BASE_DELAY=20ms",
		"RETRY_MAX_RETRY_AFTER=50ms",
		"HEALTH_CHECK_INTERVAL="+s.pace.of(500*time.Millisecond).String(),
		"HEALTH_CHECK_TIMEOUT=200ms",
	), false, tierNames...)
	return []func(context.Context){
		h.scene("An account service: mcp, else sdk, else rest", h.allWell),
		h.scene(mcp+" answers 503", h.firstFails),
		h.scene(sdk+" answers, but slowly", h.secondSlow),
		h.scene(sdk+" hangs, "+rest+" refuses: nobody is left", h.allGone),
		h.scene(rest+" is well again", h.comesBack(rest)),
		h.scene(sdk+" is well again", h.comesBack(sdk)),
		h.scene(mcp+" is well again", h.comesBack(mcp)),
		h.measure,
	}, err
}

// scene is one that counts who served its requests.
func (h *tiersHalf) scene(title string, play func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		before := sum(h.census(ctx), shared).Served
		h.fleet.scene("%s", title)
		play(ctx)
		served := sum(h.census(ctx), shared).Served
		for by, n := range before {
			served[by] -= n
		}
		h.served(title, served[mcp], served[sdk], served[rest], served[nobody])
		if !h.allDown {
			h.unserved += served[nobody]
		}
	}
}

func (h *tiersHalf) allWell(ctx context.Context) {
	h.screen.note("each with checks, a retrier and a breaker, set by the environment")
	h.pause(ctx, 2500*time.Millisecond)
}

func (h *tiersHalf) firstFails(ctx context.Context) {
	h.become(mcp, fails)
	h.lose(ctx, mcp, sdk)
}

func (h *tiersHalf) secondSlow(ctx context.Context) {
	h.tiers[sdk].slow(180 * time.Millisecond)
	h.lose(ctx, sdk, rest)
}

func (h *tiersHalf) allGone(ctx context.Context) {
	h.allDown = true
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
	within := n.last - n.first
	h.left(tier, n.Reason, n.heard, brief(within))
	h.tell(n.Transition)
	h.screen.note("all replicas left it within %s; %s serves now", brief(within), next)
	h.report.promise(all && told && within < 2*time.Second, // a refresh, and one exchange
		"the whole fleet leaves "+tier+" at once", "%d within %s", n.heard, brief(within))
	h.pause(ctx, 2500*time.Millisecond)
}

// comesBack mends a tier and sees its breaker close. What the tier then carries is counted from the moment when every replica
// lets calls through: its breaker is closed and its own check finds the tier up, which may come later.
func (h *tiersHalf) comesBack(tier string) func(context.Context) {
	return func(ctx context.Context) {
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
