package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/commontrip/commontrip/store"
	_ "github.com/commontrip/commontrip/store/postgres"
	_ "github.com/commontrip/commontrip/store/redis"
)

const about = `Shows the circuit breakers of a fleet, follows them, and commands them.

The store's URL and prefix come from a flag, else from the environment (COMMONTRIP_URL and COMMONTRIP_PREFIX, else a service's
CIRCUIT_BREAKER_STORE_URL and CIRCUIT_BREAKER_STORE_PREFIX), else from the file commontrip/config below $XDG_CONFIG_HOME (or
~/.config), with a "key = value" on each line:

  url    = redis://user:password@redis:6379
  prefix = payments-prod
  by     = oncall

A command is for the whole fleet at once, is signed (--by), and is kept in the breaker's history with its reason (--why).

Exit codes:
  0    done; the end of watch and dashboard by Ctrl-C, too
  1    the store failed, or gave no answer in time
  2    used wrongly: a bad command, argument, flag, field, value, or no URL; nothing was changed
  3    no such breaker
  4    doctor found a problem
  5    the question was answered with no; nothing was changed
  6    some of what was asked for cannot be read, and is named; the rest was shown
  130  interrupted`

// app is the program in its surroundings, so that a test can give it others.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	zone     *time.Location // of the times shown
	who      func() string  // signs commands without --by
	asks     bool           // somebody can answer a question on in
	colours  bool
	patience time.Duration // for what only helps: names for a shell, names that may have been meant

	flags struct {
		url, prefix, config string
		timeout             time.Duration
		json, verbose       bool
	}
	set     settings // once a command has read them
	secrets []string // what no output may show
}

// run carries out one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	for _, arg := range args { // a URL in the wrong place is a secret, too
		if scheme, _, ok := strings.Cut(arg, "://"); ok {
			a.keep(arg[strings.LastIndex(scheme, "=")+1:])
		}
	}
	root := a.root()
	root.SetArgs(twoDashes(args))
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return done
	}
	code, text := a.verdict(ctx, err)
	if text != "" {
		fmt.Fprintln(a.err, "commontrip: "+a.hide(text))
	}
	return code
}

// twoDashes also takes -json, as Go's own tools do, for --json.
func twoDashes(args []string) []string {
	out := append([]string(nil), args...)
	for i, arg := range out {
		switch {
		case arg == "--":
			return out
		case arg == "-json" || strings.HasPrefix(arg, "-json="):
			out[i] = "-" + arg
		}
	}
	return out
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "commontrip", Short: "Shows the breakers of a fleet, follows them, and commands them", Long: about,
		SilenceUsage: true, SilenceErrors: true, DisableAutoGenTag: true, Version: thisBuild().String(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.flags.url, "url", "", "of the store, such as redis://redis:6379 or postgres://app@db/app (COMMONTRIP_URL)")
	f.StringVar(&a.flags.prefix, "prefix", "", "of the fleet's name space, \"commontrip\" if none is set (COMMONTRIP_PREFIX)")
	f.StringVar(&a.flags.config, "config", "", "a `file` to read instead of commontrip/config")
	f.DurationVar(&a.flags.timeout, "timeout", 5*time.Second, "how long to wait for the store, 1ms to 1m")
	f.BoolVar(&a.flags.json, "json", false, "write JSON; durations are integers of milliseconds")
	f.BoolVarP(&a.flags.verbose, "verbose", "v", false, "say first which store is asked, and what said so")
	root.AddGroup(&cobra.Group{ID: "look", Title: "To look:"}, &cobra.Group{ID: "act", Title: "To act, on the whole fleet:"})
	for _, c := range []*cobra.Command{a.list(), a.show(), a.history(), a.roster(), a.watch(), a.dashboard(), a.doctor()} {
		c.GroupID = "look"
		root.AddCommand(c)
	}
	for _, c := range append(a.actions(), a.retune(), a.remove()) {
		c.GroupID = "act"
		root.AddCommand(c)
	}
	root.AddCommand(a.migrate(), a.version())
	return root
}

// job is what a command does with the store.
type job func(ctx context.Context, s fleet, args []string) error

// with opens the store for one job, bounded by --timeout.
func (a *app) with(do job) func(*cobra.Command, []string) error {
	return a.long(func(ctx context.Context, s fleet, args []string) error {
		ctx, cancel := context.WithTimeout(ctx, a.flags.timeout)
		defer cancel()
		return do(ctx, s, args)
	})
}

// long opens the store for a job that bounds its exchanges itself.
func (a *app) long(do job) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		var err error
		if a.set, err = a.settings(); err != nil {
			return err
		}
		if a.flags.verbose {
			fmt.Fprintln(a.err, "commontrip: "+a.hide(a.set.String()))
		}
		s, err := a.open(a.set)
		if err != nil {
			return err
		}
		defer s.Close()
		err = do(c.Context(), s, args)
		if errors.Is(err, store.ErrUnknown) {
			err = a.unknown(c.Context(), s, args[0])
		}
		return ran(err)
	}
}

// fleet is a store that this program can open. Beside what every store does, it reads rosters and histories of many breakers in
// a few exchanges.
type fleet interface {
	store.Store
	store.Pinger
	Rosters(ctx context.Context, names ...string) (map[string][]store.Replica, error)
	Histories(ctx context.Context, limit int, names ...string) (map[string][]store.Transition, error)
}

// open makes the store; it does no I/O.
func (a *app) open(set settings) (fleet, error) {
	s, err := store.OpenURL(set.url.value, store.OpenConfig{Prefix: set.prefix.value, Timeout: a.flags.timeout})
	if errors.Is(err, store.ErrScheme) { // whose words are for programmers
		return nil, misuse("the URL (%s) is of no kind of store that there is; want %s", set.url.from, urlForms)
	}
	if err != nil {
		return nil, err
	}
	if f, ok := s.(fleet); ok {
		return f, nil
	}
	_ = s.Close()
	return nil, misuse("the URL (%s) is of a store that no other process can ask; want %s", set.url.from, urlForms)
}

// read gives the one breaker of that name.
func read(ctx context.Context, s store.Store, name string) (store.Snapshot, error) {
	if err := store.ValidateName(name); err != nil {
		return store.Snapshot{}, err
	}
	snapshots, err := s.Read(ctx, name)
	if err != nil {
		return store.Snapshot{}, err
	}
	if len(snapshots) == 0 {
		return store.Snapshot{}, store.ErrUnknown
	}
	return snapshots[0], nil
}

// writeJSON writes one value, over several lines for one that is all there is.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// systemUser is user@host, as far as the system knows them.
func systemUser() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
