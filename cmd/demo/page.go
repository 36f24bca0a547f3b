package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
)

// page is the operator's page of the demo's fleet. It takes commands only once the story has been told, whose promises
// they would break.
type page struct {
	url      string
	handler  *dashboard.Handler
	server   *http.Server
	ended    chan error
	commands atomic.Bool
}

// openPage serves the page of a store at an address of this machine.
func openPage(ctx context.Context, s store.Store, address string) (*page, error) {
	p := &page{ended: make(chan error, 1)}
	var err error
	if p.handler, err = dashboard.New(s, dashboard.WithOperator(p.who)); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	p.url = "http://" + listener.Addr().String() + "/"
	p.server = dashboard.NewServer(p.handler)
	go func() { p.ended <- p.server.Serve(listener) }()
	return p, nil
}

func (p *page) who(*http.Request) (string, error) {
	if !p.commands.Load() {
		return "", errors.New("the story is being told")
	}
	return "you", nil
}

// close ends it, and every stream.
func (p *page) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := errors.Join(p.handler.Close(ctx), p.server.Shutdown(ctx))
	if served := <-p.ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// linger says what was counted and lets the fleet live until Ctrl-C, for whoever wants to look at its page, or command.
func (s *stage) linger(ctx context.Context) error {
	if !s.stays {
		return nil
	}
	s.screen.close()
	s.report.print(s.screen.out, s.screen.ink)
	s.page.commands.Store(true)
	fmt.Fprintf(s.screen.out, "\nThe fleet goes on, and its page takes commands: %s (Ctrl-C ends it)\n", s.page.url)
	<-ctx.Done()
	return nil
}
