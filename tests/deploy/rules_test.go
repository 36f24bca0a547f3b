package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	rules   = "../../deploy/prometheus"
	runbook = "../../docs/operations.md"
	page    = "https://github.com/commontrip/commontrip/blob/main/docs/operations.md#"
)

// promtool runs it in the rules' folder. If it is missing the test is skipped, and fails if REQUIRE_PROMTOOL=1 is
// set.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		const hint = "promtool is not in PATH; get it with: scripts/install-promtool.sh"
		if os.Getenv("REQUIRE_PROMTOOL") == "1" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = rules
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml", "slo.yml")
}

func TestPromtoolAcceptsTheDemoClustersConfiguration(t *testing.T) {
	promtool(t, "check", "config", "--syntax-only", "../compose/prometheus.yml")
}

func TestTheRulesFireWhereTheyShallAndNowhereElse(t *testing.T) {
	promtool(t, "test", "rules", "alerts_test.yml", "slo_test.yml")
}

var named = regexp.MustCompile(`(?m)^ *- alert: (\w+)$`)

func alerts(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range []string{"alerts.yml", "slo.yml"} {
		for _, m := range named.FindAllStringSubmatch(read(t, filepath.Join(rules, file)), -1) {
			names = append(names, m[1])
		}
	}
	if len(names) < 10 {
		t.Fatalf("found %q only", names)
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryAlertIsTestedFiringAndSilent(t *testing.T) {
	tests := read(t, filepath.Join(rules, "alerts_test.yml")) + read(t, filepath.Join(rules, "slo_test.yml"))
	for _, alert := range alerts(t) {
		if !regexp.MustCompile(`alertname: ` + alert + `\n *exp_alerts:\n`).MatchString(tests) {
			t.Errorf("no test has %s fire", alert)
		}
		if !regexp.MustCompile(`alertname: ` + alert + `\n *exp_alerts: \[\]`).MatchString(tests) {
			t.Errorf("no test has %s be silent", alert)
		}
	}
}

func TestEveryAlertHasItsSectionInTheRunbookAndLinksToIt(t *testing.T) {
	book := read(t, runbook)
	text := read(t, filepath.Join(rules, "alerts.yml")) + read(t, filepath.Join(rules, "slo.yml"))
	names := alerts(t)
	for _, alert := range names {
		if !strings.Contains(text, "runbook_url: "+page+strings.ToLower(alert)+"\n") {
			t.Errorf("%s has no link to %s%s", alert, page, strings.ToLower(alert))
		}
		section, ok := sectionOf(book, alert)
		if !ok {
			t.Errorf("no section of the runbook is called %s", alert)
		}
		for _, part := range []string{"**Means.**", "**Look at.**", "**Do.**"} {
			if !strings.Contains(section, part) {
				t.Errorf("the section of %s has no part %s", alert, part)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### (Commontrip\w+)$`).FindAllStringSubmatch(book, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("the runbook tells of %s, which is no alert", m[1])
		}
	}
}

// sectionOf is the text under the heading of that name.
func sectionOf(book, heading string) (string, bool) {
	_, rest, ok := strings.Cut(book, "\n### "+heading+"\n")
	section, _, _ := strings.Cut(rest, "\n#")
	return section, ok
}

func TestTheRunbookNamesCommandsThatTheCommandLineHas(t *testing.T) {
	manual := read(t, "../../docs/cli.md")
	commands := regexp.MustCompile("`commontrip ([a-z-]+)").FindAllStringSubmatch(read(t, runbook), -1)
	if len(commands) < 20 {
		t.Errorf("the runbook names %d commands only", len(commands))
	}
	for _, c := range commands {
		if !regexp.MustCompile(`(?m)^#+ .*\bcommontrip ` + c[1] + `\b`).MatchString(manual) {
			t.Errorf("docs/cli.md has no section on commontrip %s", c[1])
		}
	}
}
