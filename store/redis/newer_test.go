package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// newer is a breaker in whose hash a release wrote that is newer than this one.
func newer(t *testing.T) (s *Store, set func(fields ...any)) {
	t.Helper()
	srv := redistest.Start(t)
	s, c := openOn(t, srv.URL()), admin(t, srv)
	if r := s.Sync(t.Context(), []store.Report{plainReport("web-0#1", 1)})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, a := range []store.Action{store.Trip, store.Reset} {
		if _, err := s.Command(t.Context(), store.Command{Name: "x", Action: a, By: "oncall"}); err != nil {
			t.Fatal(err)
		}
	}
	return s, func(fields ...any) {
		t.Helper()
		if err := c.HSet(t.Context(), s.keys.breaker("x"), fields...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func plainReport(replica string, seq uint64) store.Report {
	return store.Report{Name: "x", Policy: store.DefaultPolicy(), Replica: replica, Seq: seq, MaxAge: time.Minute}
}

func TestAPolicyOfANewerReleaseIsReadAsFarAsItIsKnown(t *testing.T) {
	s, set := newer(t)
	ctx := t.Context()
	set("policy", encodePolicy(store.DefaultPolicy())+" 17 0 9")
	r := plainReport("web-0#1", 2)
	r.Announce = true
	result := s.Sync(ctx, []store.Report{r})[0]
	if result.Err != nil || result.Snapshot.Policy != store.DefaultPolicy() || result.Snapshot.PolicyConflict {
		t.Errorf("a report gets %+v, %v", result.Snapshot, result.Err)
	}
	if kept, err := s.client.HGet(ctx, s.keys.breaker("x"), "policy").Result(); err != nil || !strings.HasSuffix(kept, " 17 0 9") {
		t.Errorf("the announcement of what is the same leaves %q, %v", kept, err)
	}
	r = plainReport("web-0#1", 3)
	r.Policy.OpenFor = time.Second
	r.Announce = true
	if result := s.Sync(ctx, []store.Report{r})[0]; result.Err != nil || result.Snapshot.Policy.OpenFor != time.Second {
		t.Errorf("another policy is announced: %+v, %v", result.Snapshot, result.Err)
	}
	set("retuned", "1 0\noncall\n\n"+encodePolicy(store.FleetPolicy())+" 3")
	if result := s.Sync(ctx, []store.Report{plainReport("web-0#1", 4)})[0]; result.Err != nil || result.Snapshot.Policy != store.FleetPolicy() {
		t.Errorf("a retuned policy: %+v, %v", result.Snapshot, result.Err)
	}
	if snapshots, err := s.Read(ctx, "x"); err != nil || len(snapshots) != 1 || snapshots[0].Policy != store.FleetPolicy() {
		t.Errorf("a read gives %+v, %v", snapshots, err)
	}
}

func TestAModeOfANewerReleaseStandsAndIsPassedOver(t *testing.T) {
	s, set := newer(t)
	ctx := t.Context()
	mode := "7 1700000000000 0\noncall\nINC-42"
	set("mode", mode)
	stands := func(after string) {
		t.Helper()
		if kept, err := s.client.HGet(ctx, s.keys.breaker("x"), "mode").Result(); err != nil || kept != mode {
			t.Errorf("after %s the mode is %q, %v", after, kept, err)
		}
	}
	result := s.Sync(ctx, []store.Report{plainReport("web-0#1", 2)})[0]
	if result.Err != nil || result.Snapshot.Mode != store.Auto || result.Snapshot.ModeNote != (store.Note{}) {
		t.Errorf("a report gets %+v, %v", result.Snapshot, result.Err)
	}
	stands("a report")
	if snapshots, err := s.Read(ctx, "x"); err != nil || len(snapshots) != 1 || snapshots[0].Mode != store.Auto {
		t.Errorf("a read gives %+v, %v", snapshots, err)
	}
	if _, err := s.Command(ctx, store.Command{Name: "x", Action: store.Retune, Policy: store.FleetPolicy(), By: "ann"}); err != nil {
		t.Error(err)
	}
	stands("a retune")
	if left, err := s.client.PTTL(ctx, s.keys.breaker("x")).Result(); err != nil || left > 0 {
		t.Errorf("under a mode whose end is not known the hash is kept for %v, %v", left, err)
	}
	forced, err := s.Command(ctx, store.Command{Name: "x", Action: store.ForceOpen, By: "ann"})
	if err != nil || forced.Snapshot.Mode != store.ForcedOpen || forced.Snapshot.ModeNote.By != "ann" {
		t.Errorf("a force over it gives %+v, %v", forced.Snapshot, err)
	}
}

func TestEntriesOfANewerReleaseArePassedOver(t *testing.T) {
	s, set := newer(t)
	set(
		"h2", "9 8 7 1700000000000 1700000000001 1700000000002 99 1700000000000 1 2 3 4 5 6\nsolar-flare\nann\nwhy\n2 refused\nweb-0#1\nmore\nlines",
		"h3", "what no release of today can read",
		"count", "4 0")
	history, err := s.History(t.Context(), "x", 0)
	if err != nil || len(history) != 3 {
		t.Fatalf("the history is %+v, %v", history, err)
	}
	e := history[0]
	if e.Reason != "solar-flare" || e.Cause != "ann" || e.Action != 99 || e.From != 9 || e.Mode != 7 || len(e.Witnesses) != 1 {
		t.Errorf("the newer release's entry is %+v", e)
	}
	if history[1].Action != store.Reset || history[2].Action != store.Trip {
		t.Errorf("the others are %+v", history[1:])
	}
}

// TestAPushOfANewerReleaseIsTold: listeners hear of a command that has no name here.
func TestAPushOfANewerReleaseIsTold(t *testing.T) {
	s := &Store{keys: keys{"p"}}
	entry := "0 0 3 0 0 1700000000007 12 1700000000000 100 50 0 3 8\noperator\nann\nINC-7\n\n\nmore"
	payload := strings.Join(append(append([]string{"1", "p:{x}", "1", entry}, goodFields()...), "what comes after"), "\x01")
	events, err := s.decodePush(payload)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	if got := events[0].Transition; got.Action != 12 || got.Mode != 3 || got.Why != "INC-7" {
		t.Errorf("%+v", got)
	}
	if words := events[0].Transition.Sentence(); !strings.Contains(words, "ann gave x the command Action(12): INC-7") {
		t.Errorf("%q", words)
	}
}

// TestWhatAnOlderReleaseDoesNotKeepIsNotTold: a script of 0.1 writes over the oldest entry, and keeps neither that one nor the
// number beside what began an outage. It does not know a replica's policy either.
func TestWhatAnOlderReleaseDoesNotKeepIsNotTold(t *testing.T) {
	s, set := newer(t)
	ctx := t.Context()
	trips := func(n int) {
		t.Helper()
		for range n {
			if _, err := s.Command(ctx, store.Command{Name: "x", Action: store.Trip, By: "oncall"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	oldest := func(entries int) store.Transition {
		t.Helper()
		history, err := s.History(ctx, "x", 0)
		if err != nil || len(history) != entries {
			t.Fatalf("%d entries, %v; want %d", len(history), err, entries)
		}
		return history[entries-1]
	}
	trips(60) // after a trip and a reset: the third entry began it
	if began := oldest(51); began.From != store.Closed || began.To != store.Open {
		t.Errorf("the outage began with %+v", began)
	}
	set("count", "63 0", "h12", "1 1 0 1 2 0 4 1700000000000 0 0 0 0\noperator\nann\n\n\n")
	if e := oldest(50); e.From != store.Open {
		t.Errorf("after an entry of 0.1 the oldest is %+v", e)
	}
	trips(1)
	if e := oldest(51); e.From != store.Open {
		t.Errorf("what is known to be the oldest is %+v", e)
	}

	r := plainReport("web-1#1", 1)
	r.Policy.OpenFor = time.Second
	if result := s.Sync(ctx, []store.Report{r})[0]; result.Err != nil {
		t.Fatal(result.Err)
	}
	for _, policy := range []string{"", "1 2 3", "what comes after"} {
		set("p:web-1#1", policy)
		roster, err := s.Roster(ctx, "x")
		if err != nil || len(roster) != 2 || !roster[1].Conflict || roster[1].Policy != (store.Policy{}) || roster[1].Differences() != nil {
			t.Errorf("beside %q the roster is %+v, %v", policy, roster, err)
		}
	}
}
