package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// The parts of a fleet, each as a server in a container (docker-compose.yml): `demo serve-tier`, `serve-replica`,
// `serve-load`; and `demo ask URL`, which is the client in an image that has no other.

// Where servers of containers listen. A tier has a second port, which answers while the first is broken.
const (
	servicePort = ":8080"
	controlPort = ":8081"
)

// servers are the first arguments that make the binary a part of a fleet.
var servers = map[string]func(ctx context.Context, args []string) error{
	"serve-tier": serveTier, "serve-replica": serveReplica, "serve-load": serveLoad, "ask": ask,
}

// server gives the exit status of a part, which lives until it is told to end.
func server(args []string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := servers[args[0]](ctx, args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", args[0]+":", err)
		return 1
	}
	return 0
}

// listenUntil serves until ctx ends; requests under way then have a second.
func listenUntil(ctx context.Context, addr string, h http.Handler) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	if err := s.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// ask prints what a URL answers; anything but 200 is an error. With a second argument it posts that, else it gets.
func ask(ctx context.Context, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("want a URL, and a text where it is to be posted")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	method, body := http.MethodGet, ""
	if len(args) == 2 {
		method, body = http.MethodPost, args[1]
	}
	answer, err := fetch(ctx, method, args[0], body)
	fmt.Print(answer)
	return err
}

// fetch gives the answer's body, at most a megabyte of it.
func fetch(ctx context.Context, method, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = statusError(res.StatusCode)
	}
	return string(answer), err
}

// well answers a container's healthcheck.
func well(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "well") }
