package redisstore

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// naming names the master that a test wants. Real ones would take seconds and could not be led to disagree.
type naming struct {
	master  atomic.Pointer[redistest.Server]
	watches atomic.Int64 // connections of watches
}

func (s *naming) name(master *redistest.Server) { s.master.Store(master) }

func (s *naming) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, s.master.Load().Addr())
	if err == nil && ctx.Value(subscriptionKey{}) != nil {
		s.watches.Add(1)
	}
	return c, err
}

// openUnder makes a store whose client asks s for the master.
func openUnder(t *testing.T, s *naming) *Store {
	t.Helper()
	set, err := newSettings(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{
		Dialer: s.dial, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: quiet(),
	})
	opened := newStore(client, true, set)
	watch := newFailoverWatch()
	client.AddHook(watch)
	opened.failover = &failover{watch: watch, sentinels: newSentinels(&redis.FailoverOptions{}, watch.moved)}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

func ping(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Ping(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// tripAndHear opens a breaker by an exchange of s, and waits until the watch has heard of it.
func tripAndHear(t *testing.T, s *Store, events <-chan store.Event, name string) {
	t.Helper()
	if r := s.Sync(context.Background(), []store.Report{failures(name, "web#1", 1, 5)})[0]; r.Err != nil || r.Made == nil {
		t.Fatalf("%+v", r)
	}
	if e := nextOf(t, events, false); e.Transition.Name != name {
		t.Errorf("%+v; want the trip of %s", e, name)
	}
}

// TestAWatchThatIsLedAstrayComesBack: an exchange found the new master, and then a Sentinel that did not know of it yet sent
// the watch to the old one. Exchanges had their connections and made no more, so that nothing told the watch: it listened
// there for as long as the old master lived.
func TestAWatchThatIsLedAstrayComesBack(t *testing.T) {
	old, young := redistest.Start(t), redistest.Start(t)
	var named naming
	named.name(young)
	s := openUnder(t, &named)
	ping(t, s) // from now on exchanges have a connection to the new master
	named.name(old)
	events, _ := watch(t, s)
	nextOf(t, events, true)
	waitFor(t, "it listens at the old master, and leaves it", func() bool {
		ping(t, s)
		return s.Pushes().Gaps > 1 // it leaves, is sent there again, and leaves again
	})
	named.name(young)
	waitFor(t, "it listens at the new master", func() bool {
		ping(t, s)
		return listens(t, young)
	})
	tripAndHear(t, s, events, "x")
}

// listens reports that a watch is subscribed at a server.
func listens(t *testing.T, srv *redistest.Server) bool {
	t.Helper()
	clients, err := srv.Text("CLIENT", "LIST", "TYPE", "PUBSUB")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(clients, "sub=1")
}

// TestAWatchLeavesWithTheFirstAnswerOfAnother: it listens well at a master that lives; exchanges are answered by another.
func TestAWatchLeavesWithTheFirstAnswerOfAnother(t *testing.T) {
	old, young := redistest.Start(t), redistest.Start(t)
	var named naming
	named.name(old)
	s := openUnder(t, &named)
	ping(t, s)
	events, _ := watch(t, s)
	nextOf(t, events, true)
	for range 10 {
		ping(t, s)
	}
	if gaps := s.Pushes().Gaps; gaps != 0 {
		t.Fatalf("%d gaps while all is at one master", gaps)
	}
	named.name(young)
	do(t, admin(t, old), "client", "kill", "type", "normal", "skipme", "yes")
	ping(t, s) // the pool sees that its connection has ended, and makes one to the new master
	nextOf(t, events, true)
	tripAndHear(t, s, events, "x")
	if gaps := s.Pushes().Gaps; gaps != 1 {
		t.Errorf("%d gaps; want one", gaps)
	}
}

// TestAWatchIsNotDrivenAwayByItself: if it finds the new master before any exchange does, it stays. Its own connection
// once counted as news, of which it left that very connection.
func TestAWatchIsNotDrivenAwayByItself(t *testing.T) {
	old, young := redistest.Start(t), redistest.Start(t)
	var named naming
	named.name(old)
	s := openUnder(t, &named)
	ping(t, s)
	events, _ := watch(t, s)
	nextOf(t, events, true)
	old.Kill()
	waitFor(t, "it tries", func() bool { return s.Pushes().Gaps > 1 })
	before := named.watches.Load()
	named.name(young)
	nextOf(t, events, true)
	tripAndHear(t, s, events, "x")
	if n := named.watches.Load() - before; n != 1 {
		t.Errorf("%d connections to the new master; want one", n)
	}
}
