package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/commontrip/commontrip/store"
)

// What random histories are made of: few values, most of them at an edge.
var (
	someReplicas  = []string{"a", "b", "c"}
	someAges      = []time.Duration{0, 0, 0, 0, 500 * ms, sec, maxAge, maxAge + ms, 10 * sec}
	someDurations = []time.Duration{
		ms, 100 * ms, 999 * ms, sec, 1001 * ms, 2 * sec, 5 * sec, 29_999 * ms, 30 * sec, minute - ms, minute, 5 * minute, hour, day,
	}
)

func drawPolicy(t *rapid.T) store.Policy {
	p := store.Policy{
		ConsecutiveFailures: rapid.SampledFrom([]int{0, 1, 2, 3, 5}).Draw(t, "streak"),
		FailureRate:         rapid.SampledFrom([]float64{0, 0, 0.3333, 0.5, 1}).Draw(t, "rate"),
		Reporters:           rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "reporters"),
		OpenFor:             rapid.SampledFrom([]time.Duration{sec, 5 * sec, minute}).Draw(t, "open"),
		Probes:              rapid.IntRange(1, 3).Draw(t, "probes"),
		ProbeSuccesses:      rapid.IntRange(1, 4).Draw(t, "successes"),
		ProbeLease:          rapid.SampledFrom([]time.Duration{130 * ms, sec, 30 * sec}).Draw(t, "lease"),
		Observe:             rapid.IntRange(0, 9).Draw(t, "observe") == 9,
	}
	if p.ConsecutiveFailures > 1 {
		p.ConsecutiveFor = rapid.SampledFrom([]time.Duration{0, 0, sec}).Draw(t, "streak-for")
	}
	if rapid.Bool().Draw(t, "slow-rate") {
		p.SlowCallRate, p.SlowCallAfter = 0.5, sec
	}
	if rapid.Bool().Draw(t, "backoff") {
		p.OpenForMax = 3*p.OpenFor + ms
	}
	if rapid.Bool().Draw(t, "window of time") {
		p.WindowTime = rapid.SampledFrom([]time.Duration{sec, 10 * sec, minute}).Draw(t, "time")
	} else {
		p.WindowCalls = rapid.SampledFrom([]int{3, 10, 100}).Draw(t, "calls")
	}
	p.MinCalls = rapid.IntRange(1, 3).Draw(t, "min")
	return p.WithDefaults()
}

// begin draws a policy and, half the time, goes on to half-open, where most of the machine is.
func (d *duel) begin(t *rapid.T) {
	p := drawPolicy(t)
	d.play(t, "policy "+policyText(p))
	if rapid.Bool().Draw(t, "half-open") {
		for _, line := range []string{"report b ok", "command trip", "wait " + durationText(p.OpenFor), "claim b b0 want=2"} {
			d.play(t, line)
		}
		d.claims++
	}
}

// actions are the kinds of lines that a random history has, by weight: a kind of weight 3 has three names.
func (d *duel) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){}
	for kind, draw := range map[string]struct {
		weight int
		line   func(*rapid.T) string
	}{
		"report":  {8, d.drawReport},
		"wait":    {5, d.drawWait},
		"back":    {1, d.drawBack},
		"claim":   {5, d.drawClaim},
		"settle":  {5, d.drawSettle},
		"command": {2, d.drawCommand},
		"policy":  {1, func(t *rapid.T) string { return "policy " + policyText(drawPolicy(t)) }},
		"lose":    {1, d.drawLoss},
		"look": {1, func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"read", "roster", "history"}).Draw(t, "look")
		}},
	} {
		for i := range draw.weight {
			actions[fmt.Sprint(kind, i)] = func(t *rapid.T) { d.play(t, draw.line(t)) }
		}
	}
	return actions
}

func drawDuration(t *rapid.T) string {
	return durationText(rapid.SampledFrom(someDurations).Draw(t, "duration"))
}

// drawWait waits until just before or exactly at the next end of something, or some time.
func (d *duel) drawWait(t *rapid.T) string {
	s, shown := d.look()
	var ends []time.Duration
	for _, end := range []time.Duration{s.RetryIn, s.ModeNote.EndsIn, s.PolicyNote.EndsIn, s.Policy.OpenFor, s.Policy.ProbeLease} {
		if end > ms {
			ends = append(ends, end, end, end-ms)
		}
	}
	if len(ends) == 0 || rapid.Bool().Draw(t, "any") {
		ends = someDurations
	}
	wait := rapid.SampledFrom(ends).Draw(t, "wait")
	if shown && d.idle+wait > mayForget(s) {
		wait = ms
	}
	d.rested += wait
	d.idle += wait
	return "wait " + durationText(wait)
}

// mayForget is after which time without a report a store may let go of a breaker: a day, and less if nothing ever happened to it.
func mayForget(s store.Snapshot) time.Duration {
	if s.Generation == 0 && s.Rev == 0 {
		return 50 * minute
	}
	return day
}

// drawBack steps the clock back, but not past the end of a tombstone: a store may have let go of it, or not yet.
func (d *duel) drawBack(t *rapid.T) string {
	if _, shown := d.look(); !shown && d.rested >= day {
		return d.drawReport(t)
	}
	return "back " + drawDuration(t)
}

func (d *duel) drawLoss(t *rapid.T) string {
	if rapid.Bool().Draw(t, "wipe") {
		return "wipe"
	}
	d.rested = 0
	return "remove"
}

// look is the breaker as the model shows it.
func (d *duel) look() (store.Snapshot, bool) {
	list, _ := d.model.store.Read(context.Background(), d.model.name)
	if len(list) == 0 {
		return store.Snapshot{}, false
	}
	return list[0], true
}

func (d *duel) drawReport(t *rapid.T) string {
	words := []string{"report", rapid.SampledFrom(someReplicas).Draw(t, "replica")}
	if rarely(t, "again", 8) && d.model.last[words[1]].Seq > 0 {
		words = append(words, "again")
	} else {
		for range rapid.IntRange(0, 3).Draw(t, "runs") {
			words = append(words, drawRun(t))
		}
	}
	if rarely(t, "gen", 8) {
		words = append(words, "gen="+d.drawNumber(t, func(s store.Snapshot) uint64 { return s.Generation }))
	}
	if rarely(t, "seq", 12) {
		words = append(words, fmt.Sprintf("seq=%d", rapid.IntRange(0, 6).Draw(t, "seq")))
	}
	if rarely(t, "late", 5) {
		words = append(words, "late="+durationText(rapid.SampledFrom(someAges).Draw(t, "by")))
	}
	for _, flag := range []string{"announce", "own-open", "rejected=3", "max-age=0s"} {
		if rarely(t, flag, 8) {
			words = append(words, flag)
		}
	}
	return strings.Join(append(words, d.drawKnown(t)...), " ")
}

func drawRun(t *rapid.T) string {
	word := rapid.SampledFrom([]string{"fail", "fail", "fail", "ok", "ok", "slow", "slow-fail", "ignored", "slow-ignored"}).Draw(t, "outcome")
	if n := rapid.SampledFrom([]int{1, 1, 2, 3, 5, 40}).Draw(t, "count"); n > 1 {
		word += fmt.Sprintf("*%d", n)
	}
	if age := rapid.SampledFrom(someAges).Draw(t, "age"); age > 0 {
		word += "@" + durationText(age)
	}
	if label := rapid.SampledFrom([]string{"", "", "timeout", "refused"}).Draw(t, "label"); label != "" {
		word += ":" + label
	}
	return word
}

// drawKnown is what a replica saw last, in a third of the requests, at times changed.
func (d *duel) drawKnown(t *rapid.T) []string {
	if !rarely(t, "knows", 3) {
		return nil
	}
	if !rarely(t, "changed", 3) {
		return []string{"knows"}
	}
	var changes []string
	add := func(odds int, word string) {
		if rarely(t, word, odds) {
			changes = append(changes, word)
		}
	}
	add(2, "gen="+d.drawNumber(t, func(s store.Snapshot) uint64 { return s.Generation }))
	add(2, "rev="+d.drawNumber(t, func(s store.Snapshot) uint64 { return s.Rev }))
	add(2, rapid.SampledFrom([]string{"closed", "open", "half-open"}).Draw(t, "state"))
	add(2, "retry="+drawDuration(t))
	add(4, "openings="+rapid.SampledFrom([]string{"0", "1", "3", "1000000"}).Draw(t, "openings"))
	add(4, rapid.SampledFrom([]string{"auto", "forced-open=0s", "forced-closed=1s", "forced-open=standing", "forced-closed=2000h"}).Draw(t, "mode"))
	add(4, rapid.SampledFrom([]string{"retuned=0s", "retuned=5s", "retuned=standing"}).Draw(t, "retuned"))
	if len(changes) == 0 {
		return []string{"knows"}
	}
	return []string{"knows=" + strings.Join(changes, ",")}
}

// drawNumber is a generation or rev near the breaker's own, near now or at the edge of what is taken.
func (d *duel) drawNumber(t *rapid.T, of func(store.Snapshot) uint64) string {
	s, _ := d.look()
	own, now := of(s), d.model.clock.millis()
	tomorrow := now + uint64(day.Milliseconds())
	choice := []uint64{0, 1, own, own + 1, own + 1, own + 1000, now, now + 1, tomorrow, tomorrow + 1}
	if own > 0 {
		choice = append(choice, own-1)
	}
	return numberText(rapid.SampledFrom(choice).Draw(t, "number"))
}

func (d *duel) drawClaim(t *rapid.T) string {
	replica := rapid.SampledFrom(someReplicas).Draw(t, "replica")
	id := fmt.Sprintf("%s%d", replica, d.claims)
	if ids := d.idsOf(replica); len(ids) > 0 && rarely(t, "again", 4) {
		id = rapid.SampledFrom(ids).Draw(t, "id")
	} else {
		d.claims++
	}
	words := []string{"claim", replica, id}
	if want := rapid.IntRange(1, 3).Draw(t, "want"); want > 1 {
		words = append(words, fmt.Sprintf("want=%d", want))
	}
	return strings.Join(append(words, d.drawKnown(t)...), " ")
}

// idsOf lists the claims that got leases, of a replica or of all.
func (d *duel) idsOf(replica string) []string {
	var ids []string
	for id := range d.model.leases {
		if strings.HasPrefix(id, replica) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// drawSettle settles a lease: mostly one of its own that was not settled yet.
func (d *duel) drawSettle(t *rapid.T) string {
	var all, left []string
	for _, id := range d.idsOf("") {
		for i := range d.model.leases[id] {
			lease := fmt.Sprintf("%s/%d", id, i)
			all = append(all, lease)
			if !slices.Contains(d.settled, lease) {
				left = append(left, lease)
			}
		}
	}
	if len(all) == 0 {
		return d.drawReport(t)
	}
	if len(left) == 0 || rarely(t, "again", 5) {
		left = all
	}
	lease := rapid.SampledFrom(left).Draw(t, "lease")
	d.settled = append(d.settled, lease)
	replica := lease[:1]
	if rarely(t, "another", 6) {
		replica = rapid.SampledFrom(someReplicas).Draw(t, "replica")
	}
	words := []string{
		"settle", replica, lease, rapid.SampledFrom([]string{"ok", "ok", "ok", "fail", "fail:timeout", "slow", "slow-fail", "ignored", "slow-ignored"}).Draw(t, "outcome"),
	}
	if rarely(t, "gen", 10) {
		words = append(words, "gen="+d.drawNumber(t, func(s store.Snapshot) uint64 { return s.Generation }))
	}
	return strings.Join(words, " ")
}

func (d *duel) drawCommand(t *rapid.T) string {
	action := store.Action(rapid.IntRange(1, 7).Draw(t, "action"))
	words := []string{"command", action.String()}
	switch action {
	case store.ForceOpen, store.ForceClosed, store.Trip, store.Retune:
		if rapid.Bool().Draw(t, "timed") {
			words = append(words, "for="+drawDuration(t))
		}
	}
	if rarely(t, "knows", 4) {
		words = append(words, "knows="+rapid.SampledFrom(someReplicas).Draw(t, "knower"))
	}
	if action == store.Retune {
		words = append(words, policyText(drawPolicy(t)))
	}
	return strings.Join(words, " ")
}

// rarely holds once in so many draws.
func rarely(t *rapid.T, what string, in int) bool { return rapid.IntRange(1, in).Draw(t, what) == in }
