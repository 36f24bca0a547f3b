package redisstore

import (
	"context"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// moves tells when a client under Sentinels has connected to another master. The client drops its pooled connections to
// the old one by itself, but leaves a subscription where it is: at a server that hangs, or that is a replica by now. A nil
// *moves knows of none.
type moves struct {
	mu     sync.Mutex
	master string        // of the newest connection
	moved  chan struct{} // closed when that becomes another
}

func newMoves(client redis.UniversalClient) *moves {
	m := &moves{moved: make(chan struct{})}
	client.AddHook(m)
	return m
}

// next is closed when the client connects to another master than the last.
func (m *moves) next() <-chan struct{} {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moved
}

func (m *moves) note(master string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.master != "" && m.master != master {
		close(m.moved)
		m.moved = make(chan struct{})
	}
	m.master = master
}

// DialHook sees the connections to masters; those to Sentinels are another client's.
func (m *moves) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err == nil {
			m.note(c.RemoteAddr().String())
		}
		return c, err
	}
}

// ProcessHook changes nothing.
func (m *moves) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook changes nothing.
func (m *moves) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
