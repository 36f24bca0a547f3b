package dashboard_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

// flooded is what came of clients that all asked for a stream and held what they got.
type flooded struct{ told, refused, failed, left int }

// flood lets n clients ask for a stream over connections of their own, of which the page admits limit.
func flood(t *testing.T, n, limit int) (sum flooded) {
	t.Helper()
	before := runtime.NumGoroutine()
	s := seed(t, "mcp")
	h := handler(t, s, dashboard.WithMaxStreams(limit))
	server := httptest.NewUnstartedServer(h)
	server.Config = dashboard.NewServer(h)
	server.Start()
	defer server.Close()
	address := server.Listener.Addr().String()
	var told, refused, failed atomic.Int64
	var asking, holding sync.WaitGroup
	release := make(chan struct{})
	few := make(chan struct{}, 64) // that connect at once
	for range n {
		asking.Add(1)
		holding.Go(func() {
			few <- struct{}{}
			conn, status := knock(address)
			<-few
			switch status {
			case http.StatusOK:
				told.Add(1)
			case http.StatusServiceUnavailable:
				refused.Add(1)
			default:
				failed.Add(1)
			}
			asking.Done()
			if conn != nil {
				<-release
				_ = conn.Close()
			}
		})
	}
	asking.Wait()
	if got := get(h, "/api/breakers"); got.status != http.StatusOK {
		t.Errorf("meanwhile the list: %d", got.status)
	}
	close(release)
	holding.Wait()
	// A place that is left is free again, though its client said no farewell.
	for end := time.Now().Add(deadline); ; <-time.After(10 * time.Millisecond) {
		conn, status := knock(address)
		if conn != nil {
			_ = conn.Close()
		}
		if status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no place is free after all have gone: %d", status)
		}
	}
	ctx, cancel := await.WithTimeout(t.Context(), deadline)
	if err := h.Close(ctx); err != nil {
		t.Errorf("streams are left: %v", err)
	}
	cancel() // now: its goroutine would be counted
	server.Close()
	sum = flooded{int(told.Load()), int(refused.Load()), int(failed.Load()), 0}
	for end := time.Now().Add(deadline); ; <-time.After(10 * time.Millisecond) {
		if sum.left = max(runtime.NumGoroutine()-before, 0); sum.left == 0 || time.Now().After(end) {
			return sum
		}
	}
}

// knock asks for a stream and reads as far as its first event; the connection is the caller's to close.
func knock(address string) (net.Conn, int) {
	conn, err := net.DialTimeout("tcp", address, deadline)
	if err != nil {
		return nil, 0
	}
	_ = conn.SetDeadline(time.Now().Add(3 * deadline))
	_, _ = io.WriteString(conn, "GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	from := bufio.NewReaderSize(conn, 256)
	answer, err := http.ReadResponse(from, nil)
	if err != nil {
		return conn, 0
	}
	if answer.StatusCode == http.StatusOK {
		head := make([]byte, len("event: hello"))
		if _, err := io.ReadFull(answer.Body, head); err != nil || string(head) != "event: hello" {
			return conn, 0
		}
	}
	return conn, answer.StatusCode
}

func TestScenario34StreamsAreBoundedAndLeaveNothingBehind(t *testing.T) {
	scenario := scoreboard.Start(t, 34, "dashboard: more streams than it has places for")
	clients, limit := scoreboard.Pick(scenario, 1000, 5000), scoreboard.Pick(scenario, 500, 1000)
	sum := flood(t, clients, limit)
	scenario.Report("clients", clients)
	scenario.AtMost("streams at once", sum.told, limit)
	scenario.AtLeast("streams refused", sum.refused, clients-limit)
	scenario.Zero("neither told nor refused", sum.failed)
	scenario.Zero("goroutines left", sum.left)
}

func TestAFloodOfStreamsIsBoundedAndLeavesNothingBehind(t *testing.T) {
	if sum := flood(t, 60, 20); sum != (flooded{20, 40, 0, 0}) {
		t.Errorf("%+v; want 20 told, 40 refused", sum)
	}
}

// loris is what came of clients that send the head of a request byte by byte.
type loris struct {
	cut    int           // whose connection the server ended
	served int           // other clients' requests meanwhile
	worst  time.Duration // of those
}

func drip(t *testing.T, clients int, patience time.Duration) (sum loris) {
	t.Helper()
	h := handler(t, seed(t, "mcp"))
	server := httptest.NewUnstartedServer(h)
	server.Config = dashboard.NewServer(h)
	server.Config.ReadHeaderTimeout = patience
	server.Start()
	defer server.Close()
	address := server.Listener.Addr().String()
	var cut atomic.Int64
	var dripping sync.WaitGroup
	for range clients {
		dripping.Go(func() {
			conn, err := net.DialTimeout("tcp", address, deadline)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			ended := make(chan struct{})
			go func() {
				_ = conn.SetReadDeadline(time.Now().Add(3 * deadline))
				_, err := io.Copy(io.Discard, conn) // until the server has had enough
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					cut.Add(1)
				}
				close(ended)
			}()
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
			for {
				select {
				case <-ended:
					return
				case <-time.After(patience / 10):
					_, _ = io.WriteString(conn, "a")
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { dripping.Wait(); close(done) }()
	for {
		began := time.Now()
		if got := raw(t, address, "GET /api/breakers HTTP/1.1\nHost: HOST\n\n"); got.status != http.StatusOK {
			t.Errorf("meanwhile the list: %d", got.status)
		}
		sum.served++
		sum.worst = max(sum.worst, time.Since(began))
		select {
		case <-done:
			sum.cut = int(cut.Load())
			return sum
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestScenario34ClientsThatDripAreCutOff(t *testing.T) {
	scenario := scoreboard.Start(t, 34, "dashboard: clients that send a byte now and then")
	clients := scoreboard.Pick(scenario, 100, 1000)
	sum := drip(t, clients, scoreboard.Pick(scenario, time.Second, 5*time.Second))
	scenario.AtLeast("connections cut off", sum.cut, clients)
	scenario.Report("requests served meanwhile", sum.served)
	scenario.Report("longest of those", sum.worst)
}

func TestTheServerHasALimitForEverythingButStreams(t *testing.T) {
	s := dashboard.NewServer(http.NotFoundHandler())
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 || s.WriteTimeout != 0 {
		t.Errorf("%+v", s)
	}
	if sum := drip(t, 3, 200*time.Millisecond); sum.cut != 3 {
		t.Errorf("%d of 3 connections that drip were cut off", sum.cut)
	}
}
