package dashboard

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

const queued = 32 // messages that wait for one stream; one that falls behind further is ended

// stream is the bounded queue between the board and one page.
type stream struct {
	queue chan []byte   // closed never; done tells the end
	done  chan struct{} // closed when the stream fell behind, or by close
}

// join adds a stream that begins with the whole board, and starts feeding it for the first one. The error text is for
// the asker.
func (l *live) join(a about) (*stream, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, "the dashboard is closing"
	case len(l.streams) >= l.maxStreams:
		return nil, "too many live pages are open"
	}
	s := &stream{queue: make(chan []byte, queued), done: make(chan struct{})}
	if l.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		l.stop, l.contact.Up = stop, nil
		l.running.Go(func() { l.feed(ctx) })
	}
	l.streams[s] = struct{}{}
	l.running.Add(1)
	s.queue <- l.hello(a)
	return s, ""
}

// hello is all of the board.
func (l *live) hello(a about) []byte {
	a.Kind = l.store.Info().Kind
	contact := l.contact
	m := message{
		Now: l.uptime(time.Now()), About: &a, Store: &contact, Replicas: l.apart(), Health: l.checks(),
		Rows: []json.RawMessage{}, Sparks: map[string][][3]float32{},
	}
	for _, name := range slices.Sorted(maps.Keys(l.board)) {
		e := l.board[name]
		m.Rows = append(m.Rows, e.text)
		if len(e.spark.points) > 0 && time.Since(e.read) < sparkSeconds*time.Second {
			m.Sparks[name] = e.spark.points
		}
	}
	return event("hello", m)
}

// leave ends a stream; the last one stops what feeds the board.
func (l *live) leave(s *stream) {
	l.mu.Lock()
	l.drop(s)
	l.mu.Unlock()
	l.running.Done()
}

// drop is idempotent; l.mu is held.
func (l *live) drop(s *stream) {
	if _, ok := l.streams[s]; !ok {
		return
	}
	delete(l.streams, s)
	close(s.done)
	if len(l.streams) == 0 && l.stop != nil {
		l.stop()
		l.stop = nil
	}
}

// publish gives a message to each stream's queue; l.mu is held. A page whose stream ends comes back and is told everything again.
func (l *live) publish(kind string, m message) {
	if len(l.streams) == 0 {
		return
	}
	text := event(kind, m)
	for s := range l.streams {
		select {
		case s.queue <- text:
		default:
			l.drop(s)
		}
	}
}

func (l *live) close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	for s := range l.streams {
		l.drop(s)
	}
	l.mu.Unlock()
	done := make(chan struct{})
	go func() { l.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		fail(w, http.StatusMethodNotAllowed, "want GET")
		return
	}
	a := about{Commands: h.operator != nil}
	a.Operator, _ = h.who(r)
	s, refused := h.live.join(a)
	if refused != "" {
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, refused)
		return
	}
	defer h.live.leave(s)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	h.send(r.Context(), w, s)
}

// send writes what is queued until the page or the stream has gone.
func (h *Handler) send(ctx context.Context, w http.ResponseWriter, s *stream) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the server's ReadTimeout is not for a stream
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.done:
			return
		case text := <-s.queue:
			_ = control.SetWriteDeadline(time.Now().Add(sendWithin)) // if the server can
			if _, err := w.Write(text); err != nil || control.Flush() != nil {
				return
			}
		}
	}
}
