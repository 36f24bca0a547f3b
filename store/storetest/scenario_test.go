package storetest

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/commontrip/commontrip/store"
)

func newTestStage() *stage {
	c := newClock()
	m := newModel(c)
	return newStage(m, c, tier, m.wipe)
}

func TestALineThatIsNoneIsAnError(t *testing.T) {
	for _, bad := range []string{
		"look", "wait", "wait ten", "wait 1s 2s", "report", "report a nothing", "report a seq=x", "report a fail*x", "report a fail@soon",
		"claim a", "claim a c1 soon", "claim a c1 want=x", "settle a", "settle a c1/0", "settle a c1 ok", "settle a c1/x ok",
		"settle a c1/0 well", "settle a c1/0 ok now", "command", "command stop", "command trip streak=5", "command retune speed=5",
		"command trip for=ever", "policy streak=x", "policy open=x", "policy rate=x", "policy speed=5", "history x",
		"report a knows=gen=x", "report a knows=someday", "report a knows=forced-open=x",
	} {
		if answer, err := newTestStage().play(bad); err == nil {
			t.Errorf("%q is taken as a line and answered %q", bad, answer)
		}
	}
}

func TestALineSaysAllOfARequest(t *testing.T) {
	g := newTestStage()
	for _, line := range []string{
		"policy streak=9 open=5s", "wait 1s",
		"report a fail*3@1s:timeout ok slow*2 slow-fail ignored announce own-open rejected=3 max-age=5s seq=7 gen=+5 late=2s",
	} {
		if _, err := g.play(line); err != nil {
			t.Fatal(err)
		}
	}
	got := g.last["a"]
	same(t, "runs", got.Runs, []store.Run{
		{Outcome: store.Failure, Count: 3, Age: time.Second, Label: "timeout"},
		{Outcome: store.Success, Count: 1},
		{Outcome: store.Success, Slow: true, Count: 2},
		{Outcome: store.Failure, Slow: true, Count: 1},
		{Outcome: store.Ignored, Count: 1},
	})
	got.Runs = nil
	same(t, "the report", got, store.Report{
		Name: tier, Replica: "a", Policy: store.Policy{ConsecutiveFailures: 9, OpenFor: 5 * sec}.WithDefaults(), Announce: true, OwnOpen: true,
		Rejected: 3, MaxAge: 5 * sec, Seq: 7, Generation: uint64(start.UnixMilli() + 5),
		SentAt: start.Add(-sec),
	})
}

func TestWhatAReplicaKnowsAges(t *testing.T) {
	g := newTestStage()
	for _, line := range []string{"report a fail*5", "command force-open for=1m", "report a", "wait 10s"} {
		if _, err := g.play(line); err != nil {
			t.Fatal(err)
		}
	}
	k := g.known("a", "")
	same(t, "left", []time.Duration{k.RetryIn, k.ModeNote.EndsIn}, []time.Duration{50 * sec, 50 * sec})
	k = g.known("a", "gen=5,rev=+7,half-open,retry=3s,openings=4,auto,retuned=2s")
	same(t, "changed", []any{k.Generation, k.Rev, k.State, k.RetryIn, k.Openings, k.Mode, k.Policy, k.PolicyNote.EndsIn}, []any{
		uint64(5), uint64(start.UnixMilli() + 7), store.HalfOpen, 3 * sec, 4, store.Auto, another, 2 * sec,
	})
}

func TestAPolicysWordsAreThatPolicy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		g := newTestStage()
		if _, err := g.play("policy " + policyText(p)); err != nil || g.policy != p {
			t.Fatalf("%q is %+v, %v; want %+v", policyText(p), g.policy, err, p)
		}
	})
}

func TestAScenarioIsReadAsItIsWritten(t *testing.T) {
	why, lines := parseScenario("# One.\n# Two.\n\nreport a\n  closed\n  and more\n# not this\nwipe\n")
	same(t, "its sentence", why, "One. Two.")
	same(t, "its lines", lines, []line{{4, "report a", "closed\nand more"}, {8, "wipe", ""}})
}
