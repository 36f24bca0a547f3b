package tier

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server lets other processes call a [Tier] over HTTP. Its methods are safe for concurrent use.
type Server struct {
	handler http.Handler

	mu      sync.Mutex
	addr    string
	server  *http.Server // nil: connections are refused
	running sync.WaitGroup
}

// Serve serves a tier at addr, such as "127.0.0.1:0" for a free port of the loopback, until Close.
func (t *Tier) Serve(addr string) (*Server, error) {
	s := &Server{handler: t, addr: addr}
	err := s.Accept()
	return s, err
}

// Accept lets connections come, at the address of before.
func (s *Server) Accept() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.addr) //nolint:noctx // a moment
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Minute}
	s.server = server
	s.running.Go(func() { _ = server.Serve(l) })
	return nil
}

// Refuse ends every connection and refuses new ones, until Accept.
func (s *Server) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		_ = s.server.Close()
		s.server = nil
	}
	s.running.Wait()
}

// Close ends the server.
func (s *Server) Close() { s.Refuse() }

// URL is where it is called.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "http://" + s.addr
}

// ServeHTTP is a call at the door that the path names, by whom [Over] says in the query; without a query the caller is
// unknown. It answers 200, or 503 if the call failed.
func (t *Tier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	by := Caller{
		Door: strings.TrimPrefix(r.URL.Path, "/"), Replica: q.Get("replica"), Probe: q.Get("probe") == "true", Own: q.Get("own") == "true",
	}
	if generation := q.Get("generation"); generation != "" {
		var err error
		if by.Generation, err = strconv.ParseUint(generation, 10, 64); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	if err := t.Call(r.Context(), by); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// Over calls a tier of another process, which a [Server] serves at that URL.
func Over(client *http.Client, at string) Func {
	return func(ctx context.Context, by Caller) error {
		q := url.Values{
			"replica": {by.Replica}, "generation": {strconv.FormatUint(by.Generation, 10)},
			"probe": {strconv.FormatBool(by.Probe)}, "own": {strconv.FormatBool(by.Own)},
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/"+by.Door+"?"+q.Encode(), nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("tier: %w", err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body) // so that the connection serves the next call
		switch response.StatusCode {
		case http.StatusOK:
			return nil
		case http.StatusServiceUnavailable:
			return ErrDown
		default:
			return fmt.Errorf("tier: %s", response.Status)
		}
	}
}
