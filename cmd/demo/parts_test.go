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
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
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
	call := func(ctx context.Context) error { return get(ctx, client, "http://"+tier.addr+"/way", time.Hour) }
	if err := call(t.Context()); err != nil {
		t.Errorf("a tier that answers: %v", err)
	}
	become := func(m mode) {
		t.Helper()
		if err := tier.behave(m, 0); err != nil {
			t.Fatal(err)
		}
	}
	become(fails)
	if err := call(t.Context()); !errors.Is(err, statusError(503)) {
		t.Errorf("a tier that fails: %v", err)
	}
	become(hangs)
	hung, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	ended := make(chan error, 1)
	go func() { ended <- call(hung) }()
	await.Until(t, "the call reaches the tier that hangs", func() bool { return tier.census()["/way"].Calls == 3 })
	giveUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a tier that hangs: %v", err)
	}
	become(refuses)
	if err := call(t.Context()); !isNetwork(err) {
		t.Errorf("a tier that refuses: %v", err)
	}
	become(answers)
	if err := call(t.Context()); err != nil {
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
	for _, want := range []string{"held        one", "BROKEN      another  7 of 8", "calls     5     40"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

// A machine that has no time for the fleet breaks promises that the fleet would keep. That was once told as BROKEN.
func TestAPromiseThatIsNotKeptIsExcusedByAMachineThatWasLateThen(t *testing.T) {
	const late = 3 * tardy
	for _, c := range []struct {
		name    string
		story   func(r *report)
		excused bool
	}{
		{"in its scene", func(r *report) {
			r.scene()
			r.delays.note(late)
		}, true},
		{"in the scene before", func(r *report) {
			r.scene()
			r.delays.note(late)
			r.scene()
		}, true},
		{"by too little", func(r *report) {
			r.scene()
			r.delays.note(tardy - 1)
		}, false},
		{"two scenes before", func(r *report) {
			r.scene()
			r.delays.note(late)
			r.scene()
			r.scene()
		}, false},
		{"two scenes before, for the whole half", func(r *report) {
			r.scene()
			r.delays.note(late)
			r.scene()
			r.scene()
			r.whole()
		}, true},
		{"in the half before", func(r *report) {
			r.scene()
			r.delays.note(late)
			r.whole()
			r.half()
			r.scene()
		}, false},
	} {
		r := &report{delays: &delays{own: &pulse{last: time.Now().Add(time.Hour)}}} // this process itself is on time
		c.story(r)
		r.promise(true, "kept", "seen")
		r.promise(false, "not kept", "seen")
		if r.kept() != c.excused {
			t.Errorf("late %s: kept is %t", c.name, r.kept())
		}
		var out bytes.Buffer
		r.print(&out, false)
		want := "BROKEN      not kept  seen"
		if c.excused {
			want = "not judged  not kept  this machine was late by 150 ms; seen: seen"
		}
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "held        kept") {
			t.Errorf("late %s: it does not say %q:\n%s", c.name, want, out.String())
		}
		r.law(false, "a law", "seen")
		if r.kept() {
			t.Errorf("late %s: a law that was broken is excused", c.name)
		}
	}
}

func TestAPulseTellsItsLatestBeatOnceAndOneThatIsDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse()
		at := p.last
		p.beat(at.Add(beat))
		p.beat(at.Add(2*beat + tardy))
		p.beat(at.Add(3*beat + tardy))
		if got := p.take(at.Add(3*beat + tardy)); got != tardy {
			t.Errorf("late by %v; want %v", got, tardy)
		}
		if got := p.take(at.Add(4*beat + tardy)); got != 0 {
			t.Errorf("told once more: %v", got)
		}
		if got := p.take(at.Add(9*beat + tardy)); got != 5*beat {
			t.Errorf("a beat that does not come is late by %v; want %v", got, 5*beat)
		}
		ctx, stop := context.WithCancel(t.Context())
		p = newPulse()
		go p.run(ctx, func() { t.Error("late on a machine whose time is its own") })
		time.Sleep(time.Second)
		stop()
		synctest.Wait()
	})
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
