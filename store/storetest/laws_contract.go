package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/commontrip/commontrip/store"
)

var badNames = []string{"", strings.Repeat("x", store.MaxName+1), "a\nb", "a\x00b", "a\u202eb", "a\u2028b", "\xff", "a\x7f", "\u200bx"}

var goodNames = []string{
	"a", "A", "{a}", "a}b{c", "{", "}", "{}", "%", "%7B", "100 %", " ", "a b", "a:b", "a/b?c=d", "*", "[a]", "'\"`", "<i>", "é", "世界",
	"0", "-1", "nil", "false", strings.Repeat("x", store.MaxName), strings.Repeat("{", store.MaxName), strings.Repeat("é", store.MaxName/2),
}

var contractRules = []rule{
	{
		"handles share one state",
		"Handles on the same state see each other's doings.",
		func(f *fixture) {
			b := f.on(f.open())
			f.trip()
			b.wantState(store.Open)
			b.do(store.Reset)
			f.wantState(store.Closed)
		},
	},
	{
		"a wiped store knows nothing",
		"A harness's Wipe makes the store forget everything; its handles work on.",
		func(f *fixture) {
			f.trip()
			f.wipe()
			f.wantHiddenByAll()
			f.touch()
			f.wantState(store.Closed)
		},
	},
	{
		"a Sync answers each report in order",
		"Sync gives one Result a Report, in order, of whatever breakers.",
		func(f *fixture) {
			var reports []store.Report
			var names []string
			for i := range 40 {
				name := fmt.Sprintf("b%d", i%20)
				names = append(names, name)
				reports = append(reports, f.reportOn(name, "a", failures(1)))
			}
			var got []string
			for i, result := range f.store.Sync(f.ctx, reports) {
				if result.Err != nil {
					f.Fatal(result.Err)
				}
				got = append(got, result.Snapshot.Name)
				same(f, "failures", result.Snapshot.Window.Failures, 1+i/20)
			}
			same(f, "names", got, names)
			same(f, "results of no reports", len(f.store.Sync(f.ctx, nil)), 0)
		},
	},
	{
		"two reports of one breaker in one Sync are in order",
		"Reports of one breaker in one Sync are judged one after the other.",
		func(f *fixture) {
			results := f.store.Sync(f.ctx, []store.Report{
				f.report("a", failures(4)), f.report("b", successes(1)), f.report("a", failures(4)), f.report("b", failures(1)),
			})
			for i, tripped := range []bool{false, false, false, true} {
				same(f, fmt.Sprintf("result %d made a trip", i), results[i].Made != nil, tripped)
			}
		},
	},
	{
		"one report's error is its own",
		"A bad report in a Sync fails alone: its neighbours, of its own breaker too, are judged.",
		func(f *fixture) {
			bad := f.report("b", failures(1))
			bad.Runs[0].Count = 0
			nameless := f.reportOn("", "a", failures(1))
			results := f.store.Sync(f.ctx, []store.Report{f.report("a", failures(2)), bad, nameless, f.report("a", failures(3))})
			for i, wrong := range []bool{false, true, true, false} {
				same(f, fmt.Sprintf("result %d is refused", i), errors.Is(results[i].Err, store.ErrInvalid), wrong)
			}
			same(f, "the nameless one is a bad name", errors.Is(results[2].Err, store.ErrName), true)
			same(f, "a refused report's snapshot", results[1].Snapshot, store.Snapshot{})
			f.wantState(store.Open)
		},
	},
	{
		"any good name is a breaker's",
		"A name is 1 to 200 bytes of UTF-8 without control or format characters, braces, blanks and percent signs included; each is a breaker of its own.",
		func(f *fixture) {
			for i, name := range goodNames {
				f.send(f.reportOn(name, "a", failures(1+i%4)))
			}
			for i, name := range goodNames {
				s := f.readAll(name)
				if len(s) != 1 || s[0].Name != name || s[0].Window.Failures != 1+i%4 {
					f.Errorf("breaker %q reads as %+v; want %d failures", name, s, 1+i%4)
				}
				result, err := f.store.Command(f.ctx, store.Command{Name: name, Action: store.Trip, By: name})
				if err != nil || result.Snapshot.Name != name || result.Made.Name != name || result.Snapshot.Cause != name {
					f.Errorf("Trip of %q by itself: %+v, %v", name, result, err)
				}
			}
			all := slices.Clone(goodNames)
			slices.Sort(all)
			same(f, "all names", namesOf(f.readAll(), snapshotName), all)
		},
	},
	{
		"any good name is a replica's",
		"Replicas' names come back as they were given, in the roster and as a cause.",
		func(f *fixture) {
			f.policy = lenient
			for i, name := range goodNames {
				f.tell(name, failures(1+i))
			}
			for i, name := range goodNames {
				same(f, fmt.Sprintf("%q's failures", name), f.member(name).Failures, uint64(1+i))
			}
			same(f, "replicas", f.read().Replicas, len(goodNames))
		},
	},
	{
		"a bad name is refused",
		"A bad name is refused as ErrName, which is ErrInvalid, by every verb that writes but Remove.",
		func(f *fixture) {
			for _, name := range badNames {
				_, claim := f.store.Claim(f.ctx, store.Claim{Name: name, ID: "x", Replica: "a", Want: 1})
				_, settle := f.store.Settle(f.ctx, store.Settlement{Lease: store.Lease{Name: name, ID: "x"}, Replica: "a", Outcome: store.Success})
				_, command := f.store.Command(f.ctx, store.Command{Name: name, Action: store.Trip, By: oncall})
				for verb, err := range map[string]error{
					"Sync": f.sync(f.reportOn(name, "a")).Err, "Claim": claim, "Settle": settle, "Command": command,
					"Sync of a replica": f.sync(f.report(name)).Err,
				} {
					truly(f, fmt.Sprintf("%s of %q is ErrName (%v)", verb, name, err), errors.Is(err, store.ErrName) && errors.Is(err, store.ErrInvalid))
				}
			}
			same(f, "breakers", len(f.readAll()), 0)
		},
	},
	{
		"a bad policy says which field",
		"A policy that is refused is a *PolicyError, with field, value and range.",
		func(f *fixture) {
			r := f.report("a")
			r.Policy.Probes = -3
			var bad *store.PolicyError
			err := f.sync(r).Err
			if !errors.As(err, &bad) || bad.Field != "Probes" || bad.Value != "-3" || bad.Range == "" {
				f.Errorf("the error is %v; want a *PolicyError about Probes", err)
			}
			truly(f, "it is ErrInvalid", errors.Is(err, store.ErrInvalid))
		},
	},
	{
		"a context that has ended ends every verb",
		"Contexts are obeyed: a verb whose context had ended does nothing and returns the context's error.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			ended, cancel := context.WithCancel(f.ctx)
			cancel()
			dead := f.on(f.store)
			dead.ctx = ended
			reports := []store.Report{f.report("a", failures(1)), f.report("b", failures(1))}
			f.wantUnchanged("verbs whose context had ended", func() {
				for verb, err := range dead.everyVerb(l) {
					truly(f, fmt.Sprintf("%s returns the context's error (%v)", verb, err), errors.Is(err, context.Canceled))
				}
				results := f.store.Sync(ended, reports)
				same(f, "results", len(results), 2)
				for _, result := range results {
					truly(f, "each report has the context's error", errors.Is(result.Err, context.Canceled))
				}
			})
		},
	},
	{
		"closing ends one handle",
		"Close is idempotent; after it verbs return ErrClosed, and other handles work on.",
		func(f *fixture) {
			l := f.probe("a", 1)[0]
			handle, several := f.another()
			b := f.on(handle)
			for range 2 {
				if err := f.store.Close(); err != nil {
					f.Errorf("Close: %v", err)
				}
			}
			for verb, err := range f.everyVerb(l) {
				truly(f, fmt.Sprintf("%s returns ErrClosed (%v)", verb, err), errors.Is(err, store.ErrClosed))
			}
			results := f.store.Sync(f.ctx, []store.Report{b.report("a"), b.report("b")})
			same(f, "results", len(results), 2)
			for _, result := range results {
				truly(f, "each report is ErrClosed", errors.Is(result.Err, store.ErrClosed))
			}
			if !several {
				return
			}
			b.settle("a", l, store.Failure)
			b.wantState(store.Open)
		},
	},
	{
		"a store keeps no slice",
		"A store keeps none of the slices that it was given: the caller may use them again.",
		func(f *fixture) {
			runs := []store.Run{labelled("timeout", 2), labelled("refused", 1)}
			reports := []store.Report{f.report("a", runs...)}
			f.store.Sync(f.ctx, reports)
			before := f.everything()
			runs[0], runs[1] = labelled("spoilt", 3), labelled("spoilt", 3)
			reports[0] = store.Report{}
			same(f, "what the store shows", f.everything(), before)
		},
	},
	{
		"a store changes no request",
		"What a store is given stays as it was: it may be sent again.",
		func(f *fixture) {
			r := f.report("a", aged(1500*ms+1, failures(2)))
			r.Policy = store.Policy{OpenFor: 1}
			before := fmt.Sprintf("%+v", r)
			reports := []store.Report{r}
			f.store.Sync(f.ctx, reports)
			same(f, "the report", fmt.Sprintf("%+v", reports[0]), before)
		},
	},
	{
		"a lane is a small number that stays",
		"Lane is 0 or more and the same for a name each time, on every handle; a store says what kind it is.",
		func(f *fixture) {
			b := f.open()
			for _, name := range goodNames {
				lane := f.store.Lane(name)
				truly(f, "a lane is not below 0", lane >= 0)
				same(f, "Lane again", f.store.Lane(name), lane)
				same(f, "Lane elsewhere", b.Lane(name), lane)
			}
			truly(f, "it says its kind", f.store.Info().Kind != "")
			same(f, "Info elsewhere", b.Info(), f.store.Info())
		},
	},
	{
		"a made transition is of its own breaker",
		"Two breakers in one store do not touch each other: window, state, commands and roster are a name's.",
		func(f *fixture) {
			f.send(f.reportOn("other", "b", failures(4)))
			before := fmt.Sprintf("%+v", f.readAll("other"))
			f.trip()
			f.do(store.ForceOpen)
			f.retune(another, 0)
			same(f, "the other breaker", fmt.Sprintf("%+v", f.readAll("other")), before)
			made := f.send(f.reportOn("other", "b", failures(1))).Made
			truly(f, "it trips by its own", made != nil && made.Name == "other")
		},
	},
	{
		"Again is a wish",
		"Again is how long the store wants a replica to wait before its next report: at least 0, at most a second.",
		func(f *fixture) {
			for i := range 20 {
				again := f.tell(fmt.Sprintf("r%d", i), failures(1)).Again
				truly(f, fmt.Sprintf("Again is 0..1 s (%v)", again), again >= 0 && again <= sec)
			}
		},
	},
	{
		"a sign of life can be asked for",
		"A store that is a Pinger answers while it is open and is ErrClosed after.",
		func(f *fixture) {
			p, ok := f.store.(store.Pinger)
			if !ok {
				return
			}
			if err := p.Ping(f.ctx); err != nil {
				f.Errorf("Ping: %v", err)
			}
			_ = f.store.Close()
			truly(f, "Ping after Close is ErrClosed", errors.Is(p.Ping(f.ctx), store.ErrClosed))
		},
	},
	{
		"a store with connections is remote",
		"A store whose requests are I/O says so by Info().Remote: else each call would be one.",
		func(f *fixture) {
			if f.h.Cut != nil || f.h.Silence != nil || f.h.Freeze != nil {
				truly(f, "Info().Remote", f.store.Info().Remote)
			}
		},
	},
	{
		"a client that freezes holds nobody up for long",
		"A client that stops in the middle of a request delays requests about that breaker for a bounded time, and no others.",
		func(f *fixture) {
			if f.h.Freeze == nil {
				return
			}
			f.touch()
			f.h.Freeze(f.TB, tier)
			f.send(f.reportOn("other", "a", failures(1)))
			ctx, cancel := context.WithTimeout(f.ctx, patient)
			defer cancel()
			var err error
			for ctx.Err() == nil {
				if err = f.store.Sync(ctx, []store.Report{f.report("a", failures(1))})[0].Err; err == nil {
					return
				}
			}
			f.Errorf("no report got through within %v; the last error is %v", patient, err)
		},
	},
}

// wantHiddenByAll wants the store to show nothing at all.
func (f *fixture) wantHiddenByAll() {
	f.Helper()
	f.wantHidden()
	same(f, "breakers", len(f.readAll()), 0)
}

// everyVerb calls each verb but Sync, and gives their errors.
func (f *fixture) everyVerb(l store.Lease) map[string]error {
	errs := map[string]error{}
	_, errs["Claim"] = f.store.Claim(f.ctx, f.request("c", 1))
	_, errs["Settle"] = f.store.Settle(f.ctx, store.Settlement{Lease: l, Replica: "a", Outcome: store.Failure})
	_, errs["Command"] = f.store.Command(f.ctx, store.Command{Name: tier, Action: store.Reset, By: oncall})
	_, errs["Read"] = f.store.Read(f.ctx, tier)
	_, errs["Versions"] = f.store.Versions(f.ctx, tier)
	_, errs["Roster"] = f.store.Roster(f.ctx, tier)
	_, errs["History"] = f.store.History(f.ctx, tier, 0)
	errs["Remove"] = f.store.Remove(f.ctx, tier)
	errs["Watch"] = f.store.Watch(f.ctx, func(store.Event) {})
	return errs
}
