package redisstore

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// oracle is a Sentinel that says what a test wants.
type oracle struct {
	addr    string
	master  atomic.Value // host:port
	epoch   atomic.Int64
	noEpoch atomic.Bool // it is not allowed to tell
	asked   atomic.Int64
	hang    chan struct{} // nil: it answers
	stop    func()
}

func startOracle(t *testing.T, master string, epoch int64, hangs bool) *oracle {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{addr: s.Addr().String(), stop: sync.OnceFunc(s.Close)}
	t.Cleanup(o.stop)
	if hangs {
		o.hang = make(chan struct{})
		t.Cleanup(func() { close(o.hang) })
	}
	o.master.Store(master)
	o.epoch.Store(epoch)
	if err := s.Register("SENTINEL", o.answer); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *oracle) answer(p *server.Peer, _ string, args []string) {
	o.asked.Add(1)
	if o.hang != nil {
		<-o.hang
	}
	host, port, _ := net.SplitHostPort(o.master.Load().(string))
	switch sub := strings.ToLower(args[0]); {
	case sub == "get-master-addr-by-name":
		p.WriteStrings([]string{host, port})
	case sub == "master" && !o.noEpoch.Load():
		p.WriteStrings([]string{"ip", host, "config-epoch", strconv.FormatInt(o.epoch.Load(), 10)})
	default:
		p.WriteError("NOPERM")
	}
}

// under finds the master that they name.
func under(t *testing.T, oracles ...*oracle) (s *sentinels, moves chan string) {
	t.Helper()
	o := &redis.FailoverOptions{MasterName: "main", ReadTimeout: time.Hour, DialTimeout: time.Hour}
	for _, each := range oracles {
		o.SentinelAddrs = append(o.SentinelAddrs, each.addr)
	}
	moves = make(chan string, 16)
	s = newSentinels(o, func(to string) { moves <- to })
	t.Cleanup(s.close)
	return s, moves
}

func wantMaster(t *testing.T, s *sentinels, want string) {
	t.Helper()
	if got, err := s.master(t.Context()); got != want || err != nil {
		t.Fatalf("the master is %q, %v; want %q", got, err, want)
	}
}

// TestTheNewestConfigurationIsBelieved: a Sentinel that led a failover goes on naming the node that it promoted, even if the
// others have replaced that one since.
func TestTheNewestConfigurationIsBelieved(t *testing.T) {
	stale, fresh := startOracle(t, "10.0.0.1:1", 3, false), startOracle(t, "10.0.0.2:2", 4, false)
	s, moves := under(t, stale, fresh)
	for range 20 {
		wantMaster(t, s, "10.0.0.2:2")
	}
	fresh.stop()
	wantMaster(t, s, "10.0.0.2:2") // the other does not know yet
	stale.master.Store("10.0.0.3:3")
	stale.epoch.Store(5)
	wantMaster(t, s, "10.0.0.3:3")
	if to := <-moves; to != "10.0.0.3:3" || len(moves) != 0 {
		t.Errorf("told of a switch to %q and %d more; want 10.0.0.3:3 alone", to, len(moves))
	}
}

// TestSentinelsThatBeganAnewAreBelievedInTime: all lost their configuration, with its number.
func TestSentinelsThatBeganAnewAreBelievedInTime(t *testing.T) {
	s, moves := under(t)
	s.believe(told{master: "10.0.0.1:1", epoch: 7})
	if got, _ := s.believe(told{master: "10.0.0.2:2"}); got != "10.0.0.1:1" {
		t.Errorf("an older configuration is believed at once: %s", got)
	}
	s.at = s.at.Add(-2 * sentinelMemory)
	if got, switched := s.believe(told{master: "10.0.0.2:2"}); got != "10.0.0.2:2" || !switched {
		t.Errorf("%s, switched %v; want what they have said for long", got, switched)
	}
	if len(moves) != 0 {
		t.Error("believe told of a switch; its caller does")
	}
}

// TestAConnectionThatStandsAfterASwitchIsNotUsed: it was begun before, to the old master.
func TestAConnectionThatStandsAfterASwitchIsNotUsed(t *testing.T) {
	one := startOracle(t, "10.0.0.1:1", 3, false)
	s, _ := under(t, one)
	var dialled []string
	s.connect = func(_ context.Context, _, addr string) (net.Conn, error) {
		if dialled = append(dialled, addr); len(dialled) == 1 {
			one.master.Store("10.0.0.2:2")
			one.epoch.Store(4)
			s.believe(told{master: "10.0.0.2:2", epoch: 4})
		}
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = theirs.Close() })
		return ours, nil
	}
	var server string
	c, err := s.dial(context.WithValue(t.Context(), serverKey{}, &server), "tcp", "")
	if err != nil || server != "10.0.0.2:2" || len(dialled) != 2 {
		t.Fatalf("connected to %q after %q, %v; want the new master", server, dialled, err)
	}
	_ = c.Close()
}

// TestASentinelThatIsGoneMakesRoom: in a cluster of containers each restart gives it another address.
func TestASentinelThatIsGoneMakesRoom(t *testing.T) {
	one := startOracle(t, "10.0.0.1:1", 3, false)
	s, _ := under(t, one)
	wantMaster(t, s, "10.0.0.1:1")
	for i := range sentinelsMost + 5 {
		addr := "127.0.0.1:" + strconv.Itoa(i+1)
		s.follow([]string{addr})
		s.forget(addr)
	}
	s.follow([]string{"127.0.0.1:99"})
	if !slices.Contains(s.addrs(), "127.0.0.1:99") || len(s.addrs()) != 2 {
		t.Errorf("it follows %q", s.addrs())
	}
}

// TestASentinelThatHangsHoldsUpNobody: its answer would come after an hour.
func TestASentinelThatHangsHoldsUpNobody(t *testing.T) {
	hung, well := startOracle(t, "10.0.0.1:1", 9, true), startOracle(t, "10.0.0.2:2", 4, false)
	s, _ := under(t, hung, well)
	wantMaster(t, s, "10.0.0.2:2")
	waitFor(t, "the other was asked too", func() bool { return hung.asked.Load() > 0 })
}

// TestAUserThatMayNotAskForTheConfigurationIsServed: the rights that another client needs are enough.
func TestAUserThatMayNotAskForTheConfigurationIsServed(t *testing.T) {
	one := startOracle(t, "10.0.0.1:1", 9, false)
	one.noEpoch.Store(true)
	s, _ := under(t, one)
	wantMaster(t, s, "10.0.0.1:1")
}

// TestAnErrorTellsThatNoSentinelNamesTheMaster, and of which name.
func TestAnErrorTellsThatNoSentinelNamesTheMaster(t *testing.T) {
	one := startOracle(t, "10.0.0.1:1", 9, false)
	one.stop()
	s, _ := under(t, one)
	_, err := s.master(t.Context())
	if err == nil || !strings.Contains(err.Error(), `no Sentinel of 1 named the master "main": `) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.master(ctx); err == nil {
		t.Error("no error after the caller has gone")
	}
}

// TestSentinelsOfWhichTheURLDoesNotTellAreAskedToo: the one of the URL is gone when the master dies.
func TestSentinelsOfWhichTheURLDoesNotTellAreAskedToo(t *testing.T) {
	if testing.Short() {
		t.Skip("a failover takes seconds: not with -short")
	}
	master, replica := redistest.Start(t), redistest.Start(t)
	replica.Follow(master)
	all := redistest.StartSentinels(t, "main", master, 1)
	s := openOn(t, all[0].URL()+"?master_name=main")
	events, _ := watch(t, s)
	nextOf(t, events, true)
	waitFor(t, "it knows them all", func() bool { return len(s.failover.sentinels.addrs()) == len(all) })
	all[0].Kill()
	master.Kill()
	waitFor(t, "an exchange is answered by the new master", func() bool {
		return s.Sync(t.Context(), []store.Report{failures("x", "web#1", 1, 1)})[0].Err == nil
	})
	waitFor(t, "the watch listens there", func() bool { return listens(t, replica) })
}
