package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

const historyMost = 50

func (a *app) history() *cobra.Command {
	limit := historyMost
	c := &cobra.Command{
		Use: "history NAME", Short: "What happened to a breaker, why, and who saw it", Args: oneName, ValidArgsFunction: a.completeName,
		Long: "Shows transitions and commands, newest first; the store keeps 50.\n\nJSON: an array of transitions.",
		RunE: a.with(func(ctx context.Context, s *redisstore.Store, args []string) error {
			if limit < 1 || limit > historyMost {
				return misuse("--limit is %d; want 1..%d", limit, historyMost)
			}
			x, err := read(ctx, s, args[0])
			if err != nil {
				return err
			}
			entries, err := s.History(ctx, args[0], limit)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.writeJSON(append([]store.Transition{}, entries...))
			}
			if len(entries) == 0 {
				fmt.Fprintf(a.out, "nothing has happened to %s yet\n", quote(x.Name))
				return nil
			}
			var t table
			t.head("WHEN", "AGO", "WHAT", "WHY")
			for _, e := range entries {
				t.add(a.moment(e.At), span(clock(x).Sub(e.At)), cell{change(e), inkOfState(e.To)}, reasonOf(e))
			}
			a.writeTable(a.out, t)
			return nil
		}),
	}
	c.Flags().IntVarP(&limit, "limit", "n", historyMost, "at most so many, 1 to 50")
	return c
}

// change is what an entry of the history did.
func change(e store.Transition) string {
	var text string
	if e.From == e.To {
		text = e.To.String()
	} else {
		text = e.From.String() + " -> " + e.To.String()
	}
	if e.Action != 0 {
		text += " (" + e.Action.String() + ")"
	} else if e.Mode != store.Auto {
		text += " (" + e.Mode.String() + ")"
	}
	return text
}

// reasonOf is the evidence of an entry.
func reasonOf(e store.Transition) string {
	var parts []string
	if e.Reason != "" {
		parts = append(parts, quote(string(e.Reason)))
	}
	if e.Window.Calls > 0 {
		parts = append(parts, tally(e.Window))
	}
	if len(e.Errors) > 0 {
		parts = append(parts, labels(e.Errors))
	}
	if e.Cause != "" {
		parts = append(parts, "by "+quote(e.Cause))
	}
	if e.Why != "" {
		parts = append(parts, strconv.Quote(e.Why))
	}
	if len(e.Witnesses) > 0 {
		parts = append(parts, "seen by "+quoteAll(e.Witnesses))
	}
	return strings.Join(parts, "; ")
}

func inkOfState(s store.State) ink { return inkOf(store.Snapshot{State: s}) }
