// Package relay is the network between a fleet and its server, as a TCP address of the loopback that can be broken and
// mended. The fleet's tests and the demo stand on it.
package relay

import (
	"net"
	"sync"
	"time"
)

// Way is a direction of what goes through a [Relay].
type Way uint8

// The ways. Both is the two of them.
const (
	Requests Way = 1 << iota // from the client to the server
	Replies                  // from the server to the client
	Both     = Requests | Replies
)

func (w Way) String() string {
	return map[Way]string{0: "neither way", Requests: "requests only", Replies: "replies only", Both: "both ways"}[w]
}

// Carry moves what goes through one connection, and returns when the connection has ended. It need not close the ends.
type Carry func(client, server *net.TCPConn)

// Relay is an address that stays, in front of a server that may change. Its methods are safe for concurrent use.
type Relay struct {
	listener net.Listener
	running  sync.WaitGroup
	carry    Carry

	mu      sync.Mutex
	changed *sync.Cond // held has changed, or a connection has ended
	to      string     // host:port; empty: nowhere
	held    Way
	delay   time.Duration
	closed  bool
	pairs   map[*pair]bool
	ever    int
}

// pair is one connection through a Relay.
type pair struct {
	client, server *net.TCPConn
	ended          bool
}

// Start listens at a free port of the loopback in front of the server at to, host:port. Package respfault gives a carry of
// its own, to which Hold and Delay do not apply; with nil the bytes pass as they are. The caller closes the Relay.
func Start(to string, carry Carry) (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a moment, on the loopback
	if err != nil {
		return nil, err
	}
	r := &Relay{listener: l, carry: carry, to: to, pairs: map[*pair]bool{}}
	r.changed = sync.NewCond(&r.mu)
	r.running.Go(r.accept)
	return r, nil
}

// Addr is where clients connect to, "127.0.0.1:port".
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Aim sends new connections to another server. Those of now stay.
func (r *Relay) Aim(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

// To leads to another server from now on, and ends all connections; what was held is lost. If to is empty, every new
// connection is ended at once.
func (r *Relay) To(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
	for p := range r.pairs {
		r.end(p)
	}
}

// Hold keeps back what goes these ways until the next Hold; with 0 everything passes, what was kept back first. A held
// connection stays up on both sides, as one does across a network that drops its packets.
func (r *Relay) Hold(ways Way) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = ways
	r.changed.Broadcast()
}

// Delay keeps back each piece of what is sent from now on for this long, in each of the two ways. It bounds the throughput
// of a connection too, as pieces are carried one after the other.
func (r *Relay) Delay(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = d
}

// Connections counts the connections of now, and all since the start.
func (r *Relay) Connections() (now, ever int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pairs), r.ever
}

// Close ends all connections and waits until nothing of the Relay runs any more.
func (r *Relay) Close() {
	_ = r.listener.Close()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.To("")
	r.running.Wait()
}

func (r *Relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err == nil {
			r.running.Go(func() { r.serve(client.(*net.TCPConn)) })
			continue
		}
		r.mu.Lock()
		closed := r.closed
		r.mu.Unlock()
		if closed {
			return
		}
	}
}

func (r *Relay) serve(client *net.TCPConn) {
	r.mu.Lock()
	to := r.to
	r.ever++
	r.mu.Unlock()
	server, err := net.Dial("tcp", to) //nolint:noctx // to a server of this test
	if err != nil {
		_ = client.Close()
		return
	}
	p := &pair{client: client, server: server.(*net.TCPConn)}
	r.mu.Lock()
	if r.pairs[p] = true; r.to != to || r.closed {
		r.end(p)
	}
	r.mu.Unlock()
	if r.carry != nil {
		r.carry(p.client, p.server)
	} else {
		r.pass(p)
	}
	r.over(p)
}

// pass carries p's two ways until either end closes.
func (r *Relay) pass(p *pair) {
	var ways sync.WaitGroup
	ways.Go(func() { r.copy(p, p.client, p.server, Requests) })
	ways.Go(func() { r.copy(p, p.server, p.client, Replies) })
	ways.Wait()
}

func (r *Relay) copy(p *pair, from, to *net.TCPConn, way Way) {
	for buffer := make([]byte, 16<<10); ; {
		n, err := from.Read(buffer)
		r.keepBack(p, way)
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			r.over(p)
			return
		}
	}
}

// over ends p.
func (r *Relay) over(p *pair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(p)
}

// keepBack waits as long as the way is delayed or held, or until p ends.
func (r *Relay) keepBack(p *pair, way Way) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.delay > 0 {
		due := time.Now().Add(r.delay)
		timer := time.AfterFunc(r.delay, r.wake)
		defer timer.Stop()
		for time.Now().Before(due) && !p.ended {
			r.changed.Wait()
		}
	}
	for r.held&way != 0 && !p.ended {
		r.changed.Wait()
	}
}

func (r *Relay) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed.Broadcast()
}

// end closes both sides. r.mu is held.
func (r *Relay) end(p *pair) {
	p.ended = true
	_ = p.client.Close()
	_ = p.server.Close()
	delete(r.pairs, p)
	r.changed.Broadcast()
}
