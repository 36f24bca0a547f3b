package storetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/commontrip/commontrip/store"
)

// lenient is a policy that these laws' failures do not trip.
var lenient = store.Policy{ConsecutiveFailures: 1_000_000}.WithDefaults()

var outcomeRules = []rule{
	{
		"each outcome is counted in exactly one place",
		"Each outcome is in exactly one of Late, Ignored and Calls; Failures and Slow are parts of Calls. A slow call that was given up is in Calls.",
		func(f *fixture) {
			f.policy = lenient
			r := f.report("a", failures(1), successes(2), ignored(4), slowSuccesses(8), slowFailures(16), aged(hour, failures(32)),
				slowly(ignored(128)), aged(hour, slowly(ignored(256))))
			r.Rejected = 64
			s := f.send(r).Snapshot
			same(f, "totals", s.Totals, store.Totals{Calls: 155, Failures: 17, Slow: 152, Ignored: 4, Late: 288, Rejected: 64})
			same(f, "window", s.Window, store.Tally{Calls: 100, Failures: 0, Slow: 100, Consecutive: 16})
			same(f, "roster", f.roster(), []store.Replica{{Name: "a", Calls: 155, Failures: 17}})
		},
	},
	{
		"an outcome of another generation is late",
		"Only outcomes of the current generation are judged; others are counted in the totals as late and move nothing.",
		func(f *fixture) {
			f.trip()
			f.do(store.Reset)
			for _, generation := range []uint64{0, f.read().Generation - 1, f.read().Generation + 1, store.MaxNumber} {
				r := f.report("a", failures(5))
				r.Generation = generation
				f.send(r)
			}
			s := f.read()
			same(f, "state", s.State, store.Closed)
			same(f, "window", s.Window, store.Tally{})
			same(f, "totals", s.Totals, store.Totals{Calls: 5, Failures: 5, Late: 20})
		},
	},
	{
		"an outcome is late when it is older than MaxAge",
		"Outcomes no older than MaxAge are judged, exactly MaxAge included; an age is cut to whole milliseconds.",
		func(f *fixture) {
			f.policy = lenient
			f.tell("a", aged(maxAge, failures(1)), aged(maxAge+ms-1, failures(2)), aged(maxAge+ms, failures(4)))
			same(f, "late", f.read().Totals.Late, uint64(4))
			f.wantWindow(3, 3, 0, 3)
		},
	},
	{
		"a report without MaxAge judges only the present",
		"MaxAge 0 makes everything late that has an age.",
		func(f *fixture) {
			r := f.report("a", aged(ms, failures(1)), failures(2))
			r.MaxAge = 0
			f.send(r)
			f.wantWindow(2, 2, 0, 2)
		},
	},
	{
		"late is looked at first",
		"A late outcome is late, whatever else it is: an ignored one too.",
		func(f *fixture) {
			f.tell("a", aged(hour, ignored(3)))
			same(f, "totals", f.read().Totals, store.Totals{Late: 3})
		},
	},
	{
		"an ignored outcome says nothing",
		"Ignored enters no window and breaks no streak.",
		func(f *fixture) {
			f.fail(4)
			f.tell("a", ignored(100))
			f.wantWindow(4, 4, 0, 4)
			same(f, "state", f.fail(1).Snapshot.State, store.Open)
		},
	},
	{
		"what follows the tripping outcome is late",
		"What follows the tripping outcome in the same report is of an older generation: late.",
		func(f *fixture) {
			s := f.tell("a", failures(7), successes(3), ignored(2)).Snapshot
			same(f, "totals", s.Totals, store.Totals{Calls: 5, Failures: 5, Late: 7})
			same(f, "window", s.Window, store.Tally{})
			same(f, "roster", f.roster(), []store.Replica{{Name: "a", Calls: 5, Failures: 5}})
		},
	},
	{
		"outcomes count in any state and are judged in closed",
		"Outcomes of the current generation enter the window in any state, since calls may go on; they are judged only in closed.",
		func(f *fixture) {
			f.trip()
			same(f, "Made in open", f.fail(50).Made, nil)
			f.wantWindow(50, 50, 0, 50)
			f.after(minute)
			f.lease("a")
			f.wantWindow(0, 0, 0, 0)
			same(f, "Made in half-open", f.fail(50).Made, nil)
			f.wantWindow(50, 50, 0, 50)
			f.wantState(store.HalfOpen)
		},
	},
	{
		"reports settle no probes",
		"In half-open only settled leases decide: successes that were reported close nothing.",
		func(f *fixture) {
			f.probe("a", 1)
			s := f.succeed(100).Snapshot
			same(f, "state, probe successes", []any{s.State, s.ProbeSuccesses}, []any{store.HalfOpen, 0})
		},
	},
	{
		"a transition empties the window",
		"A transition empties window, streak and labels.",
		func(f *fixture) {
			s := f.tell("a", labelled("timeout", 5)).Snapshot
			same(f, "window", s.Window, store.Tally{})
			same(f, "labels", len(s.Errors), 0)
		},
	},
	{
		"a window of calls keeps the newest",
		"A window of calls holds the newest WindowCalls, in order of arrival.",
		func(f *fixture) {
			f.policy = store.Policy{WindowCalls: 5, ConsecutiveFailures: 100}
			f.tell("a", failures(2), successes(1), slowSuccesses(1))
			f.wantWindow(4, 2, 1, 0)
			f.succeed(2)
			f.wantWindow(5, 1, 1, 0)
			f.tell("a", successes(1000))
			f.wantWindow(5, 0, 0, 0)
			f.tell("a", successes(1), failures(3))
			f.wantWindow(5, 3, 0, 3)
		},
	},
	{
		"arrival decides, not age",
		"The window of calls and the streak go by order of arrival, never by age.",
		func(f *fixture) {
			f.policy = store.Policy{WindowCalls: 3, ConsecutiveFailures: 100}
			f.tell("a", aged(0, successes(3)), aged(2*sec, failures(2)))
			f.wantWindow(3, 2, 0, 2)
		},
	},
	{
		"labels tell of the newest 32 failures",
		"Errors counts the labels of the newest 32 failures of the generation, the most frequent first, ties by label; an empty label takes a place and is not listed.",
		func(f *fixture) {
			f.policy = lenient
			f.tell("a", labelled("old", 10), labelled("b", 10), labelled("a", 10), labelled("", 8), labelled("c", 4))
			same(f, "labels", f.read().Errors, []store.ErrorCount{{Label: "a", Count: 10}, {Label: "b", Count: 10}, {Label: "c", Count: 4}})
			f.succeed(100)
			same(f, "labels after successes", len(f.read().Errors), 3)
		},
	},
	{
		"eight labels are listed",
		"Errors lists the first 8 labels.",
		func(f *fixture) {
			f.policy = lenient
			for i := range 10 {
				f.tell("a", labelled(fmt.Sprintf("e%d", i), 1))
			}
			errs := f.read().Errors
			same(f, "how many", len(errs), 8)
			same(f, "the last", errs[7].Label, "e7")
		},
	},
	{
		"successes and slow successes have no label",
		"A label says why calls failed: that of an outcome that did not fail is not counted.",
		func(f *fixture) {
			ok, slow := successes(3), slowSuccesses(3)
			ok.Label, slow.Label = "fine", "slow"
			f.tell("a", ok, slow)
			same(f, "labels", len(f.read().Errors), 0)
		},
	},
	{
		"labels keep what they were sent as",
		"A label is 0 to 64 bytes of UTF-8 and comes back as it was sent.",
		func(f *fixture) {
			f.policy = lenient
			for _, label := range []string{"a,b", "a:b|c;d", `"quoted"`, "12", "é世", " ", strings.Repeat("x", 64)} {
				f.failWith(label)
			}
		},
	},
	{
		"a report past its bounds is refused",
		"A report's runs, counts, adverse outcomes, ages, labels and numbers have bounds; one past them is refused as invalid and changes nothing.",
		func(f *fixture) {
			f.touch()
			many := make([]store.Run, store.MaxRuns+1)
			for i := range many {
				many[i] = successes(1)
			}
			for what, change := range map[string]func(r *store.Report){
				"257 runs":                    func(r *store.Report) { r.Runs = many },
				"a run of none":               func(r *store.Report) { r.Runs[0].Count = 0 },
				"a run of too many":           func(r *store.Report) { r.Runs[0].Count = store.MaxCount + 1 },
				"4097 failures":               func(r *store.Report) { r.Runs[0].Count = 4097 },
				"4097 failures and slow ones": func(r *store.Report) { r.Runs[0].Count = 4096; r.Runs = append(r.Runs, slowSuccesses(1)) },
				"no outcome":                  func(r *store.Report) { r.Runs[0].Outcome = 0 },
				"an unknown outcome":          func(r *store.Report) { r.Runs[0].Outcome = 4 },
				"an age below 0":              func(r *store.Report) { r.Runs[0].Age = -1 },
				"a long label":                func(r *store.Report) { r.Runs[0].Label = strings.Repeat("x", 65) },
				"a label of two lines":        func(r *store.Report) { r.Runs[0].Label = "a\nb" },
				"a label that is not UTF-8":   func(r *store.Report) { r.Runs[0].Label = "\xff" },
				"MaxAge below 0":              func(r *store.Report) { r.MaxAge = -1 },
				"a great Seq":                 func(r *store.Report) { r.Seq = store.MaxNumber + 1 },
				"a great Generation":          func(r *store.Report) { r.Generation = store.MaxNumber + 1 },
				"a great Rejected":            func(r *store.Report) { r.Rejected = store.MaxNumber + 1 },
				"a bad policy":                func(r *store.Report) { r.Policy.Probes = -1 },
				"no replica":                  func(r *store.Report) { r.Replica = "" },
			} {
				r := f.report("a", failures(1))
				change(&r)
				f.wantUnchanged(what, func() {
					truly(f, what+" is refused as invalid", errors.Is(f.sync(r).Err, store.ErrInvalid))
				})
				f.seqs[[2]string{tier, "a"}]--
			}
		},
	},
	{
		"a report at its bounds is taken",
		"256 runs, a million successes in one, and 4096 adverse outcomes are a report.",
		func(f *fixture) {
			f.policy = lenient
			runs := []store.Run{failures(4000), slowSuccesses(96), successes(store.MaxCount)}
			for len(runs) < store.MaxRuns {
				runs = append(runs, successes(1))
			}
			f.tell("a", runs...)
			same(f, "calls", f.read().Totals.Calls, uint64(4096+store.MaxCount+store.MaxRuns-3))
		},
	},
	{
		"the way of a report is part of its outcomes' age",
		"An outcome is as old as its age and for as long as its report was under way, by the store's clock against SentAt.",
		func(f *fixture) {
			r := f.report("a", aged(2*sec+ms, failures(1)), aged(2*sec, failures(1)), successes(1))
			r.SentAt = f.clock.Now().Add(-sec)
			totals := f.send(r).Snapshot.Totals
			same(f, "calls, late", []uint64{totals.Calls, totals.Late}, []uint64{2, 1})
			r = f.report("a", aged(maxAge, failures(1)))
			r.SentAt = f.clock.Now().Add(sec)
			totals = f.send(r).Snapshot.Totals
			same(f, "calls, late of one that came before it was sent", []uint64{totals.Calls, totals.Late}, []uint64{3, 1})
		},
	},
}

// failWith fails once with a label, on a breaker of its own.
func (f *fixture) failWith(label string) {
	f.Helper()
	name := "labelled " + label
	f.send(f.reportOn(name, "a", labelled(label, 1)))
	same(f, "the label", f.readAll(name)[0].Errors, []store.ErrorCount{{Label: label, Count: 1}})
}
