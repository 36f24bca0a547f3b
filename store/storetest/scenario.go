package storetest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/commontrip/commontrip/store"
)

// verbs are the part of store.Store that a scenario speaks to; the pure machine has them too.
type verbs interface {
	Sync(ctx context.Context, reports []store.Report) []store.Result
	Claim(ctx context.Context, c store.Claim) (store.Grant, error)
	Settle(ctx context.Context, s store.Settlement) (store.Result, error)
	Command(ctx context.Context, c store.Command) (store.Result, error)
	Read(ctx context.Context, names ...string) ([]store.Snapshot, error)
	Versions(ctx context.Context, names ...string) ([]store.Version, error)
	Roster(ctx context.Context, name string) ([]store.Replica, error)
	History(ctx context.Context, name string, limit int) ([]store.Transition, error)
	Remove(ctx context.Context, name string) error
}

// stage is where a scenario is played: one breaker of one store, and what the scenario's replicas hold. Its language is
// described in testdata/README.md.
type stage struct {
	store  verbs
	clock  *clock
	name   string
	wipe   func()
	policy store.Policy
	last   map[string]store.Report  // by replica: its last report
	seen   map[string]sighting      // by replica: what it saw last
	claims map[string]store.Claim   // by ID
	leases map[string][]store.Lease // by the claim's ID: every lease it ever got, in order of appearance
}

// sighting is a snapshot and when it was seen.
type sighting struct {
	store.Snapshot
	at time.Duration
}

func newStage(s verbs, c *clock, name string, wipe func()) *stage {
	return &stage{
		store: s, clock: c, name: name, wipe: wipe, policy: store.DefaultPolicy(),
		last: map[string]store.Report{}, seen: map[string]sighting{}, claims: map[string]store.Claim{}, leases: map[string][]store.Lease{},
	}
}

// badLine is a line that is not of the language, as distinct from one that a store refuses.
type badLine struct{ reason string }

func (b badLine) Error() string { return b.reason }

// play runs one line and gives the store's answer, a text of zero or more lines. An error is about the line.
func (g *stage) play(line string) (answer string, err error) {
	defer func() {
		if r := recover(); r != nil {
			bad, ok := r.(badLine)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%q: %w", line, bad)
		}
	}()
	words := strings.Fields(line)
	verb, args := words[0], words[1:]
	act, known := map[string]func([]string) string{
		"policy": g.setPolicy, "wait": g.wait, "back": g.back, "wipe": g.forget, "report": g.report, "claim": g.claim,
		"settle": g.settle, "command": g.command, "remove": g.remove, "read": g.read, "roster": g.roster, "history": g.history,
	}[verb]
	if !known {
		panic(badLine{"unknown verb"})
	}
	return act(args), nil
}

func (g *stage) setPolicy(args []string) string {
	g.policy = parsePolicy(args)
	return ""
}

func (g *stage) wait(args []string) string {
	g.clock.step(parseDuration(one(args)))
	return ""
}

func (g *stage) back(args []string) string {
	g.clock.step(-parseDuration(one(args)))
	return ""
}

func (g *stage) forget([]string) string {
	g.wipe()
	return ""
}

var runSyntax = regexp.MustCompile(`^(ok|slow|fail|slow-fail|ignored|slow-ignored)(?:\*(\d+))?(?:@([^:]+))?(?::(.*))?$`)

func parseRun(word string) (store.Run, bool) {
	parts := runSyntax.FindStringSubmatch(word)
	if parts == nil {
		return store.Run{}, false
	}
	r := store.Run{Outcome: store.Success, Count: 1, Label: parts[4]}
	switch parts[1] {
	case "fail", "slow-fail":
		r.Outcome = store.Failure
	case "ignored", "slow-ignored":
		r.Outcome = store.Ignored
	}
	r.Slow = strings.HasPrefix(parts[1], "slow")
	if parts[2] != "" {
		r.Count = int(parseInt(parts[2]))
	}
	if parts[3] != "" {
		r.Age = parseDuration(parts[3])
	}
	return r, true
}

func (g *stage) report(args []string) string {
	replica, args := first(args)
	r := store.Report{
		Name: g.name, Policy: g.policy, Replica: replica, Seq: g.last[replica].Seq + 1, Generation: g.seen[replica].Generation,
		MaxAge: maxAge,
	}
	for _, word := range args {
		if run, ok := parseRun(word); ok {
			r.Runs = append(r.Runs, run)
			continue
		}
		key, value := option(word)
		switch key {
		case "again":
			r = g.last[replica]
		case "announce":
			r.Announce = true
		case "own-open":
			r.OwnOpen = true
		case "seq":
			r.Seq = parseNumber(value)
		case "gen":
			r.Generation = parseNumber(value)
		case "max-age":
			r.MaxAge = parseDuration(value)
		case "late":
			r.SentAt = g.clock.Now().Add(-parseDuration(value))
		case "rejected":
			r.Rejected = parseNumber(value)
		case "knows":
			r.Known = g.known(replica, value)
		default:
			panic(badLine{"unknown word " + word})
		}
	}
	result := g.store.Sync(context.Background(), []store.Report{r})[0]
	if result.Err != nil {
		return refusalText(result.Err)
	}
	g.last[replica] = r
	g.see(replica, result.Snapshot)
	return g.resultText(result)
}

func (g *stage) claim(args []string) string {
	replica, args := first(args)
	id, args := first(args)
	c := store.Claim{Name: g.name, ID: id, Policy: g.policy, Replica: replica, Want: 1}
	for _, word := range args {
		key, value := option(word)
		switch key {
		case "want":
			c.Want = int(parseInt(value))
		case "knows":
			c.Known = g.known(replica, value)
		default:
			panic(badLine{"unknown word " + word})
		}
	}
	grant, err := g.store.Claim(context.Background(), c)
	if err != nil {
		return refusalText(err)
	}
	g.see(replica, grant.Snapshot)
	for _, l := range grant.Leases {
		if !g.holds(id, l.ID) {
			g.leases[id] = append(g.leases[id], l)
		}
	}
	return g.grantText(grant)
}

func (g *stage) holds(claim, lease string) bool {
	for _, l := range g.leases[claim] {
		if l.ID == lease {
			return true
		}
	}
	return false
}

func (g *stage) settle(args []string) string {
	replica, args := first(args)
	which, args := first(args)
	how, args := first(args)
	r, ok := parseRun(how)
	if !ok {
		panic(badLine{"no outcome: " + how})
	}
	s := store.Settlement{Lease: g.lease(which), Replica: replica, Outcome: r.Outcome, Slow: r.Slow, Label: r.Label}
	for _, word := range args {
		key, value := option(word)
		if key != "gen" {
			panic(badLine{"unknown word " + word})
		}
		s.Lease.Generation = parseNumber(value)
	}
	result, err := g.store.Settle(context.Background(), s)
	if err != nil {
		return refusalText(err)
	}
	g.see(replica, result.Snapshot)
	return g.resultText(result)
}

// lease finds "claim/1", the second lease that a claim got; one that it did not get is a lease that nobody holds.
func (g *stage) lease(which string) store.Lease {
	id, index, ok := strings.Cut(which, "/")
	if !ok {
		panic(badLine{"want a lease as claim/0"})
	}
	if i := int(parseInt(index)); i < len(g.leases[id]) {
		return g.leases[id][i]
	}
	return store.Lease{Name: g.name, ID: "nobody's"}
}

func (g *stage) command(args []string) string {
	action, args := first(args)
	c := store.Command{Name: g.name, By: oncall}
	if err := c.Action.UnmarshalText([]byte(action)); err != nil {
		panic(badLine{err.Error()})
	}
	var policy []string
	for _, word := range args {
		key, value := option(word)
		switch key {
		case "for":
			c.For = parseDuration(value)
		case "by":
			c.By = value
		case "why":
			c.Why = value
		case "knows":
			c.Known = g.known(cutKnower(value))
		default:
			policy = append(policy, word)
		}
	}
	if c.Action == store.Retune {
		c.Policy = parsePolicy(policy)
	} else if len(policy) > 0 {
		panic(badLine{"unknown word " + policy[0]})
	}
	result, err := g.store.Command(context.Background(), c)
	if err != nil {
		return refusalText(err)
	}
	return g.resultText(result)
}

// cutKnower parts the replica whose knowledge a command carries from what is changed of it: "a" or "a,rev=+7".
func cutKnower(value string) (replica, changes string) {
	replica, changes, _ = strings.Cut(value, ",")
	return replica, changes
}

func (g *stage) remove([]string) string {
	if err := g.store.Remove(context.Background(), g.name); err != nil {
		return refusalText(err)
	}
	return ""
}

func (g *stage) read([]string) string {
	ctx := context.Background()
	snapshots, err := g.store.Read(ctx, g.name)
	versions, err2 := g.store.Versions(ctx, g.name)
	if err := errors.Join(err, err2); err != nil {
		return refusalText(err)
	}
	if len(snapshots) == 0 && len(versions) == 0 {
		return "nothing"
	}
	if len(snapshots) != 1 || len(versions) != 1 || versions[0] != (store.Version{Name: g.name, Generation: snapshots[0].Generation, Rev: snapshots[0].Rev}) {
		return fmt.Sprintf("%d snapshots, versions %+v", len(snapshots), versions)
	}
	return g.snapshotText(snapshots[0])
}

func (g *stage) roster([]string) string {
	roster, err := g.store.Roster(context.Background(), g.name)
	if err != nil {
		return refusalText(err)
	}
	return rosterText(roster)
}

func (g *stage) history(args []string) string {
	limit := 0
	if len(args) > 0 {
		limit = int(parseInt(one(args)))
	}
	history, err := g.store.History(context.Background(), g.name, limit)
	if err != nil {
		return refusalText(err)
	}
	lines := make([]string, len(history))
	for i, e := range history {
		lines[i] = g.transitionText(e)
	}
	return strings.Join(lines, "\n")
}

func (g *stage) see(replica string, s store.Snapshot) {
	g.seen[replica] = sighting{s, g.clock.since()}
}

// known is what a replica holds: what it saw last, less the time it held it, then changed as value says.
func (g *stage) known(replica, value string) store.Known {
	s := g.seen[replica]
	held := max(g.clock.since()-s.at, 0)
	k := knownFrom(s.Snapshot)
	k.RetryIn = max(k.RetryIn-held, 0)
	k.ModeNote.EndsIn = max(k.ModeNote.EndsIn-held, 0)
	k.PolicyNote.EndsIn = max(k.PolicyNote.EndsIn-held, 0)
	if value == "" {
		return k
	}
	for _, word := range strings.Split(value, ",") {
		change(&k, word)
	}
	return k
}

func change(k *store.Known, word string) {
	key, value := option(word)
	timed := func() store.Note {
		n := store.Note{By: "someone", At: start}
		if value != "standing" {
			n.Timed, n.EndsIn = true, parseDuration(value)
		}
		return n
	}
	switch key {
	case "gen":
		k.Generation = parseNumber(value)
	case "rev":
		k.Rev = parseNumber(value)
	case "closed", "open", "half-open":
		_ = k.State.UnmarshalText([]byte(key))
	case "retry":
		k.RetryIn = parseDuration(value)
	case "openings":
		k.Openings = int(parseInt(value))
	case "auto":
		k.Mode, k.ModeNote = store.Auto, store.Note{}
	case "forced-open", "forced-closed":
		_ = k.Mode.UnmarshalText([]byte(key))
		k.ModeNote = timed()
	case "retuned":
		k.Retuned, k.Policy, k.PolicyNote = true, another, timed()
	default:
		panic(badLine{"unknown word " + word})
	}
}

func first(args []string) (string, []string) {
	if len(args) == 0 {
		panic(badLine{"a word is missing"})
	}
	return args[0], args[1:]
}

func one(args []string) string {
	if len(args) != 1 {
		panic(badLine{"want one word more"})
	}
	return args[0]
}

func option(word string) (key, value string) {
	key, value, _ = strings.Cut(word, "=")
	return key, value
}

func parseInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(badLine{err.Error()})
	}
	return n
}

func parseDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(badLine{err.Error()})
	}
	return d
}

// parseNumber reads a generation, rev or seq: "+5" is 5 ms after the scenario's start, what has no sign is the number itself.
func parseNumber(s string) uint64 {
	n := parseInt(strings.TrimPrefix(s, "+"))
	if strings.HasPrefix(s, "+") {
		n += start.UnixMilli()
	}
	return uint64(n)
}
