// Command replica is one replica of a fleet under attack: a process with one Manager and one breaker, driven by JSON lines on
// its standard input (package wire says which) and answering on its standard output. It ends with its input, without a
// Close, as its parent has gone; by SIGTERM it closes its Manager first, and says what that left.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/commontrip/commontrip/tests/chaos/replica/wire"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments; want one, a wire.Config as JSON", len(args))
	}
	var c wire.Config
	if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	lines := &lines{to: json.NewEncoder(out)}
	r, err := join(c, lines)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- r.obey(in) }()
	select {
	case err := <-ended:
		return err
	case <-terminated:
		closed := r.close(c.Closing)
		return lines.send(wire.Line{Closed: &closed})
	}
}

// lines sends lines, one at a time.
type lines struct {
	mu sync.Mutex
	to *json.Encoder
}

func (l *lines) send(line wire.Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Encode(line)
}

// obey carries out requests until there are no more. Each has a goroutine of its own: one may wait for a store that hangs
// while the next asks how it goes.
func (r *replica) obey(in io.Reader) error {
	requests := bufio.NewScanner(in)
	requests.Buffer(nil, 1<<20)
	for requests.Scan() {
		var q wire.Request
		if err := json.Unmarshal(requests.Bytes(), &q); err != nil {
			return fmt.Errorf("request %q: %w", requests.Text(), err)
		}
		go func() {
			answer := r.do(q)
			answer.ID = q.ID
			_ = r.lines.send(answer) // who does not hear it has gone
		}()
	}
	if err := requests.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
