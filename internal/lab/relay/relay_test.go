package relay

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/tests/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that says its name before each line that it gives back.
func echo(t *testing.T, name string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if _, err := io.WriteString(c, name+" "+lines.Text()+"\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func start(t *testing.T, to string, carry Carry) *Relay {
	t.Helper()
	r, err := Start(to, carry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

type client struct {
	net.Conn
	replies *bufio.Reader
}

func dial(t *testing.T, r *Relay) client {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return client{c, bufio.NewReader(c)}
}

func (c client) send(line string) { _, _ = io.WriteString(c, line+"\n") } // an end is seen by who reads

func (c client) reads(t *testing.T, want string) {
	t.Helper()
	if got, err := c.replies.ReadString('\n'); got != want+"\n" {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func (c client) isEnded(t *testing.T) {
	t.Helper()
	if got, err := c.replies.ReadString('\n'); err == nil {
		t.Errorf("a connection that ought to have ended says %q", got)
	}
}

func TestARelayLeadsToAnotherServer(t *testing.T) {
	one, two := echo(t, "one"), echo(t, "two")
	r := start(t, one, nil)
	first := dial(t, r)
	first.send("hello")
	first.reads(t, "one hello")

	r.Aim(two) // for new ones only
	second := dial(t, r)
	second.send("hello")
	second.reads(t, "two hello")
	first.send("still")
	first.reads(t, "one still")
	if now, ever := r.Connections(); now != 2 || ever != 2 {
		t.Errorf("%d connections of %d, want 2 of 2", now, ever)
	}

	r.To(one)
	first.isEnded(t)
	second.isEnded(t)
	third := dial(t, r)
	third.send("hello")
	third.reads(t, "one hello")

	r.To("")
	third.isEnded(t)
	dial(t, r).isEnded(t)
	await.Until(t, "no connection is left", func() bool { now, _ := r.Connections(); return now == 0 })
}

// What is held does not arrive while a second connection's does; let go, it arrives.
func TestARelayHoldsOneWayOrBoth(t *testing.T) {
	for _, ways := range []Way{Requests, Replies, Both} {
		t.Run(ways.String(), func(t *testing.T) {
			heard := make(chan string, 1)
			r := start(t, tell(t, heard), nil)
			c := dial(t, r)
			c.send("one")
			<-heard
			c.reads(t, "ok")

			r.Hold(ways)
			c.send("two")
			if ways == Replies {
				<-heard // requests pass
			}
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if got, err := c.replies.Peek(1); err == nil {
				t.Errorf("%q came through", got)
			}
			_ = c.SetReadDeadline(time.Time{})
			if len(heard) != 0 {
				t.Errorf("%q came through", <-heard)
			}
			r.Hold(0)
			if ways != Replies {
				<-heard
			}
			c.reads(t, "ok")
		})
	}
}

// tell is a server that passes each line on and answers "ok".
func tell(t *testing.T, heard chan<- string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for lines := bufio.NewScanner(c); lines.Scan(); {
			heard <- lines.Text()
			if _, err := io.WriteString(c, "ok\n"); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

func TestARelayDelaysEachWay(t *testing.T) {
	r := start(t, echo(t, "one"), nil)
	c := dial(t, r)
	const delay = 20 * time.Millisecond
	r.Delay(delay)
	began := time.Now()
	c.send("hello")
	c.reads(t, "one hello")
	if took := time.Since(began); took < 2*delay {
		t.Errorf("there and back took %v, want at least %v", took, 2*delay)
	}
	r.Delay(time.Hour) // an end does not wait for it
	c.send("hello")
	r.To("")
	c.isEnded(t)
}

func TestACarrierOfOnesOwnMovesTheBytes(t *testing.T) {
	r := start(t, echo(t, "one"), func(client, server *net.TCPConn) {
		line, err := bufio.NewReader(client).ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(server, "twice "+line)
		_, _ = io.CopyN(client, server, int64(len("one twice "+line)))
	})
	c := dial(t, r)
	c.send("hello")
	c.reads(t, "one twice hello")
	c.isEnded(t) // as the carrier has returned
}
