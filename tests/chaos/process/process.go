// Package process attacks fleets of real processes: its tests kill, stop and resume replicas and the Redis under them, and
// hold what is left to the promises. [Start] starts a replica (see tests/chaos/replica) for any test that wants one; the
// package of such a test has [Main] as its TestMain.
package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/replica/wire"
)

// Deadline bounds every wait of this package, in this machine's own time (package await).
const Deadline = 60 * time.Second

// ErrGone is a request to a process that has ended.
var ErrGone = errors.New("the replica has ended")

// Replica is a replica process. Its methods are safe for concurrent use.
type Replica struct {
	t      testing.TB
	config wire.Config
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr bytes.Buffer
	ended  chan struct{} // closed when the process has ended and was heard to its end

	mu     sync.Mutex
	asked  int
	wait   map[int]chan wire.Line
	ready  chan struct{} // closed with the first line
	first  wire.Ready
	events []wire.Event
	closed *wire.Closed
}

// Start starts a replica and waits until its breaker is registered. It ends with the test.
func Start(t testing.TB, c wire.Config) *Replica {
	t.Helper()
	r := Launch(t, c)
	r.Ready()
	return r
}

// Launch starts a replica and does not wait.
func Launch(t testing.TB, c wire.Config) *Replica {
	t.Helper()
	return launch(t, binary(t), c)
}

func launch(t testing.TB, path string, c wire.Config) *Replica {
	t.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	r := &Replica{t: t, config: c, ended: make(chan struct{}), wait: map[int]chan wire.Line{}, ready: make(chan struct{})}
	r.cmd = exec.Command(path, string(config)) //nolint:noctx // ended by hand, in many ways
	r.cmd.Stderr = &r.stderr
	r.cmd.SysProcAttr = endWithParent()
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.run(out); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Kill()
		if t.Failed() && r.stderr.Len() > 0 {
			t.Logf("%s said:\n%s", c.Name, r.stderr.Bytes()[max(0, r.stderr.Len()-4000):])
		}
	})
	return r
}

// run runs the process from a goroutine that keeps its thread until the process ends: if the system can end a child
// with its parent, it watches the thread that started it.
func (r *Replica) run(out io.Reader) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			r.listen(out)
			_ = r.cmd.Wait()
			close(r.ended)
		}
	}()
	return <-started
}

// listen takes lines until there are no more. A process that is killed may leave half a line.
func (r *Replica) listen(out io.Reader) {
	lines := bufio.NewReaderSize(out, 1<<16)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var line wire.Line
		if err := json.Unmarshal(text, &line); err != nil {
			r.t.Errorf("%s said %q: %v", r.config.Name, text, err)
			continue
		}
		r.take(line)
	}
}

func (r *Replica) take(line wire.Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case line.ID != 0:
		r.wait[line.ID] <- line
		delete(r.wait, line.ID)
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
func (r *Replica) Ready() wire.Ready {
	r.t.Helper()
	waiting, cancel := await.WithTimeout(context.Background(), Deadline)
	defer cancel()
	select {
	case <-r.ready:
	case <-r.ended:
		if r.first.Replica != "" { // it was ready, before
			break
		}
		r.t.Fatalf("%s ended before it was ready (%v): %s", r.config.Name, r.cmd.ProcessState, r.stderr.Bytes())
	case <-waiting.Done():
		r.t.Fatalf("%s is not ready after %v", r.config.Name, Deadline)
	}
	return r.first
}

// Name is the name under which the fleet knows this process.
func (r *Replica) Name() string { return r.Ready().Replica }

// Send sends a request and gives where its answer will come; nil comes where the process ends without one.
func (r *Replica) Send(q wire.Request) <-chan wire.Line {
	answer := make(chan wire.Line, 1)
	r.mu.Lock()
	r.asked++
	q.ID = r.asked
	r.wait[q.ID] = answer
	r.mu.Unlock()
	text, err := json.Marshal(q)
	if err != nil {
		r.t.Errorf("request %+v: %v", q, err)
	}
	_, _ = r.in.Write(append(text, '\n')) // a process that has ended is told by ended
	return answer
}

// Try sends a request and waits for its answer. It is ErrGone if the process has ended, and the answer's own error if
// it has one.
func (r *Replica) Try(q wire.Request) (wire.Line, error) {
	waiting, cancel := await.WithTimeout(context.Background(), Deadline)
	defer cancel()
	answer := r.Send(q)
	select {
	case line := <-answer:
		return line, said(line)
	case <-r.ended:
		select {
		case line := <-answer: // its last word
			return line, said(line)
		default:
			return wire.Line{}, ErrGone
		}
	case <-waiting.Done():
		return wire.Line{}, fmt.Errorf("no answer to %q after %v", q.Do, Deadline)
	}
}

func said(line wire.Line) error {
	if line.Error != "" {
		return errors.New(line.Error)
	}
	return nil
}

// Do is Try if an error ends the test.
func (r *Replica) Do(q wire.Request) wire.Line {
	r.t.Helper()
	line, err := r.Try(q)
	if err != nil {
		r.t.Fatalf("%s, told to %s: %v", r.config.Name, q.Do, err)
	}
	return line
}

// Status is what the replica knows, asking nobody.
func (r *Replica) Status() wire.State {
	r.t.Helper()
	return *r.Do(wire.Request{Do: wire.Status}).Status
}

// Events gives what the replica's listener heard so far.
func (r *Replica) Events() []wire.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// Kill ends the process by SIGKILL and waits for its end. One that has ended is left alone.
func (r *Replica) Kill() {
	_ = r.cmd.Process.Kill()
	<-r.ended
}

// Term tells the process to close its Manager and to end, waits for that, and gives what the Close left.
func (r *Replica) Term() wire.Closed {
	r.t.Helper()
	r.signal(syscall.SIGTERM)
	waiting, cancel := await.WithTimeout(context.Background(), Deadline)
	defer cancel()
	select {
	case <-r.ended:
	case <-waiting.Done():
		r.t.Fatalf("%s does not end after %v", r.config.Name, Deadline)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed == nil {
		r.t.Fatalf("%s ended without a word (%v): %s", r.config.Name, r.cmd.ProcessState, r.stderr.Bytes())
	}
	return *r.closed
}

func (r *Replica) signal(sig syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatalf("%v to %s: %v", sig, r.config.Name, err)
	}
}
