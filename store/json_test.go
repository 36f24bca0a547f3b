package store_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/commontrip/commontrip/store"
)

var aTime = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)

func fullSnapshot() store.Snapshot {
	return store.Snapshot{
		Name: `a"{<é`, State: store.HalfOpen, Mode: store.ForcedOpen, Generation: store.MaxNumber, Rev: 7, Since: aTime, Age: time.Second,
		RetryIn: 2 * time.Second, Reason: store.ByFailureRate, Cause: "web-1#a", Openings: 3,
		Window: store.Tally{Calls: 9, Failures: 5, Slow: 2, Consecutive: 1}, Errors: []store.ErrorCount{{Label: "timeout", Count: 4}},
		Probing: 2, ProbeSuccesses: 1, Replicas: 20, Totals: store.Totals{Calls: 1, Failures: 2, Slow: 3, Ignored: 4, Late: 5, Rejected: 6},
		Policy: store.FleetPolicy(), Retuned: true, PolicyConflict: true,
		ModeNote:   store.Note{By: "ann", Why: "x", At: aTime, Timed: true, EndsIn: time.Minute},
		PolicyNote: store.Note{By: "bob", At: aTime},
	}
}

func fullTransition() store.Transition {
	return store.Transition{
		Name: "tier", From: store.HalfOpen, To: store.Open, Mode: store.ForcedClosed, Prev: 5, Generation: 6, Rev: 7, Action: store.Trip,
		At: aTime, Reason: store.ByOperator, Cause: "ann", Why: "drill", Window: store.Tally{Calls: 9, Failures: 5, Slow: 2, Consecutive: 1},
		Errors: []store.ErrorCount{{Label: "timeout", Count: 4}}, Witnesses: []string{"a", "b"},
	}
}

func fullCommand() store.Command {
	return store.Command{
		Name: "tier", Action: store.Retune, Policy: store.FleetPolicy(), For: time.Minute, By: "ann", Why: "x",
	}
}

// wantRoundTrip wants every field of v to be set, and v to come back as it was.
func wantRoundTrip[T any](t *testing.T, v T) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back T
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if !reflect.DeepEqual(back, v) {
		t.Errorf("through %s:\n got %+v\nwant %+v", data, back, v)
	}
}

func wantEveryFieldSet(t *testing.T, v any) {
	t.Helper()
	for i, value := 0, reflect.ValueOf(v); i < value.NumField(); i++ {
		if value.Field(i).IsZero() {
			t.Errorf("%T.%s is not set by this test", v, value.Type().Field(i).Name)
		}
	}
}

func TestJSONKeepsEveryField(t *testing.T) {
	wantEveryFieldSet(t, fullSnapshot())
	wantEveryFieldSet(t, fullTransition())
	command := fullCommand()
	command.Known.Generation = 1 // a replica's, and no part of what a person writes
	wantEveryFieldSet(t, command)
	wantRoundTrip(t, fullSnapshot())
	wantRoundTrip(t, fullTransition())
	wantRoundTrip(t, fullCommand())
	wantRoundTrip(t, store.Snapshot{Name: "tier"})
	wantRoundTrip(t, store.Transition{Name: "tier"})
	wantRoundTrip(t, store.Command{Name: "tier"})
	wantRoundTrip(t, store.Policy{})
}

// TestWhatANewerReleaseDidIsToldInJSON: a page with one command that has no name here shows the others, and that one.
func TestWhatANewerReleaseDidIsToldInJSON(t *testing.T) {
	data, err := json.Marshal(store.Transition{Name: "tier", From: 3, To: 4, Mode: 5, Action: 99, Reason: "solar-flare"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"action":"Action(99)"`, `"mode":"Mode(5)"`, `"to":"State(4)"`, `"reason":"solar-flare"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s has no %s", data, want)
		}
	}
	var back store.Transition
	if err := json.Unmarshal([]byte(`{"name":"tier","from":"Action(3)","mode":"quarantined","action":"quarantine"}`), &back); err != nil || back.Action == 0 || back.Mode == store.Auto {
		t.Errorf("%+v, %v", back, err)
	}
	var command store.Command
	if err := json.Unmarshal([]byte(`{"name":"tier","action":"quarantine"}`), &command); err == nil {
		t.Errorf("a command that has no name here is read as %+v", command)
	}
}

func TestJSONOfAnyGoodPolicyComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := store.Policy{
			WindowCalls:   rapid.IntRange(10, 10_000).Draw(rt, "WindowCalls"),
			FailureRate:   rapid.Float64Range(0, 1).Draw(rt, "FailureRate"),
			SlowCallRate:  rapid.Float64Range(0, 1).Draw(rt, "SlowCallRate"),
			SlowCallAfter: time.Duration(rapid.Int64Range(1, 1e12).Draw(rt, "SlowCallAfter")),
			OpenFor:       time.Duration(rapid.Int64Range(1, 8e13).Draw(rt, "OpenFor")),
			Observe:       rapid.Bool().Draw(rt, "Observe"),
		}.WithDefaults()
		if err := p.Validate(); err != nil {
			rt.Fatal(err)
		}
		wantRoundTrip(t, p)
	})
}

func TestJSONForms(t *testing.T) {
	for want, v := range map[string]any{
		`{"window_calls":100,"window_time_ms":0,"consecutive_failures":5,"consecutive_for_ms":1000,"failure_rate":0.5,"slow_call_rate":0,` +
			`"slow_call_after_ms":0,"min_calls":20,"reporters":2,"open_for_ms":60000,"open_for_max_ms":60000,"probes":3,"probe_successes":2,` +
			`"probe_lease_ms":30000,"ramp_up_ms":0,"observe":false}`: store.FleetPolicy(),
		`{"name":"tier","action":"force-open","for_ms":60000,"by":"ann","why":"x"}`: store.Command{Name: "tier", Action: store.ForceOpen, For: time.Minute, By: "ann", Why: "x"},
		`{"name":"tier","action":"lift","by":"ann"}`:                                store.Command{Name: "tier", Action: store.Lift, By: "ann"},
		`{"name":"tier","from":"closed","to":"open","mode":"auto","prev":0,"generation":5,"rev":0,"at":"2026-01-02T03:04:05.006Z",` +
			`"reason":"consecutive-failures","cause":"a","window":{"calls":5,"failures":5,"slow":0,"consecutive":5},"errors":[],"witnesses":[],` +
			`"sentence":"tier opened because 5 calls in a row failed; reported by a"}`: store.Transition{
			Name: "tier", To: store.Open, Generation: 5, At: aTime, Reason: store.ByConsecutiveFailures, Cause: "a",
			Window: store.Tally{Calls: 5, Failures: 5, Consecutive: 5},
		},
	} {
		got, err := json.Marshal(v)
		if err != nil || string(got) != want {
			t.Errorf("%T:\n got %s, %v\nwant %s", v, got, err, want)
		}
	}
	got, err := json.Marshal(fullSnapshot())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"state":"half-open"`, `"mode":"forced-open"`, `"effective":"open"`, `"generation":9007199254740991`, `"since":"2026-01-02T03:04:05.006Z"`,
		`"age_ms":1000`, `"retry_in_ms":2000`, `"mode_note":{"by":"ann","why":"x","at":"2026-01-02T03:04:05.006Z","timed":true,"ends_in_ms":60000}`,
		`"errors":[{"label":"timeout","count":4}]`, `"policy_conflict":true`, `"window":{"calls":9,"failures":5,"slow":2,"consecutive":1}`,
		`"totals":{"calls":1,"failures":2,"slow":3,"ignored":4,"late":5,"refused":6}`,
	} {
		if !strings.Contains(string(got), part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
	empty, err := json.Marshal(store.Snapshot{})
	if err != nil || strings.Contains(string(empty), "_note") || strings.Contains(string(empty), "since") || !strings.Contains(string(empty), `"errors":[]`) {
		t.Errorf("the zero Snapshot: %s, %v", empty, err)
	}
}

func TestJSONDurationsAreWholeMilliseconds(t *testing.T) {
	for given, want := range map[time.Duration]string{1: "1", ms: "1", ms + 1: "2", -ms: "-1", 0: "0"} {
		got, err := json.Marshal(store.Snapshot{RetryIn: given})
		if err != nil || !strings.Contains(string(got), `"retry_in_ms":`+want+",") {
			t.Errorf("%v: %s, %v; want %s", given, got, err, want)
		}
	}
	for _, bad := range []string{"1.5", `"1s"`, "9223372036855", "-9223372036855", "1e99", "true"} {
		var p store.Policy
		if err := json.Unmarshal([]byte(`{"open_for_ms":`+bad+`}`), &p); err == nil {
			t.Errorf("open_for_ms %s is read as %v", bad, p.OpenFor)
		}
	}
	var p store.Policy
	if err := json.Unmarshal([]byte(`{"open_for_ms":9223372036854}`), &p); err != nil || p.OpenFor != math.MaxInt64/ms*ms {
		t.Errorf("the longest duration: %v, %v", p.OpenFor, err)
	}
}

// A misspelt end would force a fleet without end.
func TestACommandIsReadStrictly(t *testing.T) {
	for _, bad := range []string{
		`{"name":"tier","action":"force-open","for":60000,"by":"ann"}`,
		`{"name":"tier","action":"force-open","forms":60000}`,
		`{"name":"tier","action":"retune","policy":{"open_for":5}}`,
		`{"name":"tier","action":"force"}`,
		`{"name":"tier","action":1}`,
		`{"name":5}`,
		`[]`, `"x"`, `5`,
	} {
		c := store.Command{Name: "before"}
		if err := json.Unmarshal([]byte(bad), &c); !errors.Is(err, store.ErrInvalid) || c.Name != "before" {
			t.Errorf("%s: read as %+v, %v; want ErrInvalid and nothing read", bad, c, err)
		}
	}
	var grown store.Snapshot
	if err := json.Unmarshal([]byte(`{"name":"tier","new_field":1}`), &grown); err != nil || grown.Name != "tier" {
		t.Errorf("an answer with a new field: %+v, %v", grown, err)
	}
}

func FuzzCommandJSON(f *testing.F) {
	f.Add([]byte(`{"name":"tier","action":"retune","policy":{"window_calls":5,"failure_rate":0.5},"for_ms":5,"by":"a","why":"b"}`))
	f.Add([]byte(`{"name":"tier","action":"","for_ms":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c store.Command
		if json.Unmarshal(data, &c) != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", c, err)
		}
		var back store.Command
		if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("through %s: got %+v, %v, want %+v", again, back, err, c)
		}
	})
}
