package store_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

const (
	ms      = time.Millisecond
	tooMuch = store.MaxNumber + 1
)

func goodReport() store.Report {
	return store.Report{
		Name: "tier", Replica: "web-1#a", Seq: 1, MaxAge: 3 * time.Second,
		Runs:  []store.Run{{Outcome: store.Failure, Count: 3, Age: ms, Label: "timeout"}, {Outcome: store.Success, Count: 1}},
		Known: goodKnown(),
	}
}

func goodKnown() store.Known {
	return store.Known{
		Generation: 5, Rev: 6, State: store.Open, Reason: store.ByTime, Cause: "a", RetryIn: time.Second, Openings: 3,
		Mode: store.ForcedOpen, ModeNote: store.Note{By: "ann", Why: "x", At: time.UnixMilli(7).UTC(), Timed: true, EndsIn: time.Hour},
		Retuned: true, Policy: store.FleetPolicy(), PolicyNote: store.Note{By: "bob", At: time.UnixMilli(8).UTC()},
	}
}

// wantRefused wants err to be ErrInvalid and to name a field.
func wantRefused(t *testing.T, err error, field string) {
	t.Helper()
	if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), field) {
		t.Errorf("got %v; want ErrInvalid about %s", err, field)
	}
}

func TestAReportIsTakenAsAStoreWorksWithIt(t *testing.T) {
	r := goodReport()
	r.MaxAge, r.Runs[0].Age, r.Known.RetryIn, r.Known.ModeNote.EndsIn = 1999_999, 2_999_999, 1, 1_000_001
	given := r.Runs[0]
	got, err := r.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	want := goodReport()
	want.Policy = store.DefaultPolicy()
	want.MaxAge, want.Runs[0].Age, want.Known.RetryIn, want.Known.ModeNote.EndsIn = ms, 2*ms, ms, 2*ms
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if r.Runs[0] != given {
		t.Errorf("the caller's run was changed to %+v", r.Runs[0])
	}
	again, err := got.Normalize()
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("Normalize is not idempotent: %+v, %v", again, err)
	}
}

func TestABadReportNamesItsField(t *testing.T) {
	for field, spoil := range map[string]func(r *store.Report){
		"Report.Name":       func(r *store.Report) { r.Name = "" },
		"Report.Replica":    func(r *store.Report) { r.Replica = "a\n" },
		"Probes":            func(r *store.Report) { r.Policy.Probes = -1 },
		"Report.Seq":        func(r *store.Report) { r.Seq = tooMuch },
		"Report.Generation": func(r *store.Report) { r.Generation = tooMuch },
		"Report.MaxAge":     func(r *store.Report) { r.MaxAge = -1 },
		"Report.Rejected":   func(r *store.Report) { r.Rejected = tooMuch },
		"Outcome":           func(r *store.Report) { r.Runs[1].Outcome = 0 },
		"Count":             func(r *store.Report) { r.Runs[1].Count = 0 },
		"Count is 1000001":  func(r *store.Report) { r.Runs[1].Count = store.MaxCount + 1 },
		"Age":               func(r *store.Report) { r.Runs[1].Age = -1 },
		"Label":             func(r *store.Report) { r.Runs[1].Label = strings.Repeat("x", 65) },
		"Report.Runs":       func(r *store.Report) { r.Runs = make([]store.Run, 257) },
		"4097":              func(r *store.Report) { r.Runs[0].Count = 4097 },
	} {
		r := goodReport()
		spoil(&r)
		_, err := r.Normalize()
		wantRefused(t, err, field)
	}
}

func TestABadKnownNamesItsField(t *testing.T) {
	for field, spoil := range map[string]func(k *store.Known){
		"Known.Generation":        func(k *store.Known) { k.Generation = tooMuch },
		"Known.Rev":               func(k *store.Known) { k.Rev = tooMuch },
		"Known.State":             func(k *store.Known) { k.State = 3 },
		"Known.Reason":            func(k *store.Known) { k.Reason = "a\nb" },
		"Known.Cause":             func(k *store.Known) { k.Cause = strings.Repeat("x", 201) },
		"Known.RetryIn":           func(k *store.Known) { k.RetryIn = -1 },
		"Known.Openings":          func(k *store.Known) { k.Openings = -1 },
		"Known.Openings is 10000": func(k *store.Known) { k.Openings = store.MaxOpening + 1 },
		"Known.Mode":              func(k *store.Known) { k.Mode = 3 },
		"Known.ModeNote.By":       func(k *store.Known) { k.ModeNote.By = "" },
		"Known.ModeNote.Why":      func(k *store.Known) { k.ModeNote.Why = "\x00" },
		"Known.ModeNote.EndsIn":   func(k *store.Known) { k.ModeNote.EndsIn = -1 },
		"Known.Policy":            func(k *store.Known) { k.Policy.OpenFor = -1 },
		"Known.PolicyNote.By":     func(k *store.Known) { k.PolicyNote.By = "" },
	} {
		r := goodReport()
		spoil(&r.Known)
		_, err := r.Normalize()
		wantRefused(t, err, field)
		c := store.Claim{Name: "tier", ID: "1", Replica: "a", Want: 1, Known: r.Known}
		_, err = c.Normalize()
		wantRefused(t, err, field)
	}
}

func TestAKnownPolicyIsTakenWithItsDefaults(t *testing.T) {
	r := goodReport()
	r.Known.Policy = store.Policy{OpenFor: 1}
	got, err := r.Normalize()
	if want := (store.Policy{OpenFor: ms}).WithDefaults(); err != nil || got.Known.Policy != want {
		t.Errorf("got %+v, %v; want %+v", got.Known.Policy, err, want)
	}
}

func TestAKnownAtItsEdgesIsTaken(t *testing.T) {
	for _, k := range []store.Known{
		{Generation: store.MaxNumber, Rev: store.MaxNumber},
		{State: store.HalfOpen, Openings: store.MaxOpening, RetryIn: 1 << 62},
		{Mode: store.ForcedClosed, ModeNote: store.Note{By: "a"}},
		{Reason: store.Reason(strings.Repeat("x", 200)), Cause: strings.Repeat("x", 200)},
		{Retuned: true, PolicyNote: store.Note{By: "a", Why: strings.Repeat("x", 200)}},
	} {
		r := goodReport()
		r.Known = k
		if _, err := r.Normalize(); err != nil {
			t.Errorf("%+v: %v", k, err)
		}
	}
}

// What does not stand in a Known is not looked at, and is not carried on.
func TestWhatDoesNotStandIsNotRead(t *testing.T) {
	r := goodReport()
	bad := store.Note{By: "\n", EndsIn: -1}
	r.Known = store.Known{ModeNote: bad, Policy: store.Policy{Probes: -1}, PolicyNote: bad}
	got, err := r.Normalize()
	if err != nil || got.Known != (store.Known{}) {
		t.Errorf("got %+v, %v", got.Known, err)
	}
	r.Known = goodKnown()
	r.Known.ModeNote.Timed, r.Known.ModeNote.EndsIn = false, -1
	got, err = r.Normalize()
	if err != nil || got.Known.ModeNote.EndsIn != 0 {
		t.Errorf("an untimed note's EndsIn: got %v, %v", got.Known.ModeNote.EndsIn, err)
	}
}

func TestAKnownIsCutToWhatCanBeKept(t *testing.T) {
	for given, want := range map[time.Time]time.Time{
		{}:                      time.UnixMilli(0).UTC(),
		time.UnixMilli(-5):      time.UnixMilli(0).UTC(),
		time.UnixMilli(1 << 62): time.UnixMilli(store.MaxNumber).UTC(),
		time.Unix(3, 1_999_999): time.UnixMilli(3001).UTC(),
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("x", 3600)): time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC),
	} {
		r := goodReport()
		r.Known.ModeNote.At, r.Known.ModeNote.EndsIn = given, 1000*time.Hour
		got, err := r.Normalize()
		if err != nil || got.Known.ModeNote.At != want || got.Known.ModeNote.EndsIn != store.MaxFor {
			t.Errorf("%v: got %+v, %v; want %v and 30 days", given, got.Known.ModeNote, err, want)
		}
	}
}

func TestAClaimIsChecked(t *testing.T) {
	good := store.Claim{Name: "tier", ID: "1", Replica: "a", Want: 1}
	got, err := good.Normalize()
	if err != nil || got.Policy != store.DefaultPolicy() {
		t.Errorf("got %+v, %v", got, err)
	}
	for field, spoil := range map[string]func(c *store.Claim){
		"Claim.Name":    func(c *store.Claim) { c.Name = "\xff" },
		"Claim.ID":      func(c *store.Claim) { c.ID = "" },
		"Claim.Policy":  func(c *store.Claim) { c.Policy.Probes = 1001 },
		"Claim.Replica": func(c *store.Claim) { c.Replica = "" },
		"Claim.Want":    func(c *store.Claim) { c.Want = 0 },
	} {
		c := good
		spoil(&c)
		_, err := c.Normalize()
		wantRefused(t, err, field)
	}
}

func TestASettlementIsChecked(t *testing.T) {
	good := store.Settlement{
		Lease: store.Lease{Name: "tier", ID: "1", Generation: 5, For: -1}, Replica: "a", Outcome: store.Failure, Label: "timeout",
	}
	got, err := good.Normalize()
	want := good
	want.Lease.For = 0
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	good.Lease.ID = "a\nb"
	if got, err := good.Normalize(); err != nil || got.Lease.ID != "" {
		t.Errorf("a bad lease ID: got %q, %v; want none, and no error", got.Lease.ID, err)
	}
	for field, spoil := range map[string]func(s *store.Settlement){
		"Settlement.Lease.Name":       func(s *store.Settlement) { s.Lease.Name = "" },
		"Settlement.Lease.Generation": func(s *store.Settlement) { s.Lease.Generation = tooMuch },
		"Settlement.Replica":          func(s *store.Settlement) { s.Replica = "" },
		"Settlement.Outcome":          func(s *store.Settlement) { s.Outcome = 4 },
		"Settlement.Label":            func(s *store.Settlement) { s.Label = "\x1b" },
	} {
		s := good
		spoil(&s)
		_, err := s.Normalize()
		wantRefused(t, err, field)
	}
}

func TestACommandIsChecked(t *testing.T) {
	for field, c := range map[string]store.Command{
		"Command.Name":                {Action: store.Trip, By: "a"},
		"Command.Action":              {Name: "tier", By: "a"},
		"Command.Action is Action(8)": {Name: "tier", Action: 8, By: "a"},
		"Command.Policy":              {Name: "tier", Action: store.Retune, By: "a", Policy: store.Policy{Probes: -1}},
		"Command.For is -1ns":         {Name: "tier", Action: store.ForceOpen, By: "a", For: -1},
		"Command.For is 720h0m0.0000": {Name: "tier", Action: store.Retune, By: "a", For: store.MaxFor + 1},
		"want 0 for lift":             {Name: "tier", Action: store.Lift, By: "a", For: 1},
		"want 0 for reset":            {Name: "tier", Action: store.Reset, By: "a", For: 1},
		"want 0 for restore":          {Name: "tier", Action: store.Restore, By: "a", For: 1},
		"Command.By":                  {Name: "tier", Action: store.Trip},
		"Command.Why":                 {Name: "tier", Action: store.Trip, By: "a", Why: "\u2028"},
	} {
		_, err := c.Normalize()
		wantRefused(t, err, field)
	}
	bad := store.Policy{Probes: -1}
	for a := store.ForceOpen; a <= store.Restore; a++ {
		if a == store.Retune {
			continue
		}
		got, err := store.Command{Name: "tier", Action: a, By: "a", Policy: bad}.Normalize()
		if err != nil || got.Policy != (store.Policy{}) {
			t.Errorf("%v: a policy that it does not read: got %+v, %v", a, got.Policy, err)
		}
	}
	for _, good := range []store.Command{
		{Name: "tier", Action: store.ForceClosed, By: "a", For: store.MaxFor},
		{Name: "tier", Action: store.Trip, By: strings.Repeat("x", 200), Why: strings.Repeat("x", 200), For: 1},
	} {
		if _, err := good.Normalize(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	got, err := store.Command{Name: "tier", Action: store.Retune, By: "a", For: 1}.Normalize()
	if err != nil || got.Policy != store.DefaultPolicy() || got.For != ms {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestErrorsSayFieldValueAndRange(t *testing.T) {
	r := goodReport()
	r.MaxAge = -time.Second
	_, err := r.Normalize()
	if want := "invalid request: Report.MaxAge is -1s; want 0 or more"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	bad := &store.PolicyError{Field: "OpenFor", Value: "-1s", Range: "1ms..24h"}
	if want := "policy: OpenFor is -1s; want 1ms..24h"; bad.Error() != want {
		t.Errorf("got %q, want %q", bad, want)
	}
	if !errors.Is(store.ErrName, store.ErrInvalid) || errors.Is(store.ErrInvalid, store.ErrName) || errors.Is(store.ErrUnknown, store.ErrInvalid) {
		t.Error("ErrName is ErrInvalid, not the reverse; ErrUnknown is not")
	}
}
