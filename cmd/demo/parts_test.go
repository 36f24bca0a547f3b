package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

func TestAWireHangsIsCutAndHealsAtTheSameAddress(t *testing.T) {
	w, err := newWire(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer w.cut()
	conn := dial(t, w.addr)
	if !answer(conn, time.Minute) {
		t.Fatal("a healthy wire does not answer")
	}
	w.hang()
	if w.doing() != waits || answer(conn, 50*time.Millisecond) {
		t.Error("a wire that hangs answers")
	}
	if err := w.heal(); err != nil {
		t.Fatal(err)
	}
	if w.doing() != flows || !answer(conn, time.Minute) {
		t.Error("a wire that hung and is well again does not answer")
	}
	w.cut()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, conn); w.doing() != severed || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a connection outlives the cut")
	}
	if c, err := net.Dial("tcp", w.addr); err == nil {
		_ = c.Close()
		t.Error("a wire that is cut takes a connection")
	}
	if err := w.heal(); err != nil {
		t.Fatal(err)
	}
	if !answer(dial(t, w.addr), time.Minute) {
		t.Error("a wire that was cut and is well again does not answer")
	}
}

func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answer reports whether a byte that is sent, or was, comes back in time.
func answer(c net.Conn, within time.Duration) bool {
	_ = c.SetDeadline(time.Now().Add(within))
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	_, err := c.Read(make([]byte, 1))
	return err == nil
}

func TestATierFailsInEachOfItsWaysAndCounts(t *testing.T) {
	tier := &tier{mode: answers, latency: time.Millisecond, counts: map[string]*tierCount{}, addr: "127.0.0.1:0"}
	if err := tier.listen(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tier.server.Close() }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	call := func(timeout time.Duration) error {
		return get(t.Context(), client, "http://"+tier.addr+"/way", timeout)
	}
	if err := call(time.Minute); err != nil {
		t.Errorf("a tier that answers: %v", err)
	}
	for m, want := range map[mode]func(error) bool{
		fails:   func(err error) bool { return errors.Is(err, statusError(503)) },
		hangs:   func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
		refuses: isNetwork,
	} {
		if err := tier.behave(m, 0); err != nil {
			t.Fatal(err)
		}
		if err := call(100 * time.Millisecond); !want(err) {
			t.Errorf("a tier that %s: %v", m, err)
		}
	}
	if err := tier.behave(answers, 0); err != nil {
		t.Fatal(err)
	}
	if err := call(time.Minute); err != nil {
		t.Errorf("a tier that answers again: %v", err)
	}
	if n := tier.census()["/way"]; n.Calls != 4 || n.Dead != 2 {
		t.Errorf("it counted %+v; want 4 calls, 2 of them while dead", n)
	}
}

func TestAReportIsKeptOnlyWhereEveryPromiseHeld(t *testing.T) {
	r := &report{}
	r.promise(true, "one", "seen")
	if !r.kept() {
		t.Error("all held, and it is not kept")
	}
	r.promise(false, "another", "%d of %d", 7, 8)
	r.table("counted", "", "here", "there").row("calls", 5, 40)
	if r.kept() {
		t.Error("one was broken, and it is kept")
	}
	var out bytes.Buffer
	r.print(&out, false)
	for _, want := range []string{"held    one", "BROKEN  another  7 of 8", "calls     5     40"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

func TestProbesAtOnceAreThoseOverOneInstant(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	spans := []span{{at(0), at(10)}, {at(5), at(20)}, {at(10), at(12)}, {at(11), at(30)}, {at(40), at(50)}}
	if got := most(spans); got != 3 {
		t.Errorf("%d at once; want 3: one that ends as another begins is not beside it", got)
	}
	if most(nil) != 0 {
		t.Error("some at once of none")
	}
}

func TestColoursTakeNoPlaces(t *testing.T) {
	red := ink(true).red("abc")
	if got := clip(red+"def", 4); got != red+"d\x1b[0m" {
		t.Errorf("clipped: %q", got)
	}
	if got := clip(red, 3); got != red {
		t.Errorf("a line that fits is cut: %q", got)
	}
	if got := pad(red, 5); got != red+"  " {
		t.Errorf("padded: %q", got)
	}
	if ink(false).red("abc") != "abc" {
		t.Error("coloured without colours")
	}
}

func TestTheLastReplicaToHearIsMeasuredFromTheCommit(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	n := news{store.Transition{At: at.Add(time.Hour)}, map[string]time.Time{
		"a": at.Add(3 * time.Millisecond), "b": at.Add(9 * time.Millisecond), "c": at.Add(5 * time.Millisecond),
	}}
	if got := n.behind(time.Hour); got != 9*time.Millisecond {
		t.Errorf("behind by %v; want 9ms, by a store's clock that is an hour ahead", got)
	}
	if got := n.spread(); got != 6*time.Millisecond {
		t.Errorf("spread over %v; want 6ms", got)
	}
}

func TestTheUsersSettingsDoNotReachTheDemosReplicas(t *testing.T) {
	for variable, want := range map[string]bool{
		"CIRCUIT_BREAKER_OPEN_FOR=1": true, "MAX_RETRY_ATTEMPTS=9": true, "RETRY_JITTER=none": true,
		"HEALTH_CHECK_INTERVAL=1": true, "PATH=" + os.Getenv("PATH"): false, "REDIS_URL=x": false,
	} {
		if configures(variable) != want {
			t.Errorf("%q: %t; want %t", variable, !want, want)
		}
	}
}
