package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/store"
)

// level says how bad a finding is. Only a problem makes the exit code 4.
type level string

const (
	fine    level = "ok"
	note    level = "note"
	problem level = "problem"
)

// finding is one line of the doctor's, and its JSON form.
type finding struct {
	Level level  `json:"level"`
	Check string `json:"check"`
	Found string `json:"found"`
	Do    string `json:"do"` // "" = nothing
}

// doctor looks into one fleet's store.
type doctor struct {
	app      *app
	set      settings
	store    fleet
	server   server
	findings []finding
}

// server is what the doctor asks of one kind of server, beyond what every store does.
type server interface {
	// ping is a round trip that needs no right and no table.
	ping(ctx context.Context) error
	// checks are what to look at between the way and the breakers, in order.
	checks() []func(context.Context) bool
	// names lists the fleet's breakers.
	names(ctx context.Context) ([]string, error)
	// checkForms looks at how breakers are kept, and gives false if the server fails.
	checkForms(ctx context.Context, breakers []store.Snapshot) bool
	// place says where a breaker lies.
	place(name string) string
	// forget is what makes the server forget a breaker that cannot be read.
	forget(name string) string
	close()
}

func (d *doctor) say(l level, check, found, do string) {
	d.findings = append(d.findings, finding{l, d.app.hide(check), d.app.hide(found), d.app.hide(do)})
}

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong with the store, and say what to do", Args: noName, ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Looks at the way to the store, the servers, the rights of this user, what a replica asks for, the channel and each breaker,\n" +
			"and says of each thing that is not as it should be what to do (after ->). What a replica asks for is tried on a breaker in a\n" +
			"name space of its own, PREFIX:doctor-..., which is gone afterwards; one message goes over the fleet's channel (in Redis\n" +
			"replicas read once more at it). Names of breakers that are gone are taken out of the list. Nothing else is touched. Each step\n" +
			"has --timeout, and so have each 100 breakers.\n\n" +
			"A note is something to know. A problem makes the exit code 4.\n\n" +
			"JSON: an array of {level, check, found, do}.",
		RunE: a.long(func(ctx context.Context, s fleet, _ []string) error {
			d := &doctor{app: a, set: a.set, store: s}
			if err := d.attach(); err != nil {
				return errors.New("the URL cannot be used: " + a.hide(err.Error()))
			}
			defer d.server.close()
			d.examine(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return d.report()
		}),
	}
}

// attach makes what the doctor asks the server by. It does no I/O.
func (d *doctor) attach() (err error) {
	if isPostgres(d.set.url.value) {
		d.server, err = newPostgresServer(d)
	} else {
		d.server, err = newRedisServer(d)
	}
	return err
}

// examine goes from what everything needs to what hangs on it.
func (d *doctor) examine(ctx context.Context) {
	d.checkConfig()
	if !d.step(ctx, d.checkWay) {
		return
	}
	for _, check := range d.server.checks() {
		d.step(ctx, check)
	}
	d.checkBreakers(ctx)
}

// step bounds one check.
func (d *doctor) step(ctx context.Context, check func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, d.app.flags.timeout)
	defer cancel()
	return check(ctx)
}

func (d *doctor) report() error {
	sick := slices.ContainsFunc(d.findings, func(f finding) bool { return f.Level == problem })
	if d.app.flags.json {
		if err := d.app.writeJSON(d.findings); err != nil {
			return err
		}
	} else {
		var t table
		inks := map[level]ink{fine: green, note: yellow, problem: red}
		for _, f := range d.findings {
			t.add(cell{string(f.Level), inks[f.Level]}, f.Check, f.Found)
			if f.Do != "" {
				t.add("", "", "-> "+f.Do)
			}
		}
		d.app.writeTable(d.app.out, t)
	}
	if sick {
		return errIll
	}
	return nil
}

// checkConfig looks at who else can read the password.
func (d *doctor) checkConfig() {
	d.say(fine, "store", shownURL(d.set.url.value)+", prefix "+quote(d.set.prefix.value), "")
	if d.set.file == "" {
		return
	}
	info, err := os.Stat(d.set.file)
	if err != nil || info.Mode().Perm()&0o077 == 0 || d.set.url.from != d.set.file || len(secretsOf(d.set.url.value)) == 0 {
		return
	}
	d.say(problem, "config file", fmt.Sprintf("%s holds a password, and others may read it (mode %v)", quote(d.set.file), info.Mode().Perm()),
		"chmod 600 "+shell(d.set.file))
}
