package redisstore

import (
	"context"
	"net"
	"sync"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// failoverWatch makes a subscription leave a server as soon as an exchange is answered by another. Under Sentinels the
// client drops its pooled connections to an old master by itself, but leaves a subscription where it is: at a server that
// hangs, or that is a replica by now. Which connection was made last says nothing, since Sentinels may disagree, and a
// connection that was begun early may stand late. A nil *failoverWatch moves no subscription.
type failoverWatch struct {
	mu            sync.Mutex
	subscriptions map[*subscription]struct{}
}

// subscription is the connection on which a Watch listens, or waits for another.
type subscription struct {
	server string        // of its newest connection; "": none, or it is to leave that one. Guarded by failoverWatch.mu
	leave  chan struct{} // holds a token if an exchange was answered by another server
}

// newFailoverWatch makes one, and lets it see the connections of the client.
func newFailoverWatch(client redis.UniversalClient) *failoverWatch {
	w := &failoverWatch{subscriptions: map[*subscription]struct{}{}}
	client.AddHook(w)
	return w
}

// add makes a subscription for a Watch, which removes it when it ends.
func (w *failoverWatch) add() (s *subscription, remove func()) {
	s = &subscription{leave: make(chan struct{}, 1)}
	if w == nil {
		return s, func() {}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subscriptions[s] = struct{}{}
	return s, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subscriptions, s)
	}
}

// subscriptionKey is the key of a context that holds the subscription for which a connection is made.
type subscriptionKey struct{}

// in gives the context in which the subscription connects.
func (s *subscription) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, subscriptionKey{}, s)
}

// attach notes the server to which a subscription has connected. What it was told before was about another connection.
func (w *failoverWatch) attach(s *subscription, server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.server = server
	select {
	case <-s.leave:
	default:
	}
}

// answered tells the subscriptions that listen to another server than the one that answered, each once.
func (w *failoverWatch) answered(by string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.subscriptions {
		if s.server != "" && s.server != by {
			s.server = ""
			s.leave <- struct{}{} // there is room: attach has made it
		}
	}
}

// DialHook sees the connections to masters. Those to Sentinels belong to another client.
func (w *failoverWatch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		server := c.RemoteAddr().String()
		if s, ok := ctx.Value(subscriptionKey{}).(*subscription); ok {
			w.attach(s, server)
			return c, nil
		}
		pooled := &pooledConn{c, func() { w.answered(server) }}
		if raw, ok := c.(syscall.Conn); ok { // by which the client's pool sees that an idle connection has ended
			return struct {
				*pooledConn
				syscall.Conn
			}{pooled, raw}, nil
		}
		return pooled, nil
	}
}

// pooledConn is a connection for exchanges. It calls answered when something comes.
type pooledConn struct {
	net.Conn
	answered func()
}

func (c *pooledConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.answered()
	}
	return n, err
}

// ProcessHook changes nothing.
func (w *failoverWatch) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook changes nothing.
func (w *failoverWatch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
