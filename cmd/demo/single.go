package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// The names of the two ways to call the one tier of the first half, and their paths at the tier.
const (
	shared = "shared" // through the breaker that the fleet shares
	alone  = "alone"  // through one that this replica has for itself, as a measure
)

// tierName is the shared breaker's name.
const tierName = "payments"

// singleSpec is the first half's load: each request calls the tier twice, once through each breaker.
type singleSpec struct {
	Redis   string         `json:"redis"`
	Prefix  string         `json:"prefix"`
	URL     string         `json:"url"`
	Policy  store.Policy   `json:"policy"`
	Timing  breaker.Timing `json:"timing"`
	Timeout time.Duration  `json:"timeout"` // of one call
}

// count is what one way of calling came to.
type count struct {
	Calls   int           `json:"calls"`
	Served  int           `json:"served"`
	Unlucky int           `json:"unlucky"` // the tier was well and answered 500 all the same
	Burnt   int           `json:"burnt"`   // reached out to a tier that was dead: 503, no answer, connection refused
	Cut     int           `json:"cut"`     // this replica's own network was down
	Refused int           `json:"refused"` // by the breaker
	Probes  int           `json:"probes"`
	Probing []span        `json:"probing,omitempty"` // when; in a census only
	Foreign int           `json:"foreign"`           // any other error: the breaker's own, which no call may ever get
	Wait    time.Duration `json:"wait"`              // the longest that the breaker added to a call
}

// span is the time that a probe took, by this machine's clock.
type span struct{ From, To time.Time }

// singleLoad calls one tier.
type singleLoad struct {
	store   store.Store
	manager *breaker.Manager
	tier    *breaker.Breaker
	ways    []*way
	down    atomic.Bool // this replica's network
}

func newSingleLoad(ctx context.Context, name string, spec singleSpec, listeners ...func(breaker.Event)) (*singleLoad, error) {
	fleet, err := redisstore.Open(spec.Redis, redisstore.WithPrefix(spec.Prefix))
	if err != nil {
		return nil, err
	}
	options := []breaker.ManagerOption{breaker.WithReplica(name), breaker.WithTiming(spec.Timing)}
	for _, l := range listeners {
		options = append(options, breaker.WithListener(l))
	}
	m, err := breaker.NewManager(fleet, options...)
	if err != nil {
		return nil, err
	}
	tier, err := m.Register(ctx, tierName, breaker.WithPolicy(spec.Policy))
	if err != nil {
		return nil, err
	}
	own := spec.Policy
	own.Reporters = 1 // it has nobody to agree with
	single, err := breaker.New(tierName, breaker.WithPolicy(own))
	if err != nil {
		return nil, err
	}
	l := &singleLoad{store: fleet, manager: m, tier: tier}
	client := &http.Client{Transport: &flaky{down: &l.down}}
	l.ways = []*way{
		{name: shared, breaker: tier, client: client, url: spec.URL + "/" + shared, timeout: spec.Timeout},
		{name: alone, breaker: single, client: client, url: spec.URL + "/" + alone, timeout: spec.Timeout},
	}
	return l, nil
}

func (l *singleLoad) serve(ctx context.Context) {
	var both sync.WaitGroup
	for _, w := range l.ways {
		both.Go(func() { w.call(ctx) })
	}
	both.Wait()
}

func (l *singleLoad) network(up bool) { l.down.Store(!up) }

func (l *singleLoad) tally(fresh bool) *replicaTally {
	t := &replicaTally{
		StoreUp:  l.manager.Status().StoreUp,
		Breakers: map[string]belief{tierName: believe(l.tier.Status())},
		Calls:    map[string]count{},
	}
	for _, w := range l.ways {
		t.Calls[w.name] = w.read(fresh)
	}
	return t
}

func (l *singleLoad) close(ctx context.Context) {
	_ = l.manager.Close(ctx)
	_ = l.store.Close()
}

// way is one way to call the tier: through one breaker.
type way struct {
	name    string
	breaker *breaker.Breaker
	client  *http.Client
	url     string
	timeout time.Duration

	mu sync.Mutex
	n  count
}

// call asks for a permit by hand rather than through Run, to know which calls are probes, and the breaker's time from the
// tier's.
func (w *way) call(ctx context.Context) {
	begin := time.Now()
	permit, err := w.breaker.Acquire(ctx)
	called := time.Now()
	if err != nil {
		w.settle(err, called.Sub(begin))
		return
	}
	err = get(permit.Context(), w.client, w.url, w.timeout)
	answered := time.Now()
	permit.Done(err)
	w.settle(err, called.Sub(begin)+time.Since(answered))
	if permit.Probe() {
		w.probed(span{called, answered})
	}
}

func (w *way) probed(s span) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n.Probes++
	w.n.Probing = append(w.n.Probing, s)
}

func (w *way) settle(err error, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n.Calls++
	w.n.Wait = max(w.n.Wait, wait)
	var status statusError
	switch {
	case err == nil:
		w.n.Served++
	case errors.Is(err, breaker.ErrOpen):
		w.n.Refused++
	case errors.Is(err, syscall.ENETUNREACH):
		w.n.Cut++
	case errors.As(err, &status) && status == http.StatusInternalServerError:
		w.n.Unlucky++
	case errors.As(err, &status), errors.Is(err, context.DeadlineExceeded), isNetwork(err):
		w.n.Burnt++
	case errors.Is(err, context.Canceled): // the demo is ending
	default:
		w.n.Foreign++
	}
}

func (w *way) read(fresh bool) count {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.n
	if fresh {
		w.n.Wait, n.Probing = 0, slices.Clone(n.Probing)
	} else {
		n.Probing = nil
	}
	return n
}

// statusError is an answer that is none: its HTTP status.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("the tier answered %d", int(e)) }

// StatusCode lets the breaker label the error.
func (e statusError) StatusCode() int { return int(e) }

func isNetwork(err error) bool {
	_, is := errors.AsType[net.Error](err)
	return is || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// get makes one call of a tier and reads its answer.
func get(ctx context.Context, client *http.Client, url string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return statusError(res.StatusCode)
	}
	return nil
}

// flaky is a network that can be taken away.
type flaky struct{ down *atomic.Bool }

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.down.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	}
	return http.DefaultTransport.RoundTrip(r)
}
