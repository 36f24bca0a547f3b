// Package scoreboard keeps the scoreboard of faults and attacks: each test that injects one is a scenario, and a scenario ends in one
// JSON line that says what was injected, what was counted against which bar, and the largest times that were seen.
//
//	func TestScenario21PushesAreLost(t *testing.T) {
//		scenario := scoreboard.Start(t, 21, "push dead only")
//		rng := scenario.Rand()
//		...
//		scenario.Zero("views that went back", back)
//		scenario.Within("behind", behind, refresh+exchange)
//	}
//
// A scenario runs if COMMONTRIP_CHAOS names a profile: quick, as in CI, or full. COMMONTRIP_CHAOS_SEED plays one again;
// COMMONTRIP_CHAOS_OUT is the file that the lines are appended to.
package scoreboard

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Scenarios is how many there are. They are numbered from 1; the table in package chaos says what each attacks.
const Scenarios = 38

// Profile says how much is played.
type Profile string

// The profiles, as COMMONTRIP_CHAOS names them.
const (
	Quick Profile = "quick"
	Full  Profile = "full"
)

// Number is one figure of a scenario. Bar is what it was held to, in words; empty: it is only reported.
type Number struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
	Bar   string `json:"bar,omitempty"`
	Held  bool   `json:"held"`
}

// Line is what a scenario leaves.
type Line struct {
	Scenario int       `json:"scenario"`
	Name     string    `json:"name"`
	Test     string    `json:"test"`
	Profile  Profile   `json:"profile"`
	Seed     uint64    `json:"seed"`
	Commit   string    `json:"commit"`
	Machine  string    `json:"machine"`
	At       time.Time `json:"at"`
	Took     string    `json:"took"`
	Held     bool      `json:"held"`
	Numbers  []Number  `json:"numbers"`
}

// Scenario is one running scenario. Its methods may be called from any goroutine.
type Scenario struct {
	t     testing.TB
	start time.Time
	mu    sync.Mutex
	line  Line
}

// Start begins a scenario of the scoreboard by its number; it skips the test if no profile is set. The line is written when
// the test has ended.
func Start(t testing.TB, scenario int, name string) *Scenario {
	t.Helper()
	if scenario < 1 || scenario > Scenarios {
		t.Fatalf("scenario is %d; it is 1 to %d", scenario, Scenarios)
	}
	profile := Profile(os.Getenv("COMMONTRIP_CHAOS"))
	switch profile {
	case Quick, Full:
	case "":
		t.Skip("a scenario of the scoreboard runs if COMMONTRIP_CHAOS is quick or full: make chaos")
	default:
		t.Fatalf("COMMONTRIP_CHAOS is %q; it is quick or full", profile)
	}
	r := &Scenario{t: t, start: time.Now(), line: Line{
		Scenario: scenario, Name: name, Test: t.Name(), Profile: profile, Seed: seed(t, profile), Commit: commit(), Machine: machine(),
		At: time.Now().UTC().Truncate(time.Second),
	}}
	t.Logf("scenario %d, %s: SEED=%d at %s", scenario, name, r.line.Seed, r.line.Commit)
	t.Cleanup(r.write)
	return r
}

// Seed is what the scenario's randomness starts from.
func (r *Scenario) Seed() uint64 { return r.line.Seed }

// Rand is a source of that seed. It is the caller's own.
func (r *Scenario) Rand() *rand.Rand {
	return rand.New(rand.NewPCG(r.line.Seed, uint64(r.line.Scenario)))
}

// Full reports whether everything is played, not the quick profile.
func (r *Scenario) Full() bool { return r.line.Profile == Full }

// Pick gives quick or full, by the profile.
func Pick[T any](r *Scenario, quick, full T) T {
	if r.Full() {
		return full
	}
	return quick
}

// Zero holds a count to none.
func (r *Scenario) Zero(name string, n int) {
	r.t.Helper()
	r.hold(name, n, "0", n == 0)
}

// AtMost holds a count to a greatest value.
func (r *Scenario) AtMost(name string, n, most int) {
	r.t.Helper()
	r.hold(name, n, fmt.Sprintf("<= %d", most), n <= most)
}

// AtLeast holds a count to a least value.
func (r *Scenario) AtLeast(name string, n, least int) {
	r.t.Helper()
	r.hold(name, n, fmt.Sprintf(">= %d", least), n >= least)
}

// Within reports a time beside what is wanted of it. A time never fails a scenario: the machine is shared, and what a promise
// says of it is held by counts. The table says where it was longer.
func (r *Scenario) Within(name string, d, most time.Duration) {
	r.add(Number{Name: name, Value: round(d), Bar: "<= " + most.String(), Held: d <= most})
}

// Report adds a figure that is held to nothing. A time.Duration is written as one.
func (r *Scenario) Report(name string, value any) {
	if d, ok := value.(time.Duration); ok {
		value = round(d)
	}
	r.add(Number{Name: name, Value: value, Held: true})
}

func (r *Scenario) hold(name string, n int, bar string, held bool) {
	r.t.Helper()
	r.add(Number{Name: name, Value: n, Bar: bar, Held: held})
	if !held {
		r.t.Errorf("%s: %d, want %s", name, n, bar)
	}
}

func (r *Scenario) add(n Number) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line.Numbers = append(r.line.Numbers, n)
}

func (r *Scenario) write() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.t.Skipped() {
		return
	}
	r.line.Took = round(time.Since(r.start))
	r.line.Held = !r.t.Failed()
	line, err := json.Marshal(r.line)
	if err != nil {
		r.t.Errorf("scenario %d: %v", r.line.Scenario, err)
		return
	}
	r.t.Logf("%s", line)
	path := os.Getenv("COMMONTRIP_CHAOS_OUT")
	if path == "" {
		return
	}
	out, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		r.t.Error(err)
		return
	}
	_, err = out.Write(append(line, '\n')) // one write: scenarios of other packages append to the same file
	if failed := out.Close(); err == nil {
		err = failed
	}
	if err != nil {
		r.t.Error(err)
	}
}

func round(d time.Duration) string {
	switch {
	case d > 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}

// seed is the one that is asked for; in the quick profile always the same, else a new one.
func seed(t testing.TB, profile Profile) uint64 {
	t.Helper()
	if s := os.Getenv("COMMONTRIP_CHAOS_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("COMMONTRIP_CHAOS_SEED is %q; it is a number from 0 to 2^64 - 1", s)
		}
		return n
	}
	if profile == Quick {
		return 1
	}
	return rand.Uint64N(1_000_000)
}

var commit = sync.OnceValue(func() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
})

var machine = sync.OnceValue(func() string {
	name := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s", name, runtime.NumCPU(), runtime.Version())
})
