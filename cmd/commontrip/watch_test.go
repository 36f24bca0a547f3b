package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// followed gives commands while watch runs. The first one may fall into the time before the subscription stands, and is
// then told as how the breaker is; every later one is told as what happened.
func followed(t *testing.T, d *desk, args ...string) (second string) {
	t.Helper()
	out, end := d.begin(append([]string{"watch"}, args...)...)
	out.next("mcp")
	d.must("force-open", "sdk", "--why", "another")
	d.must("force-open", "mcp", "--why", "INC-42")
	out.next("mcp", "force")
	d.must("lift", "mcp", "--why", "mended")
	second = out.next("mended")
	if code := end(); code != done {
		t.Errorf("exit code %d; want %d: Ctrl-C is how watch ends", code, done)
	}
	if all := strings.Join(out.seen, "\n"); strings.Contains(all, "sdk") == (len(args) > 0) {
		t.Errorf("watch %q tells of\n%s", args, all)
	}
	return second
}

func TestWatchSeesATransition(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.closed("sdk")
	line := followed(t, d, "mcp")
	if want := `2030-03-01 12:00:00 UTC  mcp  half-open  oncall lifted the forced mode of mcp, which is now half-open: mended`; line != want {
		t.Errorf("%q; want %q", line, want)
	}
}

func TestWatchWritesOneObjectALine(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.closed("sdk")
	var e eventJSON
	if err := json.Unmarshal([]byte(followed(t, d, "-json", "mcp")), &e); err != nil {
		t.Fatal(err)
	}
	if e.Transition == nil || e.Transition.Action != store.Lift || e.Snapshot.State != store.HalfOpen {
		t.Errorf("%+v", e)
	}
}

func TestWatchSeesATransitionOfARealServer(t *testing.T) {
	d := deskAt(t, redistest.Start(t).SocketURL())
	d.closed("mcp")
	d.closed("sdk")
	followed(t, d)
}

func TestWatchSaysThatItHearsNothing(t *testing.T) {
	srv := redistest.Start(t)
	redisDo(t, srv, "+OK", "ACL", "SETUSER", "deaf", "on", ">"+canary, "~*", "resetchannels", "+@all")
	d := deskAt(t, srv.URL())
	d.closed("mcp")
	ctx, cancel := context.WithCancel(t.Context())
	out, told, code := newLines(t), newLines(t), make(chan int, 1)
	args := []string{"watch", "--timeout", "1s", "--url", strings.Replace(srv.URL(), "//", "//deaf:cAnaRy-9%23@", 1)}
	go func() { code <- d.app(out, told).run(ctx, args) }()
	out.next("mcp  is closed")
	told.next("lets nobody listen yet")
	cancel()
	if got := <-code; got != done {
		t.Errorf("exit code %d; want %d", got, done)
	}
}

func TestWatchTellsOfWhatItMissed(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	out := newLines(t)
	w := &watch{app: d.app(out, out), store: d.fleet, seen: map[string]store.Version{}}
	w.app.flags.timeout = patient
	w.tell(t.Context(), store.Event{Resync: true})
	out.next("mcp  is closed for 0s")

	d.server.SetError("LOADING away")
	w.tell(t.Context(), store.Event{Resync: true})
	out.next("what was missed is shown later")
	d.server.SetError("")
	d.must("trip", "mcp")
	entries, err := d.fleet.History(t.Context(), "mcp", 1)
	if err != nil {
		t.Fatal(err)
	}
	w.tell(t.Context(), store.Event{Transition: store.Transition{Name: "sdk", Generation: 1}})
	out.next("mcp  is open for 0s")
	out.next("sdk")
	w.tell(t.Context(), store.Event{Transition: entries[0], Snapshot: d.read("mcp")})
	if len(out.got) > 0 {
		t.Errorf("%q; want nothing told twice", <-out.got)
	}
}
