package storetest

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	storekit "github.com/commontrip/commontrip/store/kit"
)

// faults are what a server, or its store, does wrong.
type faults struct {
	zeroClock    bool // its clock is set for tests only
	earlyClock   bool // it reads its clock before it waits for the lock
	keepsNames   bool // it never sweeps
	waitsForEver bool // it lets a frozen client hold what it holds
	local        bool // it does not say that it is remote
	neverReady   bool // its Watch never speaks
	endsAtOnce   bool // its Watch returns before it speaks
	staysCut     bool // it does not connect again
	noResync     bool // it connects again and does not say so
	staysSilent  bool // it notices no silent connection
}

// faultyServers are stores on a server that do one thing wrong, each with the law that finds it.
var faultyServers = []struct {
	name string
	law  string
	faults
}{
	{"has a clock for tests only", "the store's own clock goes as time goes", faults{zeroClock: true}},
	{"reads its clock before it waits", "the store's own clock goes as time goes", faults{earlyClock: true}},
	{"keeps every tombstone", "what was removed takes no room for ever", faults{keepsNames: true}},
	{"waits for a frozen client for ever", "a client that freezes holds nobody up for long", faults{waitsForEver: true}},
	{"calls itself local", "a store with connections is remote", faults{local: true}},
	{"says nothing to a watch", "a watch begins with a Resync", faults{neverReady: true}},
	{"ends a watch at once", "a watch begins with a Resync", faults{endsAtOnce: true}},
	{"connects a watch once", "a watch goes on over another connection", faults{staysCut: true}},
	{"hides that a watch was cut", "a watch goes on over another connection", faults{noResync: true}},
	{"trusts a silent connection", "a silent connection is noticed", faults{staysSilent: true}},
}

// server keeps records behind one lock.
type server struct {
	faults
	lock      chan struct{} // holds a token while it is free
	mu        sync.Mutex    // of the rest
	records   map[string]storekit.Record
	frozen    map[string]chan struct{} // closed when the name is free again
	listeners map[*listener]bool
}

// listener is one Follow.
type listener struct {
	messages chan []byte
	end      context.CancelFunc
	silent   bool
}

func newServer(f faults) *server {
	s := &server{
		faults: f, lock: make(chan struct{}, 1), records: map[string]storekit.Record{}, frozen: map[string]chan struct{}{},
		listeners: map[*listener]bool{},
	}
	s.lock <- struct{}{}
	return s
}

func (s *server) clock() int64 {
	if s.zeroClock {
		return 0
	}
	return time.Now().UnixMilli()
}

func (s *server) Step(ctx context.Context, names []string, judge storekit.Judge) error {
	now := s.clock()
	if s.earlyClock { // and the next statement takes its time to arrive
		<-time.After(rand.N(5 * ms))
	}
	for _, name := range names {
		s.mu.Lock()
		frozen := s.frozen[name]
		s.mu.Unlock()
		if frozen != nil {
			select {
			case <-frozen:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	select {
	case <-s.lock:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.lock <- struct{}{} }()
	if !s.earlyClock {
		now = s.clock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	effect := judge(now, s.held(names))
	for _, r := range effect.Put {
		s.records[r.Name] = r
	}
	for l := range s.listeners {
		for _, message := range effect.Push {
			if !l.silent {
				select {
				case l.messages <- message:
				default:
					l.end()
				}
			}
		}
	}
	return nil
}

func (s *server) held(names []string) (records []storekit.Record) {
	for name, r := range s.records {
		if slices.Contains(names, name) || len(names) == 0 && r.Shown {
			records = append(records, r)
		}
	}
	return records
}

func (s *server) Look(_ context.Context, names []string) (int64, []storekit.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock(), s.held(names), nil
}

func (s *server) Follow(ctx context.Context, ready func(), push func([]byte)) error {
	connection, end := context.WithCancel(ctx)
	defer end()
	l := &listener{messages: make(chan []byte, 1000), end: end}
	s.mu.Lock()
	s.listeners[l] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
	}()
	if !s.neverReady {
		ready()
	}
	for {
		select {
		case <-connection.Done():
			if s.staysCut {
				<-ctx.Done()
			}
			return connection.Err()
		case message := <-l.messages:
			push(message)
		}
	}
}

func (s *server) Sweep(_ context.Context, now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, r := range s.records {
		if r.Expires != 0 && r.Expires <= now && !s.keepsNames {
			delete(s.records, name)
		}
	}
	return nil
}

func (s *server) Close() error { return nil }

// harness is that of a store on s.
func (s *server) harness() Harness {
	open := func(t testing.TB, opts ...storekit.Option) store.Store {
		beat := sec / 2 // long enough for a busy machine
		if s.staysSilent || s.staysCut {
			beat = minute
		}
		kit, err := storekit.New(s, append(opts, storekit.WithTimeout(20*sec), storekit.WithHeartbeat(beat))...)
		if err != nil {
			t.Fatal(err)
		}
		return &faultyKit{kit, s.faults}
	}
	return Harness{
		Open:     func(t testing.TB, now func() time.Time) store.Store { return open(t, storekit.WithClock(now)) },
		OpenReal: func(t testing.TB) store.Store { return open(t) },
		Wipe: func(testing.TB) {
			s.mu.Lock()
			defer s.mu.Unlock()
			clear(s.records)
		},
		Names: func(testing.TB) int {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.records)
		},
		Freeze: func(t testing.TB, name string) {
			free := make(chan struct{})
			thaw := sync.OnceFunc(func() { close(free) })
			if !s.waitsForEver {
				time.AfterFunc(10*ms, thaw)
			}
			t.Cleanup(thaw)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.frozen[name] = free
		},
		Cut: func(testing.TB) { s.each(func(l *listener) { l.end() }) },
		Silence: func(testing.TB) {
			s.each(func(l *listener) { l.silent = true })
		},
	}
}

func (s *server) each(do func(*listener)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		do(l)
	}
}

// faultyKit is a store that does things wrong which the kit does not leave to a back end.
type faultyKit struct {
	*storekit.Store
	faults
}

func (k *faultyKit) Info() store.Info {
	info := k.Store.Info()
	info.Remote = !k.local
	return info
}

func (k *faultyKit) Watch(ctx context.Context, fn func(store.Event)) error {
	if k.endsAtOnce {
		return store.ErrUnknown
	}
	first := true
	return k.Store.Watch(ctx, func(e store.Event) {
		if !e.Resync || first || !k.noResync {
			fn(e)
		}
		first = false
	})
}

func TestEachFaultyServerBreaksItsLaw(t *testing.T) {
	hurry(t, "10")
	for _, s := range faultyServers {
		t.Run(s.name, func(t *testing.T) {
			for _, law := range Laws() {
				if !strings.HasSuffix(law.Name, " "+s.law) {
					continue
				}
				failed, said := judge(t, law, newServer(s.faults).harness())
				if !failed || !strings.Contains(said, law.Why) {
					t.Errorf("a store that %s: the law %q is broken: %v; it says:\n%s", s.name, s.law, failed, said)
				}
				t.Logf("%s", said)
			}
		})
	}
}

// A store whose Watch never speaks breaks one law. The others that need a Watch name it.
func TestALawThatNeedsAWatchNamesTheCause(t *testing.T) {
	hurry(t, "10")
	named := 0
	for _, law := range Laws() {
		if !strings.HasPrefix(law.Name, "18.") || strings.HasPrefix(law.Name, "18.01") {
			continue
		}
		_, said := judge(t, law, newServer(faults{endsAtOnce: true}).harness())
		if strings.Contains(said, "could not be looked at: Watch returned no such breaker before it called fn. Law 18.01: ") && !strings.Contains(said, law.Why) {
			named++
		} else {
			t.Errorf("law %q says:\n%s", law.Name, said)
		}
	}
	if named < 10 {
		t.Errorf("%d laws need a Watch", named)
	}
}

func TestAnHonestServerPassesEveryLaw(t *testing.T) {
	RunParallel(t, func(testing.TB) Harness { return newServer(faults{}).harness() })
}
