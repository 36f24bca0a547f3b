package postgresstore

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	storekit "github.com/commontrip/commontrip/store/kit"
)

const (
	defaultPrefix  = "commontrip"
	maxPrefix      = 50 // with channelPrefix at most 63 bytes, which is PostgreSQL's longest identifier
	channelPrefix  = "commontrip:"
	maxPush        = 7999 // bytes that a NOTIFY carries
	defaultTimeout = time.Second
	maxTimeout     = time.Minute
)

// Option changes how a Store works. A bad value is refused by Open or New with its range.
type Option func(*settings)

// settings are what options change.
type settings struct {
	prefix      string
	timeout     time.Duration
	lockTimeout time.Duration // 0: timeout
	listenURL   string
	asyncCommit bool
	migrate     bool
	kit         []storekit.Option
}

// WithPrefix names the fleet's name space; the default is "commontrip". Fleets with different prefixes share the tables and
// nothing else. 1..50 bytes, printable, without braces and blanks.
func WithPrefix(prefix string) Option { return func(s *settings) { s.prefix = prefix } }

// WithTimeout bounds one exchange with PostgreSQL if the context has no deadline; the default is 1 s. The Store also gives up
// making a connection after that, unless the URL sets connect_timeout. 1 ms..1 m.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithLockTimeout bounds how long a request waits for the rows of another one, and how long the server lets a client that
// went silent in the middle of a request hold its rows. The default is the timeout. 1 ms..1 m.
func WithLockTimeout(d time.Duration) Option { return func(s *settings) { s.lockTimeout = d } }

// WithListenURL is the URL for Watch's connection, if the Store's own leads to a pooler that carries no LISTEN.
func WithListenURL(url string) Option { return func(s *settings) { s.listenURL = url } }

// WithAsyncCommit lets a request return before the server has written it to disk (synchronous_commit = off). A hot breaker
// then takes 3 to 9 times as many reports. The price: a server that crashes may lose what it acknowledged within the last
// half second or so. Replicas bring the verdict back from what they know, and outcomes of that time are lost.
func WithAsyncCommit() Option { return func(s *settings) { s.asyncCommit = true } }

// WithMigrate lets the Store make its tables at the first request, if they are missing or old. Its user must be allowed to.
func WithMigrate() Option { return func(s *settings) { s.migrate = true } }

// WithBudget is [storekit.WithBudget]. One hot breaker is bounded by a row's lock: a few hundred reports a second. The default
// is 200.
func WithBudget(reportsPerSecond int) Option { return with(storekit.WithBudget(reportsPerSecond)) }

// WithHeartbeat is [storekit.WithHeartbeat].
func WithHeartbeat(d time.Duration) Option { return with(storekit.WithHeartbeat(d)) }

// WithClock replaces the clock of the server. For tests only: replicas whose clocks differ would judge by different times. The
// function must be safe for concurrent use.
func WithClock(now func() time.Time) Option { return with(storekit.WithClock(now)) }

// with passes an option on to the kit.
func with(o storekit.Option) Option { return func(s *settings) { s.kit = append(s.kit, o) } }

// newSettings checks what the options ask for. The kit checks its own.
func newSettings(opts []Option) (settings, error) {
	s := settings{prefix: defaultPrefix, timeout: defaultTimeout, kit: []storekit.Option{storekit.WithBudget(200)}}
	for _, o := range opts {
		o(&s)
	}
	bad := func(r rune) bool { return r == '{' || r == '}' || !unicode.IsPrint(r) || unicode.IsSpace(r) }
	if s.prefix == "" || len(s.prefix) > maxPrefix || !utf8.ValidString(s.prefix) || strings.ContainsFunc(s.prefix, bad) {
		return s, fmt.Errorf("postgresstore: prefix is %.120q; want 1..%d bytes of UTF-8 without braces, blanks and control characters", s.prefix, maxPrefix)
	}
	if s.timeout < time.Millisecond || s.timeout > maxTimeout {
		return s, fmt.Errorf("postgresstore: timeout is %v; want 1ms..%v", s.timeout, maxTimeout)
	}
	if s.lockTimeout == 0 {
		s.lockTimeout = s.timeout
	}
	if s.lockTimeout < time.Millisecond || s.lockTimeout > maxTimeout {
		return s, fmt.Errorf("postgresstore: lock timeout is %v; want 1ms..%v", s.lockTimeout, maxTimeout)
	}
	s.kit = append(s.kit, storekit.WithKind("postgres"), storekit.WithTimeout(s.timeout), storekit.WithMaxPush(maxPush))
	return s, nil
}
