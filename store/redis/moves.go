package redisstore

import (
	"context"
	"net"
	"sync"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// moves makes a watch leave a server as soon as an exchange is answered by another. Under Sentinels the client drops its
// pooled connections to an old master by itself, but leaves a subscription where it is: at a server that hangs, or that is a
// replica by now. Which connection was made last says nothing: Sentinels may disagree, and a connection that was begun early
// may stand late. A nil *moves moves nobody.
type moves struct {
	mu    sync.Mutex
	seats map[*seat]struct{}
}

// seat is where a watch listens.
type seat struct {
	at    string        // the server of its newest connection; "" = none, or it is to leave that. Guarded by moves.mu
	leave chan struct{} // holds a word when an exchange was answered elsewhere
}

func newMoves(client redis.UniversalClient) *moves {
	m := &moves{seats: map[*seat]struct{}{}}
	client.AddHook(m)
	return m
}

// take gives a watch its seat, until it gives it back.
func (m *moves) take() (s *seat, giveBack func()) {
	s = &seat{leave: make(chan struct{}, 1)}
	if m == nil {
		return s, func() {}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seats[s] = struct{}{}
	return s, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.seats, s)
	}
}

type seatKey struct{}

// in gives the context in which a watch connects.
func (s *seat) in(ctx context.Context) context.Context { return context.WithValue(ctx, seatKey{}, s) }

// sit notes where a watch has connected. What it was told before was about another connection.
func (m *moves) sit(s *seat, at string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.at = at
	select {
	case <-s.leave:
	default:
	}
}

// answered tells the watches that listen elsewhere, each once.
func (m *moves) answered(by string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.seats {
		if s.at != "" && s.at != by {
			s.at = ""
			s.leave <- struct{}{} // there is room: sit has made it
		}
	}
}

// DialHook sees the connections to masters; those to Sentinels are another client's.
func (m *moves) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		at := c.RemoteAddr().String()
		if s, ok := ctx.Value(seatKey{}).(*seat); ok {
			m.sit(s, at)
			return c, nil
		}
		h := &heard{c, func() { m.answered(at) }}
		if raw, ok := c.(syscall.Conn); ok { // by which the client's pool sees that an idle connection has ended
			return struct {
				*heard
				syscall.Conn
			}{h, raw}, nil
		}
		return h, nil
	}
}

// heard is a connection that says when something comes.
type heard struct {
	net.Conn
	say func()
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.say()
	}
	return n, err
}

// ProcessHook changes nothing.
func (m *moves) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook changes nothing.
func (m *moves) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
