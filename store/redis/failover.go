package redisstore

import (
	"context"
	"net"
	"sync"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// failover is what a client under Sentinels has beside it.
type failover struct {
	sentinels *sentinels
	watch     *failoverWatch
}

// close ends it. A nil *failover has nothing to end.
func (f *failover) close() {
	if f != nil {
		f.sentinels.close()
	}
}

// subscribe adds a subscription for a Watch. A nil *failover moves none.
func (f *failover) subscribe() (s *subscription, remove func()) {
	if f == nil {
		return &subscription{leave: make(chan struct{}, 1)}, func() {}
	}
	return f.watch.add()
}

// failoverWatch makes connections leave a master that was replaced: all of them when Sentinels tell of a switch, and a
// subscription as soon as an exchange is answered by another server. The client leaves it where it is: at a server that hangs,
// or that is a replica by now. Which connection was made last says nothing, since Sentinels may disagree, and a connection that
// was begun early may stand late.
type failoverWatch struct {
	mu            sync.Mutex
	subscriptions map[*subscription]struct{}
	pooled        map[*pooledConn]struct{} // that are open
}

// subscription is the connection on which a Watch listens, or waits for another.
type subscription struct {
	server string        // of its newest connection; "": none, or it is to leave that one. Guarded by failoverWatch.mu
	leave  chan struct{} // holds a token if it is to leave its server, or to wait no longer for one
}

// newFailoverWatch makes one, which sees the connections of a client whose hook it is.
func newFailoverWatch() *failoverWatch {
	return &failoverWatch{subscriptions: map[*subscription]struct{}{}, pooled: map[*pooledConn]struct{}{}}
}

// add makes a subscription for a Watch, which removes it when it ends.
func (w *failoverWatch) add() (s *subscription, remove func()) {
	s = &subscription{leave: make(chan struct{}, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subscriptions[s] = struct{}{}
	return s, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subscriptions, s)
	}
}

// serverKey is the key of a context that holds where the dialer is to say to which server it connects.
type serverKey struct{}

// subscriptionKey is the key of a context that holds the subscription for which a connection is made.
type subscriptionKey struct{}

// in gives the context in which the subscription connects.
func (s *subscription) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, subscriptionKey{}, s)
}

// tell makes the subscription leave its server, or the wait for another. The caller holds failoverWatch.mu.
func (s *subscription) tell() {
	s.server = ""
	select {
	case s.leave <- struct{}{}:
	default: // it is told already
	}
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
			s.tell()
		}
	}
}

// moved closes the connections to other servers than the master: exchanges in flight there fail at once, and the next goes
// to the master. Subscriptions leave those servers too, and one that waits to be made again is made now.
func (w *failoverWatch) moved(master string) {
	w.mu.Lock()
	for s := range w.subscriptions {
		if s.server != master {
			s.tell()
		}
	}
	var left []*pooledConn
	for c := range w.pooled {
		if c.server != master {
			left = append(left, c)
		}
	}
	w.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
}

// DialHook sees the connections to masters. Those to Sentinels belong to other clients.
func (w *failoverWatch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		var server string
		c, err := next(context.WithValue(ctx, serverKey{}, &server), network, addr)
		if err != nil {
			return nil, err
		}
		if server == "" { // the dialer is none that tells
			server = c.RemoteAddr().String()
		}
		if s, ok := ctx.Value(subscriptionKey{}).(*subscription); ok {
			w.attach(s, server)
			return c, nil
		}
		pooled := &pooledConn{c, w, server}
		w.mu.Lock()
		w.pooled[pooled] = struct{}{}
		w.mu.Unlock()
		if raw, ok := c.(syscall.Conn); ok { // by which the client's pool sees that an idle connection has ended
			return struct {
				*pooledConn
				syscall.Conn
			}{pooled, raw}, nil
		}
		return pooled, nil
	}
}

// pooledConn is a connection for exchanges. It tells when something comes.
type pooledConn struct {
	net.Conn
	watch  *failoverWatch
	server string
}

func (c *pooledConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.watch.answered(c.server)
	}
	return n, err
}

func (c *pooledConn) Close() error {
	c.watch.mu.Lock()
	delete(c.watch.pooled, c)
	c.watch.mu.Unlock()
	return c.Conn.Close()
}

// ProcessHook changes nothing.
func (w *failoverWatch) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook changes nothing.
func (w *failoverWatch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
