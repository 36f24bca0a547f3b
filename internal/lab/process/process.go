// Package process is a child process and the one protocol between it and its parent: JSON, one message a line, on the
// child's standard input and output. A question has a number, and its answer has the same; what a child says unasked has
// none. The fleet's tests and the demo stand on it.
package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// ErrEnded is a question to a child that has ended.
var ErrEnded = errors.New("the process has ended")

// message is one line, either way.
type message[T any] struct {
	ID    int    `json:"id,omitempty"` // of the question; 0: said unasked
	Body  T      `json:"body"`
	Error string `json:"error,omitempty"` // of an answer
}

// Spec says what to start.
type Spec struct {
	Name string // for errors
	Path string // of the program
	Args []string
	Env  []string  // nil: this process's own
	Logs io.Writer // gets what the child writes to its standard error, one Write at a time; nil: nobody does
	// Apart puts the child into a process group of its own where the system has such, so that Ctrl-C in a terminal reaches
	// the parent alone.
	Apart bool
}

// Child is a process that answers questions of type Q, and says things of type A. It ends with its parent, where the system
// can arrange that, and by itself with its input. Its methods are safe for concurrent use.
type Child[Q, A any] struct {
	spec   Spec
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended and was heard to its end
	stderr tail

	in      io.WriteCloser
	mu      sync.Mutex
	asked   int
	waiting map[int]chan message[A]
	bad     error // a line that is no message
}

// Start starts a child. What it says unasked goes to hear, one at a time and in order.
func Start[Q, A any](s Spec, hear func(A)) (*Child[Q, A], error) {
	c := &Child[Q, A]{spec: s, ended: make(chan struct{}), waiting: map[int]chan message[A]{}}
	c.stderr.also = s.Logs
	c.cmd = exec.Command(s.Path, s.Args...) //nolint:noctx // it is ended by hand, in many ways
	c.cmd.Env, c.cmd.Stderr, c.cmd.SysProcAttr = s.Env, &c.stderr, attributes(s.Apart)
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// The goroutine keeps its thread until the process ends: a system that ends a child with its parent watches the thread
	// that started it.
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.listen(out, hear)
			_ = c.cmd.Wait()
			close(c.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return c, nil
}

// listen takes messages until there are no more. A process that is killed may leave half a line.
func (c *Child[Q, A]) listen(out io.Reader, hear func(A)) {
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var m message[A]
		err = json.Unmarshal(line, &m)
		c.mu.Lock()
		answer := c.waiting[m.ID]
		delete(c.waiting, m.ID)
		if err != nil && c.bad == nil {
			c.bad = fmt.Errorf("%s said %q: %w", c.spec.Name, line, err)
		}
		c.mu.Unlock()
		switch {
		case answer != nil:
			answer <- m
		case err == nil && m.ID == 0 && hear != nil:
			hear(m.Body)
		}
	}
}

// Ask asks a question and waits for its answer. The error is [ErrEnded] if the child ends without one, the context's if that
// ends first, or the one that the child answered.
func (c *Child[Q, A]) Ask(ctx context.Context, question Q) (A, error) { return c.Send(question)(ctx) }

// Send asks a question and does not wait; the function that it returns does, as Ask.
func (c *Child[Q, A]) Send(question Q) (answer func(context.Context) (A, error)) {
	arrived := make(chan message[A], 1)
	c.mu.Lock()
	c.asked++
	id := c.asked
	c.waiting[id] = arrived
	c.mu.Unlock()
	line, err := json.Marshal(message[Q]{ID: id, Body: question})
	if err != nil {
		return func(context.Context) (A, error) { return *new(A), err }
	}
	_, _ = c.in.Write(append(line, '\n')) // a process that has ended is told by ended
	return func(ctx context.Context) (A, error) {
		select {
		case m := <-arrived:
			return m.Body, c.said(m)
		case <-ctx.Done():
			return *new(A), fmt.Errorf("%s has not answered: %w", c.spec.Name, ctx.Err())
		case <-c.ended:
		}
		select {
		case m := <-arrived: // its last word
			return m.Body, c.said(m)
		default:
			return *new(A), fmt.Errorf("%s (%v): %w\n%s", c.spec.Name, c.cmd.ProcessState, ErrEnded, c.Log())
		}
	}
}

func (c *Child[Q, A]) said(m message[A]) error {
	if m.Error != "" {
		return fmt.Errorf("%s: %s", c.spec.Name, m.Error)
	}
	return nil
}

// Hush ends the child's input, by which it ends.
func (c *Child[Q, A]) Hush() { _ = c.in.Close() }

// End ends the child's input, waits until the child ends by that, and kills it if it has not within this time.
func (c *Child[Q, A]) End(within time.Duration) {
	c.Hush()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-c.ended:
	case <-timer.C:
		c.Kill()
	}
}

// Kill ends the child as a crash does, by SIGKILL, and waits for its end. One that has ended is left alone.
func (c *Child[Q, A]) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// Ended is closed when the child has ended and everything that it said was heard.
func (c *Child[Q, A]) Ended() <-chan struct{} { return c.ended }

// Signal sends the child a signal, such as SIGTERM.
func (c *Child[Q, A]) Signal(s os.Signal) error { return c.cmd.Process.Signal(s) }

// Halt stops the child by SIGSTOP, until Go, and returns when it stands. Systems without SIGSTOP give an error.
func (c *Child[Q, A]) Halt() error { return halt(c.cmd.Process) }

// Go lets a halted child go on.
func (c *Child[Q, A]) Go() error { return resume(c.cmd.Process) }

// Fault is the first line that was no message; nil: there was none.
func (c *Child[Q, A]) Fault() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bad
}

// Log is the end of what the child wrote to its standard error, at most 4 kB.
func (c *Child[Q, A]) Log() string { return c.stderr.String() }

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	end  []byte
	also io.Writer
}

const tailSize = 4000

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, text...)
	t.end = bytes.Clone(t.end[max(0, len(t.end)-tailSize):])
	if t.also != nil {
		return t.also.Write(text)
	}
	return len(text), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.end)
}
