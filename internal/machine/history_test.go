package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

func TestATripSaysWhy(t *testing.T) {
	r := newRig(t, store.Policy{WindowCalls: 20, FailureRate: 0.5, MinCalls: 10, Reporters: 2})
	r.report("web-1", run(success, 5), labelled("timeout", 3))
	result := r.report("web-2", labelled("503", 9))
	want := store.Transition{
		Name: "tier", From: store.Closed, To: store.Open, Generation: uint64(r.now), At: time.UnixMilli(r.now).UTC(),
		Reason: store.ByFailureRate, Cause: "web-2", Window: store.Tally{Calls: 10, Failures: 5, Consecutive: 5},
		Errors: []store.ErrorCount{{Label: "timeout", Count: 3}, {Label: "503", Count: 2}}, Witnesses: []string{"web-1", "web-2"},
	}
	equal(t, "made", fmt.Sprintf("%+v", *result.Made), fmt.Sprintf("%+v", want))
	equal(t, "in the history", fmt.Sprintf("%+v", r.newest()), fmt.Sprintf("%+v", want))
	equal(t, "pushed", fmt.Sprintf("%+v", r.m.Written()), fmt.Sprintf("%+v", []store.Transition{want}))
	equal(t, "the labels are the generation's", len(result.Snapshot.Errors), 0)
}

func TestTheNewestFiftyAreKept(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1")
	for range 120 {
		r.now++
		r.command(store.Command{Action: store.Reset})
	}
	history := r.history()
	equal(t, "kept", len(history), 50)
	for i, e := range history {
		equal(t, "generation", e.Generation, uint64(r.now)-uint64(i))
	}
	equal(t, "limited", len(r.m.History(r.now, "tier", 3)), 3)
	equal(t, "limited to the newest", r.m.History(r.now, "tier", 1)[0].Generation, uint64(r.now))
	equal(t, "a limit beyond", len(r.m.History(r.now, "tier", 99)), 50)
	equal(t, "no limit", len(r.m.History(r.now, "tier", -1)), 50)
}

func TestPrevLinksTheGenerations(t *testing.T) {
	r := newRig(t, store.Policy{ProbeSuccesses: 1})
	r.settle("web-1", r.halfOpen("web-1", "c1", 1).Leases[0], success)
	r.command(store.Command{Action: store.ForceOpen})
	history := r.history()
	for i := range history[:len(history)-1] {
		equal(t, "prev", history[i].Prev, history[i+1].Generation)
	}
}

func TestWrittenIsOfTheLastRequestAlone(t *testing.T) {
	r := newRig(t, store.Policy{})
	r.report("web-1", run(failure, 5))
	equal(t, "the trip", len(r.m.Written()), 1)
	refused := r.blank("web-1")
	refused.Known.Rev = store.MaxNumber
	r.send(refused)
	equal(t, "a refused report", len(r.m.Written()), 0)
	r.report("web-1", run(failure, 5))
	equal(t, "a late one", len(r.m.Written()), 0)
}

func TestAnAdoptionIsPushedThoughNotMade(t *testing.T) {
	r := newRig(t, store.Policy{})
	report := r.blank("web-1")
	report.Known = store.Known{Generation: 9, State: store.Open, RetryIn: time.Minute}
	result := r.send(report)
	equal(t, "made", result.Made, nil)
	equal(t, "pushed", len(r.m.Written()), 1)
}

func TestWhatIsHandedOutIsTheCallersOwn(t *testing.T) {
	r := newRig(t, store.Policy{})
	made := r.report("web-1", run(failure, 5)).Made
	made.Errors[0].Label, made.Witnesses[0] = "mine", "mine"
	entry := r.newest()
	entry.Errors[0].Label, entry.Witnesses[0] = "mine", "mine"
	equal(t, "label", r.newest().Errors[0].Label, "timeout")
	equal(t, "witness", r.newest().Witnesses[0], "web-1")
}
