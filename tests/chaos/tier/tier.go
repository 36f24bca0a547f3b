// Package tier is what a fleet under attack calls. It can be failed and slowed, in process and over HTTP, and keeps a ledger
// of every call that reached it: the truth that breakers are held to.
package tier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ErrDown is a call that the tier failed.
var ErrDown = errors.New("tier is down")

// Caller says who calls: a replica, in which of the fleet's generations it was admitted, and whether as a probe.
type Caller struct {
	Replica    string
	Generation uint64
	Probe      bool
}

// Func calls a tier. Its error is [ErrDown] if the tier failed the call.
type Func func(ctx context.Context, by Caller) error

// Tier is a tier. The zero value is well and quick. Its methods are safe for concurrent use.
type Tier struct {
	failing atomic.Uint64 // of 10000 calls
	latency atomic.Int64

	mu     sync.Mutex
	ledger Ledger
}

// Fail makes a share of the calls fail, from now on: 0 none, 1 all.
func (t *Tier) Fail(share float64) { t.failing.Store(uint64(share * 10_000)) }

// Slow makes every call take so long, from now on.
func (t *Tier) Slow(d time.Duration) { t.latency.Store(int64(d)) }

// Call is a [Func].
func (t *Tier) Call(ctx context.Context, by Caller) error {
	t.mu.Lock()
	i := len(t.ledger)
	t.ledger = append(t.ledger, Call{Caller: by, Start: time.Now()})
	t.mu.Unlock()
	err := t.serve(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ledger[i].End, t.ledger[i].Failed = time.Now(), err != nil
	return err
}

func (t *Tier) serve(ctx context.Context) error {
	if d := time.Duration(t.latency.Load()); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if rand.Uint64N(10_000) < t.failing.Load() {
		return ErrDown
	}
	return nil
}

// Ledger is a copy of the calls so far, in the order of their starts.
func (t *Tier) Ledger() Ledger {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(Ledger(nil), t.ledger...)
}

// Serve lets other processes call the tier until the test ends, by a [Func] that [Over] gives for the URL.
func (t *Tier) Serve(tb testing.TB) (url string) {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(t.answer), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	tb.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}

func (t *Tier) answer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	generation, err := strconv.ParseUint(q.Get("generation"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if t.Call(r.Context(), Caller{q.Get("replica"), generation, q.Get("probe") == "true"}) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// Over calls a tier of another process, which [Tier.Serve] serves at that URL.
func Over(client *http.Client, at string) Func {
	return func(ctx context.Context, by Caller) error {
		q := url.Values{
			"replica": {by.Replica}, "generation": {strconv.FormatUint(by.Generation, 10)}, "probe": {strconv.FormatBool(by.Probe)},
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/?"+q.Encode(), nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("tier: %w", err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body) // so that the connection serves the next call
		switch response.StatusCode {
		case http.StatusOK:
			return nil
		case http.StatusServiceUnavailable:
			return ErrDown
		default:
			return fmt.Errorf("tier: %s", response.Status)
		}
	}
}
