package faults

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Way is a direction of what goes between a replica and its store.
type Way uint8

// The ways. Both is the two of them.
const (
	Requests Way = 1 << iota
	Replies
	Both = Requests | Replies
)

func (w Way) String() string {
	return map[Way]string{Requests: "requests only", Replies: "replies only", Both: "both ways"}[w]
}

// Switch is an address of the loopback that stays, in front of a server that changes, as a failover's floating address
// does. It can swallow what goes through it, one way or both.
type Switch struct {
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	held  Way
	moved *sync.Cond // held has changed, or a connection has ended
	to    string
	pairs map[*pair]bool
}

// pair is one connection through a Switch.
type pair struct {
	client, server net.Conn
	ended          bool
}

// NewSwitch makes a Switch to a server. It ends with the test.
func NewSwitch(t testing.TB, to string) *Switch {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Switch{listener: l, to: to, pairs: map[*pair]bool{}}
	s.moved = sync.NewCond(&s.mu)
	s.running.Go(s.accept)
	t.Cleanup(func() {
		_ = l.Close()
		s.To("")
		s.running.Wait()
	})
	return s
}

// Addr is where replicas connect to.
func (s *Switch) Addr() string { return s.listener.Addr().String() }

// To leads to another server from now on, and ends all connections. If to is empty, new ones are ended at once.
func (s *Switch) To(to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
	for p := range s.pairs {
		s.end(p)
	}
}

// Hold swallows what goes these ways until the next Hold; 0 lets everything pass, what was swallowed first. A held
// connection stays up on both sides, as one across a network that drops its packets.
func (s *Switch) Hold(ways Way) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = ways
	s.moved.Broadcast()
}

func (s *Switch) accept() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() { s.serve(client) })
	}
}

func (s *Switch) serve(client net.Conn) {
	s.mu.Lock()
	to := s.to
	s.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil {
		_ = client.Close()
		return
	}
	p := &pair{client: client, server: server}
	s.mu.Lock()
	if s.pairs[p] = true; s.to != to {
		s.end(p)
	}
	s.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { s.carry(p, client, server, Requests) })
	ways.Go(func() { s.carry(p, server, client, Replies) })
	ways.Wait()
}

// carry copies one way of p until either end closes.
func (s *Switch) carry(p *pair, from io.Reader, to io.Writer, way Way) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		s.mu.Lock()
		for s.held&way != 0 && !p.ended {
			s.moved.Wait()
		}
		s.mu.Unlock()
		if n > 0 && err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			s.mu.Lock()
			s.end(p)
			s.mu.Unlock()
			return
		}
	}
}

// end closes both sides. s.mu is held.
func (s *Switch) end(p *pair) {
	p.ended = true
	_ = p.client.Close()
	_ = p.server.Close()
	delete(s.pairs, p)
	s.moved.Broadcast()
}
