package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

const historyMost = limits.HistoryKept + 1

func (a *app) history() *cobra.Command {
	limit := historyMost
	c := &cobra.Command{
		Use: "history NAME", Short: "What happened to a breaker, why, and which replicas saw it", Args: oneName, ValidArgsFunction: a.completeName,
		Long: "Shows transitions and commands, newest first. The store keeps 50, and the one since which the breaker is not\nclosed if that is older.\n\nJSON: an array of transitions.",
		RunE: a.with(func(ctx context.Context, s fleet, args []string) error {
			if limit < 1 || limit > historyMost {
				return misuse("--limit is %d; want 1..%d", limit, historyMost)
			}
			x, err := read(ctx, s, args[0])
			if err != nil {
				return err
			}
			histories, err := s.Histories(ctx, limit, args[0])
			if err != nil {
				return err
			}
			entries := histories[args[0]]
			if a.flags.json {
				return a.writeJSON(append([]store.Transition{}, entries...))
			}
			if len(entries) == 0 {
				fmt.Fprintf(a.out, "nothing has happened to %s yet\n", quote(x.Name))
				return nil
			}
			var t table
			t.head("WHEN", "AGO", "STATE", "REASON", "WHAT HAPPENED")
			for _, e := range entries {
				t.add(a.moment(e.At), span(x.Clock().Sub(e.At)), left(e), quote(string(e.Reason)), e.Sentence())
			}
			a.writeTable(a.out, t)
			return nil
		}),
	}
	c.Flags().IntVarP(&limit, "limit", "n", historyMost, fmt.Sprintf("at most this many, 1 to %d", historyMost))
	return c
}

// left is what an entry left behind: the mode if one is forced, else the state.
func left(e store.Transition) cell {
	if e.Mode != store.Auto {
		return cell{e.Mode.String(), magenta}
	}
	return cell{e.To.String(), inkOfState(e.To)}
}

func inkOfState(s store.State) ink { return inkOf(store.Snapshot{State: s}) }
