package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

func (a *app) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All breakers, a line each", Args: noName,
		Long: "Shows all breakers of the fleet, by name. Looking never changes a breaker. One that cannot be read is named on standard\n" +
			"error, with exit code 6.\n\n" +
			"JSON: an array of snapshots.",
		RunE: a.with(func(ctx context.Context, s *redisstore.Store, _ []string) error { return a.all(ctx, s) }),
	}
}

func (a *app) all(ctx context.Context, s *redisstore.Store) error {
	snapshots, bad := s.Read(ctx)
	if bad != nil && !isUnreadable(bad) {
		return bad
	}
	if a.flags.json {
		return errors.Join(a.writeJSON(append([]store.Snapshot{}, snapshots...)), bad)
	}
	if len(snapshots) == 0 {
		if bad == nil {
			fmt.Fprintln(a.err, a.nobody(ctx))
		}
		return bad
	}
	own, err := ownVerdicts(ctx, s, snapshots)
	if err != nil {
		return err
	}
	var t table
	t.head("NAME", "STATE", "FOR", "WINDOW", "REPLICAS", "NOTE")
	for _, x := range snapshots {
		t.add(quote(x.Name), cell{stateOf(x), inkOf(x)}, span(x.Age), tally(x.Window), x.Replicas, joined(own[x.Name], a.remark(x)))
	}
	a.writeTable(a.out, t)
	return bad
}

// ownVerdicts says of breakers whose fleet lets calls through which replicas refuse them all the same.
func ownVerdicts(ctx context.Context, s *redisstore.Store, snapshots []store.Snapshot) (map[string]string, error) {
	var names []string
	for _, x := range snapshots {
		if ownCounts(x) && x.Replicas > 0 {
			names = append(names, x.Name)
		}
	}
	rosters, err := s.Rosters(ctx, names...)
	if err != nil && !isUnreadable(err) { // one that cannot be read has told so, or has changed since
		return nil, err
	}
	own := map[string]string{}
	for name, roster := range rosters {
		own[name] = refusing(roster)
	}
	return own, nil
}

// ownCounts says whether a replica's own verdict refuses calls that the fleet's lets through.
func ownCounts(s store.Snapshot) bool {
	return s.Mode == store.Auto && !s.Policy.Observe && s.State != store.Open
}

// refusing counts the replicas that refuse by their own verdict; "" = none.
func refusing(roster []store.Replica) string {
	n := 0
	for _, r := range roster {
		if r.OwnOpen {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d replicas refuse by their own verdict", n, len(roster))
}

// joined puts a list together of the parts that say something.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "; ")
}

// remark is what an operator should know of a breaker beside its state.
func (a *app) remark(s store.Snapshot) string {
	var parts []string
	switch {
	case s.Mode != store.Auto:
		parts = append(parts, signed(s.ModeNote)+", "+a.ending(s.ModeNote, clock(s)))
	case s.State == store.Open && s.RetryIn > 0:
		parts = append(parts, string(s.Reason)+"; probes in "+span(s.RetryIn))
	case s.State == store.Open:
		parts = append(parts, string(s.Reason)+"; the next call probes")
	case s.State == store.HalfOpen:
		parts = append(parts, fmt.Sprintf("%d of %d good probes, %d under way", s.ProbeSuccesses, s.Policy.ProbeSuccesses, s.Probing))
	}
	if s.Retuned {
		parts = append(parts, "retuned "+signed(s.PolicyNote)+", "+a.ending(s.PolicyNote, clock(s)))
	}
	if s.PolicyConflict {
		parts = append(parts, "policies differ")
	}
	return strings.Join(parts, "; ")
}

func (a *app) show() *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "One breaker in full: window, commands, policy, which replicas report", Args: names(0, 1, "the name of a breaker, or none"),
		Long: "Shows one breaker in full: state, window, standing commands, policy, and the replicas that report on it. Without a\n" +
			"name it is list.\n\nJSON: the snapshot.",
		ValidArgsFunction: a.completeName,
		RunE: a.with(func(ctx context.Context, s *redisstore.Store, args []string) error {
			if len(args) == 0 {
				return a.all(ctx, s)
			}
			x, err := read(ctx, s, args[0])
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.writeJSON(x)
			}
			rosters, noRoster := s.Rosters(ctx, args[0])
			last, noHistory := s.History(ctx, args[0], 1)
			a.full(x, last, rosters[args[0]])
			if noRoster == nil {
				a.writeRoster(rosters[args[0]])
			}
			return errors.Join(noRoster, unread(args[0], noHistory))
		}),
	}
}

// full writes what a snapshot says, and the newest entry of the history, if there is one.
func (a *app) full(s store.Snapshot, last []store.Transition, roster []store.Replica) {
	var t table
	t.add(cell{quote(s.Name), bold}, cell{stateOf(s), inkOf(s)})
	state := fmt.Sprintf("%v for %s, since %s", s.State, span(s.Age), a.moment(s.Since))
	if s.Reason != "" {
		state += fmt.Sprintf(" (%s, by %s)", quote(string(s.Reason)), quote(s.Cause))
	}
	t.add("state", state)
	for _, e := range last {
		t.add("last", e.Sentence())
	}
	if s.Mode != store.Auto {
		t.add("mode", fmt.Sprintf("%v %s, %s", s.Mode, a.ending(s.ModeNote, clock(s)), signed(s.ModeNote)))
	}
	if own := refusing(roster); own != "" && ownCounts(s) {
		t.add("but", cell{own, yellow})
	}
	if s.State == store.Open {
		t.add("probes in", fmt.Sprintf("%s, at the next call after that (opening %d in a row)", span(s.RetryIn), s.Openings))
	}
	if s.State == store.HalfOpen {
		t.add("probes", fmt.Sprintf("%d of %d good, %d of %d under way", s.ProbeSuccesses, s.Policy.ProbeSuccesses, s.Probing, s.Policy.Probes))
	}
	t.add("window", fmt.Sprintf("%s, %d in a row", tally(s.Window), s.Window.Consecutive))
	if len(s.Errors) > 0 {
		t.add("errors", labels(s.Errors))
	}
	t.add("totals", fmt.Sprintf("%d calls, %d failed, %d slow; %d ignored, %d late, %d refused", s.Totals.Calls,
		s.Totals.Failures, s.Totals.Slow, s.Totals.Ignored, s.Totals.Late, s.Totals.Rejected))
	t.add("numbers", fmt.Sprintf("generation %d, rev %d", s.Generation, s.Rev))
	policy := "the fleet's"
	if s.Retuned {
		policy = "retuned " + a.ending(s.PolicyNote, clock(s)) + ", " + signed(s.PolicyNote)
	}
	if s.PolicyConflict {
		policy += "; a replica reports another one"
	}
	t.add("policy", policy)
	for _, f := range policyFields {
		if text := f.format(s.Policy); text != "0" && text != "0s" && text != "false" {
			t.add("", f.name+"="+text)
		}
	}
	a.writeTable(a.out, t)
}
