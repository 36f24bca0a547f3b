package main

import (
	"context"
	"net"
	"sync"
)

// wire is the network between the replicas and Redis: a TCP relay on loopback that can be broken and mended.
type wire struct {
	upstream string
	addr     string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool // both ends of each connection
	healthy  chan struct{}     // closed while bytes flow; a new, open one while they do not
}

// newWire listens at a free port of loopback and relays to upstream (host:port).
func newWire(upstream string) (*wire, error) {
	w := &wire{upstream: upstream, addr: "127.0.0.1:0", conns: map[net.Conn]bool{}, healthy: make(chan struct{})}
	close(w.healthy)
	if err := w.listen(); err != nil {
		return nil, err
	}
	w.addr = w.listener.Addr().String()
	return w, nil
}

func (w *wire) listen() error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", w.addr)
	if err != nil {
		return err
	}
	w.listener = l
	go w.accept(l)
	return nil
}

func (w *wire) accept(l net.Listener) {
	for {
		down, err := l.Accept()
		if err != nil {
			return
		}
		go w.relay(down)
	}
}

func (w *wire) relay(down net.Conn) {
	defer w.drop(down)
	if !w.hold(down) {
		return
	}
	up, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", w.upstream)
	if err != nil {
		return
	}
	defer w.drop(up)
	if !w.hold(up) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { w.pump(up, down) })
	both.Go(func() { w.pump(down, up) })
	both.Wait()
}

// pump copies while the wire is healthy, and holds what it has while it hangs.
func (w *wire) pump(to, from net.Conn) {
	defer to.Close()
	for buf := make([]byte, 32<<10); ; {
		n, err := from.Read(buf)
		if n > 0 {
			w.mu.Lock()
			healthy := w.healthy
			w.mu.Unlock()
			<-healthy
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold remembers a connection; false: the wire is cut, and it must be closed.
func (w *wire) hold(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener == nil {
		return false
	}
	w.conns[c] = true
	return true
}

func (w *wire) drop(c net.Conn) {
	_ = c.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// hang makes every byte wait: connections stay, nothing answers.
func (w *wire) hang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.healthy:
		w.healthy = make(chan struct{})
	default:
	}
}

// cut closes all connections and refuses new ones; what waited is lost.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener != nil {
		_ = w.listener.Close()
		w.listener = nil
	}
	for c := range w.conns {
		_ = c.Close()
	}
	w.free()
}

// heal makes the wire what it was, at the same address.
func (w *wire) heal() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free()
	if w.listener != nil {
		return nil
	}
	return w.listen()
}

func (w *wire) free() {
	select {
	case <-w.healthy:
	default:
		close(w.healthy)
	}
}

// What a wire does.
const (
	flows   = "answers"
	waits   = "hangs"
	severed = "is gone"
)

// doing says which.
func (w *wire) doing() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener == nil {
		return severed
	}
	select {
	case <-w.healthy:
		return flows
	default:
		return waits
	}
}
