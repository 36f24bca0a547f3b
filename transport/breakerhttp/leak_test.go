package breakerhttp_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
)

// long is a context that lives as long as the process, and counts what waits for its end.
type long struct {
	context.Context
	done    chan struct{}
	waiting atomic.Int32
}

func (l *long) Done() <-chan struct{} { return l.done }

func (l *long) AfterFunc(func()) func() bool {
	l.waiting.Add(1)
	var once atomic.Bool
	return func() bool {
		if once.CompareAndSwap(false, true) {
			l.waiting.Add(-1)
			return true
		}
		return false
	}
}

func TestARequestThatWasAProbeForgetsItsCallersContext(t *testing.T) {
	b := newBreaker(t, breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1, OpenFor: time.Millisecond, ProbeSuccesses: 1}))
	client := clientOf(t, b)
	tier := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "all") })
	ctx := &long{Context: t.Context(), done: make(chan struct{})}
	command(t, b, breaker.Trip)
	until(t, "no probe has closed the breaker", func() bool {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, tier, nil)
		if resp, err := client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return b.State() == breaker.Closed
	})
	until(t, "something still waits for the caller's context", func() bool { return ctx.waiting.Load() == 0 })
}
