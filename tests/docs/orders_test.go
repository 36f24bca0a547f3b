package docs

import (
	"regexp"
	"strings"
	"testing"
)

// Each row of the table of orders is an example that runs, and each such example is a row.
func TestEachOrderOfGuardsIsAnExample(t *testing.T) {
	page, code := read(t, "docs/composition.md"), read(t, "failsafeguard/orders_test.go")
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\|.*\\| `(\\w+)` \\|$").FindAllStringSubmatch(page, -1) {
		rows[m[1]] = true
		if !strings.Contains(code, "func Example_"+m[1]+"()") {
			t.Errorf("no example is called %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`func Example_(\w+)\(\)`).FindAllStringSubmatch(code, -1) {
		if !rows[m[1]] {
			t.Errorf("the table has no row for the example %s", m[1])
		}
	}
	if len(rows) < 15 {
		t.Errorf("found %d rows only", len(rows))
	}
}
