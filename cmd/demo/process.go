package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// childMark is the first argument of a process that the demo started of itself.
const childMark = "__child"

// process is a child: this binary again, as a tier or a replica.
type process struct {
	name string
	cmd  *exec.Cmd
	late func(time.Duration) // told of every lateness of the child

	mu      sync.Mutex
	in      io.WriteCloser
	nextID  int
	waiting map[int]chan said

	tail  tail
	ended chan struct{} // closed when the process has ended
	err   error         // how; to be read after ended
}

// spawn starts a child. What it says beside answers goes to listen, one at a time. How late its timers are goes to late.
// What it logs goes to logs, whole lines at a time.
func spawn(name string, env []string, logs io.Writer, late func(time.Duration), listen func(said)) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: name, late: late, waiting: map[int]chan said{}, ended: make(chan struct{})}
	p.cmd = exec.Command(self, childMark, name) //nolint:noctx // its life is its input's: it ends when that ends
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), configures), env...)
	p.cmd.SysProcAttr = apart()
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(out, listen) })
	reading.Go(func() { p.keep(errs, logs) })
	go func() {
		reading.Wait()
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// configures reports whether a variable of the environment is one that package config reads. The demo's own settings must
// not mix with the user's.
func configures(variable string) bool {
	return slices.ContainsFunc([]string{"CIRCUIT_BREAKER_", "RETRY_", "MAX_RETRY_", "HEALTH_CHECK_"}, func(prefix string) bool {
		return strings.HasPrefix(variable, prefix)
	})
}

func (p *process) read(out io.Reader, listen func(said)) {
	for dec := json.NewDecoder(bufio.NewReader(out)); ; {
		var s said
		if dec.Decode(&s) != nil {
			_, _ = io.Copy(io.Discard, out)
			return
		}
		p.late(s.Late)
		p.mu.Lock()
		answer := p.waiting[s.ID]
		delete(p.waiting, s.ID)
		p.mu.Unlock()
		if answer != nil {
			answer <- s
		} else {
			listen(s)
		}
	}
}

func (p *process) keep(errs io.Reader, logs io.Writer) {
	lines := bufio.NewScanner(errs)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.tail.add(lines.Text())
		_, _ = fmt.Fprintln(logs, lines.Text())
	}
	_, _ = io.Copy(io.Discard, errs)
}

// ask gives an order and waits for its answer.
func (p *process) ask(ctx context.Context, o order) (said, error) {
	answer := make(chan said, 1)
	p.mu.Lock()
	p.nextID++
	o.ID = p.nextID
	p.waiting[o.ID] = answer
	err := json.NewEncoder(p.in).Encode(o)
	p.mu.Unlock()
	if err != nil {
		return said{}, p.gone(err)
	}
	select {
	case s := <-answer:
		if s.Error != "" {
			return said{}, fmt.Errorf("%s: %s", p.name, s.Error)
		}
		return s, nil
	case <-p.ended:
		return said{}, p.gone(p.err)
	case <-ctx.Done():
		return said{}, ctx.Err()
	}
}

func (p *process) gone(err error) error {
	return fmt.Errorf("%s has ended: %w\n%s", p.name, errors.Join(err, io.ErrUnexpectedEOF), p.tail.String())
}

// end asks the child to finish, and kills it where it has not within the time.
func (p *process) end(within time.Duration) {
	p.mu.Lock()
	_ = json.NewEncoder(p.in).Encode(order{Do: stop})
	_ = p.in.Close()
	p.mu.Unlock()
	select {
	case <-p.ended:
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// tail keeps the last lines that a child logged, for when it ends against the plan.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > 20 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// logFile is where all children log to, one line at a time.
type logFile struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(line)
}
