package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
)

const defaultListen = "127.0.0.1:8321"

func (a *app) dashboard() *cobra.Command {
	var listen string
	var commands bool
	var o order
	c := &cobra.Command{
		Use: "dashboard", Short: "Serve the fleet's page on this machine", Args: noName, ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Serves the fleet's live page until Ctrl-C, on a loopback address only: it has no login, so that everybody who can\n" +
			"open it can read it, every user of this machine included. It is read-only unless --commands is given; commands from the page\n" +
			"are then signed with --by.",
	}
	c.Flags().StringVar(&listen, "listen", defaultListen, "a loopback `address` with a port; port 0 takes a free one")
	c.Flags().BoolVar(&commands, "commands", false, "let the page give commands")
	c.Flags().StringVar(&o.by, "by", "", "who signs its commands (COMMONTRIP_BY; default user@host of this machine)")
	c.RunE = a.long(func(ctx context.Context, s fleet, _ []string) error {
		address, err := loopback(listen)
		if err != nil {
			return err
		}
		var options []dashboard.Option
		if commands {
			if options, err = a.operator(o.by); err != nil {
				return err
			}
		}
		page, err := dashboard.New(s, options...)
		if err != nil {
			return err
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "http://%s/ (Ctrl-C ends it)\n", listener.Addr())
		return serve(ctx, listener, page)
	})
	c.AddCommand(a.ping())
	return c
}

// operator lets every request command, signed by one name.
func (a *app) operator(by string) ([]dashboard.Option, error) {
	by = a.signature(by)
	if err := store.ValidateName(by); err != nil {
		return nil, fmt.Errorf("--by: %w", err)
	}
	return []dashboard.Option{dashboard.WithOperator(func(*http.Request) (string, error) { return by, nil })}, nil
}

// loopback refuses addresses that others could reach.
func loopback(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", misuse("--listen is %q; want a loopback address with a port, such as %s", listen, defaultListen)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return "", misuse("--listen is %q; want a loopback address: the page has no login", listen)
	}
	return net.JoinHostPort(host, port), nil
}

// serve serves until ctx ends, and then gives open requests 5 s.
func serve(ctx context.Context, listener net.Listener, page *dashboard.Handler) error {
	server := dashboard.NewServer(page)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := errors.Join(page.Close(closing), server.Shutdown(closing))
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
