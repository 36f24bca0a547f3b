package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

func (a *app) retune() *cobra.Command {
	var o order
	var dry bool
	entry := action{action: store.Retune, end: defaultFor, hasEnd: true}
	c := &cobra.Command{
		Use: "retune NAME FIELD=VALUE...", Short: "Another policy for all, until an end", Args: names(2, -1, "a name and at least one field=value"),
		Long: "Starts from the policy in force, changes the fields given, shows what changes, and puts that in force on every replica\n" +
			"until --for is over or restore. State and window are kept. A policy that shall stay belongs into the service's own\n" +
			"configuration.\n\n" +
			"Fields are those of the JSON form: durations such as open_for=30s (or open_for_ms=30000), rates such as\n" +
			"failure_rate=0.5 or 50%, and integers; 0 is the default, and for a rule off. Setting one kind of window ends the other;\n" +
			"open_for_max follows open_for if it was equal.\n\n" + wrapped("Fields: ", fieldNames()) + commandJSON +
			" With --dry-run: the policy that it would be.",
		Example:           "  commontrip retune card-network failure_rate=30% open_for=2m --for 1h --why INC-42",
		ValidArgsFunction: a.completeFields,
	}
	o.declare(c, entry)
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would change, and change nothing")
	c.RunE = a.with(func(ctx context.Context, s fleet, args []string) error {
		command, err := o.command(a, args[0], entry)
		if err != nil {
			return err
		}
		before, err := read(ctx, s, args[0])
		if err != nil {
			return err
		}
		if command.Policy, err = retuned(before.Policy, args[1:]); err != nil {
			return err
		}
		if dry && a.flags.json {
			return a.writeJSON(command.Policy)
		}
		changes := a.changes(before.Policy, command.Policy)
		if dry || len(changes.rows) == 0 && !before.Retuned {
			return nil
		}
		return a.command(ctx, s, command)
	})
	return c
}

// changes writes what differs between two policies.
func (a *app) changes(before, after store.Policy) table {
	var t table
	for _, f := range policyFields {
		if was, is := f.format(before), f.format(after); was != is {
			if len(t.rows) == 0 {
				t.head("FIELD", "WAS", "IS")
			}
			t.add(f.name, was, is)
		}
	}
	switch {
	case a.flags.json:
	case len(t.rows) == 0:
		fmt.Fprintln(a.out, "nothing changes: the policy in force is like this")
	default:
		a.writeTable(a.out, t)
	}
	return t
}

// wrapped is a list in lines of at most 110 letters.
func wrapped(line string, words []string) string {
	var lines []string
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		if len(line)+len(word) > 110 {
			lines, line = append(lines, strings.TrimRight(line, " ")), ""
		}
		line += word + " "
	}
	return strings.Join(append(lines, strings.TrimRight(line, " ")), "\n") + "."
}
