package config

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
)

var update = flag.Bool("update", false, "write ../.env.example and ../docs/configuration.md again")

func TestTheWrittenDocumentsAreThoseOfTheTable(t *testing.T) {
	for path, want := range map[string]string{"../.env.example": envExample(), "../docs/configuration.md": guide()} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the table says (%v); run: go test ./config -update", path, err)
		}
	}
}

func TestEveryFieldHasItsVariable(t *testing.T) {
	r := newReader(nil)
	seen := map[string]bool{"RETRY_JITTER_ENABLED": true}
	for prefix, structs := range map[string][]any{
		"CIRCUIT_BREAKER_": {&store.Policy{}, &breaker.Timing{}, &settings{}},
		"RETRY_":           {&retry.Policy{}},
		"HEALTH_CHECK_":    {&health.Config{}},
	} {
		for _, s := range structs {
			keys := r.keys(prefix, s)
			if n := reflect.TypeOf(s).Elem().NumField(); len(keys) != n {
				t.Errorf("%T: %d keys for %d fields", s, len(keys), n)
			}
			for _, key := range keys {
				row, ok := rows[key]
				if !ok || row.key != key {
					t.Errorf("%T: no variable %s", s, key)
				}
				if _, policy := s.(*store.Policy); row.own != policy {
					t.Errorf("%s: for single breakers %v", key, row.own)
				}
				seen[key] = true
			}
		}
	}
	for _, row := range table {
		if !seen[row.key] {
			t.Errorf("%s sets no field", row.Name)
		}
	}
}

func TestEveryVariableIsDescribedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range Variables() {
		if seen[v.Name] || v.Unit == "" || !strings.HasSuffix(v.Doc, ".") || strings.Contains(v.Doc+v.Unit, "|") {
			t.Errorf("%+v", v)
		}
		seen[v.Name] = true
	}
	for _, want := range []string{"CIRCUIT_BREAKER_FAILURE_THRESHOLD", "CIRCUIT_BREAKER_OPEN_FOR", "MAX_RETRY_ATTEMPTS", "HEALTH_CHECK_TIMEOUT"} {
		if !seen[want] {
			t.Errorf("no %s", want)
		}
	}
	all := Variables()
	all[0].Name = "changed by the caller"
	if Variables()[0].Name == all[0].Name {
		t.Error("the caller holds the table itself")
	}
}

func TestEveryVariableAtItsDefaultChangesNothing(t *testing.T) {
	var environ []string
	for _, v := range Variables() {
		environ = append(environ, v.Name+"="+v.Default)
	}
	c, err := From(environ)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Policy.WithDefaults(); got != store.DefaultPolicy() {
		t.Errorf("policy: %+v", got)
	}
	if c.Timing != (breaker.Timing{}).WithDefaults() || c.Retry != (retry.Policy{}).WithDefaults() || c.Health != (health.Config{}).WithDefaults() {
		t.Errorf("timing %+v\nretry %+v\nhealth %+v", c.Timing, c.Retry, c.Health)
	}
	if c.Store != (Store{Prefix: "commontrip", Timeout: time.Second}) || c.StoreDown != 0 || c.Replica != "" || c.Unknown != nil {
		t.Errorf("%+v", c)
	}
}

// section is a part of the written documents.
type section struct {
	title, intro string
	of           func(row) bool
}

var sections = []section{
	{"Breakers", "When a breaker opens and how it comes back. Each variable sets its own field of the default policy in use, and no other.\n" +
		"Without STORE_URL the defaults are those of the table. On the shared store that STORE_URL names, a breaker opens if half the\n" +
		"calls of at least 20 in the window failed, or 5 in a row that lasted 1 s, seen by 2 replicas.", func(r row) bool { return r.own }},
	{"Replica and store", "How this process deals with the place that keeps the fleet's verdict.", func(r row) bool {
		return !r.own && strings.HasPrefix(r.Name, "CIRCUIT_BREAKER_")
	}},
	{"Retries", "How often a call is tried again, and how far apart.", func(r row) bool { return strings.Contains(r.Name, "RETRY_") }},
	{"Health checks", "How often a tier is checked, and how soon that is believed.", func(r row) bool { return strings.HasPrefix(r.Name, "HEALTH_") }},
}

const rules = `Durations are seconds, fractions allowed, or Go durations such as 250ms. An empty value is as good as none. One pair of
quotes around a value is stripped, since some readers of env files strip them and others do not. 0 is accepted
where its meaning is given; if it would stand for the default, leave the variable out. A bad value stops the program
with the name of every bad variable; a name that means nothing is reported as a likely misspelling.
`

func guide() string {
	var b strings.Builder
	b.WriteString("<!-- Made by: go test ./config -update. Change config/variables.go instead. -->\n# Configuration by the environment\n\n" +
		"Every variable has a default; none must be set. The package `config` reads them:\n\n" +
		"```go\nc, err := config.FromEnv()   // every bad variable at once\nfleet, err := c.Store.Open() // without a URL: for this process alone\nm, err := breaker.NewManager(fleet, c.ManagerOptions()...)\n" +
		"mcp, err := m.Register(ctx, \"mcp\", breaker.WithPolicy(c.PolicyFor(\"mcp\")))\n```\n\n" + rules + `
## One breaker

Each variable of the table "Breakers" can be set for one breaker: ` + "`CIRCUIT_BREAKER__NAME__FIELD`" + ` stands over
` + "`CIRCUIT_BREAKER_FIELD`" + `. NAME is the breaker's name in upper case, with ` + "`_`" + ` for each character that is neither a letter A to
Z nor a digit; names that differ in nothing else share their variables.

| breaker | variable |
|---|---|
| mcp | ` + "`CIRCUIT_BREAKER__MCP__OPEN_FOR`" + ` |
| tier1_mcp | ` + "`CIRCUIT_BREAKER__TIER1_MCP__OPEN_FOR`" + ` |
| card-network | ` + "`CIRCUIT_BREAKER__CARD_NETWORK__OPEN_FOR`" + ` |
| http:api.example.com | ` + "`CIRCUIT_BREAKER__HTTP_API_EXAMPLE_COM__OPEN_FOR`" + ` |
`)
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| variable | unit | default | |\n|---|---|---|---|\n", s.title, s.intro)
		for _, r := range table {
			if s.of(r) {
				value := r.Default
				if value != "" {
					value = "`" + value + "`"
				}
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Name, r.Unit, value, r.Doc)
			}
		}
	}
	return b.String()
}

func envExample() string {
	var b strings.Builder
	b.WriteString("# Made by: go test ./config -update. Change config/variables.go instead.\n#\n# Every variable with its default; take the \"#\" away to set one.\n")
	for line := range strings.Lines(rules) {
		b.WriteString("# " + line)
	}
	for _, s := range sections {
		fmt.Fprintf(&b, "\n# --- %s ---\n", s.title)
		for line := range strings.Lines(s.intro + "\n") {
			b.WriteString("# " + line)
		}
		for _, r := range table {
			if s.of(r) && !strings.HasPrefix(r.Doc, "Another name") {
				fmt.Fprintf(&b, "\n# %s (%s)\n#%s=%s\n", r.Doc, r.Unit, r.Name, r.Default)
			}
		}
	}
	b.WriteString("\n# --- One breaker ---\n# Any variable of the breakers' for the breaker \"card-network\" alone:\n#CIRCUIT_BREAKER__CARD_NETWORK__OPEN_FOR=30\n")
	return b.String()
}
