package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
	"github.com/commontrip/commontrip/tests/redistest"
)

// said is one outcome of one replica.
type said struct {
	replica string
	run     store.Run
}

// judged is what a history of outcomes comes to: everything but the breaker's name and the replicas' reports.
type judged struct {
	snapshot store.Snapshot
	history  []store.Transition
}

func (j judged) String() string { return fmt.Sprintf("%+v\n%+v", j.snapshot, j.history) }

// A history of outcomes, cut in batches at random, each sent up to four times and old ones again behind newer ones, comes
// to the same verdict as one outcome a report, and counts each outcome once.
func TestScenario05CutDuplicateReorder(t *testing.T) {
	scenario := scoreboard.Start(t, 5, "cut, duplicate, reorder")
	srv := redistest.Start(t)
	fixed := func() time.Time { return time.UnixMilli(1_700_000_000_000) }
	onRedis, err := redisstore.Open(srv.SocketURL(), redisstore.WithClock(fixed), redisstore.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer onRedis.Close()
	stores := map[string]store.Store{"memory": memorystore.New(memorystore.WithClock(fixed)), "redis": onRedis}
	rng := scenario.Rand()
	n := scoreboard.Pick(scenario, 200, 5000)
	reports, resent, double, differ, trips := 0, 0, 0, 0, 0
	for i := range n {
		p, outcomes := drawPolicy(rng), drawOutcomes(rng)
		var oracle judged
		for _, kind := range []string{"memory", "redis"} {
			one := tellBatches(t, stores[kind], fmt.Sprintf("one-%d", i), p, singly(outcomes), nil)
			batches := cut(rng, outcomes)
			many := tellBatches(t, stores[kind], fmt.Sprintf("cut-%d", i), p, batches, func(seq int) []int {
				again := make([]int, rng.IntN(4))
				for j := range again {
					again[j] = 1 + rng.IntN(seq)
				}
				resent += len(again)
				return again
			})
			reports += len(batches)
			if kind == "memory" {
				oracle = one
			}
			if one.String() != oracle.String() || many.String() != oracle.String() {
				differ++
				t.Errorf("history %d on %s: one outcome a report gives\n%v\nin batches\n%v\nthe memory store's\n%v", i, kind, one, many, oracle)
			}
			totals := many.snapshot.Totals
			double += max(int(totals.Calls+totals.Ignored+totals.Late)-len(outcomes), 0)
		}
		trips += len(oracle.history)
	}
	scenario.AtLeast("histories", n, n)
	scenario.Report("stores", len(stores))
	scenario.Report("reports", reports)
	scenario.Report("reports sent again", resent)
	scenario.AtLeast("trips among them", trips, n/10)
	scenario.Zero("outcomes counted twice", double)
	scenario.Zero("verdicts that differ", differ)
}

func drawPolicy(rng *rand.Rand) store.Policy {
	p := store.Policy{
		WindowCalls: 2 + rng.IntN(30), ConsecutiveFailures: rng.IntN(8), MinCalls: 1 + rng.IntN(2), Reporters: 1 + rng.IntN(3),
	}
	if p.ConsecutiveFailures == 0 || rng.IntN(2) == 0 {
		p.FailureRate = float64(1+rng.IntN(10)) / 10
	}
	return p.WithDefaults()
}

func drawOutcomes(rng *rand.Rand) []said {
	out := make([]said, 1+rng.IntN(80))
	failing := rng.IntN(10)
	for i := range out {
		r := store.Run{Outcome: store.Success, Count: 1, Age: time.Duration(rng.IntN(40)) * 100 * time.Millisecond, Slow: rng.IntN(5) == 0}
		switch draw := rng.IntN(10); {
		case draw < failing:
			r.Outcome, r.Label = store.Failure, fmt.Sprint("e", rng.IntN(3))
		case draw == 9:
			r.Outcome, r.Slow = store.Ignored, false
		}
		out[i] = said{fmt.Sprint("web-", rng.IntN(3)), r}
	}
	return out
}

// batch is a report to be.
type batch struct {
	replica string
	runs    []store.Run
}

func singly(outcomes []said) []batch {
	out := make([]batch, len(outcomes))
	for i, o := range outcomes {
		out[i] = batch{o.replica, []store.Run{o.run}}
	}
	return out
}

// cut puts outcomes that follow each other into one report, if they are of one replica, and equal ones into one run.
func cut(rng *rand.Rand, outcomes []said) (out []batch) {
	for _, o := range outcomes {
		if len(out) == 0 || out[len(out)-1].replica != o.replica || rng.IntN(4) == 0 {
			out = append(out, batch{o.replica, []store.Run{o.run}})
			continue
		}
		last := &out[len(out)-1]
		newest := &last.runs[len(last.runs)-1]
		same := o.run
		same.Count = newest.Count
		if same == *newest {
			newest.Count++
		} else {
			last.runs = append(last.runs, o.run)
		}
	}
	return out
}

// tellBatches sends batches about a breaker, each replica's reports in order; again draws which of that replica's reports, the
// newest or older ones, are sent once more behind each.
func tellBatches(t *testing.T, s store.Store, name string, p store.Policy, batches []batch, again func(seq int) []int) judged {
	t.Helper()
	ctx := context.Background()
	sent := map[string][]store.Report{}
	send := func(r store.Report) {
		if err := s.Sync(ctx, []store.Report{r})[0].Err; err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range batches {
		r := store.Report{
			Name: name, Policy: p, Replica: b.replica, Seq: uint64(len(sent[b.replica]) + 1), MaxAge: 3 * time.Second, Runs: b.runs,
		}
		sent[b.replica] = append(sent[b.replica], r)
		send(r)
		if again != nil {
			for _, seq := range again(len(sent[b.replica])) {
				send(sent[b.replica][seq-1])
			}
		}
	}
	list, err := s.Read(ctx, name)
	if err != nil || len(list) != 1 {
		t.Fatalf("Read gave %d, %v", len(list), err)
	}
	history, err := s.History(ctx, name, 0)
	if err != nil {
		t.Fatal(err)
	}
	list[0].Name = ""
	for i := range history {
		history[i].Name = ""
	}
	return judged{list[0], slices.Clip(history)}
}
