// Package respfault stands between a client and a Redis server, reads what passes in RESP 2 or 3, and lets it go wrong
// on purpose.
//
//	p := respfault.Start(t, server.Addr())
//	s, err := redisstore.Open(p.URL())
//	p.On(respfault.Sync, respfault.Rule{Act: respfault.CutAfter, Times: 1}) // executed, and nobody learns of it
//	...
//	p.Heal()
//
// A request is known by its [Verb], one of our scripts or of the plain commands beside them. A [Rule] says what becomes
// of it, and its Hook is called at each [Point] that the request reaches, so that a test can kill a process there. Pushed
// messages pass a function of their own. A connection keeps its order: a reply that is late holds back those behind it.
package respfault

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/commontrip/commontrip/internal/lab/relay"
)

// Act is what becomes of a request.
type Act uint8

// What may become of a request.
const (
	Pass      Act = iota // forwarded and answered
	CutBefore            // cut a: not forwarded; the connection ends
	CutAfter             // cut b: executed, the reply is dropped, the connection ends
	Twice                // cut c: executed twice in a row, answered by the second reply
	Refuse               // not forwarded; answered by Rule.Reply
)

// End is how a cut ends the connection.
type End uint8

// How a connection may end.
const (
	Close End = iota // at once, both sides
	Reset            // by RST, which also drops what is on the way
	Hang             // it stays and is silent, until the client gives it up or Heal closes it
)

// Point is how far a request has come.
type Point uint8

// The points, in order. A request that is not forwarded does not reach Executed, one that is cut off not Answered.
const (
	Arrived  Point = iota // read from the client, not forwarded
	Executed              // the server has replied; the client has nothing yet
	Answered              // the reply is on its way to the client
)

// Request is one command of a client.
type Request struct {
	Verb  Verb
	Args  []string // the whole command
	Key   string   // its first key; empty if it has none
	Place int      // in its pipeline, from 1
}

// Rule says what becomes of requests of a verb. The zero Rule lets them pass.
type Rule struct {
	Act  Act
	End  End           // of a cut
	Wait time.Duration // before the reply, or the cut: c, late

	// Reply makes the bytes that the client gets, of those of the server, which are nil if it was not asked. With
	// CutAfter it is what still goes out before the cut. Nil: the server's own, with CutAfter nothing.
	Reply func(r Request, reply []byte) []byte

	Hook  func(r Request, at Point)
	Only  func(r Request) bool // nil: all; it must not call the Proxy
	Times int                  // so many requests; 0: all
}

// Proxy is one address in front of one server. Its methods may be called from any goroutine, a Hook included.
type Proxy struct {
	*relay.Relay // Addr, Connections, and Aim, which sends new connections elsewhere and lets those of now stay

	mu     sync.Mutex
	rules  map[Verb]*Rule
	pushes func(payload string) []string
	slice  int
	conns  map[*conn]bool
	seen   map[Verb]int
	acted  map[Verb]int
	heals  int
}

// Start listens on the loopback in front of the server at target, host:port, until the test ends.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{rules: map[Verb]*Rule{}, conns: map[*conn]bool{}, seen: map[Verb]int{}, acted: map[Verb]int{}}
	var err error
	if p.Relay, err = relay.Start(target, p.carry); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// URL is the redis:// URL of Addr.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// On sets the rule of a verb, in place of the one before. A verb without one goes by that of Any.
func (p *Proxy) On(v Verb, r Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules[v] = &r
}

// Off drops the rule of a verb.
func (p *Proxy) Off(v Verb) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.rules, v)
}

// Heal drops every rule, lets pushes pass, slices nothing, and closes the connections that hang.
func (p *Proxy) Heal() {
	p.mu.Lock()
	p.rules, p.pushes, p.slice = map[Verb]*Rule{}, nil, 0
	p.heals++
	conns := p.all()
	p.mu.Unlock()
	for _, c := range conns {
		if c.hung.Load() {
			c.end(Close)
		}
	}
}

// Pushes sets what subscribers get in place of each message: none drops it, two double it, one that was held back
// reorders it. fn is called serially and must not call the Proxy; nil lets all pass.
func (p *Proxy) Pushes(fn func(payload string) []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushes = fn
}

// Push sends a message to every subscriber that came this way, as if it had been published.
func (p *Proxy) Push(payload string) {
	p.mu.Lock()
	conns := p.all()
	p.mu.Unlock()
	for _, c := range conns {
		if m := c.message.Load(); m != nil {
			_ = c.toClient(m.with(payload))
		}
	}
}

// Slice writes to both sides n bytes at a time; 0: as they come.
func (p *Proxy) Slice(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slice = n
}

// Sever ends all connections of now.
func (p *Proxy) Sever(how End) {
	p.mu.Lock()
	conns := p.all()
	p.mu.Unlock()
	for _, c := range conns {
		if how == Hang {
			c.hung.Store(true)
		} else {
			c.end(how)
		}
	}
}

// Seen counts the requests of a verb since the start; of Any: all.
func (p *Proxy) Seen(v Verb) int { return p.count(p.seen, v) }

// Acted counts the requests of a verb that a rule was applied to; of Any: all.
func (p *Proxy) Acted(v Verb) int { return p.count(p.acted, v) }

func (p *Proxy) count(by map[Verb]int, v Verb) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v != Any {
		return by[v]
	}
	sum := 0
	for _, n := range by {
		sum += n
	}
	return sum
}

// rule counts a request and finds what becomes of it; heals is how often all had been healed then.
func (p *Proxy) rule(r Request) (rule Rule, heals int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[r.Verb]++
	verb := r.Verb
	set := p.rules[verb]
	if set == nil {
		verb = Any
		set = p.rules[verb]
	}
	if set == nil || set.Only != nil && !set.Only(r) {
		return Rule{}, p.heals
	}
	p.acted[r.Verb]++
	if set.Times > 0 {
		if set.Times--; set.Times == 0 {
			delete(p.rules, verb)
		}
	}
	return *set, p.heals
}

// hang makes c silent, unless all was healed since its rule was found.
func (p *Proxy) hang(c *conn, heals int) {
	p.mu.Lock()
	late := p.heals != heals
	c.hung.Store(!late)
	p.mu.Unlock()
	if late {
		c.end(Close)
	}
}

// passed is what a message becomes.
func (p *Proxy) passed(payload string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pushes == nil {
		return []string{payload}
	}
	return p.pushes(payload)
}

func (p *Proxy) slices() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slice
}

func (p *Proxy) all() []*conn {
	out := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		out = append(out, c)
	}
	return out
}

// carry carries one connection.
func (p *Proxy) carry(client, server *net.TCPConn) {
	c := newConn(p, client, server)
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	c.run()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
