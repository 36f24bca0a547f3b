package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// mode is how a tier treats calls.
type mode string

const (
	answers mode = "answers"
	slow    mode = "is slow" // and answers
	fails   mode = "answers 503"
	hangs   mode = "hangs"
	refuses mode = "refuses connections"
)

// tierSpec is what a tier process is to be.
type tierSpec struct {
	Latency time.Duration `json:"latency"` // half of it to one and a half, at random
	Flaky   float64       `json:"flaky"`   // the share of calls that get a 500 in the best of times
}

// tierTally is what a tier counted, by the path that was called.
type tierTally map[string]tierCount

type tierCount struct {
	Calls int `json:"calls"`
	Dead  int `json:"dead"` // came while it answered 503, or not at all
}

// tier is an HTTP server that can be told to fail in the ways that servers fail.
type tier struct {
	spec tierSpec

	mu      sync.Mutex
	mode    mode
	latency time.Duration
	counts  map[string]*tierCount
	addr    string
	server  *http.Server
}

// tierProcess is the life of a tier's process.
func tierProcess(m *mouth, in <-chan order, spec tierSpec, first int) {
	t := &tier{spec: spec, mode: answers, latency: spec.Latency, counts: map[string]*tierCount{}, addr: "127.0.0.1:0"}
	if err := t.listen(); err != nil {
		m.say(said{ID: first, Error: err.Error()})
		return
	}
	m.say(said{ID: first, URL: "http://" + t.addr})
	for o := range in {
		s := said{ID: o.ID}
		switch o.Do {
		case behave:
			if err := t.behave(o.Mode, o.Latency); err != nil {
				s.Error = err.Error()
			}
		case census:
			counted := t.census()
			s.Tier = &counted
		case stop:
			_ = t.server.Close()
			return
		}
		m.say(s)
	}
}

func (t *tier) listen() error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", t.addr)
	if err != nil {
		return err
	}
	t.addr = l.Addr().String()
	t.server = &http.Server{Handler: t, ReadHeaderTimeout: time.Second}
	go func(s *http.Server) {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, err)
		}
	}(t.server)
	return nil
}

// behave takes a mode and, where it is not 0, a latency.
func (t *tier) behave(m mode, latency time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.mode
	t.mode = m
	if latency != 0 {
		t.latency = latency
	}
	switch {
	case m == refuses && before != refuses:
		return t.server.Close()
	case m != refuses && before == refuses:
		return t.listen()
	}
	return nil
}

func (t *tier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, latency := t.enter(r)
	switch m {
	case hangs:
		<-r.Context().Done()
	case fails:
		http.Error(w, "down", http.StatusServiceUnavailable)
	default:
		select {
		case <-time.After(time.Duration(float64(latency) * (0.5 + rand.Float64()))): //nolint:gosec // a latency is no secret
		case <-r.Context().Done():
			return
		}
		if rand.Float64() < t.spec.Flaky {
			http.Error(w, "bad luck", http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "here you are")
	}
}

func (t *tier) enter(r *http.Request) (mode, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[r.URL.Path]
	if c == nil {
		c = &tierCount{}
		t.counts[r.URL.Path] = c
	}
	c.Calls++
	if t.mode != answers && t.mode != slow {
		c.Dead++
	}
	return t.mode, t.latency
}

func (t *tier) census() tierTally {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := tierTally{}
	for path, c := range t.counts {
		all[path] = *c
	}
	return all
}
