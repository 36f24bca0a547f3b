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

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// silence is how long a replica that lives is never silent: each reports every 10 s even without calls.
const silence = 20 * time.Second

// laneSlots is how many of a Cluster's slots make a lane.
const laneSlots = 512

// atOnce is how many breakers one step looks at: few exchanges for many breakers, and a bound that does not hang on how many
// there are.
const atOnce = 100

// checkBreakers looks at each breaker of the index.
func (d *doctor) checkBreakers(ctx context.Context) {
	d.step(ctx, d.sweep)
	names, err := bounded(ctx, d.app, func(ctx context.Context) ([]string, error) {
		return d.client.SMembers(ctx, d.set.prefix.value+":names").Result()
	})
	if err != nil {
		d.say(problem, "breakers", err.Error(), adviceFor(err))
		return
	}
	slices.Sort(names)
	if len(names) == 0 {
		d.say(note, "breakers", d.app.nobody(ctx), "see that --prefix is the replicas' own; a replica makes a breaker when it registers it")
		return
	}
	for batch := range slices.Chunk(names, atOnce) {
		if !d.step(ctx, func(ctx context.Context) bool { return d.checkSome(ctx, batch) }) {
			return
		}
	}
}

// sweep takes the names of breakers that are gone out of the index.
func (d *doctor) sweep(ctx context.Context) bool {
	gone, err := d.store.Sweep(ctx)
	if gone > 0 {
		d.say(fine, "index", fmt.Sprintf("names of breakers that are gone, now taken out: %d", gone), "")
	}
	return err == nil
}

// checkSome looks at some breakers, in a few exchanges. It gives false if the store fails, and not a breaker.
func (d *doctor) checkSome(ctx context.Context, names []string) bool {
	snapshots, bad := d.store.Read(ctx, names...)
	rosters, noRoster := d.store.Rosters(ctx, names...)
	schemas, noSchema := d.schemas(ctx, names)
	for _, err := range []error{bad, noRoster, noSchema} {
		if err != nil && !isUnreadable(err) {
			d.say(problem, "breakers", "not all looked at: "+err.Error(), adviceFor(err))
			return false
		}
	}
	for _, s := range snapshots {
		check := "breaker " + quote(s.Name)
		d.say(fine, check, fmt.Sprintf("%s for %s, %s, %d replicas", stateOf(s), span(s.Age), d.place(s.Name), s.Replicas), "")
		d.checkSchema(check, schemas[s.Name])
		d.checkStanding(check, s)
		if roster, read := rosters[s.Name]; read {
			d.checkReplicas(check, s, roster)
		}
	}
	d.sayUnreadable(bad)
	d.sayUnreadable(noRoster)
	return true
}

// sayUnreadable tells of breakers that hold what cannot be read. The reason is that of the first.
func (d *doctor) sayUnreadable(err error) {
	bad, is := errors.AsType[*store.UnreadableError](err)
	if !is {
		return
	}
	for _, name := range bad.Names {
		check := "breaker " + quote(name)
		if slices.ContainsFunc(d.findings, func(f finding) bool { return f.Check == check && f.Level == problem }) {
			continue
		}
		found := "it cannot be read"
		if name == bad.Names[0] {
			found += ": " + bad.Err.Error()
		}
		d.say(problem, check, found, "run the newest version everywhere. What an older one cannot read, or no version wrote, replicas bring back "+
			"from what they know after: UNLINK "+shell(keyOf(d.set.prefix.value, name)))
	}
}

// place is where the breaker lies.
func (d *doctor) place(name string) string {
	lane := d.store.Lane(name)
	if _, cluster := d.client.(*redis.ClusterClient); !cluster {
		return fmt.Sprintf("lane %d", lane)
	}
	return fmt.Sprintf("lane %d (slots %d-%d)", lane, lane*laneSlots, (lane+1)*laneSlots-1)
}

// schemas reads how each breaker lies in its hash, in one exchange.
func (d *doctor) schemas(ctx context.Context, names []string) (map[string]string, error) {
	pipe := d.client.Pipeline()
	for _, name := range names {
		pipe.HGet(ctx, keyOf(d.set.prefix.value, name), "v")
	}
	replies, _ := pipe.Exec(ctx) // each has its own error
	schemas := map[string]string{}
	for i, reply := range replies {
		text, err := reply.(*redis.StringCmd).Result()
		switch {
		case err == nil:
			schemas[names[i]] = text
		case !errors.Is(err, redis.Nil) && !strings.Contains(err.Error(), "WRONGTYPE"): // gone meanwhile, or told as unreadable
			return nil, err
		}
	}
	return schemas, nil
}

// checkSchema compares how the breaker lies in its hash with what the scripts of this program write.
func (d *doctor) checkSchema(check, text string) {
	there, err := strconv.Atoi(text)
	switch {
	case text == "": // gone meanwhile
	case err != nil:
		d.say(problem, check, "its schema is "+strconv.Quote(text), "see what else writes under this prefix; UNLINK the key, and replicas bring back what they know")
	case there > limits.Schema:
		d.say(problem, check, fmt.Sprintf("schema %d, newer than this program's %d", there, limits.Schema), "upgrade this program, and each replica that is older")
	case there < limits.Schema:
		d.say(note, check, fmt.Sprintf("schema %d, older than this program's %d", there, limits.Schema), "wait: the next report brings it up to date")
	}
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
	var silent, conflict []string
	own := 0
	for _, r := range roster {
		if r.Seen > silence {
			silent = append(silent, r.Name)
		}
		if r.Conflict {
			conflict = append(conflict, r.Name)
		}
		if r.OwnOpen {
			own++
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
	if text := s.Explain(nil, roster).Own; text != "" && s.State != store.Open {
		d.say(note, check, text, adviceForOwn(own, len(roster)))
	}
}

// adviceForOwn says what to do about replicas whose own verdict is open.
func adviceForOwn(open, all int) string {
	switch {
	case open == all:
		return "see to the tier: it fails for all of them, which the fleet has not judged yet, such as after an outage of the store. Each closes by its own probes"
	case open == 1:
		return "see what this replica has that the others have not: its node, its network, its DNS, its secrets, its version"
	default:
		return fmt.Sprintf("see what these have in common and the other %d have not: node, zone, network, DNS, secrets, version", all-open)
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
