package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	redisstore "github.com/commontrip/commontrip/store/redis"
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
	store    *redisstore.Store
	client   redis.UniversalClient
	allowed  bool // to send all that the store sends
	findings []finding
}

func (d *doctor) say(l level, check, found, do string) {
	d.findings = append(d.findings, finding{l, d.app.hide(check), d.app.hide(found), d.app.hide(do)})
}

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong with the store, and say what to do", Args: noName, ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Looks at the way to the store, the servers, the rights of this user, the scripts, the channel and each breaker, and\n" +
			"says of each thing that is not as it should be what to do (after ->). Scripts run on a breaker in a name space of its own, PREFIX:doctor-..., which is gone\n" +
			"afterwards; one message that nobody understands goes over the fleet's channel, at which replicas read once more.\n" +
			"Names of breakers that are gone are taken out of the list. Nothing else is touched. Each step has --timeout, and so have\n" +
			"each 100 breakers.\n\n" +
			"A note is something to know. A problem makes the exit code 4.\n\n" +
			"JSON: an array of {level, check, found, do}.",
		RunE: a.long(func(ctx context.Context, s *redisstore.Store, _ []string) error {
			client, err := dial(a.set.url.value, a.flags.timeout)
			if err != nil {
				return errors.New("the URL cannot be used: " + a.hide(err.Error()))
			}
			defer client.Close()
			d := &doctor{app: a, set: a.set, store: s, client: client}
			d.examine(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return d.report()
		}),
	}
}

// examine goes from what everything needs to what hangs on it.
func (d *doctor) examine(ctx context.Context) {
	d.checkConfig()
	if !d.step(ctx, d.checkWay) {
		return
	}
	for _, check := range []func(context.Context) bool{d.checkServers, d.checkRights, d.checkScripts, d.checkPush} {
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
