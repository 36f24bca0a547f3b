package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

func (a *app) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All breakers, a line each", Args: noName,
		Long: "Shows all breakers of the fleet, by name. Looking never changes a breaker.\n\n" +
			"JSON: an array of snapshots.",
		RunE: a.with(func(ctx context.Context, s *redisstore.Store, _ []string) error { return a.all(ctx, s) }),
	}
}

func (a *app) all(ctx context.Context, s store.Store) error {
	snapshots, err := s.Read(ctx)
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.writeJSON(append([]store.Snapshot{}, snapshots...))
	}
	if len(snapshots) == 0 {
		fmt.Fprintln(a.err, "no breakers under this prefix yet: a replica makes one when it registers it")
		return nil
	}
	var t table
	t.head("NAME", "STATE", "FOR", "WINDOW", "REPLICAS", "NOTE")
	for _, x := range snapshots {
		t.add(quote(x.Name), cell{stateOf(x), inkOf(x)}, span(x.Age), tally(x.Window), x.Replicas, a.remark(x))
	}
	a.writeTable(a.out, t)
	return nil
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
			roster, err := s.Roster(ctx, args[0])
			if err != nil {
				return err
			}
			last, err := s.History(ctx, args[0], 1)
			if err != nil {
				return err
			}
			a.full(x, last)
			a.writeRoster(roster)
			return nil
		}),
	}
}

// full writes what a snapshot says, and the newest entry of the history, if there is one.
func (a *app) full(s store.Snapshot, last []store.Transition) {
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
