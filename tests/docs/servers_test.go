package docs

import (
	"regexp"
	"strings"
	"testing"
)

// The servers that operations.md says are tested are those that CI runs.
func TestTheServersThatAreListedAreTested(t *testing.T) {
	list := regexp.MustCompile(`servers=\(([a-z]+/[a-z /]+)\)`).FindStringSubmatch(read(t, "scripts/servers.sh"))
	if list == nil {
		t.Fatal("scripts/servers.sh has no list of servers")
	}
	_, section, _ := strings.Cut(read(t, "docs/operations.md"), "\n### Servers\n")
	section, _, _ = strings.Cut(section, "\n### ")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\|.*`((?:redis|valkey)/[a-z]+)`").FindAllStringSubmatch(section, -1) {
		listed = append(listed, row[1])
	}
	if got := strings.Join(listed, " "); got != list[1] {
		t.Errorf("operations.md lists %q; scripts/servers.sh runs %q", got, list[1])
	}
}
