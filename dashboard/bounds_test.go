package dashboard_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
)

// pipes is a listener without sockets, so that a server runs in virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// bare serves h by a server that bounds nothing, and says when it has ended a connection. The client sends text, and is the
// caller's to read and close.
func bare(t *testing.T, h http.Handler) (connect func(text string) net.Conn, cut chan time.Time, stop func()) {
	t.Helper()
	listener := &pipes{make(chan net.Conn), make(chan struct{})}
	cut = make(chan time.Time, 10)
	server := &http.Server{Handler: h, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			cut <- time.Now()
		}
	}}
	ended := make(chan struct{})
	go func() { _ = server.Serve(listener); close(ended) }()
	connect = func(text string) net.Conn {
		client, served := net.Pipe()
		listener.conns <- served
		if _, err := io.WriteString(client, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
			t.Error(err)
		}
		return client
	}
	return connect, cut, func() { _ = server.Close(); <-ended }
}

// bodies are requests whose body never comes.
var bodies = []string{
	"GET /api/events HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"GET /api/events HTTP/1.1\nHost: localhost\nContent-Length: 10\n\nhalf",
	"GET /api/events HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n",
	"HEAD /api/events HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"POST /api/events HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"GET /api/events HTTP/1.1\nHost: evil.test\nContent-Length: 10\n\n",
	"GET / HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"GET /app.js HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"GET /nothing HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"GET /api/breakers HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"GET /api/breakers/mcp HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"GET /api/breakers/mcp/history HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"GET /api/breakers/mcp/roster HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"POST / HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"POST /api/breakers/mcp/command HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
	"POST /api/breakers/mcp/command HTTP/1.1\nHost: localhost\nX-User: alice\nContent-Type: application/json\nContent-Length: 10\n\n",
	"POST /api/breakers/mcp/command HTTP/1.1\nHost: localhost\nX-User: alice\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n",
	"GET /api/breakers/mcp/command HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n",
}

// TestNoRequestIsHeldBecauseItsBodyNeverComes: the server reads a body before the first word of an answer. A stream took the
// server's own bound away before that, so that each such request was held for ever, past Close too.
func TestNoRequestIsHeldBecauseItsBodyNeverComes(t *testing.T) {
	for _, request := range bodies {
		t.Run(strings.ReplaceAll(request, "\n", " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := handler(t, seed(t, "mcp"), dashboard.WithMaxStreams(1), dashboard.WithOperator(byHeader))
				connect, _, stop := bare(t, h)
				defer stop()
				began := time.Now()
				client := connect(request)
				defer client.Close()
				answer, err := io.ReadAll(client) // until the server has ended the connection
				if took := time.Since(began); err != nil || took > 15*time.Second {
					t.Errorf("it was ended after %v, %v", took, err)
				}
				if status := string(answer[:min(len(answer), 10)]); !strings.HasPrefix(status, "HTTP/1.1 4") {
					t.Errorf("it is answered with %q", status)
				}
			})
		})
	}
}

// TestRequestsWhoseBodyNeverComesTakeNoPlaceOfAStream, nor do they hold Close up.
func TestRequestsWhoseBodyNeverComesTakeNoPlaceOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, seed(t, "mcp"), dashboard.WithMaxStreams(1))
		connect, _, stop := bare(t, h)
		defer stop()
		for range 3 {
			client := connect(bodies[0])
			defer client.Close()
			if answer, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil || answer.StatusCode != http.StatusBadRequest {
				t.Fatal(answer, err)
			}
		}
		p := visit(h, nil)
		synctest.Wait()
		if len(p.events("hello")) != 1 {
			t.Errorf("no place is left: %d", p.status)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestNoRequestIsHeldBecauseItsAnswerIsNotTaken: only streams once bounded what they wrote.
func TestNoRequestIsHeldBecauseItsAnswerIsNotTaken(t *testing.T) {
	for _, path := range []string{"/", "/style.css", "/nothing", "/api/breakers", "/api/breakers/mcp/history", "/api/events"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := seed(t, "mcp")
				connect, cut, stop := bare(t, handler(t, s))
				defer stop()
				for i := range 100 { // enough for an answer that no buffer of the server takes
					report(t, s, fmt.Sprintf("tier-%d", i), 1, store.Run{Outcome: store.Success, Count: 3})
				}
				began := time.Now()
				client := connect("GET " + path + " HTTP/1.1\nHost: localhost\n\n")
				defer client.Close()
				if took := (<-cut).Sub(began); took > 15*time.Second {
					t.Errorf("it was held for %v", took)
				}
			})
		})
	}
}

// TestABoundOfOneAnswerIsNotThatOfTheNext: a connection serves other handlers of the same server, too.
func TestABoundOfOneAnswerIsNotThatOfTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.Handle("/api/", handler(t, seed(t, "mcp"), dashboard.WithOperator(byHeader)))
		mux.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })
		connect, _, stop := bare(t, mux)
		defer stop()
		command := strings.NewReplacer("HOST", "localhost", "\n\n", "\nContent-Length: 27\n\n").Replace(post(commandPath, "", `{"action":"trip","why":"x"}`))
		client := connect(command)
		defer client.Close()
		from := bufio.NewReader(client)
		for range 3 {
			answer, err := http.ReadResponse(from, nil)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatal(answer, err)
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if _, err := io.WriteString(client, "GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		go func() { _, _ = io.Copy(io.Discard, from) }()
	})
}
