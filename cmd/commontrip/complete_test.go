package main

import (
	"strings"
	"testing"
)

func TestTheShellCompletesNamesAndFields(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.broken("sdk")
	for _, c := range []struct {
		args       []string
		want, none string
	}{
		{[]string{"show", ""}, "mcp\tclosed\nsdk\topen\n:4\n", "--"},
		{[]string{"force-open", "mcp", ""}, ":4\n", "sdk"},
		{[]string{"watch", "mcp", ""}, "sdk\topen\n:4\n", "mcp"},
		{[]string{"retune", "mcp", ""}, "open_for=\tnow 1m0s\n", ":4\n"},
		{[]string{"retune", "mcp", "open_for=1s", ""}, "probes=\tnow 3\n", "open_for=\t"},
		{[]string{"force-open", "mcp", "--for", ""}, "forever\n", ""},
		{[]string{"list", "--url", "redis://127.0.0.1:1", ""}, "", "mcp"},
	} {
		_, out, _ := d.run(append([]string{"__complete"}, c.args...)...)
		if !strings.Contains(out, c.want) || c.none != "" && strings.Contains(out, c.none) {
			t.Errorf("%q completes as %q; want %q, and no %q", c.args, out, c.want, c.none)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := d.must("completion", shell); !strings.Contains(out, "commontrip") {
			t.Errorf("no script for %s", shell)
		}
	}
}
