package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

// replicaJSON is the JSON form of a store.Replica, the same that the dashboard gives.
type replicaJSON struct {
	Name     string `json:"name"`
	SeenMS   int64  `json:"seen_ms"`
	Calls    uint64 `json:"calls"`
	Failures uint64 `json:"failures"`
	OwnOpen  bool   `json:"own_open"`
	Conflict bool   `json:"conflict"`

	Differences []string `json:"differences,omitempty"`
}

func (a *app) roster() *cobra.Command {
	return &cobra.Command{
		Use: "roster NAME", Short: "Who reports on a breaker", Args: oneName, ValidArgsFunction: a.completeName,
		Long: "Shows the replicas that reported on a breaker within the last minute: when they were heard, what they reported\n" +
			"since they started, and whether their own verdict or their policy is another than the fleet's, and in which fields.\n\n" +
			"JSON: an array of {name, seen_ms, calls, failures, own_open, conflict, differences}.",
		RunE: a.with(func(ctx context.Context, s fleet, args []string) error {
			if _, err := read(ctx, s, args[0]); err != nil {
				return err
			}
			rosters, err := s.Rosters(ctx, args[0])
			if err != nil {
				return err
			}
			roster := rosters[args[0]]
			if a.flags.json {
				out := make([]replicaJSON, len(roster))
				for i, r := range roster {
					out[i] = replicaJSON{r.Name, r.Seen.Milliseconds(), r.Calls, r.Failures, r.OwnOpen, r.Conflict, r.Differences()}
				}
				return a.writeJSON(out)
			}
			a.writeRoster(roster)
			return nil
		}),
	}
}

func (a *app) writeRoster(roster []store.Replica) {
	if len(roster) == 0 {
		fmt.Fprintln(a.out, "no replica reported within the last minute")
		return
	}
	var t table
	t.head("REPLICA", "SEEN", "CALLS", "FAILED", "NOTE")
	for _, r := range roster {
		var notes []string
		if r.OwnOpen {
			notes = append(notes, "its own verdict is open")
		}
		if r.Conflict {
			note := "another policy than the fleet's: " + strings.Join(r.Differences(), "; ")
			notes = append(notes, strings.TrimSuffix(note, ": "))
		}
		t.add(quote(r.Name), span(r.Seen)+" ago", r.Calls, r.Failures, cell{strings.Join(notes, "; "), yellow})
	}
	a.writeTable(a.out, t)
}
