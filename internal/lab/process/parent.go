package process

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Parent is the other end of a [Child], in the child's process. Its methods are safe for concurrent use.
type Parent[Q, A any] struct {
	in io.Reader
	mu sync.Mutex
	to *json.Encoder
}

// NewParent speaks with the parent over these, which are standard input and output in a child that [Start] started.
func NewParent[Q, A any](in io.Reader, out io.Writer) *Parent[Q, A] {
	return &Parent[Q, A]{in: in, to: json.NewEncoder(out)}
}

// Say says something unasked. Its error says that the parent is gone.
func (p *Parent[Q, A]) Say(a A) error { return p.send(message[A]{Body: a}) }

func (p *Parent[Q, A]) send(m message[A]) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to.Encode(m)
}

// Obey answers questions until the input ends, as it does with the parent. Each has a goroutine of its own, which may
// outlive Obey: one may wait for a store that hangs while the next asks how it goes.
func (p *Parent[Q, A]) Obey(answer func(Q) (A, error)) error {
	for lines := bufio.NewReader(p.in); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		var q message[Q]
		if err := json.Unmarshal(line, &q); err != nil {
			return fmt.Errorf("question %q: %w", line, err)
		}
		go func() {
			body, err := answer(q.Body)
			m := message[A]{ID: q.ID, Body: body}
			if err != nil {
				m.Error = err.Error()
			}
			_ = p.send(m) // a parent that does not hear it is gone
		}()
	}
}
