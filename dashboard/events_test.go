package dashboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
)

// told is one event of a stream, as far as tests look at it.
type told struct {
	Kind  string `json:"-"`
	About *struct {
		Kind, Operator string
		Commands       bool
	}
	Store *struct {
		Up         *bool
		Problem    string
		Unreadable []string
		LeftOut    int `json:"left_out"`
	}
	Rows    []store.Snapshot
	Sparks  map[string][][3]float64
	Health  []struct{ Name, Health, Problem string }
	Replica *struct {
		Name    string
		StoreUp bool `json:"store_up"`
	}
	Gone       []string
	Replicas   *struct{ Degraded, Disagree []string }
	Transition *store.Transition
	at         time.Time
	rates      map[string]rates // of Rows
	explained  map[string]explained
}

// explained is what a row says of why it is so.
type explained struct {
	store.Explanation
	Policy *store.Policy // that this replica reports, if it is another
}

// rates are what rows say beside the snapshot.
type rates struct {
	Calls    float64 `json:"calls_per_s"`
	Failures float64 `json:"failures_per_s"`
	Refused  float64 `json:"refused_per_s"`
}

// readRows reads what rows say beside the snapshot out of an event's data.
func (e *told) readRows(data string) {
	var m struct {
		Rows []struct {
			Name        string
			Live        rates
			Explanation store.Explanation
			Here        struct{ Policy *store.Policy }
		}
	}
	_ = json.Unmarshal([]byte(data), &m)
	e.rates, e.explained = map[string]rates{}, map[string]explained{}
	for _, r := range m.Rows {
		e.rates[r.Name], e.explained[r.Name] = r.Live, explained{r.Explanation, r.Here.Policy}
	}
}

// page is a client of a stream, in process, so that it runs in virtual time.
type page struct {
	of     http.Handler
	header http.Header
	status int
	leave  context.CancelFunc
	done   chan struct{} // closed when the stream has ended
	stuck  chan struct{} // not nil: each write waits for its closing

	mu   sync.Mutex
	text bytes.Buffer
	seen []told
}

func (p *page) Header() http.Header                { return p.header }
func (p *page) WriteHeader(status int)             { p.status = status }
func (p *page) Flush()                             {}
func (p *page) SetWriteDeadline(_ time.Time) error { return nil }

func (p *page) Write(text []byte) (int, error) {
	if p.stuck != nil {
		<-p.stuck
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(text)
	for {
		event, _, ok := strings.Cut(p.text.String(), "\n\n")
		if !ok {
			return len(text), nil
		}
		p.text.Next(len(event) + 2)
		one := told{at: time.Now()}
		kind, data, _ := strings.Cut(event, "\ndata: ")
		if err := json.Unmarshal([]byte(data), &one); err != nil {
			return 0, fmt.Errorf("%w: %q", err, event)
		}
		one.Kind = strings.TrimPrefix(kind, "event: ")
		one.readRows(data)
		p.seen = append(p.seen, one)
	}
}

// events are those told so far, of a kind.
func (p *page) events(kind string) (of []told) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.seen {
		if one.Kind == kind {
			of = append(of, one)
		}
	}
	return of
}

func visit(h http.Handler, stuck chan struct{}) *page {
	ctx, leave := context.WithCancel(context.Background())
	p := &page{of: h, header: http.Header{}, leave: leave, done: make(chan struct{}), stuck: stuck}
	r := httptest.NewRequest(http.MethodGet, "/api/events", nil).WithContext(ctx)
	r.Header.Set("X-User", "alice")
	go func() {
		defer close(p.done)
		h.ServeHTTP(p, r)
	}()
	return p
}

// watched counts what a store is asked, and can be taken away.
type watched struct {
	store.Store
	reads, watches atomic.Int64
	away, torn     atomic.Bool // nothing is answered; "mcp" cannot be read
	deaf           bool        // no push comes
}

// histories counts how many are asked.
type histories struct {
	store.Store
	asked atomic.Int64
}

func (s *histories) History(ctx context.Context, name string, limit int) ([]store.Transition, error) {
	s.asked.Add(1)
	return s.Store.History(ctx, name, limit)
}

var errAway = errors.New("dial tcp 10.9.8.7:6379: refused")

func (s *watched) Read(ctx context.Context, names ...string) ([]store.Snapshot, error) {
	s.reads.Add(1)
	if s.away.Load() {
		return nil, errAway
	}
	snapshots, err := s.Store.Read(ctx, names...)
	if s.torn.Load() {
		snapshots = slices.DeleteFunc(snapshots, func(s store.Snapshot) bool { return s.Name == "mcp" })
		err = &store.UnreadableError{Names: []string{"mcp"}, Err: errors.New("state is torn")}
	}
	return snapshots, err
}

func (s *watched) Watch(ctx context.Context, fn func(store.Event)) error {
	s.watches.Add(1)
	if s.deaf {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Watch(ctx, fn)
}

func TestAStreamBeginsWithTheWholeBoardAndTellsATransitionAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, "a", "mcp")
		h := handler(t, s, dashboard.WithOperator(byHeader))
		first := visit(h, nil)
		time.Sleep(2 * time.Second)
		second := visit(h, nil)
		synctest.Wait()
		hello := second.events("hello")
		if len(hello) != 1 || len(hello[0].Rows) != 2 || hello[0].About.Operator != "alice" || hello[0].About.Kind != "memory" {
			t.Fatalf("hello: %+v", hello)
		}
		if kind := second.header.Get("Content-Type"); kind != "text/event-stream" || second.status != 200 {
			t.Errorf("%d %s", second.status, kind)
		}
		trip(t, s, "mcp")
		at := time.Now()
		synctest.Wait()
		for _, p := range []*page{first, second} {
			got := p.events("transition")
			if len(got) != 1 || got[0].at != at || got[0].Transition.To != store.Open || len(got[0].Rows) != 1 || got[0].Rows[0].State != store.Open {
				t.Fatalf("transition: %+v", got)
			}
		}
		first.leave()
		second.leave()
	})
}

func TestWithoutPushesATransitionShowsWithTheNextRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &watched{Store: seed(t, "mcp"), deaf: true}
		p := visit(handler(t, s), nil)
		time.Sleep(5*time.Second + time.Millisecond)
		before := len(p.events("tick"))
		trip(t, s, "mcp")
		time.Sleep(time.Second)
		synctest.Wait()
		ticks := p.events("tick")[before:]
		if len(ticks) == 0 || len(ticks[0].Rows) != 1 || ticks[0].Rows[0].State != store.Open {
			t.Errorf("ticks: %+v", ticks)
		}
		p.leave()
	})
}

func TestAllStreamsShareOneWatchAndOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &watched{Store: seed(t, "mcp")}
		h := handler(t, s)
		time.Sleep(time.Minute)
		if n := s.reads.Load(); n != 0 {
			t.Errorf("%d reads with nobody looking", n)
		}
		var pages []*page
		for range 500 {
			pages = append(pages, visit(h, nil))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if reads, watches := s.reads.Load(), s.watches.Load(); watches != 1 || reads < 9 || reads > 13 {
			t.Errorf("for 500 streams in 10 s: %d watches, %d reads", watches, reads)
		}
		for _, p := range pages {
			if len(p.events("hello")) != 1 || len(p.events("tick")) < 9 {
				t.Fatalf("a stream was told %d hellos, %d ticks", len(p.events("hello")), len(p.events("tick")))
			}
			p.leave()
		}
		synctest.Wait()
		reads := s.reads.Load()
		time.Sleep(time.Minute)
		if s.reads.Load() != reads {
			t.Error("it reads on after the last stream has gone")
		}
		again := visit(h, nil)
		time.Sleep(time.Second)
		if s.watches.Load() != 2 || len(again.events("tick")) == 0 {
			t.Error("it is not fed again")
		}
		again.leave()
	})
}

func TestCloseEndsAllStreamsAndLeavesNothingRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		h, err := dashboard.New(seed(t, "mcp"))
		if err != nil {
			t.Fatal(err)
		}
		var pages []*page
		for range 500 {
			pages = append(pages, visit(h, nil))
		}
		time.Sleep(time.Second)
		for range 2 {
			if err := h.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range pages {
			<-p.done
		}
		if late := ask(h, http.MethodGet, "/api/events", ""); late.status != 503 || late.header.Get("Retry-After") == "" {
			t.Errorf("a stream after Close: %d", late.status)
		}
		if got := get(h, "/api/breakers"); got.status != 200 {
			t.Errorf("reading after Close: %d", got.status)
		}
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		h, err := dashboard.New(seed(t, "mcp"))
		if err != nil {
			t.Fatal(err)
		}
		p := visit(h, stuck)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close with a stream that hangs: %v", err)
		}
		close(stuck)
		<-p.done
	})
}

func TestASlowPageIsEndedAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, "mcp")
		h := handler(t, s)
		stuck := make(chan struct{})
		slow, quick := visit(h, stuck), visit(h, nil)
		synctest.Wait()
		for range 100 {
			trip(t, s, "mcp")
			synctest.Wait()
		}
		if n := len(quick.events("transition")); n != 100 {
			t.Errorf("the quick page was told %d of 100", n)
		}
		close(stuck)
		<-slow.done
		if n := len(slow.events("transition")); n >= 100 {
			t.Errorf("the slow page was told %d: its queue has no bound", n)
		}
		quick.leave()
	})
}

func TestStreamsBeyondTheLimitAreToldToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, seed(t, "mcp"), dashboard.WithMaxStreams(2))
		a, b := visit(h, nil), visit(h, nil)
		synctest.Wait()
		if c := ask(h, http.MethodGet, "/api/events", ""); c.status != 503 || c.header.Get("Retry-After") != "5" {
			t.Errorf("the third: %d", c.status)
		}
		a.leave()
		<-a.done
		c := visit(h, nil)
		synctest.Wait()
		if len(c.events("hello")) != 1 {
			t.Error("a place that is free again is not given")
		}
		b.leave()
		c.leave()
	})
}

func TestABreakerThatNobodyCanReadIsNamedAndHidesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &watched{Store: seed(t, "a", "mcp")}
		s.torn.Store(true)
		h := handler(t, s)
		p := visit(h, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		ticks := p.events("tick")
		if len(ticks) == 0 {
			t.Fatal("no tick came")
		}
		last := ticks[len(ticks)-1]
		if last.Store.Up == nil || !*last.Store.Up || len(last.Store.Unreadable) != 1 || last.Store.Unreadable[0] != "mcp" {
			t.Errorf("the last tick says of the store %+v", last.Store)
		}
		if r := get(h, "/api/breakers"); r.status != http.StatusOK || !strings.Contains(r.body, `"a"`) {
			t.Errorf("the list is %d, %s", r.status, r.body)
		}
		p.leave()
	})
}

func TestWithTheStoreAwayTheLastKnownStaysAndIsSaidToBeOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &watched{Store: seed(t, "a", "mcp")}
		h := handler(t, s)
		p := visit(h, nil)
		time.Sleep(2 * time.Second)
		s.away.Store(true)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		ticks := p.events("tick")
		last := ticks[len(ticks)-1]
		if last.Store.Up == nil || *last.Store.Up || last.Store.Problem != "failed" || len(last.Gone) > 0 {
			t.Errorf("the last tick: %+v", last)
		}
		late := visit(h, nil)
		synctest.Wait()
		if hello := late.events("hello"); len(hello) != 1 || len(hello[0].Rows) != 2 || *hello[0].Store.Up {
			t.Errorf("a page opened meanwhile: %+v", hello)
		}
		s.away.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		ticks = late.events("tick")
		if last := ticks[len(ticks)-1]; last.Store.Up == nil || !*last.Store.Up {
			t.Errorf("and back: %+v", last)
		}
		p.leave()
		late.leave()
	})
}

func TestNamesAreDataInAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seed(t, names...)
		p := visit(handler(t, s), nil)
		time.Sleep(2 * time.Second)
		for _, name := range names {
			trip(t, s, name)
			synctest.Wait()
		}
		got := p.events("transition")
		if len(got) != len(names) {
			t.Fatalf("%d transitions of %d", len(got), len(names))
		}
		for i, name := range names {
			if got[i].Transition.Name != name {
				t.Errorf("%q came as %q", name, got[i].Transition.Name)
			}
		}
		p.leave()
	})
}

// Over real connections: a client that goes away is noticed, and one that stops reading cannot keep the server from closing.
func TestStreamsOverConnectionsEndWithTheirClientsAndWithClose(t *testing.T) {
	s := seed(t, "mcp")
	h := handler(t, s)
	server := httptest.NewServer(h)
	defer server.Close()
	client := server.Client()
	for range 20 {
		ctx, cancel := await.WithTimeout(t.Context(), deadline)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, len("event: hello\n"))
		if _, err := response.Body.Read(head); err != nil || string(head) != "event: hello\n" {
			t.Errorf("%q, %v", head, err)
		}
		cancel()
		response.Body.Close()
	}
	ctx, cancel := await.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Errorf("streams are left: %v", err)
	}
}
