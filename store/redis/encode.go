package redisstore

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/scripts/lua"
	"github.com/commontrip/commontrip/store"
)

// This file writes what the scripts read, from normalized requests. Scripts see integers: milliseconds, and rates in
// limits.RateUnit.

// syncCall is the script of a report.
func (s *Store) syncCall(r store.Report) *call {
	gen, rev, details := encodeKnown(r.Known)
	return request(lua.Sync, s.keys.breaker(r.Name),
		s.now(), s.keys.events(), encodePolicy(r.Policy), r.Replica, gen, rev, details, flag(r.Announce), r.Seq,
		r.Generation, ms(r.MaxAge), r.Rejected, flag(r.OwnOpen), encodeRuns(r.Runs), sentAt(r),
	)
}

// sentAt is a report's SentAt as scripts read it, 0 if it says none.
func sentAt(r store.Report) int64 {
	if r.SentAt.IsZero() {
		return 0
	}
	return r.SentAt.UnixMilli()
}

// claimCall is the script of a claim.
func (s *Store) claimCall(c store.Claim) *call {
	gen, rev, details := encodeKnown(c.Known)
	return request(lua.Claim, s.keys.breaker(c.Name),
		s.now(), s.keys.events(), encodePolicy(c.Policy), c.Replica, gen, rev, details, c.ID, c.Want, s.spread(),
	)
}

// settleCall is the script of a settlement.
func (s *Store) settleCall(t store.Settlement) *call {
	return request(lua.Settle, s.keys.breaker(t.Lease.Name),
		s.now(), s.keys.events(), t.Replica, t.Lease.ID, t.Lease.Generation, int(t.Outcome), flag(t.Slow), t.Label,
	)
}

// commandCall is the script of an operator's command.
func (s *Store) commandCall(c store.Command) *call {
	policy := ""
	if c.Action == store.Retune {
		policy = encodePolicy(c.Policy)
	}
	gen, rev, details := encodeKnown(c.Known)
	return request(lua.Command, s.keys.breaker(c.Name),
		s.now(), s.keys.events(), int(c.Action), policy, ms(c.For), c.By, c.Why, gen, rev, details,
	)
}

// removeCall is the script of a removal.
func (s *Store) removeCall(name string) *call {
	return request(lua.Remove, s.keys.breaker(name), s.now())
}

// request is the call of a script that changes a breaker. Its reply must bring back its token, which no other request has.
func request(script *lua.Script, key string, args ...any) *call {
	token := strconv.FormatUint(rand.Uint64(), 36)
	return &call{script: script, key: key, args: append(args, token), token: token}
}

// now is the script's clock argument: empty for the server's own.
func (s *Store) now() string {
	if s.clock == nil {
		return ""
	}
	return strconv.FormatInt(max(s.clock().UnixMilli(), 0), 10)
}

// ms is a duration in ms, as scripts read it.
func ms(d time.Duration) int64 { return d.Milliseconds() }

// flag is 0 or 1, as scripts read it.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// join writes integers with one blank between them.
func join(b []byte, numbers ...int64) []byte {
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return b
}

// rate is a rate as scripts read it, in limits.RateUnit.
func rate(r float64) int64 { return int64(r*limits.RateUnit + 0.5) }

// encodePolicy writes the 16 integers of a policy (scripts/lua/policy.lua).
func encodePolicy(p store.Policy) string {
	return string(join(make([]byte, 0, 80), int64(p.WindowCalls), ms(p.WindowTime), int64(p.ConsecutiveFailures),
		ms(p.ConsecutiveFor), rate(p.FailureRate), rate(p.SlowCallRate), ms(p.SlowCallAfter), int64(p.MinCalls),
		int64(p.Reporters), ms(p.OpenFor), ms(p.OpenForMax), int64(p.Probes), int64(p.ProbeSuccesses), ms(p.ProbeLease),
		ms(p.RampUp), int64(flag(p.Observe))))
}

// encodeKnown writes what a replica knows of a breaker (scripts/lua/repair.lua).
func encodeKnown(k store.Known) (gen, rev uint64, details string) {
	if k.Generation == 0 && k.Rev == 0 {
		return 0, 0, ""
	}
	policy := ""
	if k.Retuned {
		policy = encodePolicy(k.Policy)
	}
	numbers := join(nil, int64(k.State), ms(k.RetryIn), int64(k.Openings), int64(k.Mode), noteAt(k.ModeNote),
		noteLeft(k.ModeNote), int64(flag(k.Retuned)), noteAt(k.PolicyNote), noteLeft(k.PolicyNote))
	return k.Generation, k.Rev, strings.Join([]string{
		string(numbers), string(k.Reason), k.Cause, k.ModeNote.By, k.ModeNote.Why, k.PolicyNote.By, k.PolicyNote.Why, policy,
	}, "\n")
}

// noteAt is when a command was given, in ms since 1970.
func noteAt(n store.Note) int64 {
	return max(n.At.UnixMilli(), 0)
}

// noteLeft is what is left of a command in ms, -1 for a command without an end.
func noteLeft(n store.Note) int64 {
	if !n.Timed {
		return -1
	}
	return ms(n.EndsIn)
}

// encodeRuns writes a line a run: kind, count, age, label.
func encodeRuns(runs []store.Run) string {
	var b []byte
	for _, r := range runs {
		b = append(b, runKind(r))
		b = join(b, int64(r.Count), ms(r.Age))
		b = append(b, ' ')
		b = append(b, r.Label...)
		b = append(b, '\n')
	}
	return string(b)
}

// runKind is the character of a run's outcome (scripts/lua/sync.lua).
func runKind(r store.Run) byte {
	switch {
	case r.Outcome == store.Ignored && r.Slow:
		return '5'
	case r.Outcome == store.Ignored:
		return '4'
	case r.Outcome == store.Failure && r.Slow:
		return '3'
	case r.Outcome == store.Failure:
		return '1'
	case r.Slow:
		return '2'
	default:
		return '0'
	}
}
