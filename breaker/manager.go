package breaker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Manager connects this replica's breakers with a store. It is safe for concurrent use.
//
// It has one goroutine that decides when to exchange what, one that hears the store's pushes, and one for each exchange
// in flight, of which each part of the store that can fail alone has one at most. They start with the first Register and
// end with [Manager.Close].
type Manager struct {
	core     core
	defaults config // its listeners hear of the Manager too

	ctx     context.Context // ends when the Manager stops
	stop    context.CancelFunc
	started sync.Once
	running sync.WaitGroup
	wakes   chan struct{}

	exchanges, exchangeErrors atomic.Uint64
	localAt                   atomic.Int64 // uptime of a local store's last answer
	latencies                 latencies
	made                      instant

	mu       sync.Mutex // guards what follows; taken before any breaker's
	breakers map[string]*Breaker
	joining  map[*Breaker]chan struct{} // closed when the fleet's verdict is known, or StartTimeout over
	lanes    map[int]*lane
	order    []*lane
	shared   *config // of breakers without options of their own
	lost     int     // lanes that have been without an answer
	losses   uint64  // how often it was said that the store is lost
	seqFloor uint64
	closing  bool
	closed   chan struct{} // closed when Close is done
	closeErr error
}

// NewManager makes a Manager on s, which stays the caller's to close, after the Manager. It does no I/O.
func NewManager(s store.Store, opts ...ManagerOption) (*Manager, error) {
	if s == nil {
		return nil, fmt.Errorf("%w: a Manager needs a store; it was given nil", store.ErrInvalid)
	}
	c := managerConfig{}
	for _, opt := range opts {
		if opt != nil {
			opt.applyManager(&c)
		}
	}
	if c.replica == "" {
		c.replica = defaultReplica()
	}
	replica := incarnate(c.replica)
	remote := s.Info().Remote
	_, policyErr := inForce(c.policy, remote)
	if err := errors.Join(c.timing.Validate(), c.storeDown.validate(), validateReplica(c.replica, replica), policyErr); err != nil {
		return nil, err
	}
	m := &Manager{
		core: core{
			store: s, remote: remote, replica: replica, timing: c.timing.WithDefaults(), storeDown: c.storeDown,
			salt: rand.Uint64(),
		},
		defaults: c.config, wakes: make(chan struct{}, 1), made: now(),
		breakers: map[string]*Breaker{}, joining: map[*Breaker]chan struct{}{},
		lanes: map[int]*lane{}, closed: make(chan struct{}),
	}
	m.defaults.listeners = listen(c.listen)
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.core.ctx = context.Background() // a local store serves on after Close
	if remote {
		m.core.ctx = m.ctx
	}
	return m, nil
}

func (s StoreDown) validate() error {
	_, err := s.MarshalText()
	return err
}

// incarnationLength is that of what incarnate adds to a display name.
const incarnationLength = 9

// incarnate makes a display name the name of this very process.
func incarnate(display string) string {
	letters := strconv.FormatUint(rand.Uint64()>>23|1<<40, 36)
	return display + "#" + letters[:incarnationLength-1]
}

func validateReplica(display, replica string) error {
	if err := store.ValidateName(display); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if len(replica) > store.MaxName {
		return fmt.Errorf("%w: replica %.40q... is %d bytes long; want at most %d", store.ErrName, display, len(display), store.MaxName-incarnationLength)
	}
	return nil
}

// defaultReplica is host-pid.
func defaultReplica() string {
	host, err := os.Hostname()
	if err != nil || store.ValidateName(host) != nil || len(host) > 150 {
		host = "replica"
	}
	return host + "-" + strconv.Itoa(os.Getpid())
}

// Replica is the name under which the fleet knows this replica, in rosters, causes and witnesses: its display name, "#"
// and a few random letters.
func (m *Manager) Replica() string { return m.core.replica }

// Store is the store that the Manager was made on.
func (m *Manager) Store() store.Store { return m.core.store }

// Breaker finds a registered breaker.
func (m *Manager) Breaker(name string) (*Breaker, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.breakers[name]
	return b, ok
}

// Names are the registered breakers', sorted.
func (m *Manager) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Keys(m.breakers), strings.Compare)
}

// all gives the registered breakers, sorted by name.
func (m *Manager) all() []*Breaker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.breakers), func(a, b *Breaker) int { return strings.Compare(a.name, b.name) })
}

// laneList gives the lanes, which only grow.
func (m *Manager) laneList() []*lane {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order
}

// stopped reports that the Manager's goroutines are told to end.
func (m *Manager) stopped() bool { return m.ctx.Err() != nil }

// laneLost and laneBack say so when the first part of the store goes and the last comes back.
func (m *Manager) laneLost(why error) {
	if m.stopped() {
		return
	}
	if why == nil {
		why = context.DeadlineExceeded
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost++; m.lost == 1 {
		m.losses++
		m.emit(Event{Kind: StoreLost, Err: why})
	}
}

func (m *Manager) laneBack() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgive()
}

// forgive counts a lane as lost no more. m.mu is held.
func (m *Manager) forgive() {
	if m.lost--; m.lost == 0 {
		m.emit(Event{Kind: StoreBack})
	}
}

// emit hands an event of the Manager itself to the listeners that it was made with.
func (m *Manager) emit(e Event) {
	for _, l := range m.defaults.listeners {
		l.tell(e)
	}
}

// start starts the goroutines, once.
func (m *Manager) start() {
	m.started.Do(func() {
		m.running.Add(2)
		go m.reporter()
		go m.watcher()
	})
}

func backoffOfWatch(fails int) time.Duration {
	return 10*time.Millisecond + rand.N(min(50*time.Millisecond<<min(fails, 6), time.Second))
}
