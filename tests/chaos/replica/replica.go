// Package replica is a replica of a fleet under attack, as a process of its own: one Manager with one breaker. A test starts
// it with [Start], tells it what to do, and can kill, halt and resume it. The process is the test's own binary, started
// again, so the package of such a test has [Main] as its TestMain.
package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/internal/lab/process"
	"github.com/commontrip/commontrip/internal/lab/tier"
	"github.com/commontrip/commontrip/tests/await"
)

// Deadline bounds every wait of this package, in this machine's own time (package await).
const Deadline = 60 * time.Second

// configVariable holds the Config of a process that is a replica, as JSON.
const configVariable = "COMMONTRIP_REPLICA"

// Main is the TestMain of a package whose tests start replicas. It is also where a replica's process begins.
func Main(m *testing.M) {
	if config := os.Getenv(configVariable); config != "" {
		if err := live(config); err != nil {
			fmt.Fprintln(os.Stderr, "replica:", err)
			os.Exit(1)
		}
		return
	}
	status := m.Run()
	removeBuilt()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// Replica is a replica process. Its methods are safe for concurrent use.
type Replica struct {
	t      testing.TB
	config Config
	child  *process.Child[Request, Line]

	mu     sync.Mutex
	ready  chan struct{} // closed with the first line
	first  Ready
	events []Event
	closed *Closed
}

// Start starts a replica and waits until its breaker is registered. It ends with the test.
func Start(t testing.TB, c Config) *Replica {
	t.Helper()
	r := Launch(t, c)
	r.Ready()
	return r
}

// Launch starts a replica and does not wait.
func Launch(t testing.TB, c Config) *Replica {
	t.Helper()
	return launch(t, os.Args[0], c)
}

// LaunchSkewed starts a replica whose wall clock obeys the verb Skew, and does not wait.
func LaunchSkewed(t testing.TB, c Config) *Replica {
	t.Helper()
	path, err := buildSkewed()
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, path, c)
}

func launch(t testing.TB, path string, c Config) *Replica {
	t.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	r := &Replica{t: t, config: c, ready: make(chan struct{})}
	r.child, err = process.Start[Request, Line](process.Spec{
		Name: c.Name, Path: path, Env: append(os.Environ(), configVariable+"="+string(config)),
	}, r.hear)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Kill()
		if err := r.child.Fault(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", c.Name, r.child.Log())
		}
	})
	return r
}

func (r *Replica) hear(line Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case line.Ready != nil:
		r.first = *line.Ready
		close(r.ready)
	case line.Event != nil:
		r.events = append(r.events, *line.Event)
	case line.Closed != nil:
		r.closed = line.Closed
	}
}

// Ready waits until the replica's breaker is registered, and gives what it said of that.
func (r *Replica) Ready() Ready {
	r.t.Helper()
	r.wait(r.ready, "is ready")
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

// wait waits for something, or ends the test.
func (r *Replica) wait(it <-chan struct{}, what string) {
	r.t.Helper()
	waiting, cancel := await.WithTimeout(context.Background(), Deadline)
	defer cancel()
	select {
	case <-it:
		return
	case <-r.child.Ended():
	case <-waiting.Done():
		r.t.Fatalf("%s: not within %v: %s", r.config.Name, Deadline, what)
	}
	select {
	case <-it: // it came before the end
	default:
		r.t.Fatalf("%s ended before it %s: %s", r.config.Name, what, r.child.Log())
	}
}

// Ended is closed when the process has ended.
func (r *Replica) Ended() <-chan struct{} { return r.child.Ended() }

// Config is what the replica was started with.
func (r *Replica) Config() Config { return r.config }

// Name is the name under which the fleet knows this process.
func (r *Replica) Name() string { return r.Ready().Replica }

// Send sends a request and does not wait; the function that it returns waits, as Try.
func (r *Replica) Send(q Request) (answer func() (Line, error)) {
	get := r.child.Send(q)
	return func() (Line, error) {
		waiting, cancel := await.WithTimeout(context.Background(), Deadline)
		defer cancel()
		return get(waiting)
	}
}

// Try sends a request and waits for its answer. The error is [process.ErrEnded] if the process has ended, or the answer's.
func (r *Replica) Try(q Request) (Line, error) { return r.Send(q)() }

// Do is Try if an error ends the test.
func (r *Replica) Do(q Request) Line {
	r.t.Helper()
	line, err := r.Try(q)
	if err != nil {
		r.t.Fatalf("told to %s: %v", q.Do, err)
	}
	return line
}

// Status is what the replica knows, asking nobody.
func (r *Replica) Status() State {
	r.t.Helper()
	return *r.Do(Request{Do: Status}).Status
}

// Events gives what the replica's listener heard so far.
func (r *Replica) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Kill ends the process by SIGKILL and waits for its end. One that has ended is left alone.
func (r *Replica) Kill() { r.child.Kill() }

// Stop halts the process by SIGSTOP, and returns when it is halted.
func (r *Replica) Stop() { r.must(r.child.Halt()) }

// Cont lets a halted process go on.
func (r *Replica) Cont() { r.must(r.child.Go()) }

// Term tells the process to close its Manager and to end, waits for that, and gives what the Close left.
func (r *Replica) Term() Closed {
	r.t.Helper()
	r.must(r.child.Signal(syscall.SIGTERM))
	r.wait(r.child.Ended(), "ends")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed == nil {
		r.t.Fatalf("%s ended without a word: %s", r.config.Name, r.child.Log())
	}
	return *r.closed
}

func (r *Replica) must(err error) {
	r.t.Helper()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.t.Fatalf("%s: %v", r.config.Name, err)
	}
}

// ServeTier lets replicas call a tier, until the test ends. Its URL is for [Config].
func ServeTier(t testing.TB, called *tier.Tier) (url string) {
	t.Helper()
	s, err := called.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.URL()
}
