package main

var inMachine = []change{
	{"a report sent again counts", "sync.go", `again := r.Seq <= m.roster.seq(sliceOf(req.at), r.Replica)`, `again := false`, "3.01"},
	{"the last report sent again counts", "sync.go", `again := r.Seq <= m.roster`, `again := r.Seq < m.roster`, "3.01"},
	{"numbers do not begin at the time", "time.go", `return max(number+1, uint64(at))`, `return number + 1`, "2.05"},
	{"a Known from beyond tomorrow is taken", "repair.go", `limit := uint64(req.at) + limits.Day`, `limit := uint64(req.at) + 365*limits.Day`, "4.16"},
	{"machine time goes back", "time.go", `at := max(m.at, now+m.off)`, `at := now + m.off`, "1.03"},
	{"a step back is not carried on", "time.go", `return moment{at: at, off: at - now}`, `return moment{at: at, off: m.off}`, "1.03"},

	{"a success is judged", "outcomes.go", `case run.Outcome == store.Success && !run.Slow:`, `case run.Outcome == store.Success && run.Count < 0:`, "8.13"},
	{"outcomes of another generation count", "outcomes.go", `case r.Generation != m.generation || run.Age > r.MaxAge:`, `case run.Age > r.MaxAge:`, "6.02"},
	{"an outcome as old as MaxAge is late", "outcomes.go", `run.Age > r.MaxAge:`, `run.Age >= r.MaxAge:`, "6.03"},
	{"an ignored outcome breaks a streak", "outcomes.go", `case run.Outcome == store.Ignored || m.mode != store.Auto: // they go to the totals only`, "case run.Outcome == store.Ignored:\n\t\t\tm.currentWindow().endStreak()\n\t\tcase m.mode != store.Auto:", "6.06"},
	{"a forced closed breaker is judged", "outcomes.go", `store.Ignored || m.mode != store.Auto:`, `store.Ignored || m.mode == store.ForcedOpen:`, "13.04"},
	{"an open breaker is judged", "outcomes.go", `if m.state != store.Closed {`, `if m.state == store.HalfOpen {`, "6.08"},
	{"outcomes after the tripping one count", "outcomes.go", `add(&m.counters().Late, uint64(late))`, `add(&m.counters().Calls, uint64(late))`, "6.07"},

	{"a rate must be above its threshold", "judge.go", `n*limits.RateUnit >= int64(rate)*calls`, `n*limits.RateUnit > int64(rate)*calls`, "8.08"},
	{"a streak must be longer than its length", "judge.go", `w.streak >= int(p.consecutiveFailures)`, `w.streak > int(p.consecutiveFailures)`, "8.01"},
	{"a streak need not last", "judge.go", `req.at-w.streakFrom >= int64(p.consecutiveFor)`, `req.at >= w.streakFrom`, "8.03"},
	{"rates wait for no calls", "judge.go", `if t.calls < int64(p.minCalls) {`, `if t.calls < 1 {`, "8.11"},
	{"one sick replica trips the fleet", "judge.go", `quorum := min(int(p.reporters), m.roster.reporting(sliceOf(req.at)))`, `quorum := 1`, "9.01"},
	{"a lone replica is no quorum", "judge.go", `quorum := min(int(p.reporters), m.roster.reporting(sliceOf(req.at)))`, `quorum := int(p.reporters)`, "9.02"},
	{"who calls in both slices counts twice", "roster.go", `return int(a.now + a.last - a.both)`, `return int(a.now + a.last)`, "9.06"},
	{"a window of time holds eleven buckets", "buckets.go", `slot.index > head-limits.Buckets && slot.index <= head`, `slot.index >= head-limits.Buckets && slot.index <= head`, "7.01"},
	{"a witness moves back", "witnesses.go", `if known.place.before(p) {`, `if known.place != p {`, "9.15"},

	{"a transition keeps the window", "transition.go", "\tm.emptyWindow()\n}", "}", "6.10"},
	{"the open time does not double", "transition.go", `int64(p.openFor)<<min(n, limits.MaxDoublings)`, `int64(p.openFor)`, "10.05"},
	{"the backoff is forgotten at the close", "transition.go", `if m.state == store.Closed && at-m.since >= int64(m.policyInForce().openFor) {`, `if m.state == store.Closed {`, "10.07"},
	{"the chain of generations breaks", "transition.go", `Prev: m.generation,`, `Prev: m.generation - 1,`, "10.09"},

	{"a lease does not end", "probes.go", `return at >= l.end })`, `return at < 0 })`, "11.11"},
	{"a place too many", "claim.go", `free := int(m.policyInForce().places) - len(p.leases)`, `free := int(m.policyInForce().places) + 1 - len(p.leases)`, "11.03"},
	{"a claim sent twice gets twice", "claim.go", `if same := p.claimed(req, c.ID); len(same) > 0 {`, `if same := p.claimed(req, c.ID); len(same) > 1000 {`, "11.05"},
	{"a ban bans nobody", "claim.go", `failed != nil && req.at < failed.ban {`, `failed != nil && req.at < failed.first {`, "12.19"},
	{"an open breaker leases a moment late", "claim.go", `req.at >= m.until {`, `req.at > m.until {`, "11.02"},
	{"anybody settles a lease", "settle.go", `if l.replica != req.from {`, `if l.replica == "" {`, "12.08"},
	{"a probe of an older round decides", "settle.go", `return l, l.generation == m.generation && set.Lease.Generation == m.generation`, `return l, true`, "12.11"},
	{"a settlement for another generation decides", "settle.go", `l.generation == m.generation && set.Lease.Generation == m.generation`, `l.generation == m.generation`, "12.12"},
	{"one more success than asked for closes", "settle.go", `m.probes.successes >= int(m.policyInForce().probeSuccesses)`, `m.probes.successes > int(m.policyInForce().probeSuccesses)`, "12.01"},
	{"one replica's failed probe reopens a fleet", "settle.go", `if again || len(p.failed) >= int(policy.reporters) {`, `if again || policy.reporters > 0 {`, "12.19"},
	{"who fails again does not reopen", "settle.go", `if again || len(p.failed) >= int(policy.reporters) {`, `if again && l.granted == 0 || len(p.failed) >= int(policy.reporters) {`, "12.20"},

	{"a lower generation is adopted", "repair.go", `if k.Generation > m.generation {`, `if k.Generation != 0 && k.Generation != m.generation {`, "4.02"},
	{"an adopted open time is as long as they say", "repair.go", `min(millis(k.RetryIn), millis(store.MaxFor))`, `millis(k.RetryIn)`, "4.04"},
	{"a known half-open stays half-open", "repair.go", `if k.State == store.HalfOpen {`, `if k.State == store.HalfOpen && k.Rev == 7 {`, "4.06"},
	{"adopting a generation keeps its predecessor's leases", "repair.go", `m.probes.leases = nil`, `m.probes.successes = 0`, "4.20"},
	{"lifting a force admits a herd", "transition.go", `state = store.HalfOpen`, `state = store.Closed`, "13.05"},
	{"a timed force ends a moment late", "overrides.go", `n.timed && at >= n.ends`, `n.timed && at > n.ends`, "14.01"},
	{"a trip while open is a step of backoff", "command.go", `length := m.openPeriod(max(m.openings-1, 0))`, `length := m.openPeriod(m.openings)`, "13.10"},
	{"a removed name keeps its generation", "remove.go", `generation: nextNumber(m.generation, req.at), rev:`, `generation: m.generation, rev:`, "15.12"},
	{"a sign of life brings a removed name back", "sync.go", `active := !again && len(r.Runs) > 0`, `active := !again`, "15.02"},
}

var atMachine []mark
