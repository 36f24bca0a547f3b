package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// poisoner is a client with the rights of a replica, and none of its manners.
type poisoner struct {
	*harness
	store   store.Store
	refused int // with ErrInvalid
	taken   int // that should have been
	lives   int // times that the breakers were found to work
}

func (p *poisoner) report(change func(*store.Report)) store.Result {
	r := store.Report{Name: p.names[0], Policy: lively, Replica: "evil#1", Seq: 1, MaxAge: time.Second}
	change(&r)
	return p.store.Sync(p.t.Context(), []store.Report{r})[0]
}

// refuse wants a request to be refused.
func (p *poisoner) refuse(what string, err error) {
	if errors.Is(err, store.ErrInvalid) {
		p.refused++
		return
	}
	p.taken++
	p.t.Logf("%s: %v; want it refused", what, err)
}

// alive wants the breaker to open, to half-open and to close as ever, by the outcomes of the fleet alone.
func (p *poisoner) alive() {
	p.t.Helper()
	p.swing(1)
	p.converge()
	p.lives++
}

func (p *poisoner) numbers() {
	far := uint64(time.Now().Add(48 * time.Hour).UnixMilli())
	for _, n := range []uint64{store.MaxNumber, store.MaxNumber + 1, 1<<64 - 1, far} {
		open := store.Known{Generation: n, State: store.Open, Reason: store.ByOperator, Cause: "evil", RetryIn: time.Hour}
		p.refuse("a generation far ahead", p.report(func(r *store.Report) { r.Known = open }).Err)
		p.refuse("a rev far ahead", p.report(func(r *store.Report) { r.Known = store.Known{Rev: n} }).Err)
		_, err := p.store.Claim(p.t.Context(), store.Claim{Name: p.names[0], ID: "1", Policy: lively, Replica: "evil#1", Want: 1, Known: open})
		p.refuse("a claim's generation far ahead", err)
	}
	p.refuse("a seq above 2^53", p.report(func(r *store.Report) { r.Seq = store.MaxNumber + 1 }).Err)
	if r := p.report(func(r *store.Report) { r.Seq = store.MaxNumber }); r.Err != nil {
		p.t.Errorf("the last seq of all: %v", r.Err)
	}
	p.report(func(r *store.Report) { r.Seq, r.Rejected = 0, store.MaxNumber })
}

func (p *poisoner) outcomes() {
	runs := func(n, count int, o store.Outcome) func(*store.Report) {
		return func(r *store.Report) {
			r.Replica, r.Generation = fmt.Sprintf("evil#%d-%d-%d", n, count, o), p.generation(r.Name)
			r.Runs = slices.Repeat([]store.Run{{Outcome: o, Count: count, Label: strings.Repeat("l", store.MaxLabel)}}, n)
		}
	}
	p.refuse("a million runs", p.report(runs(1_000_000, 1, store.Success)).Err)
	p.refuse("too many outcomes of a run", p.report(runs(1, store.MaxCount+1, store.Success)).Err)
	p.refuse("too many adverse outcomes", p.report(runs(2, store.MaxAdverse, store.Failure)).Err)
	p.refuse("a negative count", p.report(runs(1, -1, store.Success)).Err)
	for _, change := range []func(*store.Report){
		runs(store.MaxRuns, store.MaxCount, store.Success), runs(store.MaxRuns, store.MaxAdverse/store.MaxRuns, store.Failure),
		runs(1, store.MaxAdverse, store.Failure), runs(store.MaxRuns, store.MaxCount, store.Ignored),
	} {
		if r := p.report(change); r.Err != nil {
			p.t.Errorf("the most that is allowed: %v", r.Err)
		}
	}
}

// leases answers to leases that others hold, by name and by guess, and takes all that there are.
func (p *poisoner) leases() (stolen int) {
	name := p.names[1]
	p.rest()
	defer p.work()
	long := lively
	long.ProbeLease = time.Hour
	p.command(store.Command{Name: name, Action: store.Retune, Policy: long})
	p.command(store.Command{Name: name, Action: store.Trip, For: time.Millisecond})
	var held store.Grant
	p.eventually("a lease", func() bool {
		var err error
		held, err = p.truth.Claim(p.t.Context(), store.Claim{Name: name, ID: "honest", Policy: lively, Replica: "honest#1", Want: 1})
		return err == nil && len(held.Leases) > 0
	})
	for _, lease := range []store.Lease{held.Leases[0], {Name: name, ID: "1.1", Generation: held.Leases[0].Generation}, {Name: name}} {
		for range 5 {
			_, err := p.store.Settle(p.t.Context(), store.Settlement{Lease: lease, Replica: "evil#1", Outcome: store.Failure, Label: "evil"})
			if err != nil && !errors.Is(err, store.ErrInvalid) {
				p.t.Errorf("settling %+v: %v", lease, err)
			}
		}
	}
	if s := p.read(name); s.State != store.HalfOpen || s.Probing != 1 {
		stolen++
	}
	grant, err := p.store.Claim(p.t.Context(), store.Claim{Name: name, ID: "evil", Policy: lively, Replica: "evil#1", Want: 1_000_000})
	if err != nil || len(grant.Leases) > lively.Probes-1 {
		stolen++
	}
	for replica, leases := range map[string][]store.Lease{"honest#1": held.Leases, "evil#1": grant.Leases} {
		for _, lease := range leases {
			if _, err := p.store.Settle(p.t.Context(), store.Settlement{Lease: lease, Replica: replica, Outcome: store.Ignored}); err != nil {
				p.t.Error(err)
			}
		}
	}
	p.command(store.Command{Name: name, Action: store.Restore})
	return stolen
}

// longest is the longest script of replicas whose name begins so, since the last RESET of the slow log.
func (h *harness) longest(replica string) (most time.Duration) {
	h.t.Helper()
	entries, err := h.redis.SlowLogGet(h.t.Context(), -1).Result()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		if len(e.Args) > 7 && (strings.HasPrefix(e.Args[6], replica) || strings.HasPrefix(e.Args[7], replica)) {
			most = max(most, e.Duration)
		}
	}
	return most
}

// A client with the rights of the fleet sends what no replica would.
func TestScenario26PoisonByAReplica(t *testing.T) {
	scenario := scoreboard.Start(t, 26, "poison by a replica")
	server := redistest.Start(t, "--slowlog-log-slower-than", "200", "--slowlog-max-len", "100000")
	h := newHarness(t, scenario, plan{server: server, replicas: 3, names: names(2), policy: lively})
	h.load(5 * time.Millisecond)
	p := &poisoner{harness: h, store: open(t, server.URL())}
	p.alive()
	p.numbers()
	p.alive()
	p.outcomes()
	h.eventually("the poisoned trip is over", func() bool { return h.read(h.names[0]).State == store.Closed })
	p.alive()
	stolen := p.leases()
	// It is half-open, and closes at any moment: alive would take that for what a failing tier does, and mend the tier before
	// anything has tripped.
	h.eventually("the leases that were taken have ended", func() bool { return h.read(h.names[1]).State == store.Closed })
	p.alive()

	evil := lively
	evil.ConsecutiveFailures, evil.Observe = 1_000_000, true
	p.report(func(r *store.Report) { r.Replica, r.Policy, r.Announce = "evil#2", evil, true })
	h.eventually("the other policy is shown as a conflict", func() bool {
		for _, r := range h.fleet {
			if r.Count(ofKind(breaker.PolicyConflict)) > 0 {
				return true
			}
		}
		return false
	})
	h.reach(h.command(store.Command{Name: h.names[0], Action: store.Retune, Policy: lively, Why: "poisoned"}))
	p.alive()

	// A generation that is ahead by less than a day is believed: it may be what a lost store had said.
	ahead := uint64(time.Now().Add(23 * time.Hour).UnixMilli())
	p.report(func(r *store.Report) {
		r.Replica = "evil#3"
		r.Known = store.Known{Generation: ahead, State: store.Open, Reason: store.ByOperator, Cause: "evil", RetryIn: 24 * time.Hour}
	})
	h.reach(h.command(store.Command{Name: h.names[0], Action: store.Reset}))
	p.alive()

	scenario.AtLeast("requests refused with a reason", p.refused, 15)
	scenario.Zero("requests taken that should have been refused", p.taken)
	scenario.Zero("leases of others settled, or too many granted", stolen)
	scenario.Report("times that both breakers tripped and closed as ever after poison", p.lives)
	scenario.Within("longest script", h.longest("evil"), 10*time.Millisecond)
	h.fill(p)
	h.promised()
}

// fill makes a breaker as large as it gets, by what its fields hold and by the names of replicas.
func (h *harness) fill(p *poisoner) {
	h.t.Helper()
	const name = "large"
	wide := store.Policy{WindowCalls: 10_000, ConsecutiveFailures: 1_000_000}
	text := strings.Repeat("n", store.MaxName)
	report := func(replica string, runs []store.Run) {
		r := p.store.Sync(h.t.Context(), []store.Report{{Name: name, Policy: wide, Replica: replica, Seq: 1, MaxAge: time.Hour, Generation: h.generation(name), Runs: runs}})[0]
		if r.Err != nil {
			h.t.Fatal(r.Err)
		}
	}
	for i := range 50 {
		runs := make([]store.Run, 200)
		for k := range runs {
			runs[k] = store.Run{Outcome: store.Failure, Count: 1, Label: fmt.Sprintf("%0*d", store.MaxLabel, k)}
		}
		report(fmt.Sprintf("%0*d", store.MaxName, i%16), runs)
		h.command(store.Command{Name: name, Action: store.Trip, By: text, Why: text})
	}
	bytes := func() int {
		n, err := h.redis.MemoryUsage(h.t.Context(), key(name), 0).Result()
		if err != nil {
			h.t.Fatal(err)
		}
		return int(n)
	}
	scenario := h.scenario
	scenario.AtMost("bytes of a breaker with the longest texts everywhere", bytes(), 256<<10)
	flood := scoreboard.Pick(scenario, 1000, 20_000)
	for i := range flood {
		report(fmt.Sprintf("flood-%d", i), nil)
	}
	h.do("slowlog", "reset")
	report("one more", nil)
	scenario.Report("names of replicas in one roster", flood)
	scenario.Report("bytes of a breaker with so many", bytes())
	scenario.Within("longest script with so many", h.longest("one more"), 10*time.Millisecond)
}

func (h *harness) generation(name string) uint64 {
	all, err := h.truth.Read(h.t.Context(), name)
	if err != nil || len(all) != 1 {
		return 0
	}
	return all[0].Generation
}
