package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestNothingInANameCanBreakALine(t *testing.T) {
	for name, want := range map[string]string{
		"card-network": "card-network", "zahlung/ü": "zahlung/ü", "支付": "支付",
		"": `""`, "a b": `"a b"`, `a"b`: `"a\"b"`, "a\x1b[2Jb": `"a\x1b[2Jb"`, "a\nb": `"a\nb"`, "a\u202eb": `"a\u202eb"`,
		"a\u00a0b": `"a\u00a0b"`, "a\xffb": `"a\xffb"`,
	} {
		if got := quote(name); got != want {
			t.Errorf("%q is shown as %s; want %s", name, got, want)
		}
	}
}

func TestACommandThatIsShownCanBeCopiedIntoAShell(t *testing.T) {
	for name, want := range map[string]string{
		"card-network": "card-network", "zahlung/ü": "zahlung/ü", "a b": "'a b'", "$(reboot)": "'$(reboot)'", "it's;": `'it'\''s;'`,
		"-n": "-- -n", "a\nb": "NAME", "`id`": "'`id`'",
	} {
		if got := shell(name); got != want {
			t.Errorf("%q becomes %s; want %s", name, got, want)
		}
	}
	d := newDesk(t)
	d.closed("$(reboot)")
	if out := d.must("force-open", "$(reboot)", "--why", "x"); !strings.Contains(out, "\nto end it: commontrip lift '$(reboot)'\n") {
		t.Errorf("%q", out)
	}
}

func TestSpansHaveTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 250 * time.Millisecond: "250ms", 1260 * time.Millisecond: "1.3s", 12600 * time.Millisecond: "12s", time.Minute: "1m",
		192 * time.Second: "3m12s", 30 * time.Minute: "30m", 125 * time.Minute: "2h5m", 75 * time.Hour: "3d3h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %s; want %s", d, got, want)
		}
	}
}

func TestColoursAndWideLettersLeaveTablesAligned(t *testing.T) {
	d := newDesk(t)
	d.closed("支付")
	d.broken("mcp with blanks")
	plain := d.must("list")
	d.colour = true
	painted := d.must("list")
	if regexp.MustCompile(`\x1b\[[0-9]+m`).ReplaceAllString(painted, "") != plain || painted == plain {
		t.Errorf("%q; want %q with colours", painted, plain)
	}
	var at []int
	states := regexp.MustCompile(`STATE|open  |closed  `)
	for _, line := range strings.Split(strings.TrimSpace(plain), "\n") {
		at = append(at, columns(line[:states.FindStringIndex(line)[0]]))
	}
	if len(at) != 3 || at[0] != at[1] || at[1] != at[2] {
		t.Errorf("the states begin at %v in\n%s", at, plain)
	}
}

func TestPipesGetNoColours(t *testing.T) {
	d := newDesk(t)
	d.broken("mcp")
	for _, args := range [][]string{{"list"}, {"show", "mcp"}, {"history", "mcp"}, {"roster", "mcp"}, {"doctor"}} {
		if _, out, err := d.run(args...); strings.ContainsRune(out+err, '\x1b') {
			t.Errorf("%q: %q", args, out+err)
		}
	}
}
