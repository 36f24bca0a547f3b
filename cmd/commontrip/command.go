package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

const (
	forever    = "forever"
	defaultFor = "30m"
)

// action describes one of the store's commands.
type action struct {
	action      store.Action
	short, long string
	needsWhy    bool
	end         string // what --for is if it is not given; "" = the policy's open time
	hasEnd      bool
}

var actionTable = []action{
	{
		action: store.ForceOpen, short: "Refuse every call, until an end", needsWhy: true, end: defaultFor, hasEnd: true,
		long: "Refuses every call of the whole fleet until --for is over or lift. Outcomes are only totalled meanwhile. It ends in\n" +
			"half-open: probes decide before calls come back.",
	},
	{
		action: store.ForceClosed, short: "Admit every call, until an end", needsWhy: true, end: defaultFor, hasEnd: true,
		long: "Admits every call of the whole fleet, whatever it meets, until --for is over or lift: nothing protects the tier\n" +
			"meanwhile. It ends closed, with an empty window.",
	},
	{
		action: store.Lift, short: "End a forced mode now",
		long: "Ends force-open or force-closed as its time would: what is open below it with time left stays open. Else force-open ends in\n" +
			"half-open, or closed if a reset came after it, and force-closed ends closed.",
	},
	{
		action: store.Trip, short: "Open once, as a rule would", hasEnd: true,
		long: "Opens the breaker once, as one of its rules would: it comes back by itself through probes, after --for or the policy's\nopen time.",
	},
	{
		action: store.Reset, short: "Close, and forget window and backoff",
		long: "Closes the breaker and empties its window and its backoff. Its rules judge again from the next call on.",
	},
	{
		action: store.Restore, short: "End a retuned policy now",
		long: "Puts the fleet's own policy in force again, as the end of retune would. State and window are kept.",
	},
}

func (a *app) actions() []*cobra.Command {
	commands := make([]*cobra.Command, len(actionTable))
	for i, entry := range actionTable {
		commands[i] = a.act(entry)
	}
	return commands
}

const commandJSON = "\n\nJSON: the snapshot after it."

func (a *app) act(entry action) *cobra.Command {
	var o order
	c := &cobra.Command{
		Use: entry.action.String() + " NAME", Short: entry.short, Long: entry.long + commandJSON, Args: oneName,
		ValidArgsFunction: a.completeName,
	}
	o.declare(c, entry)
	c.RunE = a.with(func(ctx context.Context, s fleet, args []string) error {
		command, err := o.command(a, args[0], entry)
		if err != nil {
			return err
		}
		return a.command(ctx, s, command)
	})
	return c
}

// order holds the flags of a command.
type order struct{ by, why, end string }

func (o *order) declare(c *cobra.Command, entry action) {
	why := "the reason, kept in the history"
	if entry.needsWhy {
		why += "; required"
	}
	c.Flags().StringVar(&o.by, "by", "", "who signs (COMMONTRIP_BY; default user@host of this machine)")
	c.Flags().StringVar(&o.why, "why", "", why)
	if entry.hasEnd {
		text := "how long, such as 90s or 2h, at most 720h"
		if entry.end != "" {
			text += `, or "` + forever + `": until ended by hand`
		} else {
			text += "; the policy's open time if it is not given"
		}
		c.Flags().StringVar(&o.end, "for", entry.end, text)
	}
	_ = c.RegisterFlagCompletionFunc("by", cobra.NoFileCompletions)
	_ = c.RegisterFlagCompletionFunc("why", cobra.NoFileCompletions)
	if entry.hasEnd {
		_ = c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]string{"5m", defaultFor, "2h", "24h", forever}, cobra.ShellCompDirectiveNoFileComp))
	}
}

// command reads the flags, and refuses here what the store would.
func (o *order) command(a *app, name string, entry action) (store.Command, error) {
	if entry.needsWhy && o.why == "" {
		return store.Command{}, misuse("%s is for the whole fleet: say why, such as --why INC-42", entry.action)
	}
	var err error
	c := store.Command{Name: name, Action: entry.action, By: a.signature(o.by), Why: o.why}
	if o.end != "" && o.end != forever || o.end == forever && entry.end == "" {
		if c.For, err = time.ParseDuration(o.end); err != nil || c.For < time.Millisecond || c.For > store.MaxFor {
			want := "1ms..720h"
			if entry.end != "" {
				want += ", or " + forever
			}
			return store.Command{}, misuse("--for is %q; want %s", o.end, want)
		}
	}
	if c.Action != store.Retune { // whose policy is not known yet
		_, err = c.Normalize()
	}
	return c, err
}

// signature is who signs: by if it is given, else the environment's or the file's, else the user of this machine.
func (a *app) signature(by string) string {
	for _, next := range []string{a.set.by.value, a.who()} {
		if by == "" {
			by = next
		}
	}
	return by
}

// command carries c out and says what became of it.
func (a *app) command(ctx context.Context, s store.Store, c store.Command) error {
	if before, err := read(ctx, s, c.Name); err == nil { // what a failover might lose before the command comes
		c.Known = before.Known()
	}
	result, err := s.Command(ctx, c)
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.writeJSON(result.Snapshot)
	}
	after := result.Snapshot
	text := quote(after.Name) + ": "
	if result.Made == nil {
		text += "nothing to change; it is "
	}
	text += a.paint(inkOf(after), stateOf(after))
	if remark := a.remark(after, nil, nil); remark != "" {
		text += ", " + remark
	}
	fmt.Fprintln(a.out, text)
	switch {
	case result.Made == nil:
	case c.Action == store.ForceOpen, c.Action == store.ForceClosed:
		fmt.Fprintf(a.out, "to end it: commontrip lift %s\n", shell(c.Name))
	case c.Action == store.Retune:
		fmt.Fprintf(a.out, "to end it: commontrip restore %s\n", shell(c.Name))
	}
	return nil
}
