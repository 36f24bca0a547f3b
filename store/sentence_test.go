package store_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/commontrip/commontrip/store"
)

// sentences are all kinds of transition that a store makes, and the words of each.
var sentences = []struct {
	kind, want string
	transition store.Transition
}{
	{
		"streak", "mcp opened because 3 calls in a row failed; errors: 21 x 503, 11 x connection refused; seen by web-7 and web-9",
		tripped(store.ByConsecutiveFailures),
	},
	{
		"failure rate", "mcp opened because 62 of the last 100 calls failed (62 %); errors: 21 x 503, 11 x connection refused; seen by web-7 and web-9",
		tripped(store.ByFailureRate),
	},
	{
		"slow calls", "mcp opened because 30 of the last 100 calls were slow (30 %); errors: 21 x 503, 11 x connection refused; seen by web-7 and web-9",
		tripped(store.BySlowCallRate),
	},
	{"a share that is not whole", "mcp opened because 51 of the last 141 calls failed (36.2 %); seen by web-7", store.Transition{
		Name: "mcp", To: store.Open, Generation: 7, Reason: store.ByFailureRate, Cause: "web-7#a", Window: store.Tally{Calls: 141, Failures: 51}, Witnesses: []string{"web-7#a"},
	}},
	{"a single call", "mcp opened because a call failed; reported by web-7", store.Transition{
		Name: "mcp", To: store.Open, Generation: 7, Reason: store.ByConsecutiveFailures, Cause: "web-7#a", Window: store.Tally{Consecutive: 1},
	}},
	{"three witnesses", "mcp opened because 9 calls in a row failed; seen by a, b and c", store.Transition{
		Name: "mcp", To: store.Open, Generation: 7, Reason: store.ByConsecutiveFailures, Window: store.Tally{Consecutive: 9}, Witnesses: []string{"a#1", "b#1", "c#1"},
	}},
	{"probe failure", "mcp opened again because probes failed; errors: 2 x timeout; seen by web-7 and web-9", store.Transition{
		Name: "mcp", From: store.HalfOpen, To: store.Open, Prev: 6, Generation: 7, Reason: store.ByProbeFailure, Cause: "web-7#a",
		Errors: []store.ErrorCount{{Label: "timeout", Count: 2}}, Witnesses: []string{"web-7#a", "web-9#b"},
	}},
	{"probe successes", "mcp closed because enough probes succeeded; the last one by web-7", store.Transition{
		Name: "mcp", From: store.HalfOpen, Prev: 6, Generation: 7, Reason: store.ByProbeSuccesses, Cause: "web-7#a",
	}},
	{"open time", "mcp became half-open because its open time is over; noticed by web-7", store.Transition{
		Name: "mcp", From: store.Open, To: store.HalfOpen, Prev: 6, Generation: 7, Reason: store.ByTime, Cause: "web-7#a",
	}},
	{"end of a forced open", "mcp became half-open because the time of its forced mode is over; noticed by web-7", store.Transition{
		Name: "mcp", To: store.HalfOpen, Prev: 6, Generation: 7, Rev: 2, Reason: store.ByTime, Cause: "web-7#a",
	}},
	{"end of a forced open while half-open", "mcp is half-open again because the time of its forced mode is over; noticed by web-7", store.Transition{
		Name: "mcp", From: store.HalfOpen, To: store.HalfOpen, Prev: 6, Generation: 7, Rev: 2, Reason: store.ByTime, Cause: "web-7#a",
	}},
	{"end of a forced closed", "mcp closed because the time of its forced mode is over; noticed by web-7", store.Transition{
		Name: "mcp", From: store.Open, Prev: 6, Generation: 7, Rev: 2, Reason: store.ByTime, Cause: "web-7#a",
	}},
	{"end of a forced closed while closed", "mcp is closed again because the time of its forced mode is over; noticed by web-7", store.Transition{
		Name: "mcp", Prev: 6, Generation: 7, Rev: 2, Reason: store.ByTime, Cause: "web-7#a",
	}},
	{"end of a retuned policy", "mcp follows the fleet's policy again because the time of the retuned policy is over; noticed by web-7", store.Transition{
		Name: "mcp", From: store.Open, To: store.Open, Prev: 7, Generation: 7, Rev: 2, Reason: store.ByTime, Cause: "web-7#a",
	}},
	{"repair", "web-7 told the store that mcp is open, because the store had lost it", store.Transition{
		Name: "mcp", From: store.Open, To: store.Open, Prev: 2, Generation: 7, Reason: store.ByRepair, Cause: "web-7#a",
	}},
	{"repair of a half-open", "mcp opened again because the store had lost its probes; told by web-7", store.Transition{
		Name: "mcp", From: store.HalfOpen, To: store.Open, Prev: 6, Generation: 7, Reason: store.ByRepair, Cause: "web-7#a",
	}},
	{"force-open", "oncall forced mcp open: INC-42", commanded(store.ForceOpen, store.Closed, "INC-42")},
	{"force-open without a note", "oncall forced mcp open", commanded(store.ForceOpen, store.Closed, "")},
	{"force-closed", "oncall forced mcp closed: INC-42", commanded(store.ForceClosed, store.Open, "INC-42")},
	{"lift", "oncall lifted the forced mode of mcp, which is now half-open: INC-42", commanded(store.Lift, store.HalfOpen, "INC-42")},
	{"trip", "oncall tripped mcp: INC-42", commanded(store.Trip, store.Open, "INC-42")},
	{"reset", "oncall reset mcp, which is now closed: INC-42", commanded(store.Reset, store.Closed, "INC-42")},
	{"retune", "oncall retuned the policy of mcp: INC-42", commanded(store.Retune, store.Closed, "INC-42")},
	{"restore", "oncall gave mcp the fleet's policy again: INC-42", commanded(store.Restore, store.Closed, "INC-42")},
	{"an action of a newer version", "oncall gave mcp the command Action(99)", commanded(99, store.Closed, "")},
	{"an operator without an action", "mcp opened because the store went away", store.Transition{
		Name: "mcp", To: store.Open, Generation: 7, Reason: store.ByOperator, Cause: "web-7#a", Why: "the store went away",
	}},
	{"a reason of a newer version", "mcp opened because of full-moon: x; seen by web-7", store.Transition{
		Name: "mcp", To: store.Open, Generation: 7, Reason: "full-moon", Why: "x", Witnesses: []string{"web-7#a"},
	}},
	{"nothing known", "the breaker closed", store.Transition{}},
	{"a command of nobody", "somebody tripped the breaker", store.Transition{Action: store.Trip, To: store.Open}},
}

func tripped(by store.Reason) store.Transition {
	return store.Transition{
		Name: "mcp", To: store.Open, Generation: 7, Reason: by, Cause: "web-7#abc",
		Window:    store.Tally{Calls: 100, Failures: 62, Slow: 30, Consecutive: 3},
		Errors:    []store.ErrorCount{{Label: "503", Count: 21}, {Label: "connection refused", Count: 11}},
		Witnesses: []string{"web-7#abc", "web-9#def"},
	}
}

func commanded(a store.Action, to store.State, why string) store.Transition {
	return store.Transition{Name: "mcp", To: to, Generation: 7, Rev: 3, Action: a, Reason: store.ByOperator, Cause: "oncall", Why: why}
}

func TestEveryTransitionHasASentence(t *testing.T) {
	actions, reasons := map[store.Action]bool{}, map[store.Reason]bool{}
	for _, c := range sentences {
		if got := c.transition.Sentence(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.kind, got, c.want)
		}
		actions[c.transition.Action], reasons[c.transition.Reason] = true, true
	}
	source, err := os.ReadFile("enum.go")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`\tBy\w+ +Reason = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(all) < 8 {
		t.Fatalf("found %d reasons in enum.go", len(all))
	}
	for _, reason := range all {
		if !reasons[store.Reason(reason[1])] {
			t.Errorf("the table has no transition for the reason %s", reason[1])
		}
	}
	for a := store.ForceOpen; !strings.HasPrefix(a.String(), "Action("); a++ {
		if !actions[a] {
			t.Errorf("the table has no transition for the action %v", a)
		}
	}
}

func TestJSONCarriesTheSentenceAndDoesWithoutIt(t *testing.T) {
	for _, c := range sentences {
		if c.transition.Action == 99 {
			continue // has no JSON
		}
		data, err := json.Marshal(c.transition)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Sentence string `json:"sentence"`
		}
		if err := json.Unmarshal(data, &said); err != nil || said.Sentence != c.want {
			t.Errorf("%s: JSON says %q, %v; want %q", c.kind, said.Sentence, err, c.want)
		}
		wantRoundTrip(t, c.transition)
	}
	var old store.Transition
	if err := json.Unmarshal([]byte(`{"name":"mcp","to":"open","generation":7,"reason":"probe-failure","sentence":"not what it says"}`), &old); err != nil {
		t.Fatal(err)
	}
	var older store.Transition
	if err := json.Unmarshal([]byte(`{"name":"mcp","to":"open","generation":7,"reason":"probe-failure"}`), &older); err != nil {
		t.Fatal(err)
	}
	for _, read := range []store.Transition{old, older} {
		if got, want := read.Sentence(), "mcp opened because probes failed"; got != want {
			t.Errorf("%q; want %q, from the fields", got, want)
		}
	}
}

func FuzzASentenceIsOneLineWhateverItsNamesContain(f *testing.F) {
	for _, s := range []string{"", "mcp", "a\nb", "\x1b[31m", "\u202egnp", "\u2028", "\xff\xfe", "a\r\nlevel=ERROR msg=forged", "#", "a#", "#a"} {
		f.Add(s, s, uint8(1), uint8(1))
	}
	f.Fuzz(func(t *testing.T, a, b string, reason, action uint8) {
		reasons := []store.Reason{
			store.ByConsecutiveFailures, store.ByProbeFailure, store.ByProbeSuccesses, store.ByTime, store.ByOperator, store.ByRepair, "", store.Reason(a),
		}
		s := store.Transition{
			Name: a, To: store.State(reason % 4), Generation: 1, Cause: b, Why: a, Reason: reasons[int(reason)%len(reasons)], Action: store.Action(action % 9),
			Errors: []store.ErrorCount{{Label: b, Count: 1}}, Witnesses: []string{a, b},
		}.Sentence()
		bad := func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }
		if !utf8.ValidString(s) || strings.ContainsFunc(s, bad) || s == "" {
			t.Fatalf("%q", s)
		}
	})
}
