package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
)

// silence is how long a replica that lives is never silent: each reports every 10 s even without calls.
const silence = 20 * time.Second

// laneSlots is how many of a Cluster's slots make a lane.
const laneSlots = 512

// checkBreakers looks at each breaker of the index.
func (d *doctor) checkBreakers(ctx context.Context) bool {
	if gone, err := d.store.Sweep(ctx); err == nil && gone > 0 {
		d.say(fine, "index", fmt.Sprintf("names of breakers that are gone, now taken out: %d", gone), "")
	}
	names, err := d.client.SMembers(ctx, d.set.prefix.value+":names").Result()
	if err != nil {
		d.say(problem, "breakers", err.Error(), adviceFor(err))
		return false
	}
	if len(names) == 0 {
		d.say(note, "breakers", "none under this prefix", "see that --prefix is the replicas' own; a replica makes a breaker when it registers it")
		return true
	}
	slices.Sort(names)
	gone := 0
	for _, name := range names {
		if ctx.Err() != nil {
			d.say(problem, "breakers", "not all looked at: the time is over", "give a longer --timeout")
			return false
		}
		if shown := d.checkBreaker(ctx, name); !shown {
			gone++
		}
	}
	if gone > 0 {
		d.say(fine, "index", fmt.Sprintf("%d names of breakers that are gone; replicas sweep them out", gone), "")
	}
	return true
}

// checkBreaker says whether the breaker is there. Each is read by itself, so that one that cannot be read hides no other.
func (d *doctor) checkBreaker(ctx context.Context, name string) bool {
	check := "breaker " + quote(name)
	snapshots, err := d.store.Read(ctx, name)
	if err != nil {
		d.say(problem, check, err.Error(), "run the newest version everywhere; what an older one cannot read, or no version wrote, "+
			"UNLINK brings back from what replicas know")
		return true
	}
	if len(snapshots) == 0 {
		return false
	}
	roster, err := d.store.Roster(ctx, name)
	if err != nil {
		d.say(problem, check, err.Error(), adviceFor(err))
		return true
	}
	s := snapshots[0]
	d.say(fine, check, fmt.Sprintf("%s for %s, %s, %d replicas", stateOf(s), span(s.Age), d.place(name), s.Replicas), "")
	d.checkSchema(ctx, check, name)
	d.checkStanding(check, s)
	d.checkReplicas(check, s, roster)
	return true
}

// place is where the breaker lies.
func (d *doctor) place(name string) string {
	lane := d.store.Lane(name)
	if _, cluster := d.client.(*redis.ClusterClient); !cluster {
		return fmt.Sprintf("lane %d", lane)
	}
	return fmt.Sprintf("lane %d (slots %d-%d)", lane, lane*laneSlots, (lane+1)*laneSlots-1)
}

// checkSchema compares how the breaker lies in its hash with what the scripts of this program write.
func (d *doctor) checkSchema(ctx context.Context, check, name string) {
	text, err := d.client.HGet(ctx, d.key(name), "v").Result()
	there, err2 := strconv.Atoi(text)
	switch {
	case errors.Is(err, redis.Nil): // gone meanwhile
	case err != nil:
		d.say(problem, check, "its schema: "+err.Error(), adviceFor(err))
	case err2 != nil:
		d.say(problem, check, "its schema is "+strconv.Quote(text), "see what else writes under this prefix; UNLINK the key, and replicas bring back what they know")
	case d.schema == 0: // the scripts do not run, which has been said
	case there > d.schema:
		d.say(problem, check, fmt.Sprintf("schema %d, newer than this program's %d", there, d.schema), "upgrade this program, and each replica that is older")
	case there < d.schema:
		d.say(note, check, fmt.Sprintf("schema %d, older than this program's %d", there, d.schema), "wait: the next report brings it up to date")
	}
}

// key is where the store keeps a breaker; the name is a hash tag, and cannot end it.
func (d *doctor) key(name string) string {
	return d.set.prefix.value + ":{" + strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D").Replace(name) + "}"
}

// checkStanding looks at what operators left.
func (d *doctor) checkStanding(check string, s store.Snapshot) {
	if s.Mode != store.Auto && !s.ModeNote.Timed {
		d.say(note, check, fmt.Sprintf("%v without an end, %s", s.Mode, signed(s.ModeNote)),
			"ask who gave it, then: commontrip lift "+shell(s.Name))
	}
	if s.Retuned && !s.PolicyNote.Timed {
		d.say(note, check, "a retuned policy without an end, "+signed(s.PolicyNote),
			"put it into the service's configuration, then: commontrip restore "+shell(s.Name))
	}
}

// checkReplicas looks at which replicas report.
func (d *doctor) checkReplicas(check string, s store.Snapshot, roster []store.Replica) {
	var silent, conflict, alone []string
	for _, r := range roster {
		if r.Seen > silence {
			silent = append(silent, r.Name)
		}
		if r.Conflict {
			conflict = append(conflict, r.Name)
		}
		if r.OwnOpen && s.Effective() == store.Closed {
			alone = append(alone, r.Name)
		}
	}
	if len(roster) == 0 {
		d.say(note, check, "no replica reported within the last minute", "if none uses it any more: commontrip remove "+shell(s.Name))
	}
	if len(silent) > 0 {
		d.say(note, check, fmt.Sprintf("silent for more than %v: %s", silence, few(silent)), "if they were not stopped or replaced by a deploy: see whether they run and reach the store")
	}
	if s.PolicyConflict || len(conflict) > 0 {
		d.say(problem, check, "another policy than the fleet's: "+few(conflict), "finish the deploy, or give them one policy")
	}
	if len(alone) > 0 {
		d.say(note, check, "open by their own verdict alone: "+few(alone), "see why the tier fails for them and for no other")
	}
}

// few names the first of many.
func few(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", quoteAll(names[:most]), len(names)-most)
	}
	if len(names) == 0 {
		return "replicas that are gone by now"
	}
	return strings.TrimSpace(quoteAll(names))
}
