package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

const (
	policyText = "100 0 5 1000 5000 0 0 20 2 60000 60000 3 2 30000 0 0"
	nowMillis  = 1_700_000_000_000
)

// goodFields is what a script shows of an open breaker.
func goodFields() []string {
	return []string{
		"1700000000000", "7", "1700000000000 -5 1700000000000", "1 1700000000000 1700000060000 1 0", "failure-rate\nweb-1#a", "",
		policyText, "", "10 5 0 0 0 0", "c 0 0 0 0 0 0", "2\nrefused\ntimeout\n", "1 1700000000000 1700000001000 id\tweb-1#a\n",
		"56666666 0 2 1 1 2 1 1 3 0 0", "",
	}
}

func TestAFaceBecomesASnapshot(t *testing.T) {
	d := decoder{of: "test"}
	s := d.snapshot("x", d.snapshotFields(goodFields(), -1), store.Policy{})
	if err := d.err(); err != nil {
		t.Fatal(err)
	}
	want := store.Snapshot{
		Name: "x", State: store.Open, Generation: 1700000000000, Rev: 7, Since: time.UnixMilli(1700000000005).UTC(),
		RetryIn: time.Minute, Reason: store.ByFailureRate, Cause: "web-1#a", Openings: 1,
		Errors: []store.ErrorCount{{Label: "refused", Count: 1}, {Label: "timeout", Count: 1}}, Probing: 1, Replicas: 2,
		Totals: store.Totals{Calls: 10, Failures: 5}, Policy: store.FleetPolicy(),
	}
	if got := fmt.Sprintf("%+v", s); got != fmt.Sprintf("%+v", want) {
		t.Errorf("it is\n%s\nwant\n%+v", got, want)
	}
}

// TestABadFieldIsAnErrorAndNeverClosed is about the breaker that failed to read its own script's reply and let every
// call through.
func TestABadFieldIsAnErrorAndNeverClosed(t *testing.T) {
	bad := []string{
		"-1", "x", " ", "1.5", "1e3", "9007199254740993", "NaN", "1 2", "\n", "\n\n\n\n", "99 99 99 99 99 99 99 99 99 99 99 99",
		"open", "\x00", strings.Repeat("9", 400), "3 0 0 0 0", "0 1700000000001 0 0 0", "+1", "01 ",
	}
	for i, field := range snapshotFieldNames {
		for _, value := range bad {
			if field == "cause" && value == "\n" {
				continue // nothing happened yet
			}
			fields := goodFields()
			fields[i] = value
			d := decoder{of: "test"}
			_ = d.snapshot("x", d.snapshotFields(fields, -1), store.Policy{})
			err := d.err()
			var reply *ReplyError
			if !errors.As(err, &reply) || reply.Of != "test" {
				t.Errorf("%s = %.40q: %v; want a ReplyError", field, value, err)
			}
		}
	}
}

// TestANumberThatNoClockMadeIsAnError is about a hash into which a hand wrote a generation far ahead: the replicas took it
// over, and a store that forgot it afterwards refused all that they reported.
func TestANumberThatNoClockMadeIsAnError(t *testing.T) {
	for field, name := range snapshotFieldNames[:2] {
		for _, ahead := range []int64{24 * 3_600_000, maxAhead, maxAhead + 1, store.MaxNumber - nowMillis} {
			fields := goodFields()
			fields[field] = fmt.Sprint(nowMillis + ahead)
			d := decoder{of: "test"}
			d.snapshotFields(fields, -1)
			if err := d.err(); (err != nil) != (ahead > maxAhead) {
				t.Errorf("%s %d ms ahead of machine time: %v", name, ahead, err)
			}
		}
	}
}

func TestAReplyOfAnotherShapeIsAnError(t *testing.T) {
	s := &Store{done: make(chan struct{})}
	good := func() []any {
		list := []any{"ok", "t1", int64(0), int64(-1), ""}
		for _, field := range goodFields() {
			list = append(list, field)
		}
		return list
	}
	if r, _, err := s.result("sync", "x", store.Policy{}, &call{reply: good(), token: "t1"}, nil); err != nil || r.Snapshot.State != store.Open {
		t.Fatal(r, err)
	}
	with := func(i int, v any) []any {
		list := good()
		list[i] = v
		return list
	}
	for what, reply := range map[string]any{
		"nothing": nil, "a string": "ok", "a number": int64(1), "an empty list": []any{}, "one more": append(good(), "x"),
		"one less": good()[1:], "the reply to a claim": append(good(), int64(0), ""), "another word": with(0, "yes"),
		"a number for a word": with(0, int64(1)), "fresh too high": with(2, int64(2)), "fresh as text": with(2, "1"),
		"another request's": with(1, "t2"), "no token": with(1, nil),
		"pushed too low": with(3, int64(-2)), "made is not an entry": with(4, "x"), "a nil field": with(6, nil),
		"a nested list": with(7, []any{"x"}), "a float": with(5, 1.5), "unknown with more": []any{"unknown", "t1", "x"},
		"invalid without a number": []any{"invalid", "t1", "Known.Rev"}, "invalid of what": []any{"invalid", "t1", "Name", "1"},
		"another's unknown": []any{"unknown", "t2"}, "another's invalid": []any{"invalid", "t2", "Known.Rev", "1"},
	} {
		r, _, err := s.result("sync", "x", store.Policy{}, &call{reply: reply, token: "t1"}, nil)
		var bad *ReplyError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %+v, %v; want a ReplyError", what, r, err)
		}
	}
}

// FuzzPush: whatever comes over the channel, nothing panics, and what it tells is valid.
func FuzzPush(f *testing.F) {
	entry := "0 1 0 0 1700000000000 7 0 1700000000000 100 50 0 3\nfailure-rate\nweb-1#a\n\n2 refused\tweb\nweb-1#a\tweb-2#a"
	f.Add(strings.Join(append([]string{"1", "p:{x}", "1", entry}, goodFields()...), "\x01"))
	f.Add("")
	f.Add("1\x01p:{x}\x01-1")
	f.Add("2\x01p:{x}\x011\x01")
	f.Add("1\x01p:{x}\x0199999999999\x01")
	s := &Store{keys: keys{"p"}}
	f.Fuzz(func(t *testing.T, payload string) {
		events, err := s.decodePush(payload)
		if err != nil {
			return
		}
		for _, e := range events {
			checkSnapshot(t, e.Snapshot)
			if e.Resync || e.Transition.Name != e.Snapshot.Name || e.Transition.From > store.HalfOpen || e.Transition.To > store.HalfOpen {
				t.Fatalf("%+v", e)
			}
		}
	})
}

// FuzzSnapshotFields: whatever lies in the hash, nothing panics, and what it shows is valid.
func FuzzSnapshotFields(f *testing.F) {
	f.Add(strings.Join(goodFields(), "\x01"), int64(nowMillis))
	f.Add(strings.Repeat("\x01", len(snapshotFieldNames)-1), int64(-1))
	f.Fuzz(func(t *testing.T, all string, now int64) {
		fields := strings.Split(all, "\x01")
		if len(fields) != len(snapshotFieldNames) {
			return
		}
		d := decoder{of: "fuzz"}
		s := d.snapshot("x", d.snapshotFields(fields, now), store.Policy{})
		if d.err() == nil {
			checkSnapshot(t, s)
		}
	})
}

func checkSnapshot(t *testing.T, s store.Snapshot) {
	t.Helper()
	switch {
	case s.State > store.HalfOpen, s.Mode > store.ForcedClosed, s.Age < 0, s.RetryIn < 0, s.RetryIn > store.MaxFor,
		s.Openings < 0, s.Openings > store.MaxOpening, s.Replicas < 0, s.Probing < 0,
		s.Generation > store.MaxNumber, s.Rev > store.MaxNumber, s.ModeNote.EndsIn > store.MaxFor, len(s.Errors) > 8,
		s.Window.Calls < 0, s.Window.Failures < 0, s.Window.Slow < 0, s.Window.Consecutive < 0:
		t.Fatalf("out of range: %+v", s)
	}
	if s.Cause != "" && store.ValidateName(s.Cause) != nil {
		t.Fatalf("cause %q", s.Cause)
	}
}

// TestAHashOverwrittenByHandIsAnError puts garbage into each field of a breaker that is open: no verb may then say that
// it is closed, end half-way or panic, and what it refuses it leaves alone.
func TestAHashOverwrittenByHandIsAnError(t *testing.T) {
	t.Run("Redis", func(t *testing.T) { overwriteByHand(t, redistest.Start(t).SocketURL()) })
	if testing.Short() {
		return
	}
	t.Run("miniredis", func(t *testing.T) { overwriteByHand(t, "redis://"+miniredis.RunT(t).Addr()) })
}

func overwriteByHand(t *testing.T, url string) {
	now := time.UnixMilli(nowMillis)
	s, err := Open(url, WithClock(func() time.Time { return now }), WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	key := s.keys.breaker("x")
	fields := append([]string{"v"}, snapshotFieldNames[:]...)
	for _, field := range append(fields, "window", "count", "probes", "by_streak", "r:web-0#1") {
		for _, garbage := range []string{"x", "-1", "99999999999999999999", "1 2 3", "0", "\n\n", "1e3", strings.Repeat("1 ", 300)} {
			s.client.FlushAll(ctx)
			fleetOf(t, s, "x", 2)
			if _, err := s.Command(ctx, store.Command{Name: "x", Action: store.Trip, By: "me"}); err != nil {
				t.Fatal(err)
			}
			s.client.HSet(ctx, key, field, garbage)
			what := fmt.Sprintf("%s = %.20q", field, garbage)

			report := busyReport("x", "web-0#1", 9)
			r := s.Sync(ctx, []store.Report{report})[0]
			refuseClosed(t, what+": Sync", r.Snapshot, r.Err)
			g, err := s.Claim(ctx, store.Claim{Name: "x", ID: "c", Policy: report.Policy, Replica: "web-0#1", Want: 1})
			refuseClosed(t, what+": Claim", g.Snapshot, err)
			r, err = s.Settle(ctx, store.Settlement{Lease: store.Lease{Name: "x", ID: "1.1"}, Replica: "web-0#1", Outcome: store.Failure})
			refuseClosed(t, what+": Settle", r.Snapshot, err)
			r, err = s.Command(ctx, store.Command{Name: "x", Action: store.Retune, Policy: report.Policy, By: "me"})
			refuseClosed(t, what+": Command", r.Snapshot, err)
			if all, err := s.Read(ctx, "x"); err == nil {
				for _, snapshot := range all {
					refuseClosed(t, what+": Read", snapshot, nil)
				}
			}
			_, _ = s.Versions(ctx, "x")
			_, _ = s.Roster(ctx, "x")
			_, _ = s.History(ctx, "x", 0)
		}
	}
}

// One hash that nobody can read made every read of all breakers fail, so that the operators' page was empty.
func TestABreakerThatNobodyCanReadHidesNoOther(t *testing.T) {
	s, client := benchServer(t)
	ctx := context.Background()
	for _, name := range []string{"a", "b", "c", "d"} {
		fleetOf(t, s, name, 1)
	}
	client.HSet(ctx, s.keys.breaker("b"), "state", "1 2 3", "generation", "x")
	client.HSet(ctx, s.keys.breaker("d"), "tomb", "nonsense") // it hid the breaker

	all, err := s.Read(ctx)
	unreadable, ok := errors.AsType[*store.UnreadableError](err)
	if !ok || !slices.Equal(unreadable.Names, []string{"b", "d"}) {
		t.Errorf("Read says %v; want that b and d cannot be read", err)
	}
	if len(all) != 2 || all[0].Name != "a" || all[1].Name != "c" {
		t.Errorf("Read gives %d snapshots; want those of a and c", len(all))
	}
	versions, err := s.Versions(ctx, "a", "b", "c", "d")
	if err != nil || len(versions) != 2 || versions[0].Name != "a" || versions[1].Name != "c" {
		t.Errorf("Versions gives %v, %v; want a and c", versions, err)
	}
}

func refuseClosed(t *testing.T, what string, s store.Snapshot, err error) {
	t.Helper()
	if err != nil {
		if strings.Contains(err.Error(), "script") {
			t.Errorf("%s: the script broke down: %v", what, err)
		}
		return
	}
	if s.State == store.Closed && s.Generation != 0 {
		t.Errorf("%s: closed, and no error", what)
	}
}
