package redisstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watch follows s until the test ends, and gives its events and how it ended.
func watch(t *testing.T, s *Store) (<-chan store.Event, <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	events, ended := make(chan store.Event, 1000), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- s.Watch(ctx, func(e store.Event) { events <- e })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return events, ended
}

func next(t *testing.T, events <-chan store.Event) store.Event {
	t.Helper()
	ctx, cancel := await.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case e := <-events:
		return e
	case <-ctx.Done():
		t.Fatal("no event")
		return store.Event{}
	}
}

// nextOf skips what a busy machine may add: a Resync for a transition, or the reverse.
func nextOf(t *testing.T, events <-chan store.Event, resync bool) store.Event {
	t.Helper()
	for {
		if e := next(t, events); e.Resync == resync {
			return e
		}
	}
}

func TestAPushTellsTheTransitionAndWhatIsThen(t *testing.T) {
	srv := redistest.Start(t)
	a, b := openOn(t, srv.URL()), openOn(t, srv.URL())
	events, _ := watch(t, b)
	if e := next(t, events); !e.Resync {
		t.Fatalf("first %+v; want a Resync", e)
	}
	r := a.Sync(context.Background(), []store.Report{failures("}{ %", "web#1", 1, 5)})[0]
	if r.Err != nil || r.Made == nil {
		t.Fatalf("%+v", r)
	}
	e := next(t, events)
	if fmt.Sprintf("%+v", e.Transition) != fmt.Sprintf("%+v", *r.Made) {
		t.Errorf("pushed\n%+v\nmade\n%+v", e.Transition, *r.Made)
	}
	if fmt.Sprintf("%+v", e.Snapshot) != fmt.Sprintf("%+v", r.Snapshot) {
		t.Errorf("pushed\n%+v\nanswered\n%+v", e.Snapshot, r.Snapshot)
	}
}

func TestALostConnectionIsMadeAgainWithAResync(t *testing.T) {
	srv := redistest.Start(t)
	s, c := openOn(t, srv.URL()), admin(t, srv)
	events, _ := watch(t, s)
	nextOf(t, events, true)
	for range 3 {
		do(t, c, "client", "kill", "type", "pubsub")
		nextOf(t, events, true)
	}
	srv.Restart()
	nextOf(t, events, true)
	s.Sync(context.Background(), []store.Report{failures("x", "web#1", 1, 5)})
	if e := nextOf(t, events, false); e.Transition.To != store.Open {
		t.Errorf("%+v", e)
	}
}

// TestASilentConnectionIsGivenUp: a server that hangs closes nothing, and TCP would find out after minutes.
func TestASilentConnectionIsGivenUp(t *testing.T) {
	srv := redistest.Start(t)
	s := openOn(t, srv.URL(), WithTimeout(50*time.Millisecond))
	s.pingAfter = 20 * time.Millisecond
	events, _ := watch(t, s)
	nextOf(t, events, true)
	srv.Stop()
	waitFor(t, "the gap is noticed", func() bool { return s.Pushes().Gaps > 0 })
	srv.Cont()
	nextOf(t, events, true)
}

func TestAQuietChannelThatAnswersIsKept(t *testing.T) {
	srv := redistest.Start(t)
	c := admin(t, srv)
	// A busy machine may not answer in time. Then the time is doubled: a channel that is given up too early is, at any time.
	for after := 250 * time.Millisecond; ; after *= 2 {
		s := openOn(t, srv.URL())
		s.pingAfter = after
		events, _ := watch(t, s)
		nextOf(t, events, true)
		pings := func() float64 { return commandCalls(t, c, "ping") }
		from := pings()
		waitFor(t, "it is pinged some times", func() bool { return pings() >= from+5 })
		gaps := s.Pushes().Gaps
		if gaps == 0 {
			return
		}
		if after > 8*time.Second {
			t.Fatalf("%d gaps on a channel that answers, pinged after %v", gaps, after)
		}
	}
}

func TestAForeignMessageIsCountedAndMeansResync(t *testing.T) {
	srv := redistest.Start(t)
	s, c := openOn(t, srv.URL()), admin(t, srv)
	events, _ := watch(t, s)
	nextOf(t, events, true)
	for i, garbage := range []string{"", "hello", "1\x01\x01", "2\x01commontrip:{x}\x011\x01", "\xff\xfe", "1\x01commontrip:{x}\x01999999\x01"} {
		do(t, c, "publish", s.keys.events(), garbage)
		waitFor(t, "it is counted", func() bool { return s.Pushes().Foreign == uint64(i+1) })
	}
	nextOf(t, events, true)
	s.Sync(context.Background(), []store.Report{failures("x", "web#1", 1, 5)})
	if e := nextOf(t, events, false); e.Transition.Name != "x" {
		t.Errorf("%+v", e)
	}
}

func TestWatchEndsWithItsContextAndWithTheStore(t *testing.T) {
	srv := miniredis.RunT(t)
	s := openOn(t, "redis://"+srv.Addr())
	events, ended := watch(t, s)
	nextOf(t, events, true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%v; want ErrClosed", err)
		}
	case <-time.After(patience):
		t.Fatal("Watch goes on")
	}
	ctx, cancel := context.WithCancel(context.Background())
	s = openOn(t, "redis://"+srv.Addr())
	err := s.Watch(ctx, func(store.Event) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want Canceled", err)
	}
}

func TestWatchWaitsForAServer(t *testing.T) {
	srv := redistest.Start(t)
	srv.Kill()
	s := openOn(t, srv.URL())
	events, _ := watch(t, s)
	waitFor(t, "it tries", func() bool { return s.Pushes().Gaps > 1 })
	srv.Restart()
	nextOf(t, events, true)
}
