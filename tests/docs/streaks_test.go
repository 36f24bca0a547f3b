package docs

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

var update = flag.Bool("update", false, "write the table of docs/guide.md again")

const guide = "docs/guide.md"

// streakEvery is how long it takes on average until so many failures follow each other by chance.
func streakEvery(failures int, errors, callsPerSecond float64) time.Duration {
	calls := (math.Pow(errors, -float64(failures)) - 1) / (1 - errors)
	if seconds := calls / callsPerSecond; seconds < math.MaxInt64/1e9 {
		return time.Duration(seconds * 1e9)
	}
	return math.MaxInt64
}

func TestTheGuidesTableOfStreaksIsRight(t *testing.T) {
	shares := []float64{0.01, 0.05, 0.1, 0.2}
	var table strings.Builder
	table.WriteString("| all replicas together | 1 % errors | 5 % | 10 % | 20 % |\n|---|---|---|---|---|\n")
	for _, rate := range []float64{10, 100, 1000, 10_000} {
		fmt.Fprintf(&table, "| %.0f calls/s |", rate)
		for _, share := range shares {
			fmt.Fprintf(&table, " %s |", roughly(streakEvery(5, share, rate)))
		}
		table.WriteString("\n")
	}
	region(t, guide, "streaks", table.String())
}

func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{365 * day, "years"}, {day, "days"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= 2*unit.of {
			return fmt.Sprintf("%.0f %s", float64(d)/float64(unit.of), unit.name)
		}
	}
	if d >= 10*time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.2g s", d.Seconds())
}

// region holds a part of a document to what a test found, or writes it.
func region(t *testing.T, path, name, want string) {
	t.Helper()
	text := read(t, path)
	begin, end := "<!-- begin: "+name+" -->\n", "<!-- end: "+name+" -->"
	head, rest, ok := strings.Cut(text, begin)
	was, tail, ok2 := strings.Cut(rest, end)
	switch {
	case !ok || !ok2:
		t.Fatalf("%s has no region %q", path, name)
	case was == want:
	case *update:
		if err := os.WriteFile(filepath.Join(root, path), []byte(head+begin+want+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s says\n%s\nwant\n%s\nrun: go test ./tests/docs -run Streaks -update", path, was, want)
	}
}

// An hour, in -short a quarter of one, of a fleet of 20 replicas with 100 calls a second in all, one in five of which fails, through the real machine.
func TestAStreakComesByChanceWhereTheFleetsPolicyStands(t *testing.T) {
	const (
		share, perSecond = 0.2, 100
		step             = 200 * time.Millisecond // in which each replica makes one call
	)
	length := time.Hour
	if testing.Short() {
		length /= 4
		t.Logf("-short: %v of an hour", length)
	}
	trips := map[string]int{}
	for name, policy := range map[string]store.Policy{"DefaultPolicy": store.DefaultPolicy(), "FleetPolicy": store.FleetPolicy()} {
		rng := rand.New(rand.NewPCG(1, 1))
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		s := memorystore.New(memorystore.WithClock(func() time.Time { return now }))
		var seq, generation uint64
		for end := now.Add(length); now.Before(end); now = now.Add(step) {
			seq++
			for replica := range 20 {
				report := store.Report{Name: "tier", Policy: policy, Replica: fmt.Sprintf("web-%d#a1", replica), Seq: seq, Generation: generation, MaxAge: time.Second}
				report.Runs = []store.Run{{Outcome: outcome(rng, share), Count: 1}}
				result := s.Sync(t.Context(), []store.Report{report})[0]
				if result.Err != nil {
					t.Fatal(result.Err)
				}
				if result.Snapshot.State != store.Open {
					continue
				}
				trips[name]++
				result, err := s.Command(t.Context(), store.Command{Name: "tier", Action: store.Reset, By: "test"})
				if err != nil {
					t.Fatal(err)
				}
				generation = result.Snapshot.Generation
			}
		}
	}
	t.Logf("trips in %v of %d calls/s with %.0f %% errors: %v; one is expected every %v", length, perSecond, 100*share, trips, streakEvery(5, share, perSecond).Round(time.Second))
	expected := float64(length) / float64(streakEvery(5, share, perSecond))
	if got := float64(trips["DefaultPolicy"]); got < 0.6*expected || got > 1.5*expected {
		t.Errorf("DefaultPolicy tripped %v times, the formula says %.0f", got, expected)
	}
	if trips["FleetPolicy"] != 0 {
		t.Errorf("FleetPolicy tripped %d times", trips["FleetPolicy"])
	}
}

func outcome(rng *rand.Rand, failing float64) store.Outcome {
	if rng.Float64() < failing {
		return store.Failure
	}
	return store.Success
}
