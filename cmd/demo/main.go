// Command demo runs a fleet on this machine: eight replica processes that call tiers over HTTP, which are then broken in
// the ways that tiers break. It counts what reached them, and ends with what it counted and with status 1 where a promise
// did not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: demo [flags]

A fleet on this machine: eight replica processes with one breaker between them, tiers (processes too) that are broken
in the ways that tiers break, and a Redis that goes away. On a terminal it shows a live board, elsewhere plain lines; it
ends with what was counted in this run, and with status 1 where a promise did not hold. A promise that did not hold while
this machine had no time for the fleet is not judged. About a minute. The operator's page of the fleet is served
meanwhile, at the address that is said first.

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
	if len(os.Args) > 1 && os.Args[1] == childMark {
		os.Exit(child())
	}
	if len(os.Args) > 1 && servers[os.Args[1]] != nil {
		os.Exit(server(os.Args[1:]))
	}
	os.Exit(parent(os.Args[1:]))
}

// options are the flags.
type options struct {
	only   string
	speed  float64
	plain  bool
	log    string
	listen string
	stay   bool
}

func flags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
		fmt.Fprint(f.Output(), environment)
	}
	f.StringVar(&o.only, "only", "", "play one `half`: fleet or tiers (default both)")
	f.Float64Var(&o.speed, "speed", 1, "so many times faster than life; 0.25 to 4")
	f.BoolVar(&o.plain, "plain", false, "plain lines on a terminal too")
	f.StringVar(&o.log, "log", "", "append what every replica logs (JSON, one object a line) to this `file`")
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "serve the operator's page at this `address`; port 0 takes a free one")
	f.BoolVar(&o.stay, "stay", false, "let the fleet and its page live on until Ctrl-C; the page then takes commands")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
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

// parent gives the exit status: 0 where every promise held that was judged, 1 where one did not or the demo could not run, 2 for a bad
// flag, 130 after Ctrl-C.
func parent(args []string) int {
	o, err := flags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	r := &report{}
	err = play(ctx, o, r)
	if !r.printed && ctx.Err() != nil {
		fmt.Println("\ninterrupted; every process has ended")
		return 130
	}
	if !r.printed {
		r.print(os.Stdout, inkFor(os.Stdout))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	if !r.kept() {
		return 1
	}
	return 0
}

// play runs what was asked for; when it returns, every process has ended.
func play(ctx context.Context, o options, r *report) (err error) {
	r.delays = &delays{own: newPulse()}
	s := &stage{pace: pace(o.speed), report: r, delays: r.delays, logs: io.Discard, alone: o.only != "", stays: o.stay}
	if o.log != "" {
		f, err := os.OpenFile(o.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		s.logs = &logFile{w: f}
	}
	beating, rest := context.WithCancel(ctx)
	defer rest()
	go s.delays.own.run(beating, func() {})
	if s.redis, err = openRedis(ctx, os.Getenv("REDIS_URL")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.redis.Close()) }()
	if s.page, err = openPage(ctx, s.redis.operator, o.listen); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.page.close()) }()
	fmt.Println("The fleet's page:", s.page.url)
	s.screen = newScreen(os.Stdout, o.plain)
	defer s.screen.close()
	if o.only != "tiers" {
		if err := s.playFleet(ctx); err != nil {
			return err
		}
	}
	if o.only != "fleet" {
		return s.playTiers(ctx)
	}
	return nil
}
