package redisstore

import (
	"sort"
	"strings"
	"time"

	"github.com/commontrip/commontrip/internal/limits"
	"github.com/commontrip/commontrip/store"
)

// snapshotFieldNames are the fields of which a snapshot is made, in the order in which scripts and pushes carry them; see
// scripts/lua/save.lua.
var snapshotFieldNames = [...]string{
	"generation", "rev", "clock", "state", "cause", "mode", "policy", "retuned", "totals", "tally", "labels", "leases",
	"roster", "tomb",
}

const (
	// maxAhead is how many ms a number may be ahead of machine time: what a replica knew may have been 24 h ahead, and each
	// step since adds one. A replica that took over a number beyond could never bring it back to a store that lost it.
	maxAhead = limits.Day + limits.Hour
)

// snapshotFields are those fields, read as far as everything else hangs on them, at m, the machine time of the script or
// the read.
type snapshotFields struct {
	generation, rev, cause, mode, policy, retuned, totals, tally, labels, leases, roster string
	m, off                                                                               int64
	state                                                                                []int64 // state since until openings successes
	tombstone                                                                            bool    // nothing but numbers
	hidden                                                                               bool    // not shown by reads
}

// snapshotFields reads the fields on which everything else hangs. now is the store's clock in ms; below 0 it is the clock
// of the script that wrote them.
func (d *decoder) snapshotFields(fields []string, now int64) snapshotFields {
	f := snapshotFields{
		generation: fields[0], rev: fields[1], cause: fields[4], mode: fields[5], policy: fields[6], retuned: fields[7],
		totals: fields[8], tally: fields[9], labels: fields[10], leases: fields[11], roster: fields[12],
	}
	clock := d.numbers("clock", fields[2], 3, 1)
	if now < 0 {
		now = clock[0] - clock[1]
	}
	f.m = max(clock[0], now+clock[1])
	f.off = f.m - now
	d.within("generation", d.numbers("generation", f.generation, 1)[0], 0, f.m+maxAhead)
	d.within("rev", d.numbers("rev", f.rev, 1)[0], 0, f.m+maxAhead)
	f.state = d.numbers("state", fields[3], 5)
	d.within("state", f.state[0], 0, int64(store.HalfOpen))
	d.within("since", f.state[1], 0, f.m)
	d.within("openings", f.state[3], 0, store.MaxOpening)
	if fields[13] != "" {
		tomb := d.numbers("tomb", fields[13], 4)
		f.hidden, f.tombstone = true, d.within("tomb", tomb[0], 1, 2) == 1
	}
	return f
}

// snapshot is what f shows. policy stands in for a tombstone's.
func (d *decoder) snapshot(name string, f snapshotFields, policy store.Policy) store.Snapshot {
	s := store.Snapshot{
		Name: name, State: store.State(f.state[0]), Generation: uint64(d.numbers("generation", f.generation, 1)[0]),
		Rev: uint64(d.numbers("rev", f.rev, 1)[0]), Since: moment(f.state[1] - f.off), Age: span(f.m - f.state[1]),
		Policy: policy,
	}
	if f.tombstone {
		return s
	}
	s.Policy = d.policy("policy", f.policy)
	d.commands(&s, f)
	if s.State == store.Open {
		s.RetryIn = min(span(max(f.state[2]-f.m, 0)), store.MaxFor)
	}
	if s.State != store.Closed || s.Age < s.Policy.OpenFor {
		s.Openings = int(f.state[3])
	}
	s.ProbeSuccesses = int(d.within("successes", f.state[4], 0, store.MaxOpening))
	cause := d.lines("cause", f.cause, 2)
	s.Reason, s.Cause = store.Reason(d.optional("reason", cause[0])), d.optional("cause", cause[1])
	t := d.numbers("totals", f.totals, 6)
	s.Totals = store.Totals{
		Calls: uint64(t[0]), Failures: uint64(t[1]), Slow: uint64(t[2]), Ignored: uint64(t[3]), Late: uint64(t[4]),
		Rejected: uint64(t[5]),
	}
	s.Window = d.tally(f.tally, s.Policy, f.m)
	s.Errors = d.labels(f.labels)
	s.Probing = d.live(f.leases, f.m)
	d.replicas(&s, f)
	return s
}

// commands reads what operators left standing.
func (d *decoder) commands(s *store.Snapshot, f snapshotFields) {
	if f.mode != "" {
		lines := d.lines("mode", f.mode, 3)
		n := d.numbers("mode", lines[0], 3)
		if d.within("mode", n[0], 1, maxEnum) <= int64(store.ForcedClosed) { // else it is a newer release's
			s.Mode = store.Mode(n[0])
			s.ModeNote = d.note(f, n[1], n[2], lines[1], lines[2])
		}
	}
	if f.retuned != "" {
		lines := d.lines("retuned", f.retuned, 4)
		n := d.numbers("retuned", lines[0], 2)
		s.Retuned, s.Policy = true, d.policy("retuned", lines[3])
		s.PolicyNote = d.note(f, n[0], n[1], lines[1], lines[2])
	}
}

// note reads what an operator said to a command that stands.
func (d *decoder) note(f snapshotFields, at, end int64, by, why string) store.Note {
	n := store.Note{By: d.optional("by", by), Why: d.optional("why", why), At: moment(at - f.off), Timed: end > 0}
	if n.Timed {
		n.EndsIn = min(span(max(end-f.m, 0)), store.MaxFor)
	}
	return n
}

// tally leaves out the buckets of a window of time that have ended at m.
func (d *decoder) tally(s string, p store.Policy, m int64) store.Tally {
	kind, rest, _ := strings.Cut(s, " ")
	count := strings.Count(rest, " ") + 1
	switch {
	case kind == "c" && count == 6 && p.WindowCalls > 0:
		n := d.numbers("tally", rest, 6)
		return store.Tally{Calls: int(n[3]), Failures: int(n[4]), Slow: int(n[5]), Consecutive: int(n[0])}
	case kind == "t" && (count-3)%4 == 0 && count <= 3+4*limits.Buckets && p.WindowTime > 0:
		signed := make([]int, 0, limits.Buckets)
		for i := 3; i < count; i += 4 {
			signed = append(signed, i)
		}
		n := d.numbers("tally", rest, count, signed...)
		t := store.Tally{Consecutive: int(n[0])}
		now := m * limits.Buckets / ms(p.WindowTime)
		for i := 3; i < count; i += 4 {
			if n[i] > now-limits.Buckets && n[i] <= now {
				t.Calls, t.Failures, t.Slow = t.Calls+int(n[i+1]), t.Failures+int(n[i+2]), t.Slow+int(n[i+3])
			}
		}
		t.Consecutive = min(t.Consecutive, t.Failures) // older ones do not count
		return t
	default:
		d.fail("tally is %.60q; want that of the policy's window", s)
		return store.Tally{}
	}
}

// labels counts the lines of s, an empty one being a failure without a label; their number comes first.
func (d *decoder) labels(s string) []store.ErrorCount {
	if s == "" {
		return nil
	}
	number, lines, _ := strings.Cut(s, "\n")
	if n := d.numbers("labels", number, 1)[0]; n != int64(strings.Count(lines, "\n")) || n > limits.LabelsKept {
		d.fail("labels has the number %.20q", number)
	}
	counts := map[string]int{}
	for line := range strings.SplitSeq(strings.TrimSuffix(lines, "\n"), "\n") {
		if line != "" {
			counts[d.label(line)]++
		}
	}
	return topErrors(counts)
}

// label checks one.
func (d *decoder) label(s string) string {
	if len(s) > store.MaxLabel || store.ValidateName(s) != nil {
		d.fail("label is %.70q", s)
		return ""
	}
	return s
}

// topErrors are the most frequent few, ties by label.
func topErrors(counts map[string]int) []store.ErrorCount {
	if len(counts) == 0 {
		return nil
	}
	out := make([]store.ErrorCount, 0, len(counts))
	for label, n := range counts {
		out = append(out, store.ErrorCount{Label: label, Count: n})
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Count != out[j].Count {
			return out[i].Count > out[j].Count
		}
		return out[i].Label < out[j].Label
	})
	return out[:min(len(out), limits.LabelsShown)]
}

// live counts the leases that have not ended at m.
func (d *decoder) live(s string, m int64) int {
	n := 0
	for s != "" {
		line, rest, _ := strings.Cut(s, "\n")
		words := strings.SplitN(line, " ", 4)
		if len(words) != 4 || strings.Count(words[3], "\t") != 1 {
			d.fail("leases has the line %.60q", line)
			return 0
		}
		if d.numbers("leases", strings.Join(words[:3], " "), 3)[2] > m {
			n++
		}
		s = rest
	}
	return n
}

// replicas counts the replicas that reported in the roster's slice of m or the one before.
func (d *decoder) replicas(s *store.Snapshot, f snapshotFields) {
	if f.roster == "" {
		return
	}
	n := d.numbers("roster", f.roster, 11)
	switch now := f.m / limits.SliceFor; {
	case n[0] == now:
		s.Replicas = int(n[2] + n[3] - n[4])
	case n[0] == now-1:
		s.Replicas = int(n[2])
	}
	s.PolicyConflict = n[10] > 0 && f.m < n[10]-1+limits.ConflictFor
}

// maxEnum is the greatest state, mode or action that is read: the values of newer releases have no name here.
const maxEnum = 255

// transition reads an entry of the history, as f shows it. It passes over what a newer release put behind what is known.
func (d *decoder) transition(name, entry string, off int64) store.Transition {
	lines := d.firstLines("entry", entry, 6)
	n := d.leading("entry", lines[0], 12)
	if d.problem != "" {
		return store.Transition{}
	}
	return store.Transition{
		Name: name, From: store.State(d.within("from", n[0], 0, maxEnum)),
		To:   store.State(d.within("to", n[1], 0, maxEnum)),
		Mode: store.Mode(d.within("mode", n[2], 0, maxEnum)),
		Prev: uint64(n[3]), Generation: uint64(n[4]), Rev: uint64(n[5]),
		Action: store.Action(d.within("action", n[6], 0, maxEnum)), At: moment(n[7] - off),
		Reason: store.Reason(d.optional("reason", lines[1])), Cause: d.optional("cause", lines[2]),
		Why:    d.optional("why", lines[3]),
		Window: store.Tally{Calls: int(n[8]), Failures: int(n[9]), Slow: int(n[10]), Consecutive: int(n[11])},
		Errors: d.errorCounts(lines[4]), Witnesses: d.witnesses(lines[5]),
	}
}

// errorCounts reads the labels of an entry of the history.
func (d *decoder) errorCounts(s string) []store.ErrorCount {
	if s == "" {
		return nil
	}
	counts := map[string]int{}
	for part := range strings.SplitSeq(s, "\t") {
		n, label, _ := strings.Cut(part, " ")
		counts[d.label(label)] = int(d.within("count", d.numbers("count", n, 1)[0], 1, limits.LabelsKept))
	}
	return topErrors(counts)
}

// witnesses reads those of an entry of the history.
func (d *decoder) witnesses(s string) []string {
	if s == "" {
		return nil
	}
	names := strings.Split(s, "\t")
	for _, name := range names {
		d.optional("witness", name)
	}
	sort.Strings(names)
	return names[:min(len(names), limits.WitnessesShown)]
}

// differs reads the policy of a replica that has another one than the fleet's. An older release does not tell it, and what a
// newer one tells is passed over if it means nothing here.
func (d *decoder) differs(r *store.Replica, own, agreed string) {
	one := decoder{of: d.of}
	if policy := one.policy("p:", own); one.problem == "" {
		r.Policy, r.Agreed = policy, d.policy("policy", agreed)
	}
}

// replica reads an entry of the roster; false if it no longer counts.
func (d *decoder) replica(name, s string, m int64) (store.Replica, bool) {
	n := d.numbers("replica", s, 7, 6)
	if d.problem != "" || n[0]/limits.SliceFor < m/limits.SliceFor-1 {
		return store.Replica{}, false
	}
	return store.Replica{
		Name: d.optional("replica", name), Seen: time.Duration(max(m-n[0], 0)) * time.Millisecond, Calls: uint64(n[2]),
		Failures: uint64(n[3]), OwnOpen: n[4] == 1, Conflict: n[5] == 1,
	}, true
}
