package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestEachExitCodeMeansWhatTheHelpSays(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.spoilt("spoilt")
	cases := map[string]struct {
		args []string
		in   string
		want int
	}{
		"done":               {[]string{"show", "mcp"}, "", done},
		"the store is away":  {[]string{"list", "--url", "redis://127.0.0.1:1"}, "", failed},
		"no such command":    {[]string{"lst"}, "", misused},
		"unknown to show":    {[]string{"show", "sdk"}, "", unknown},
		"unknown to trip":    {[]string{"trip", "sdk"}, "", unknown},
		"unknown to retune":  {[]string{"retune", "sdk", "probes=1"}, "", unknown},
		"unknown to remove":  {[]string{"remove", "sdk", "--yes"}, "", unknown},
		"unknown to history": {[]string{"history", "sdk"}, "", unknown},
		"unknown to roster":  {[]string{"roster", "sdk"}, "", unknown},
		"a problem":          {[]string{"doctor", "--url", "redis://127.0.0.1:1"}, "", ill},
		"a no":               {[]string{"remove", "mcp"}, "no\n", declined},
		"unreadable":         {[]string{"show", "spoilt"}, "", partly},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d.in = c.in
			if code, out, err := d.run(c.args...); code != c.want {
				t.Errorf("exit code %d; want %d\n%s%s", code, c.want, out, err)
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out, err bytes.Buffer
		if code := d.app(&out, &err).run(ctx, []string{"list"}); code != interrupted {
			t.Errorf("exit code %d; want %d\n%s", code, interrupted, err.String())
		}
	})
	if len(d.must("show", "mcp")) == 0 {
		t.Error("the no removed the breaker")
	}
}

func TestWhatIsWrongIsRefusedWithFieldValueAndRange(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	before := d.read("mcp")
	cases := []struct {
		args []string
		want string
	}{
		{[]string{"retune", "mcp", "bogus=1"}, `"bogus" is not a field of a policy; want one of window_calls, window_time`},
		{[]string{"retune", "mcp", "probes_ms=1"}, `"probes_ms" is not a field`},
		{[]string{"retune", "mcp", "open_for"}, `"open_for": want field=value`},
		{[]string{"retune", "mcp", "open_for=soon"}, `open_for is "soon"; want a duration`},
		{[]string{"retune", "mcp", "open_for_ms=x"}, `open_for_ms is "x"; want an integer`},
		{[]string{"retune", "mcp", "open_for=25h"}, "open_for is 25h0m0s; want 1ms..24h"},
		{[]string{"retune", "mcp", "failure_rate=1.5"}, "failure_rate is 1.5; want 0..1"},
		{[]string{"retune", "mcp", "failure_rate=NaN"}, "failure_rate is NaN; want 0..1"},
		{[]string{"retune", "mcp", "failure_rate=half"}, `failure_rate is "half"; want a number from 0 to 1`},
		{[]string{"retune", "mcp", "probes=many"}, `probes is "many"; want an integer`},
		{[]string{"retune", "mcp", "observe=perhaps"}, `observe is "perhaps"; want true or false`},
		{[]string{"retune", "mcp", "probes=1", "probes=2"}, "probes is given twice"},
		{[]string{"retune", "mcp"}, "at least one field=value"},
		{[]string{"force-open", "mcp"}, "say why"},
		{[]string{"force-closed", "mcp"}, "say why"},
		{[]string{"force-open", "mcp", "--why", "x", "--for", "0s"}, `--for is "0s"; want 1ms..720h, or forever`},
		{[]string{"force-open", "mcp", "--why", "x", "--for", "721h"}, `--for is "721h"; want 1ms..720h`},
		{[]string{"force-open", "mcp", "--why", "x", "--for", "soon"}, `--for is "soon"`},
		{[]string{"force-open", "mcp", "--why", strings.Repeat("x", 201)}, "want at most 200"},
		{[]string{"force-open", "mcp", "--why", "x", "--by", "a\x1b[2Jb"}, `Command.By: invalid request: bad name: "a\x1b[2Jb"`},
		{[]string{"trip", "mcp", "--for", "forever"}, `--for is "forever"; want 1ms..720h`},
		{[]string{"lift", "a\nb"}, `"a\nb" contains U+000A`},
		{[]string{"show", ""}, "it is empty"},
		{[]string{"watch", "a\nb"}, `"a\nb" contains U+000A`},
		{[]string{"history", "mcp", "-n", "0"}, "--limit is 0; want 1..51"},
		{[]string{"history", "mcp", "-n", "52"}, "--limit is 52; want 1..51"},
		{[]string{"list", "--timeout", "0s"}, "--timeout is 0s; want 1ms..1m"},
		{[]string{"list", "--timeout", "2m"}, "--timeout is 2m0s; want 1ms..1m"},
		{[]string{"list", "--prefix", "a{b"}, `prefix is "a{b"; want 1..100 bytes`},
		{[]string{"list", "--url", "http://x"}, "want redis://, rediss://, unix:// or postgres://"},
		{[]string{"list", "--bogus"}, "unknown flag: --bogus"},
		{[]string{"list", "mcp"}, "takes no argument"},
		{[]string{"lift"}, "takes the name of one breaker"},
		{[]string{"remove", "mcp"}, "give --yes"},
		{[]string{"dashboard", "--listen", "0.0.0.0:80"}, "want a loopback address"},
		{[]string{"dashboard", "--listen", "80"}, "want a loopback address"},
		{[]string{"dashboard", "--listen", "127.0.0.1:0", "--commands", "--by", "a\nb"}, "--by:"},
	}
	for _, c := range cases {
		code, out, err := d.run(c.args...)
		if code != misused || !strings.Contains(err, c.want) || out != "" {
			t.Errorf("%q: exit code %d, %q, %q; want %d and %q", c.args, code, out, err, misused, c.want)
		}
		if strings.Count(err, "\n") != 1 || strings.Contains(err, "\x1b") {
			t.Errorf("%q: %q is not one plain line", c.args, err)
		}
	}
	if after := d.read("mcp"); after.Rev != before.Rev || after.Generation != before.Generation {
		t.Errorf("something was changed: %+v", after)
	}
}

func TestWithoutAStoreNothingIsGuessed(t *testing.T) {
	d := newDesk(t)
	delete(d.env, "COMMONTRIP_URL")
	if code, _, err := d.run("list"); code != misused || !strings.Contains(err, "postgres://host/database), COMMONTRIP_URL") {
		t.Errorf("exit code %d, %q", code, err)
	}
}
