package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/postgrestest"
)

var update = flag.Bool("update", false, "write docs/cli.md again")

func TestMain(m *testing.M) {
	redisstore.LogClient(nil)
	goleak.VerifyTestMain(copied{m})
}

// copied runs tests whose PostgreSQL servers begin with copies of one cluster.
type copied struct{ *testing.M }

func (c copied) Run() int { return postgrestest.Main(c.M) }

const patient = time.Minute // for what happens on its own

// noon is where the clock of a fake server begins.
var noon = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

// desk is an operator's desk: a server, a fleet's handle on it, and the program.
type desk struct {
	t      *testing.T
	server *miniredis.Miniredis // nil: a real one
	fleet  fleet
	env    map[string]string
	in     string // what the operator types; "" = nobody is there
	colour bool
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	server := miniredis.RunT(t)
	server.SetTime(noon)
	d := deskAt(t, "redis://"+server.Addr())
	d.server = server
	return d
}

func deskAt(t *testing.T, url string) *desk {
	t.Helper()
	opened, err := store.OpenURL(url, store.OpenConfig{Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	fleet, ok := opened.(fleet)
	if !ok {
		t.Fatalf("%T lacks what this program needs", opened)
	}
	return &desk{t: t, fleet: fleet, env: map[string]string{"COMMONTRIP_URL": url, "COMMONTRIP_BY": "oncall"}}
}

func (d *desk) app(out, err io.Writer) *app {
	return &app{
		in: strings.NewReader(d.in), out: out, err: err, env: func(name string) string { return d.env[name] }, zone: time.UTC,
		who: func() string { return "ada@desk" }, asks: d.in != "", colours: d.colour, patience: patient,
	}
}

// run carries out one command line to its end.
func (d *desk) run(args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = d.app(&stdout, &stderr).run(d.t.Context(), args)
	return code, stdout.String(), stderr.String()
}

// must is run, and nothing may fail.
func (d *desk) must(args ...string) string {
	d.t.Helper()
	code, out, err := d.run(args...)
	if code != done {
		d.t.Fatalf("%q: exit code %d, %s%s", args, code, out, err)
	}
	return out
}

// report hands in what a replica saw.
func (d *desk) report(r store.Report) store.Snapshot {
	d.t.Helper()
	r.MaxAge = time.Minute
	result := d.fleet.Sync(d.t.Context(), []store.Report{r})[0]
	if result.Err != nil {
		d.t.Fatal(result.Err)
	}
	return result.Snapshot
}

// closed makes a closed breaker of that name.
func (d *desk) closed(name string) {
	d.t.Helper()
	d.report(store.Report{
		Name: name, Replica: "web-1#a1", Seq: 1, Announce: true, Policy: store.FleetPolicy(),
		Runs: []store.Run{{Outcome: store.Success, Count: 90}},
	})
}

// broken makes a breaker that two replicas tripped.
func (d *desk) broken(name string) {
	d.t.Helper()
	d.closed(name)
	x := d.read(name)
	for i, replica := range []string{"web-2#b2", "web-1#a1"} {
		x = d.report(store.Report{
			Name: name, Replica: replica, Seq: uint64(2 + i), Policy: store.FleetPolicy(), Generation: x.Generation,
			Runs: []store.Run{{Outcome: store.Failure, Count: 50, Label: "timeout"}},
		})
	}
	if x.State != store.Open {
		d.t.Fatalf("%+v; want it open", x)
	}
}

func (d *desk) read(name string) store.Snapshot {
	d.t.Helper()
	snapshots, err := d.fleet.Read(d.t.Context(), name)
	if err != nil || len(snapshots) != 1 {
		d.t.Fatal(name, snapshots, err)
	}
	return snapshots[0]
}

// lines is a writer whose lines can be waited for.
type lines struct {
	t    *testing.T
	got  chan string
	rest string
	seen []string // by next
}

func newLines(t *testing.T) *lines { return &lines{t: t, got: make(chan string, 1000)} }

func (l *lines) Write(p []byte) (int, error) {
	text := l.rest + string(p)
	for {
		line, rest, whole := strings.Cut(text, "\n")
		if !whole {
			l.rest = line
			return len(p), nil
		}
		l.got <- line
		text = rest
	}
}

// next waits for a line with those texts in it and gives it.
func (l *lines) next(parts ...string) string {
	l.t.Helper()
	waiting, cancel := await.WithTimeout(context.Background(), patient)
	defer cancel()
	for {
		select {
		case line := <-l.got:
			l.seen = append(l.seen, line)
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return line
			}
		case <-waiting.Done():
			l.t.Fatalf("no line with %q in %q", parts, l.seen)
		}
	}
}

// begin runs a command that goes on until the function it returns is called, which gives the exit code.
func (d *desk) begin(args ...string) (*lines, func() int) {
	out := newLines(d.t)
	return out, d.beginWith(out, io.Discard, args)
}

// beginTold is begin, of whose two outputs it gives the one for errors.
func (d *desk) beginTold(args ...string) (*lines, func() int) {
	told := newLines(d.t)
	return told, d.beginWith(io.Discard, told, args)
}

func (d *desk) beginWith(out, told io.Writer, args []string) (end func() int) {
	ctx, cancel := context.WithCancel(d.t.Context())
	code := make(chan int, 1)
	go func() { code <- d.app(out, told).run(ctx, args) }()
	return func() int {
		cancel()
		return <-code
	}
}
