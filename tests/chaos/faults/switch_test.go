package faults_test

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/chaos/faults"
)

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
					if _, err := c.Write([]byte(name + " " + lines.Text() + "\n")); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, s *faults.Switch) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// answers sends a line and gives what comes back within a time.
func answers(c net.Conn, line string, within time.Duration) (string, error) {
	_ = c.SetDeadline(time.Now().Add(within))
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return "", err
	}
	return bufio.NewReader(c).ReadString('\n')
}

func TestASwitchLeadsToAnotherServer(t *testing.T) {
	s := faults.NewSwitch(t, echo(t, "one"))
	first := dial(t, s)
	if got, err := answers(first, "hello", time.Minute); got != "one hello\n" {
		t.Fatalf("%q, %v", got, err)
	}
	s.To(echo(t, "two"))
	if got, err := answers(first, "hello", time.Minute); err == nil {
		t.Errorf("a connection outlives the change: it says %q", got)
	}
	if got, err := answers(dial(t, s), "hello", time.Minute); got != "two hello\n" {
		t.Errorf("%q, %v", got, err)
	}
	s.To("")
	if got, err := answers(dial(t, s), "hello", time.Minute); err == nil {
		t.Errorf("a switch to nowhere says %q", got)
	}
}

func TestASwitchHoldsOneWayOrBoth(t *testing.T) {
	s := faults.NewSwitch(t, echo(t, "one"))
	for _, ways := range []faults.Way{faults.Requests, faults.Replies, faults.Both} {
		c := dial(t, s)
		if _, err := answers(c, "hello", time.Minute); err != nil {
			t.Fatal(err)
		}
		s.Hold(ways)
		if got, err := answers(c, "again", 50*time.Millisecond); err == nil {
			t.Errorf("%v held, and it says %q", ways, got)
		}
		s.Hold(0)
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if got, err := bufio.NewReader(c).ReadString('\n'); got != "one again\n" {
			t.Errorf("%v let go, and it says %q, %v", ways, got, err)
		}
	}
}
