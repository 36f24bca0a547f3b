package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

func (a *app) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All breakers, a line each", Args: noName,
		Long: "Shows all breakers of the fleet, by name. Looking never changes a breaker. One that cannot be read is named on standard\n" +
			"error, with exit code 6.\n\n" +
			"JSON: an array of snapshots.",
		RunE: a.with(func(ctx context.Context, s fleet, _ []string) error { return a.all(ctx, s) }),
	}
}

func (a *app) all(ctx context.Context, s fleet) error {
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
	histories, rosters, err := around(ctx, s, snapshots)
	if err != nil {
		return err
	}
	var t table
	t.head("NAME", "STATE", "FOR", "WINDOW", "REPLICAS", "NOTE")
	for _, x := range snapshots {
		t.add(quote(x.Name), cell{stateOf(x), inkOf(x)}, span(x.Age), tally(x.Window), x.Replicas, a.remark(x, histories[x.Name], rosters[x.Name]))
	}
	a.writeTable(a.out, t)
	return bad
}

// around reads what explains the breakers: the histories of those that are not simply closed, and who reports on each. What
// cannot be read of one is left out.
func around(ctx context.Context, s fleet, snapshots []store.Snapshot) (map[string][]store.Transition, map[string][]store.Replica, error) {
	var moved, used []string
	for _, x := range snapshots {
		if x.State != store.Closed || x.Mode != store.Auto {
			moved = append(moved, x.Name)
		}
		if x.Replicas > 0 {
			used = append(used, x.Name)
		}
	}
	histories, err := s.Histories(ctx, 0, moved...)
	if err != nil && !isUnreadable(err) {
		return nil, nil, err
	}
	rosters, err := s.Rosters(ctx, used...)
	if err != nil && !isUnreadable(err) {
		return nil, nil, err
	}
	return histories, rosters, nil
}

// remark is what an operator should know of a breaker beside its state.
func (a *app) remark(s store.Snapshot, history []store.Transition, roster []store.Replica) string {
	e := s.Explain(history, roster)
	var parts []string
	add := func(part string) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	switch {
	case e.Cause != "":
		add(e.Cause)
		add(e.Latest)
	case s.Mode != store.Auto:
		add(signed(s.ModeNote))
	case s.State != store.Closed && s.Reason == store.ByOperator:
		add("by " + quote(s.Cause))
	case s.State != store.Closed:
		add(string(s.Reason))
	}
	add(e.State)
	add(a.next(s, e))
	add(e.Own)
	if s.Retuned {
		add("retuned " + signed(s.PolicyNote) + ", " + a.ending(s.PolicyNote, s.Clock()))
	}
	add(e.Policies)
	return strings.Join(parts, "; ")
}

// next is what comes next, and how long that takes.
func (a *app) next(s store.Snapshot, e store.Explanation) string {
	if e.NextAt.IsZero() {
		return e.Next
	}
	return fmt.Sprintf("%s (%sin %s)", e.Next, a.here(e.NextAt), span(e.NextAt.Sub(s.Clock())))
}

// here is a time of day of this machine's zone before more, and nothing if that is UTC, which texts tell already.
func (a *app) here(t time.Time) string {
	if _, offset := t.In(a.zone).Zone(); offset == 0 {
		return ""
	}
	return t.In(a.zone).Format("15:04:05 MST, ")
}

func (a *app) show() *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "One breaker in full: window, commands, policy, which replicas report", Args: names(0, 1, "the name of a breaker, or none"),
		Long: "Shows one breaker in full: state, window, standing commands, policy, and the replicas that report on it. Without a\n" +
			"name it is list.\n\nJSON: the snapshot.",
		ValidArgsFunction: a.completeName,
		RunE: a.with(func(ctx context.Context, s fleet, args []string) error {
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
			histories, noHistory := s.Histories(ctx, 0, args[0])
			a.full(x, histories[args[0]], rosters[args[0]])
			if noRoster == nil {
				a.writeRoster(rosters[args[0]])
			}
			return errors.Join(noRoster, noHistory)
		}),
	}
}

// full writes what a snapshot says, and in words what its history and its roster add to it.
func (a *app) full(s store.Snapshot, history []store.Transition, roster []store.Replica) {
	e := s.Explain(history, roster)
	var t table
	t.add(cell{quote(s.Name), bold}, cell{stateOf(s), inkOf(s)})
	state := fmt.Sprintf("%v for %s, since %s", s.State, span(s.Age), a.moment(s.Since))
	if s.Reason != "" {
		state += fmt.Sprintf(" (%s, by %s)", quote(string(s.Reason)), quote(s.Cause))
	}
	t.add("state", state)
	if e.State != "" {
		t.add("", e.State)
	}
	if e.Cause == "" && len(history) > 0 {
		e.Latest = history[0].Sentence()
	}
	for _, row := range [][2]string{{"cause", e.Cause}, {"last", e.Latest}, {"next", a.next(s, e)}} {
		if row[1] != "" {
			t.add(row[0], row[1])
		}
	}
	if e.Own != "" {
		t.add("own", cell{e.Own, yellow})
	}
	if s.Mode != store.Auto {
		t.add("mode", fmt.Sprintf("%v %s, %s", s.Mode, a.ending(s.ModeNote, s.Clock()), signed(s.ModeNote)))
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
		policy = "retuned " + a.ending(s.PolicyNote, s.Clock()) + ", " + signed(s.PolicyNote)
	}
	if e.Policies != "" {
		policy += "; " + e.Policies
	}
	t.add("policy", policy)
	for _, f := range policyFields {
		if text := f.format(s.Policy); text != "0" && text != "0s" && text != "false" {
			t.add("", f.name+"="+text)
		}
	}
	a.writeTable(a.out, t)
}
