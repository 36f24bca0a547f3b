package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
)

// tiersHalf is the second half: an account service of three tiers, and replicas that ask the second where the first does
// not serve, and the third where neither does.
type tiersHalf struct {
	*stage
	tiers map[string]*tierHandle
	fleet *fleet
	acts  []act
	falls []fall
}

// act is one scene's requests, by the tier that served them.
type act struct {
	title  string
	served map[string]int
}

// fall is a breaker that opened, and how long from the first replica that knew to the last.
type fall struct {
	tier   string
	reason store.Reason
	spread time.Duration
	knew   int
}

// latencies of the three tiers when they are well.
var latencies = map[string]time.Duration{
	"tier1_mcp": 8 * time.Millisecond, "tier2_sdk": 20 * time.Millisecond, "tier3_rest": 50 * time.Millisecond,
}

// playTiers plays the second half.
func (s *stage) playTiers(ctx context.Context) error {
	h := &tiersHalf{stage: s, tiers: map[string]*tierHandle{}}
	defer s.clear()
	s.report.half()
	if err := h.open(ctx); err != nil {
		return err
	}
	s.screen.show(h.board)
	defer s.screen.show(nil)
	for _, a := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"all well", h.allWell},
		{"tier1_mcp answers 503", h.firstFails},
		{"tier2_sdk is slow", h.secondSlow},
		{"tier2_sdk hangs, tier3_rest is gone", h.thirdGone},
		{"tier3_rest is back", h.comesBack("tier3_rest")},
		{"tier2_sdk is back", h.comesBack("tier2_sdk")},
		{"tier1_mcp is back", h.comesBack("tier1_mcp")},
	} {
		if err := h.act(ctx, a.title, a.play); err != nil {
			return err
		}
	}
	h.measure()
	return h.linger(ctx)
}

func (h *tiersHalf) open(ctx context.Context) (err error) {
	urls := map[string]string{}
	for _, name := range tierNames {
		spec := tierSpec{Latency: latencies[name]}
		if name == tierNames[0] {
			spec.Flaky = 0.01
		}
		if h.tiers[name], err = h.openTier(ctx, name, spec); err != nil {
			return err
		}
		urls[name] = h.tiers[name].url
	}
	chain := chainSpec{URLs: urls, Timeout: callTimeout}
	h.fleet, err = h.openFleet(ctx, func(*member, *heard) {}, func(m *member) (replicaSpec, []string) {
		return replicaSpec{Chain: &chain}, h.environment(m.name)
	})
	return err
}

// environment is all that a replica of the second half is configured by.
func (h *tiersHalf) environment(replica string) []string {
	seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
	var env []string
	for _, v := range [][2]string{
		{"CIRCUIT_BREAKER_STORE_URL", h.redis.url},
		{"CIRCUIT_BREAKER_STORE_PREFIX", h.redis.prefix},
		{"CIRCUIT_BREAKER_REPLICA", replica},
		{"CIRCUIT_BREAKER_FAILURE_THRESHOLD", "5"},
		{"CIRCUIT_BREAKER_FAILURE_RATE", "0.5"},
		{"CIRCUIT_BREAKER_MIN_CALLS", "20"},
		{"CIRCUIT_BREAKER_REPORTERS", "2"},
		{"CIRCUIT_BREAKER__TIER2_SDK__SLOW_CALL_RATE", "0.5"},
		{"CIRCUIT_BREAKER__TIER2_SDK__SLOW_CALL_AFTER", "80ms"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", seconds(h.pace.of(2 * time.Second))},
		{"CIRCUIT_BREAKER_HALF_OPEN_CALLS", "2"},
		{"CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "3"},
		{"CIRCUIT_BREAKER_PROBE_LEASE", seconds(h.lease())},
		{"MAX_RETRY_ATTEMPTS", "2"},
		{"RETRY_BASE_DELAY", "20ms"},
		{"RETRY_MAX_RETRY_AFTER", "50ms"},
		{"HEALTH_CHECK_INTERVAL", seconds(h.pace.of(500 * time.Millisecond))},
		{"HEALTH_CHECK_TIMEOUT", "200ms"},
	} {
		env = append(env, v[0]+"="+v[1])
	}
	return env
}

// act plays one scene and counts who served its requests.
func (h *tiersHalf) act(ctx context.Context, title string, play func(context.Context) error) error {
	before, err := h.fleet.census(ctx)
	if err != nil {
		return err
	}
	if err := play(ctx); err != nil {
		return err
	}
	after, err := h.fleet.census(ctx)
	if err != nil {
		return err
	}
	a := act{title: title, served: map[string]int{}}
	for _, by := range append([]string{nobody}, tierNames...) {
		a.served[by] = sum(after, by).Calls - sum(before, by).Calls
	}
	h.acts = append(h.acts, a)
	return nil
}

// are is a condition on every replica's view of one tier.
func (h *tiersHalf) are(tier string, met func(belief) bool) func() bool {
	return h.fleet.all(func(t replicaTally) bool { return met(t.Breakers[tier]) })
}

func (h *tiersHalf) allWell(ctx context.Context) error {
	h.scene("An account service of three tiers: mcp, else sdk, else rest")
	h.screen.note("each with checks, a retrier and a breaker, set by the environment")
	return h.pause(ctx, 2500*time.Millisecond)
}

func (h *tiersHalf) firstFails(ctx context.Context) error {
	h.scene("tier1_mcp answers 503")
	return h.lose(ctx, "tier1_mcp", fails, 0, "tier2_sdk")
}

func (h *tiersHalf) secondSlow(ctx context.Context) error {
	h.scene("tier2_sdk answers, but slowly")
	return h.lose(ctx, "tier2_sdk", slow, 180*time.Millisecond, "tier3_rest")
}

func (h *tiersHalf) thirdGone(ctx context.Context) error {
	h.scene("tier2_sdk hangs, and tier3_rest refuses connections: nobody is left")
	if err := h.tiers["tier2_sdk"].behave(ctx, hangs, 0); err != nil {
		return err
	}
	if err := h.lose(ctx, "tier3_rest", refuses, 0, nobody); err != nil {
		return err
	}
	var text string
	var again time.Duration
	for _, t := range h.fleet.look() {
		if t.Again > 0 {
			text, again = t.Error, t.Again
		}
	}
	h.screen.note("one error, which says why and when to ask again (in %s):", brief(again))
	for line := range strings.SplitSeq(strings.Replace(text, "failed: ", "failed; ", 1), "; ") {
		h.screen.note("  %s", line)
	}
	h.report.promise(text != "" && again > 0, "all down: one error says when to ask again", "in %s", brief(again))
	return nil
}

// lose breaks a tier and sees the fleet fall to the next.
func (h *tiersHalf) lose(ctx context.Context, tier string, m mode, latency time.Duration, next string) error {
	if err := h.tiers[tier].behave(ctx, m, latency); err != nil {
		return err
	}
	all := h.fleet.until(ctx, patience, h.are(tier, isOpen))
	n := h.fleet.latest(tier, store.Open)
	if n == nil {
		h.report.promise(false, "the fleet leaves "+tier+" when it fails", "it did not open")
		return nil
	}
	h.falls = append(h.falls, fall{tier: tier, reason: n.Reason, spread: n.spread(), knew: len(n.heard)})
	h.tell(&n.Transition)
	if next == nobody {
		h.screen.note("all replicas gave up on it within %s", brief(n.spread()))
	} else {
		h.screen.note("all replicas fell to %s within %s", next, brief(n.spread()))
	}
	h.report.promise(all && n.spread() < 2*time.Second, // a refresh, and one exchange
		"the whole fleet leaves "+tier+" at once", "%d within %s", len(n.heard), brief(n.spread()))
	return h.pause(ctx, 2500*time.Millisecond)
}

// comesBack mends a tier and sees its breaker close. What the tier then carries is counted from the moment when every replica
// lets calls through: its breaker is closed and its own check finds the tier up, which may come later.
func (h *tiersHalf) comesBack(tier string) func(context.Context) error {
	return func(ctx context.Context) error {
		h.scene("%s is well again", tier)
		if err := h.tiers[tier].behave(ctx, answers, latencies[tier]); err != nil {
			return err
		}
		closed := h.fleet.until(ctx, patience, h.are(tier, func(b belief) bool { return b.State == breaker.Closed }))
		h.tell(h.fleet.latest(tier, store.Closed).transition())
		through := h.fleet.until(ctx, patience, h.fleet.all(func(t replicaTally) bool { return t.letsThrough(tier) }))
		if _, err := h.fleet.census(ctx); err != nil { // from here on
			return err
		}
		if err := h.pause(ctx, 1500*time.Millisecond); err != nil {
			return err
		}
		after, err := h.fleet.census(ctx)
		if err != nil {
			return err
		}
		served, all := 0, 0
		for _, t := range after {
			for by, n := range t.Recent {
				all += n
				if by == tier {
					served += n
				}
			}
		}
		h.report.promise(closed && through && all > 0 && served*10 >= all*9, tier+" carries again once it is well", "%d of the next %d", served, all)
		return nil
	}
}

// measure says who served how many requests, and when.
func (h *tiersHalf) measure() {
	t := h.report.table("Three tiers: who served how many requests, when", "", tierNames[0], tierNames[1], tierNames[2], "nobody")
	unserved := 0
	for i, a := range h.acts {
		t.row(a.title, a.served[tierNames[0]], a.served[tierNames[1]], a.served[tierNames[2]], a.served[nobody])
		if i < 3 {
			unserved += a.served[nobody]
		}
	}
	h.report.whole()
	h.report.promise(unserved == 0, "while one tier is left, no request fails", "%d did", unserved)
	f := h.report.table("From the first replica that left a tier to the last", "tier", "by", "replicas", "within")
	for _, l := range h.falls {
		f.row(l.tier, l.reason, l.knew, brief(l.spread))
	}
}

// board draws a row a replica: what it believes of each tier, and who served its requests.
func (h *tiersHalf) board(i ink) []string {
	lines := []string{i.dim(fmt.Sprintf(" %-10s %-13s %-13s %-13s %6s %6s %6s %6s", "replica",
		tierNames[0], tierNames[1], tierNames[2], "mcp", "sdk", "rest", "nobody"))}
	total := map[string]int{}
	for n, t := range h.fleet.look() {
		row := fmt.Sprintf(" %-10s", h.fleet.members[n].name)
		for _, tier := range tierNames {
			row += " " + pad(stateText(i, t.Breakers[tier]), 13)
		}
		for _, by := range append(append([]string{}, tierNames...), nobody) {
			row += fmt.Sprintf(" %6d", t.Calls[by].Calls)
			total[by] += t.Calls[by].Calls
		}
		lines = append(lines, row)
	}
	row := pad(" "+i.bold("the fleet"), 11)
	for _, tier := range tierNames {
		row += " " + pad(tierText(i, h.tiers[tier].doing()), 13)
	}
	for _, by := range append(append([]string{}, tierNames...), nobody) {
		row += fmt.Sprintf(" %6d", total[by])
	}
	return append(lines, i.dim(" "+ruler), row)
}
