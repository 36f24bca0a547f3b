// Command demo runs a fleet on this machine: eight replica processes that call tiers over HTTP, which are then broken in
// the ways that tiers break. It counts what reached them, and ends with what it counted and with status 1 if a promise
// did not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

const usage = `usage: demo [flags]

A fleet on this machine: eight replica processes with one breaker between them, tiers that are broken in the ways that
tiers break, and a Redis that goes away. It tells the story line by line, ends with what was counted in this run, and with
status 1 if a promise did not hold. A promise that did not hold while this machine had no time for the fleet is not
judged. About a minute. The operator's page of the fleet is served meanwhile, at the address that is said first.

  fleet   one tier of payments; the same calls also go through eight breakers that share nothing, as a measure
  tiers   an account service of three tiers, tier1_mcp, tier2_sdk, tier3_rest: fallback, retry, health checks

Flags:
`

const environment = `
Environment:
  REDIS_URL   redis://host:port of a Redis to use; without it one runs in this process. What the demo writes there has a
              prefix of its own, and is removed at the end.
  NO_COLOR    set: no colours.
`

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(os.Args) > 1 && parts[os.Args[1]] != nil {
		if err := parts[os.Args[1]](ctx, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", os.Args[1]+":", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(story(ctx, os.Args[1:]))
}

// options are the flags.
type options struct {
	only   string
	speed  float64
	log    string
	listen string
	stay   bool
}

func flags(args []string) (o options, err error) {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
		fmt.Fprint(f.Output(), environment)
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
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
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
	s := &stage{pace: pace(o.speed), report: newReport(), logs: io.Discard, fail: fail}
	if o.log != "" {
		f, err := os.OpenFile(o.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return false, err
		}
		defer f.Close()
		s.logs = f
	}
	go s.report.own.run(ctx)
	if s.redis, err = openRedis(ctx, os.Getenv("REDIS_URL")); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.redis.close()) }()
	var told atomic.Bool // until then, commands of the page would break promises
	page, err := openPage(s.redis.operator, o.listen, func(*http.Request) (string, error) {
		if !told.Load() {
			return "", errors.New("the story is being told")
		}
		return "you", nil
	})
	if err != nil {
		return false, fmt.Errorf("-listen: %w", err)
	}
	defer func() { err = errors.Join(err, page.close()) }()
	fmt.Println("The fleet's page:", page.url)
	defer s.clear()
	if err := s.play(ctx, o.only); err != nil {
		return false, err
	}
	s.report.print(os.Stdout)
	if o.stay {
		told.Store(true)
		fmt.Printf("\nThe fleet goes on, and its page takes commands: %s (Ctrl-C ends it)\n", page.url)
		<-ctx.Done()
	}
	return s.report.kept(), nil
}
