package breaker

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

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
	reporter *reporter
	started  sync.Once

	mu       sync.Mutex // guards what follows; taken before the reporter's and any breaker's
	breakers map[string]*Breaker
	joining  map[*Breaker]chan struct{} // closed once the fleet's verdict is known, or StartTimeout is over
	leaving  map[string]chan struct{}   // names that are being unregistered: closed once they may be registered again
	shared   *config                    // of breakers without options of their own; nil: there is none yet
	firstSeq uint64                     // where the numbers of a new breaker's reports begin
	closing  bool
	closed   chan struct{} // closed when Close is done
	closeErr error         // what Close gives; read after closed
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
		defaults: c.config, breakers: map[string]*Breaker{}, joining: map[*Breaker]chan struct{}{}, leaving: map[string]chan struct{}{}, closed: make(chan struct{}),
	}
	m.defaults.audience = &audience{replica, listen(c.listen)}
	m.reporter = newReporter(&m.core, m.defaults.audience, m.defaults.exchanged)
	m.core.ctx = m.reporter.exchangeContext() //nolint:fatcontext // set once, before anybody uses it
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

// Breaker finds a registered breaker. One that is being unregistered is not found.
func (m *Manager) Breaker(name string) (*Breaker, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving[name] != nil {
		return nil, false
	}
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
