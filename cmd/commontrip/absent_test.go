package main

import (
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// under makes a breaker under another prefix.
func (d *desk) under(prefix, name string) {
	d.t.Helper()
	s, err := redisstore.Open(d.env["COMMONTRIP_URL"], redisstore.WithPrefix(prefix), redisstore.WithTimeout(patient))
	if err != nil {
		d.t.Fatal(err)
	}
	defer s.Close()
	other := &desk{t: d.t, fleet: s}
	other.closed(name)
}

// A wrong prefix was told as "no breakers under this prefix yet", with exit code 0.
func TestAWrongPrefixIsToldWithThoseThatThereAre(t *testing.T) {
	d := newDesk(t)
	d.under("payments-prod", "mcp")
	d.under("payments", "a{b}%")
	if _, err := d.server.SAdd("users:names", "ada"); err != nil { // of another program
		t.Fatal(err)
	}
	const want = "no breakers under the prefix paymnts (--prefix); there are some under payments, payments-prod: see --prefix"
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"list"}, done},
		{[]string{"show"}, done},
		{[]string{"show", "mcp"}, unknown},
		{[]string{"history", "mcp"}, unknown},
		{[]string{"trip", "mcp"}, unknown},
		{[]string{"remove", "mcp", "--yes"}, unknown},
		{[]string{"roster", "mcp"}, unknown},
	} {
		code, out, err := d.run(append(c.args, "--prefix", "paymnts")...)
		if code != c.code || out != "" || !strings.Contains(err, want) {
			t.Errorf("%q: exit code %d, %q, %q; want %d and %q", c.args, code, out, err, c.code, want)
		}
	}
	if _, out, _ := d.run("doctor", "--prefix", "paymnts"); !strings.Contains(out, want) {
		t.Errorf("doctor does not say %q:\n%s", want, out)
	}
	if _, _, err := d.run("list"); !strings.Contains(err, "under the prefix commontrip (the default); there are some under") {
		t.Errorf("%q; want the default named as such", err)
	}
}

func TestANameThatIsNotThereIsComparedWithThoseThatAre(t *testing.T) {
	d := newDesk(t)
	d.closed("card-network")
	d.closed("ledger")
	d.closed("two words")
	for name, want := range map[string]string{
		"crad-network": "no such breaker: crad-network; did you mean card-network?",
		"CARD-NETWORK": "did you mean card-network?",
		"card":         "did you mean card-network?",
		"two wrds":     `did you mean "two words"?`,
		"elsewhere":    "no such breaker: elsewhere; commontrip list shows all",
	} {
		for _, args := range [][]string{{"show", name}, {"lift", name}, {"retune", name, "probes=1"}} {
			if code, _, err := d.run(args...); code != unknown || !strings.Contains(err, want) {
				t.Errorf("%q: exit code %d, %q; want %q", args, code, err, want)
			}
		}
	}
}

// A removal left no trace of who had done it.
func TestARemovedNameSaysWhoRemovedItUntilItIsThereAgain(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.closed("other")
	d.must("remove", "mcp", "--yes", "--by", "bob", "--why", "INC-42")
	const want = `no such breaker: mcp, removed by bob: "INC-42", 2030-03-01 12:00:00 UTC`
	if code, _, err := d.run("history", "mcp"); code != unknown || !strings.Contains(err, want) {
		t.Errorf("exit code %d, %q; want %q", code, err, want)
	}
	d.report(store.Report{Name: "mcp", Replica: "web-1#a1", Seq: 2, Runs: []store.Run{{Outcome: store.Success, Count: 1}}})
	if out := d.must("show", "mcp"); strings.Contains(out, "bob") {
		t.Errorf("%q; want nothing of what is over", out)
	}
	if code, _, err := d.run("remove", "mcp", "--yes", "--by", "a\nb"); code != misused || d.read("mcp").Name != "mcp" {
		t.Errorf("exit code %d, %q; want a bad name refused and nothing removed", code, err)
	}
}

func TestWatchSaysWhatIsNotThereAndGoesOn(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	for want, args := range map[string][]string{
		"no such breaker: mpc; did you mean mcp?; still watching": {"watch", "mpc"},
		"no breakers under the prefix other (--prefix); ":         {"watch", "--prefix", "other"},
	} {
		told, end := d.beginTold(args...)
		told.next(want, "still watching")
		if code := end(); code != done {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}
