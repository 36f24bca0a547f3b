package storetest

import (
	"regexp"
	"strings"
	"testing"
)

func TestEveryLawHasANumberANameAndASentence(t *testing.T) {
	number := regexp.MustCompile(`^\d+\.\d\d [^/]+$`)
	seen := map[string]bool{}
	for _, law := range Laws() {
		_, name, _ := strings.Cut(law.Name, " ")
		if !number.MatchString(law.Name) || seen[name] {
			t.Errorf("%q is no law's name, or another one's too", law.Name)
		}
		seen[name] = true
		if !strings.HasSuffix(law.Why, ".") || strings.Contains(law.Why, "\n") {
			t.Errorf("law %q says no sentence: %q", law.Name, law.Why)
		}
	}
	for _, s := range faultyStores {
		if !seen[s.law] {
			t.Errorf("the store that %s is to break %q, which is not a law", s.name, s.law)
		}
	}
	for _, s := range faultyServers {
		if !seen[s.law] {
			t.Errorf("the store that %s is to break %q, which is not a law", s.name, s.law)
		}
	}
}
