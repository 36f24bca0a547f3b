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
		func(w *world) {
			b := w.on(w.open())
			w.trip()
			b.wantState(store.Open)
			b.do(store.Reset)
			w.wantState(store.Closed)
		},
	},
	{
		"a wiped store knows nothing",
		"A harness's Wipe makes the store forget everything; its handles work on.",
		func(w *world) {
			w.trip()
			w.wipe()
			w.wantHiddenByAll()
			w.touch()
			w.wantState(store.Closed)
		},
	},
	{
		"a Sync answers each report in order",
		"Sync gives one Result a Report, in order, of whatever breakers.",
		func(w *world) {
			var reports []store.Report
			var names []string
			for i := range 40 {
				name := fmt.Sprintf("b%d", i%20)
				names = append(names, name)
				reports = append(reports, w.reportOn(name, "a", failures(1)))
			}
			var got []string
			for i, result := range w.store.Sync(w.ctx, reports) {
				if result.Err != nil {
					w.Fatal(result.Err)
				}
				got = append(got, result.Snapshot.Name)
				same(w, "failures", result.Snapshot.Window.Failures, 1+i/20)
			}
			same(w, "names", got, names)
			same(w, "results of no reports", len(w.store.Sync(w.ctx, nil)), 0)
		},
	},
	{
		"two reports of one breaker in one Sync are in order",
		"Reports of one breaker in one Sync are judged one after the other.",
		func(w *world) {
			results := w.store.Sync(w.ctx, []store.Report{
				w.report("a", failures(4)), w.report("b", successes(1)), w.report("a", failures(4)), w.report("b", failures(1)),
			})
			for i, tripped := range []bool{false, false, false, true} {
				same(w, fmt.Sprintf("result %d made a trip", i), results[i].Made != nil, tripped)
			}
		},
	},
	{
		"one report's error is its own",
		"A bad report in a Sync fails alone: its neighbours, of its own breaker too, are judged.",
		func(w *world) {
			bad := w.report("b", failures(1))
			bad.Runs[0].Count = 0
			nameless := w.reportOn("", "a", failures(1))
			results := w.store.Sync(w.ctx, []store.Report{w.report("a", failures(2)), bad, nameless, w.report("a", failures(3))})
			for i, wrong := range []bool{false, true, true, false} {
				same(w, fmt.Sprintf("result %d is refused", i), errors.Is(results[i].Err, store.ErrInvalid), wrong)
			}
			same(w, "the nameless one is a bad name", errors.Is(results[2].Err, store.ErrName), true)
			same(w, "a refused report's snapshot", results[1].Snapshot, store.Snapshot{})
			w.wantState(store.Open)
		},
	},
	{
		"any good name is a breaker's",
		"A name is 1 to 200 bytes of UTF-8 without control or format characters, braces, blanks and percent signs included; each is a breaker of its own.",
		func(w *world) {
			for i, name := range goodNames {
				w.send(w.reportOn(name, "a", failures(1+i%4)))
			}
			for i, name := range goodNames {
				s := w.readAll(name)
				if len(s) != 1 || s[0].Name != name || s[0].Window.Failures != 1+i%4 {
					w.Errorf("breaker %q reads as %+v; want %d failures", name, s, 1+i%4)
				}
				result, err := w.store.Command(w.ctx, store.Command{Name: name, Action: store.Trip, By: name})
				if err != nil || result.Snapshot.Name != name || result.Made.Name != name || result.Snapshot.Cause != name {
					w.Errorf("Trip of %q by itself: %+v, %v", name, result, err)
				}
			}
			all := slices.Clone(goodNames)
			slices.Sort(all)
			same(w, "all names", namesOf(w.readAll(), snapshotName), all)
		},
	},
	{
		"any good name is a replica's",
		"Replicas' names come back as they were given, in the roster and as a cause.",
		func(w *world) {
			w.policy = lenient
			for i, name := range goodNames {
				w.tell(name, failures(1+i))
			}
			for i, name := range goodNames {
				same(w, fmt.Sprintf("%q's failures", name), w.member(name).Failures, uint64(1+i))
			}
			same(w, "replicas", w.read().Replicas, len(goodNames))
		},
	},
	{
		"a bad name is refused",
		"A bad name is refused as ErrName, which is ErrInvalid, by every verb that writes but Remove.",
		func(w *world) {
			for _, name := range badNames {
				_, claim := w.store.Claim(w.ctx, store.Claim{Name: name, ID: "x", Replica: "a", Want: 1})
				_, settle := w.store.Settle(w.ctx, store.Settlement{Lease: store.Lease{Name: name, ID: "x"}, Replica: "a", Outcome: store.Success})
				_, command := w.store.Command(w.ctx, store.Command{Name: name, Action: store.Trip, By: oncall})
				for verb, err := range map[string]error{
					"Sync": w.sync(w.reportOn(name, "a")).Err, "Claim": claim, "Settle": settle, "Command": command,
					"Sync of a replica": w.sync(w.report(name)).Err,
				} {
					truly(w, fmt.Sprintf("%s of %q is ErrName (%v)", verb, name, err), errors.Is(err, store.ErrName) && errors.Is(err, store.ErrInvalid))
				}
			}
			same(w, "breakers", len(w.readAll()), 0)
		},
	},
	{
		"a bad policy says which field",
		"A policy that is refused is a *PolicyError, with field, value and range.",
		func(w *world) {
			r := w.report("a")
			r.Policy.Probes = -3
			var bad *store.PolicyError
			err := w.sync(r).Err
			if !errors.As(err, &bad) || bad.Field != "Probes" || bad.Value != "-3" || bad.Range == "" {
				w.Errorf("the error is %v; want a *PolicyError about Probes", err)
			}
			truly(w, "it is ErrInvalid", errors.Is(err, store.ErrInvalid))
		},
	},
	{
		"a context that has ended ends every verb",
		"Contexts are obeyed: a verb whose context had ended does nothing and returns the context's error.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			ended, cancel := context.WithCancel(w.ctx)
			cancel()
			dead := w.on(w.store)
			dead.ctx = ended
			reports := []store.Report{w.report("a", failures(1)), w.report("b", failures(1))}
			w.wantUnchanged("verbs whose context had ended", func() {
				for verb, err := range dead.everyVerb(l) {
					truly(w, fmt.Sprintf("%s returns the context's error (%v)", verb, err), errors.Is(err, context.Canceled))
				}
				results := w.store.Sync(ended, reports)
				same(w, "results", len(results), 2)
				for _, result := range results {
					truly(w, "each report has the context's error", errors.Is(result.Err, context.Canceled))
				}
			})
		},
	},
	{
		"closing ends one handle",
		"Close is idempotent; after it verbs return ErrClosed, and other handles work on.",
		func(w *world) {
			l := w.probe("a", 1)[0]
			handle, several := w.another()
			b := w.on(handle)
			for range 2 {
				if err := w.store.Close(); err != nil {
					w.Errorf("Close: %v", err)
				}
			}
			for verb, err := range w.everyVerb(l) {
				truly(w, fmt.Sprintf("%s returns ErrClosed (%v)", verb, err), errors.Is(err, store.ErrClosed))
			}
			results := w.store.Sync(w.ctx, []store.Report{b.report("a"), b.report("b")})
			same(w, "results", len(results), 2)
			for _, result := range results {
				truly(w, "each report is ErrClosed", errors.Is(result.Err, store.ErrClosed))
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
		func(w *world) {
			runs := []store.Run{labelled("timeout", 2), labelled("refused", 1)}
			reports := []store.Report{w.report("a", runs...)}
			w.store.Sync(w.ctx, reports)
			before := w.everything()
			runs[0], runs[1] = labelled("spoilt", 3), labelled("spoilt", 3)
			reports[0] = store.Report{}
			same(w, "what the store shows", w.everything(), before)
		},
	},
	{
		"a store changes no request",
		"What a store is given stays as it was: it may be sent again.",
		func(w *world) {
			r := w.report("a", aged(1500*ms+1, failures(2)))
			r.Policy = store.Policy{OpenFor: 1}
			before := fmt.Sprintf("%+v", r)
			reports := []store.Report{r}
			w.store.Sync(w.ctx, reports)
			same(w, "the report", fmt.Sprintf("%+v", reports[0]), before)
		},
	},
	{
		"a lane is a small number that stays",
		"Lane is 0 or more and the same for a name each time, on every handle; a store says what kind it is.",
		func(w *world) {
			b := w.open()
			for _, name := range goodNames {
				lane := w.store.Lane(name)
				truly(w, "a lane is not below 0", lane >= 0)
				same(w, "Lane again", w.store.Lane(name), lane)
				same(w, "Lane elsewhere", b.Lane(name), lane)
			}
			truly(w, "it says its kind", w.store.Info().Kind != "")
			same(w, "Info elsewhere", b.Info(), w.store.Info())
		},
	},
	{
		"a made transition is of its own breaker",
		"Two breakers in one store do not touch each other: window, state, commands and roster are a name's.",
		func(w *world) {
			w.send(w.reportOn("other", "b", failures(4)))
			before := fmt.Sprintf("%+v", w.readAll("other"))
			w.trip()
			w.do(store.ForceOpen)
			w.retune(another, 0)
			same(w, "the other breaker", fmt.Sprintf("%+v", w.readAll("other")), before)
			made := w.send(w.reportOn("other", "b", failures(1))).Made
			truly(w, "it trips by its own", made != nil && made.Name == "other")
		},
	},
	{
		"Again is a wish",
		"Again is how long the store wants a replica to wait before its next report: at least 0, at most a second.",
		func(w *world) {
			for i := range 20 {
				again := w.tell(fmt.Sprintf("r%d", i), failures(1)).Again
				truly(w, fmt.Sprintf("Again is 0..1 s (%v)", again), again >= 0 && again <= sec)
			}
		},
	},
	{
		"a sign of life can be asked for",
		"A store that is a Pinger answers while it is open and is ErrClosed after.",
		func(w *world) {
			p, ok := w.store.(store.Pinger)
			if !ok {
				return
			}
			if err := p.Ping(w.ctx); err != nil {
				w.Errorf("Ping: %v", err)
			}
			_ = w.store.Close()
			truly(w, "Ping after Close is ErrClosed", errors.Is(p.Ping(w.ctx), store.ErrClosed))
		},
	},
}

// wantHiddenByAll wants the store to show nothing at all.
func (w *world) wantHiddenByAll() {
	w.Helper()
	w.wantHidden()
	same(w, "breakers", len(w.readAll()), 0)
}

// everyVerb calls each verb but Sync, and gives their errors.
func (w *world) everyVerb(l store.Lease) map[string]error {
	errs := map[string]error{}
	_, errs["Claim"] = w.store.Claim(w.ctx, w.request("c", 1))
	_, errs["Settle"] = w.store.Settle(w.ctx, store.Settlement{Lease: l, Replica: "a", Outcome: store.Failure})
	_, errs["Command"] = w.store.Command(w.ctx, store.Command{Name: tier, Action: store.Reset, By: oncall})
	_, errs["Read"] = w.store.Read(w.ctx, tier)
	_, errs["Versions"] = w.store.Versions(w.ctx, tier)
	_, errs["Roster"] = w.store.Roster(w.ctx, tier)
	_, errs["History"] = w.store.History(w.ctx, tier, 0)
	errs["Remove"] = w.store.Remove(w.ctx, tier)
	errs["Watch"] = w.store.Watch(w.ctx, func(store.Event) {})
	return errs
}
