package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// told is a breaker named mcp in a memory store whose clock the test turns.
type told struct {
	t     *testing.T
	store store.Store
	now   time.Time
	seq   map[string]uint64
}

var explained = store.Policy{ConsecutiveFailures: 2, OpenFor: time.Minute, OpenForMax: 3 * time.Minute, Probes: 2, ProbeSuccesses: 2}

func tellOf(t *testing.T) *told {
	f := &told{t: t, now: time.Date(2026, 3, 1, 20, 21, 3, 0, time.UTC), seq: map[string]uint64{}}
	f.store = memorystore.New(memorystore.WithClock(func() time.Time { return f.now }))
	return f
}

func (f *told) snapshot() store.Snapshot {
	f.t.Helper()
	all, err := f.store.Read(context.Background(), "mcp")
	if err != nil || len(all) != 1 {
		f.t.Fatal(all, err)
	}
	return all[0]
}

// report says of a replica that its own verdict is open or not, and that n of its calls failed.
func (f *told) report(replica string, failed int, own bool, p store.Policy) {
	f.t.Helper()
	f.seq[replica]++
	r := store.Report{Name: "mcp", Replica: replica, Policy: p, Seq: f.seq[replica], OwnOpen: own, MaxAge: time.Minute}
	if f.seq[replica] > 1 || len(f.seq) > 1 {
		r.Generation = f.snapshot().Generation
	}
	if failed > 0 {
		r.Runs = []store.Run{{Outcome: store.Failure, Count: failed, Label: "503"}}
	}
	if got := f.store.Sync(context.Background(), []store.Report{r}); got[0].Err != nil {
		f.t.Fatal(got[0].Err)
	}
}

// probe claims a lease and settles it, or keeps it if there is no outcome.
func (f *told) probe(replica string, o store.Outcome) {
	f.t.Helper()
	id := replica + f.now.String() + o.String()
	grant, err := f.store.Claim(context.Background(), store.Claim{Name: "mcp", ID: id, Policy: explained, Replica: replica, Want: 1})
	if err != nil || len(grant.Leases) != 1 {
		f.t.Fatal(grant, err)
	}
	if o == 0 {
		return
	}
	if _, err := f.store.Settle(context.Background(), store.Settlement{Lease: grant.Leases[0], Replica: replica, Outcome: o, Label: "timeout"}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *told) command(c store.Command) {
	f.t.Helper()
	c.Name, c.By, c.Why = "mcp", "oncall", "INC-42"
	if _, err := f.store.Command(context.Background(), c); err != nil {
		f.t.Fatal(err)
	}
}

func (f *told) explain() store.Explanation {
	f.t.Helper()
	history, err := f.store.History(context.Background(), "mcp", 0)
	if err != nil {
		f.t.Fatal(err)
	}
	roster, err := f.store.Roster(context.Background(), "mcp")
	if err != nil {
		f.t.Fatal(err)
	}
	return f.snapshot().Explain(history, roster)
}

func (f *told) wants(when string, want store.Explanation) {
	f.t.Helper()
	got := f.explain()
	want.Since, want.LatestAt, want.NextAt = got.Since, got.LatestAt, got.NextAt // their texts stand in the others
	if got != want {
		f.t.Errorf("%s:\n got %+v\nwant %+v", when, got, want)
	}
}

const tripped1 = "mcp opened because 2 calls in a row failed; errors: 2 x 503; seen by web-7"

// TestAnOutageIsExplainedFromItsFirstCauseOn: it once said "open for 7 s, probe failure" of a tier that was down for minutes.
func TestAnOutageIsExplainedFromItsFirstCauseOn(t *testing.T) {
	f := tellOf(t)
	f.report("web-7#a", 0, false, explained)
	f.report("web-9#b", 0, false, explained)
	f.wants("closed", store.Explanation{})
	f.report("web-7#a", 2, true, explained)
	f.wants("tripped", store.Explanation{
		State: "not closed since 20:21:03 UTC", Cause: tripped1, Next: "the first probe may go at 20:22:03 UTC",
		Own: "1 of 2 replicas refuses by its own verdict: web-7",
	})
	f.now = f.now.Add(time.Minute)
	f.wants("its time is over", store.Explanation{
		State: "not closed since 20:21:03 UTC", Cause: tripped1, Next: "the open time is over: the next call is a probe",
	})
	f.probe("web-7#a", store.Success)
	f.probe("web-9#b", 0)
	const halfOpen = "mcp became half-open because its open time is over; noticed by web-7"
	f.wants("half-open", store.Explanation{
		State: "not closed since 20:21:03 UTC", Cause: tripped1, Latest: halfOpen,
		Next: "1 of 2 probes succeeded, 1 under way: it closes after 1 more, or opens again for 2 min if probes fail",
	})
	f.probe("web-7#a", store.Failure)
	for _, replica := range []string{"web-7#a", "web-9#b"} {
		f.report(replica, 0, true, explained)
	}
	const again = "mcp opened again because probes failed; errors: 1 x timeout; seen by web-7"
	f.wants("open again", store.Explanation{
		State: "not closed since 20:21:03 UTC", Cause: tripped1, Latest: again, Next: "the first probe may go at 20:24:03 UTC",
		Own: "2 of 2 replicas refuse by their own verdict",
	})
	f.command(store.Command{Action: store.Retune, Policy: store.Policy{Observe: true}})
	e := f.explain()
	if e.State != "not closed since 20:21:03 UTC, but it only observes and refuses no call" || e.Cause != tripped1 || e.Own != "" {
		t.Errorf("a dry run: %+v", e)
	}
	f.command(store.Command{Action: store.Reset})
	f.wants("reset", store.Explanation{})
}

// TestTheFirstCauseOfALongOutageIsKept: each round of failed probes writes two entries, of which fifty are kept. After 25 rounds
// the breaker was once "not closed since" the oldest of them "or earlier", with that one's cause.
func TestTheFirstCauseOfALongOutageIsKept(t *testing.T) {
	f := tellOf(t)
	f.report("web-7#a", 2, false, explained)
	for range 60 {
		f.now = f.now.Add(3 * time.Minute)
		f.probe("web-7#a", store.Failure)
		if e := f.explain(); e.State != "not closed since 20:21:03 UTC" || e.Cause != tripped1 {
			t.Fatalf("%q, %q", e.State, e.Cause)
		}
	}
	f.command(store.Command{Action: store.Reset})
	f.wants("reset", store.Explanation{})
	f.report("web-9#b", 2, false, explained)
	if e := f.explain(); e.State != f.now.Format("not closed since 15:04:05 UTC") || !strings.HasSuffix(e.Cause, "seen by web-9") {
		t.Errorf("after it: %q, %q", e.State, e.Cause)
	}
}

func TestWhatAnOperatorLeftStandingIsExplained(t *testing.T) {
	f := tellOf(t)
	f.report("web-7#a", 0, true, explained)
	f.command(store.Command{Action: store.ForceOpen})
	f.wants("without an end", store.Explanation{
		State: "not closed since 20:21:03 UTC", Cause: "oncall forced mcp open: INC-42", Next: "the forced mode stands until somebody lifts it",
	})
	f.now = f.now.Add(4 * time.Hour)
	f.command(store.Command{Action: store.ForceOpen, For: time.Hour})
	f.wants("with an end on the next day", store.Explanation{
		State:  "not closed since 2026-03-01 20:21:03 UTC",
		Cause:  "oncall forced mcp open: INC-42",
		Latest: "oncall forced mcp open: INC-42",
		Next:   "the forced mode ends at 01:21:03 UTC",
	})
	f.now = f.now.Add(time.Hour)
	if got := f.explain().Next; got != "the time of the forced mode is over: the next report or call ends it" {
		t.Error(got)
	}
	f.command(store.Command{Action: store.Trip})
	f.command(store.Command{Action: store.ForceClosed})
	f.wants("forced closed", store.Explanation{
		State: "forced closed since 01:21:03 UTC; without that it is open",
		Cause: "oncall forced mcp closed: INC-42", Next: "the forced mode stands until somebody lifts it",
	})
	f.command(store.Command{Action: store.Lift})
	if e := f.explain(); e.State != "not closed since 01:21:03 UTC or earlier" || e.Cause != "oncall lifted the forced mode of mcp, which is now open: INC-42" {
		t.Errorf("%+v", e)
	}
}

func TestReplicasOnTheirOwnAreExplainedWhileTheFleetIsClosed(t *testing.T) {
	f := tellOf(t)
	f.report("web-7#a", 0, true, explained)
	f.wants("a fleet of one", store.Explanation{Own: "1 of 1 replica refuses by its own verdict"})
	f.report("web-8#b", 0, true, explained)
	f.report("web-9#c", 0, true, explained)
	f.wants("all", store.Explanation{Own: "3 of 3 replicas refuse by their own verdict"})
	for i := range 5 {
		f.report("web-1"+string(rune('0'+i))+"#d", 0, true, explained)
	}
	f.report("web-20#e", 0, false, explained)
	f.wants("some", store.Explanation{Own: "8 of 9 replicas refuse by their own verdict: web-10, web-11, web-12, web-13, web-14 and 3 more"})
}

func TestReplicasWithAnotherPolicyAreNamed(t *testing.T) {
	f := tellOf(t)
	other := explained
	other.Probes = 1
	f.report("web-7#a", 0, false, explained)
	f.report("web-8#b", 0, false, other)
	f.wants("one", store.Explanation{Policies: "web-8 reports another policy than the fleet's: Probes 1 here, 2 agreed"})
	f.report("web-9#b", 0, false, other)
	f.wants("two", store.Explanation{Policies: "web-8 and web-9 report another policy than the fleet's: Probes 1 here, 2 agreed"})
	other.OpenFor = 2 * time.Minute
	f.report("web-10#c", 0, false, other)
	const three = "web-10, web-8 and web-9 report another policy than the fleet's; web-10: OpenFor 2m0s here, 1m0s agreed; " +
		"Probes 1 here, 2 agreed; web-8 and web-9: Probes 1 here, 2 agreed"
	f.wants("three", store.Explanation{Policies: three})
	f.command(store.Command{Action: store.Retune, Policy: other})
	if got := f.explain().Policies; got != three {
		t.Errorf("while another policy is in force, the fleet's is compared: %q", got)
	}
	f.command(store.Command{Action: store.Restore})
	for i := range 3 {
		other.Probes = 10 + i
		f.report(fmt.Sprintf("web-2%d#d", i), 0, false, other)
	}
	if got := f.explain().Policies; !strings.HasSuffix(got, "; 2 more in other ways") || strings.Contains(got, "Probes 12") {
		t.Errorf("five ways: %q", got)
	}
	f.report("web-30#e", 0, false, explained)
	roster, err := f.store.Roster(context.Background(), "mcp")
	if agrees := roster[len(roster)-4]; err != nil || agrees.Name != "web-30#e" || agrees.Policy != (store.Policy{}) || agrees.Differences() != nil {
		t.Errorf("a replica with the fleet's policy: %+v, %v", agrees, err)
	}
	if got := f.snapshot().Explain(nil, nil).Policies; got != "a replica reports another policy than the fleet's" {
		t.Errorf("without a roster: %q", got)
	}
}

func TestAnExplanationDoesWithoutTheHistory(t *testing.T) {
	f := tellOf(t)
	f.report("web-7#a", 2, false, explained)
	tripped := f.snapshot()
	stale, err := f.store.History(context.Background(), "mcp", 0)
	if err != nil {
		t.Fatal(err)
	}
	if e := tripped.Explain(nil, nil); e.State != "not closed since 20:21:03 UTC" || e.Cause != "" {
		t.Errorf("tripped: %+v", e)
	}
	f.now = f.now.Add(time.Minute)
	f.probe("web-7#a", 0)
	halfOpen := f.snapshot()
	if e := halfOpen.Explain(nil, nil); e.State != "not closed since 20:22:03 UTC or earlier" {
		t.Errorf("half-open: %+v", e)
	}
	if e := halfOpen.Explain(stale, nil); e.State != "not closed since 20:21:03 UTC" || e.Cause != tripped1 || e.Latest != "" {
		t.Errorf("half-open, with a history from before: %+v", e)
	}
	stale, err = f.store.History(context.Background(), "mcp", 0)
	if err != nil {
		t.Fatal(err)
	}
	f.probe("web-7#a", store.Failure)
	if e := f.snapshot().Explain(stale, nil); e.Cause != tripped1 || e.Latest != "" {
		t.Errorf("open again, with a history from before: %+v", e)
	}
	newer, err := f.store.History(context.Background(), "mcp", 0)
	if err != nil {
		t.Fatal(err)
	}
	if e := tripped.Explain(newer, nil); e.Cause != tripped1 || e.Latest != "" {
		t.Errorf("tripped, with a history from after: %+v", e)
	}
	f.command(store.Command{Action: store.ForceOpen})
	f.command(store.Command{Action: store.Reset})
	if e := f.snapshot().Explain(nil, nil); e.State != "not closed since 20:22:03 UTC" || e.Cause != "oncall forced mcp open: INC-42" {
		t.Errorf("forced open: %+v", e)
	}
}

func TestTheOpenTimeThatWouldComeNextIsTold(t *testing.T) {
	for _, c := range []struct {
		openFor, most time.Duration
		openings      int
		want          string
	}{
		{250 * time.Millisecond, time.Second, 1, "500 ms"},
		{1500 * time.Millisecond, 1500 * time.Millisecond, 1, "1.5 s"},
		{45 * time.Second, time.Hour, 1, "1 min 30 s"},
		{time.Minute, 24 * time.Hour, 1_000_000, "24 h"},
		{time.Hour, 24 * time.Hour, 0, "1 h"},
	} {
		s := store.Snapshot{State: store.HalfOpen, Openings: c.openings, Policy: store.Policy{OpenFor: c.openFor, OpenForMax: c.most, ProbeSuccesses: 1}}
		if got := s.Explain(nil, nil).Next; !strings.Contains(got, "opens again for "+c.want+" if") {
			t.Errorf("%v of at most %v after %d: %s; want %s", c.openFor, c.most, c.openings, got, c.want)
		}
	}
}

func TestAnExplanationHasAJSONForm(t *testing.T) {
	f := tellOf(t)
	f.report("web-7#a", 2, true, explained)
	text, err := json.Marshal(f.explain())
	want := `{"state":"not closed since 20:21:03 UTC","since":"2026-03-01T20:21:03Z","cause":"` + tripped1 +
		`","next":"the first probe may go at 20:22:03 UTC","next_at":"2026-03-01T20:22:03Z","own":"1 of 1 replica refuses by its own verdict"}`
	if err != nil || string(text) != want {
		t.Errorf("%s %v\nwant %s", text, err, want)
	}
	if text, err := json.Marshal(store.Explanation{}); err != nil || string(text) != "{}" {
		t.Errorf("%s %v", text, err)
	}
}

func FuzzAnExplanationIsLinesWhateverItsNamesContain(f *testing.F) {
	for _, s := range []string{"", "mcp", "a\nb", "\x1b[31m", "\u202egnp", "\u2028", "\xff\xfe", "#", "a#", "#a"} {
		f.Add(s, uint8(1), uint8(1), int64(1))
	}
	f.Fuzz(func(t *testing.T, name string, state, mode uint8, number int64) {
		s := store.Snapshot{
			Name: name, State: store.State(state % 4), Mode: store.Mode(mode % 4), Generation: 1, Openings: int(number),
			RetryIn: time.Duration(number), Since: time.Unix(number, 0), PolicyConflict: true,
			ModeNote: store.Note{By: name, Why: name, Timed: mode%2 == 0, EndsIn: time.Duration(number)},
			Policy:   store.Policy{OpenFor: time.Duration(number), OpenForMax: time.Duration(number), Observe: mode%2 == 1},
		}
		history := []store.Transition{{Name: name, To: store.State(state % 4), Mode: store.Mode(mode % 4), Generation: 1, Why: name, Cause: name}}
		roster := []store.Replica{{Name: name, OwnOpen: true, Conflict: true}}
		bad := func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }
		for _, h := range [][]store.Transition{nil, history} {
			e := s.Explain(h, roster)
			for _, text := range []string{e.State, e.Cause, e.Latest, e.Next, e.Own, e.Policies} {
				if !utf8.ValidString(text) || strings.ContainsFunc(text, bad) {
					t.Fatalf("%q", text)
				}
			}
		}
	})
}
