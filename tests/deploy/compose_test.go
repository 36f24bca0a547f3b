package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	serviceLine = regexp.MustCompile(`(?m)^  ([a-z0-9]+):( #.*)?\n((?:(?:    .*)?\n)*)`)
	imageLine   = regexp.MustCompile(`(?m)^ +image: ([\w:-]+)$`)
	contextLine = regexp.MustCompile(`context: bin/compose/(\w+)`)
)

// services are the parts of the demo cluster, each as its lines.
func services(t *testing.T) map[string]string {
	t.Helper()
	_, list, _ := strings.Cut(read(t, "../../docker-compose.yml"), "\nservices:\n")
	list, _, _ = strings.Cut(list, "\nnetworks:")
	found := map[string]string{}
	for _, m := range serviceLine.FindAllStringSubmatch(list+"\n", -1) {
		found[m[1]] = m[3]
	}
	return found
}

// A part is read-only, without capabilities, and not root, as the anchor says that all of them name.
func TestEachPartOfTheDemoClusterIsGuardedAndTakenAway(t *testing.T) {
	script := read(t, "../../scripts/compose.sh")
	parts := services(t)
	for _, name := range []string{"redis", "postgres", "migrate", "replica", "page"} {
		if parts[name] == "" {
			t.Errorf("there is no %s; found %d parts", name, len(parts))
		}
	}
	for name, lines := range parts {
		if !strings.Contains(lines, "<<: *part") && !strings.Contains(lines, "<<: *tier") {
			t.Errorf("%s does not begin with what all parts have", name)
		}
		for _, m := range imageLine.FindAllStringSubmatch(lines, -1) {
			if !strings.Contains(script, m[1]) {
				t.Errorf("compose.sh down leaves the image %s", m[1])
			}
		}
		for _, m := range contextLine.FindAllStringSubmatch(lines, -1) {
			if m[1] != "app" && !strings.Contains(script, "scripts/"+m[1]+"-image.sh bin/compose/"+m[1]) {
				t.Errorf("compose.sh does not make bin/compose/%s", m[1])
			}
			if _, err := os.Stat("../../scripts/" + m[1] + "-image.sh"); m[1] != "app" && err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTheDemoClusterCanStandOnPostgreSQL(t *testing.T) {
	parts := services(t)
	for _, name := range []string{"postgres", "migrate"} {
		if !strings.Contains(parts[name], "profiles: [postgres]") {
			t.Errorf("%s is there without being asked for", name)
		}
	}
	file := read(t, "../../docker-compose.yml")
	for _, variable := range []string{"CIRCUIT_BREAKER_STORE_URL", "COMMONTRIP_URL"} {
		if !strings.Contains(file, variable+": ${COMMONTRIP_STORE_URL:-redis://redis:6379}") {
			t.Errorf("%s is not Redis unless another URL is given", variable)
		}
	}
	url := regexp.MustCompile(`COMMONTRIP_STORE_URL='([^']+)'`).FindStringSubmatch(read(t, "../../scripts/compose.sh"))
	if len(url) != 2 || !slices.Contains(strings.FieldsFunc(url[1], func(r rune) bool { return strings.ContainsRune(":/@?", r) }), "postgres") {
		t.Errorf("compose.sh gives the URL %q; want one that leads to the part postgres", url)
	}
}
