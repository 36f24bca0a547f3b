package redisstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	sentinelPatience = 200 * time.Millisecond // for the other Sentinels, once one has answered
	sentinelMemory   = 10 * time.Second       // how long an older configuration is not believed after a newer one was told
	sentinelsMost    = 16                     // that are asked, beyond those of the URL
	sentinelTries    = 10                     // until one that the URL does not name is forgotten; half a minute or so
	sentinelPool     = 10                     // more than dials that fail in one question: a pool of fewer dials on by itself
	switchChannel    = "+switch-master"
)

// sentinels finds the master of a name. It asks all Sentinels at once and believes the newest configuration, since one alone
// may hang, or not know yet. It follows all of them too, so that a switch is known when the first of them tells it.
type sentinels struct {
	name    string
	named   []string // by the URL
	options func(addr string) *redis.Options
	connect func(ctx context.Context, network, addr string) (net.Conn, error)
	moved   func(master string) // is told of each switch

	ctx context.Context // ends with close
	end context.CancelFunc

	mu       sync.Mutex
	known    map[string]bool // addresses, each with a goroutine that follows it
	believed told
	at       time.Time // when that was told last
}

// told is what a Sentinel says.
type told struct {
	master string
	epoch  int64    // of the configuration; 0: it may not be asked for that
	peers  []string // the other Sentinels
}

// newSentinels makes one. It does no I/O.
func newSentinels(o *redis.FailoverOptions, moved func(master string)) *sentinels {
	s := &sentinels{
		name: o.MasterName, named: o.SentinelAddrs, options: func(addr string) *redis.Options { return sentinelOptions(o, addr) },
		moved: moved, known: map[string]bool{},
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// close ends what follows.
func (s *sentinels) close() { s.end() }

// dial connects to the master. The address that it is given is not one. A connection that stands after a switch is not used.
func (s *sentinels) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	for {
		master, err := s.master(ctx)
		if err != nil {
			return nil, err
		}
		c, err := s.connect(ctx, network, master)
		if err != nil {
			return nil, err
		}
		if s.isMaster(master) {
			if server, ok := ctx.Value(serverKey{}).(*string); ok {
				*server = master
			}
			return c, nil
		}
		_ = c.Close()
	}
}

// isMaster reports that an address is the one that is believed now.
func (s *sentinels) isMaster(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.believed.master == addr
}

// master asks for the master, and tells of a switch.
func (s *sentinels) master(ctx context.Context) (string, error) {
	best, err := s.ask(ctx)
	if err != nil {
		return "", fmt.Errorf("no Sentinel of %d named the master %q: %w", len(s.addrs()), s.name, err)
	}
	master, switched := s.believe(best)
	if switched {
		s.moved(master)
	}
	return master, nil
}

// believe takes what was told, unless it is older than what was told lately: of two that ask, the later may be answered by
// Sentinels that do not know yet.
func (s *sentinels) believe(t told) (master string, switched bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.believed.master
	if t.epoch >= s.believed.epoch || time.Since(s.at) > sentinelMemory {
		s.believed, s.at = t, time.Now()
	}
	return s.believed.master, before != "" && before != s.believed.master
}

// ask asks all, and gives the newest of the answers that come within the patience after the first.
func (s *sentinels) ask(ctx context.Context) (best told, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	addrs := s.addrs()
	type answer struct {
		told
		err error
	}
	answers := make(chan answer, len(addrs))
	for _, addr := range addrs {
		go func() {
			t, err := s.askOne(ctx, addr)
			answers <- answer{t, err}
		}()
	}
	var errs []error
	var patience <-chan time.Time
	for range addrs {
		select {
		case a := <-answers:
			if a.err != nil {
				errs = append(errs, a.err)
				continue
			}
			if best.master == "" || a.epoch > best.epoch {
				best.master, best.epoch = a.master, a.epoch
			}
			best.peers = append(best.peers, a.peers...)
			if patience == nil {
				patience = time.After(sentinelPatience)
			}
			continue
		case <-patience:
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
		}
		break
	}
	if best.master == "" {
		return best, errors.Join(errs...)
	}
	s.follow(best.peers)
	return best, nil
}

// askOne asks one, over a connection of its own: a pool would go on dialling one that is gone.
func (s *sentinels) askOne(ctx context.Context, addr string) (t told, err error) {
	c := redis.NewSentinelClient(s.options(addr))
	defer c.Close()
	at, err := c.GetMasterAddrByName(ctx, s.name).Result()
	if err != nil {
		return t, err
	}
	if len(at) != 2 {
		return t, fmt.Errorf("the address of the master %q is %q; want a host and a port", s.name, at)
	}
	t.master = net.JoinHostPort(at[0], at[1])
	if facts, err := c.Master(ctx, s.name).Result(); err == nil {
		t.epoch, _ = strconv.ParseInt(facts["config-epoch"], 10, 64)
	}
	if others, err := c.Sentinels(ctx, s.name).Result(); err == nil {
		for _, of := range others {
			if of["ip"] != "" && of["port"] != "" {
				t.peers = append(t.peers, net.JoinHostPort(of["ip"], of["port"]))
			}
		}
	}
	return t, nil
}

// addrs gives the Sentinels that are known: at first those of the URL.
func (s *sentinels) addrs() []string {
	s.follow(s.named)
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.known))
}

// follow begins to follow those of the addresses that are new.
func (s *sentinels) follow(addrs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, addr := range addrs {
		if !s.known[addr] && s.ctx.Err() == nil && len(s.known) < len(s.named)+sentinelsMost {
			s.known[addr] = true
			go s.listen(addr)
		}
	}
}

// forget makes room for another Sentinel. One that is still named by others is followed anew with the next answer.
func (s *sentinels) forget(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, addr)
}

// listen asks for the master whenever a Sentinel tells of a switch, until close. One that only others name, and that is gone,
// is forgotten: if addresses change with each restart they would add up.
func (s *sentinels) listen(addr string) {
	c := redis.NewSentinelClient(s.options(addr))
	defer c.Close()
	for attempt := 0; ; attempt++ {
		if attempt == sentinelTries && !slices.Contains(s.named, addr) {
			s.forget(addr)
			return
		}
		if s.listenOnce(c) {
			attempt = 0
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(1 + rand.N(min(backoffBase<<min(attempt, 10), backoffMax))):
		}
	}
}

// listenOnce listens on one connection, and says whether that ever stood. One that is silent is pinged.
func (s *sentinels) listenOnce(c *redis.SentinelClient) (stood bool) {
	p := c.Subscribe(s.ctx, switchChannel)
	defer p.Close()
	stop := context.AfterFunc(s.ctx, func() { _ = p.Close() })
	defer stop()
	for pinged := false; s.ctx.Err() == nil; {
		message, err := p.ReceiveTimeout(s.ctx, defaultPing)
		switch m := message.(type) {
		case *redis.Subscription:
			stood = true
			_, _ = s.master(s.ctx) // there may have been a switch before
		case *redis.Message:
			if strings.HasPrefix(m.Payload, s.name+" ") {
				_, _ = s.master(s.ctx)
			}
		}
		switch {
		case err == nil:
			pinged = false
		case !isTimeout(err) || pinged || p.Ping(s.ctx) != nil:
			return stood
		default:
			pinged = true
		}
	}
	return stood
}
