package storetest

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/commontrip/commontrip/store"
)

var propertyRules = []rule{
	{
		"a verdict does not depend on how outcomes are cut into reports",
		"At one now, a report of n outcomes and n reports of one each, in order, give the same state, whatever is resent.",
		func(f *fixture) {
			histories := 0
			rapid.Check(f.TB, func(t *rapid.T) {
				histories++
				policy := drawPolicy(t)
				outcomes := rapid.SliceOfN(rapid.Custom(drawOutcome), 1, 80).Draw(t, "outcomes")
				one := f.tellAll(t, fmt.Sprintf("one-%d", histories), policy, singly(outcomes))
				cut := f.tellAll(t, fmt.Sprintf("cut-%d", histories), policy, drawBatches(t, outcomes))
				if one != cut {
					t.Fatalf("one outcome a report:\n%s\nin batches:\n%s", one, cut)
				}
			})
		},
	},
	{
		"any history goes as the pure machine goes",
		"Every store answers every history of requests, clock steps forward and back included, as the pure state machine does.",
		func(f *fixture) {
			histories := 0
			rapid.Check(f.TB, func(t *rapid.T) {
				histories++
				f.clock.moveTo(0)
				name := fmt.Sprintf("history-%d", histories)
				c := newClock()
				pure := newModel(c)
				d := &duel{
					model: newStage(pure, c, name, pure.wipe),
					store: f.stage(name),
				}
				d.begin(t)
				t.Repeat(d.actions())
				for _, line := range []string{"read", "roster", "history"} {
					d.play(t, line)
				}
			})
		},
	},
}

// said is one outcome of one replica.
type said struct {
	replica string
	run     store.Run
}

func drawOutcome(t *rapid.T) said {
	r := store.Run{
		Outcome: rapid.SampledFrom([]store.Outcome{store.Failure, store.Failure, store.Success, store.Success, store.Ignored}).Draw(t, "outcome"),
		Slow:    rapid.IntRange(0, 4).Draw(t, "slow") == 4,
		Age:     rapid.SampledFrom(someAges).Draw(t, "age"),
		Count:   1,
	}
	if r.Outcome == store.Failure {
		r.Label = rapid.SampledFrom([]string{"", "timeout", "refused"}).Draw(t, "label")
	}
	return said{rapid.SampledFrom(someReplicas).Draw(t, "replica"), r}
}

// batch is a report to be: runs of one replica, and how often it is sent.
type batch struct {
	replica string
	runs    []store.Run
	times   int
}

func singly(outcomes []said) []batch {
	list := make([]batch, len(outcomes))
	for i, o := range outcomes {
		list[i] = batch{o.replica, []store.Run{o.run}, 1}
	}
	return list
}

// drawBatches cuts outcomes into reports of several runs, runs of several outcomes, and sends some again.
func drawBatches(t *rapid.T, outcomes []said) []batch {
	var list []batch
	for _, o := range outcomes {
		last := len(list) - 1
		if last < 0 || list[last].replica != o.replica || rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
			list = append(list, batch{o.replica, []store.Run{o.run}, rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "times")})
			continue
		}
		runs := list[last].runs
		newest := &runs[len(runs)-1]
		same := o.run
		same.Count = newest.Count
		if same == *newest && rapid.Bool().Draw(t, "join") {
			newest.Count++
		} else {
			list[last].runs = append(runs, o.run)
		}
	}
	return list
}

// tellAll sends batches about a breaker and gives all that it then shows.
func (f *fixture) tellAll(t *rapid.T, name string, policy store.Policy, batches []batch) string {
	stage := f.stage(name)
	stage.policy = policy
	seqs := map[string]uint64{}
	for _, b := range batches {
		seqs[b.replica]++
		r := store.Report{
			Name: name, Policy: policy, Replica: b.replica, Seq: seqs[b.replica], MaxAge: maxAge, Runs: b.runs,
		}
		for range b.times {
			if err := f.store.Sync(f.ctx, []store.Report{r})[0].Err; err != nil {
				t.Fatal(err)
			}
		}
	}
	return strings.Join([]string{stage.read(nil), stage.roster(nil), stage.history(nil)}, "\n")
}

// duel plays one history on two stages.
type duel struct {
	model, store *stage
	played       strings.Builder
	claims       int           // made so far
	settled      []string      // leases that were settled, rightly or not
	rested       time.Duration // waited since the last Remove
	idle         time.Duration // waited since the last report that was taken
}

// play runs a line on both stages; if the answers differ it prints the whole history as a scenario.
func (d *duel) play(t *rapid.T, line string) {
	want, err := d.model.play(line)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.store.play(line)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(line, "report ") && !strings.Contains(want, "refused") {
		d.idle = 0
	}
	d.played.WriteString(lineText(line, want))
	if got != want {
		t.Fatalf("the last answer of this scenario is the pure machine's; the store's is another:\n\n%s\nthe store's:\n  %s",
			d.played.String(), strings.ReplaceAll(got, "\n", "\n  "))
	}
}
