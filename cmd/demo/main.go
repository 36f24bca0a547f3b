// Command demo runs a fleet on this machine: eight replica processes that call tiers over HTTP, which are then broken in the
// ways that tiers break. It ends with what it counted, and with status 1 if a promise did not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
)

const usage = `usage: demo [flags]

A fleet on this machine: eight replica processes with one breaker between them, tiers that are broken in the ways that
tiers break, and a store that goes away. It takes about a minute, and ends with what was counted in this run, and with
status 1 if a promise did not hold. A promise that did not hold while this machine had no time for the fleet is not judged.
The fleet's page, which operators use, is served meanwhile at the address that is said first.

  fleet   one tier of payments; the same calls also go through eight breakers that share nothing, as a measure
  tiers   an account service of three tiers, tier1_mcp, tier2_sdk, tier3_rest: fallback, retry, health checks

Environment:
  REDIS_URL     redis://host:port of a Redis to use; without it one runs in this process. What the demo writes there has a
                prefix of its own, and is removed at the end.
  DATABASE_URL  postgres://host:port/database of a PostgreSQL to use instead. The same holds there, but for the empty tables of
                the schema commontrip, which stay. Its user must be allowed to make them, unless they are there.
  NO_COLOR      set: no colours.

Flags:
`

func main() { os.Exit(run(os.Args[1:])) }

// run gives the exit status of a part, or of the story.
func run(args []string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(args) == 0 || parts[args[0]] == nil {
		return story(ctx, args)
	}
	if err := parts[args[0]](ctx, args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", args[0]+":", err)
		return 1
	}
	return 0
}

// options are the flags.
type options struct {
	only, log, listen string
	speed             float64
	stay              bool
}

func flags(args []string) (o options, err error) {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
	}
	f.StringVar(&o.only, "only", "", "play one `half`: fleet or tiers (default both)")
	f.Float64Var(&o.speed, "speed", 1, "how many times faster than life; 0.25 to 4")
	f.StringVar(&o.log, "log", "", "append what every replica logs (JSON, one object a line) to this `file`")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "serve the operator's page at this `address`; port 0 takes a free one")
	f.BoolVar(&o.stay, "stay", false, "let the fleet and its page live on until Ctrl-C; the page then takes commands")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.only != "" && o.only != "fleet" && o.only != "tiers":
		err = fmt.Errorf("-only is %q; want fleet or tiers", o.only)
	case !(0.25 <= o.speed && o.speed <= 4): // NaN is refused too
		err = fmt.Errorf("-speed is %v; want 0.25 to 4", o.speed)
	case f.NArg() > 0:
		err = fmt.Errorf("%q: no such argument", f.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(f.Output(), "demo:", err)
	}
	return o, err
}

// story gives the exit status: 0 if every promise held that was judged, 1 if one did not or the demo could not run, 2 for a
// bad flag, 130 after Ctrl-C.
func story(ctx context.Context, args []string) int {
	o, err := flags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	kept, err := tell(ctx, o)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Println("\ninterrupted; every process has ended")
		return 130
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	case !kept:
		return 1
	}
	return 0
}

// tell tells what was asked for, and reports whether every promise was kept. When it returns, every process has ended.
func tell(ctx context.Context, o options) (kept bool, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &stage{pace: pace(o.speed), report: &report{own: newPulse()}, logs: io.Discard, fail: fail}
	if o.log != "" {
		f, err := os.OpenFile(o.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return false, err
		}
		defer f.Close()
		s.logs = f
	}
	go s.report.own.run(ctx)
	s.shared, err = openShared(ctx)
	defer func() { err = errors.Join(err, s.shared.close()) }()
	if err != nil {
		return false, err
	}
	var told atomic.Bool // until then, commands of the page would break promises
	page, err := dashboard.New(s.shared.operator, dashboard.WithOperator(func(*http.Request) (string, error) {
		if !told.Load() {
			return "", errors.New("the story is being told")
		}
		return "you", nil
	}))
	if err != nil {
		return false, err
	}
	listener, err := net.Listen("tcp", o.listen) //nolint:noctx // a moment
	if err != nil {
		return false, fmt.Errorf("-listen: %w", err)
	}
	server := dashboard.NewServer(page)
	server.RegisterOnShutdown(func() { _ = page.Close(context.Background()) }) // ends the streams
	serving, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serve(serving, listener, server) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()
	url := "http://" + listener.Addr().String() + "/"
	fmt.Println("The fleet's page:", url)
	s.screen = openScreen(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("TERM") != "dumb", url)
	defer s.clear()
	err = s.play(ctx, o.only)
	s.screen.close()
	if err != nil {
		return false, err
	}
	s.report.print(os.Stdout)
	if o.stay {
		told.Store(true)
		fmt.Printf("\nThe fleet goes on, and its page takes commands: %s (Ctrl-C ends it)\n", url)
		<-ctx.Done()
	}
	return s.report.kept(), nil
}

// pace is how many times faster than life the demo goes.
type pace float64

// of gives the time that d takes at this pace.
func (p pace) of(d time.Duration) time.Duration { return time.Duration(float64(d) / float64(p)) }

// callTimeout bounds one call of a tier, whatever the pace: tiers are as slow as they are. It is long enough that a busy
// machine, which lets a process wait for its turn, rarely looks like a tier that does not answer.
const callTimeout = 500 * time.Millisecond

// stage is what both halves of the story are played on.
type stage struct {
	pace   pace
	screen *screen
	report *report
	shared *sharedStore
	logs   io.Writer
	fail   context.CancelCauseFunc // ends the story, with an error
	ends   []func()                // of what this half has started
}

// play plays the halves that are wanted, until ctx ends. What the last of them started goes on until clear.
func (s *stage) play(ctx context.Context, only string) error {
	for _, half := range []struct {
		name string
		open func(context.Context, *stage) (scenes []func(context.Context), err error)
	}{{"fleet", openFleetHalf}, {"tiers", openTiersHalf}} {
		if only != "" && only != half.name {
			continue
		}
		s.clear()
		s.report.half()
		scenes, err := half.open(ctx, s)
		if err != nil {
			return err
		}
		for _, play := range scenes {
			if play(ctx); ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// clear ends all that was started, at once.
func (s *stage) clear() {
	var ending sync.WaitGroup
	for _, end := range s.ends {
		ending.Go(end)
	}
	ending.Wait()
	s.ends = nil
}

// scene opens a scene, on the screen and for the promises that are judged in it.
func (s *stage) scene(format string, a ...any) {
	s.report.scene()
	s.screen.scene(format, a...)
}

// tell notes a transition in its own words; the empty one is one that was waited for and did not come.
func (s *stage) tell(t store.Transition) {
	if t.Name == "" {
		s.screen.note("nothing changed")
		return
	}
	s.screen.note("%s", t.Sentence())
}

// pause lets a scene be looked at.
func (s *stage) pause(ctx context.Context, d time.Duration) { wait(ctx, s.pace.of(d)) }

// environment is what the replicas of both halves are configured by. Package config reads it, there and here.
func (s *stage) environment(more ...string) []string {
	lease := max(s.pace.of(time.Second), 2*callTimeout) // always longer than a call may take
	return append([]string{
		"CIRCUIT_BREAKER_STORE_URL=" + s.shared.url,
		"CIRCUIT_BREAKER_STORE_PREFIX=" + s.shared.prefix,
		"CIRCUIT_BREAKER_FAILURE_THRESHOLD=5",
		"CIRCUIT_BREAKER_FAILURE_RATE=0.5",
		"CIRCUIT_BREAKER_MIN_CALLS=20",
		"CIRCUIT_BREAKER_REPORTERS=2",
		"CIRCUIT_BREAKER_RECOVERY_TIMEOUT=" + s.pace.of(2*time.Second).String(),
		"CIRCUIT_BREAKER_HALF_OPEN_CALLS=2",
		"CIRCUIT_BREAKER_SUCCESS_THRESHOLD=3",
		"CIRCUIT_BREAKER_PROBE_LEASE=" + lease.String(),
	}, more...)
}
