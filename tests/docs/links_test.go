package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var links = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	anchors := map[string]map[string]bool{}
	all := pages(t)
	for _, p := range all {
		anchors[p.path] = p.anchors()
	}
	seen := 0
	for _, p := range all {
		for i, line := range p.lines {
			for _, m := range links.FindAllStringSubmatch(spans.ReplaceAllString(line, ""), -1) {
				if strings.Contains(m[1], "://") {
					continue
				}
				seen++
				file, anchor, _ := strings.Cut(m[1], "#")
				if file = path.Join(path.Dir(p.path), file); m[1][0] == '#' {
					file = p.path
				}
				if _, err := os.Stat(filepath.Join(root, file)); err != nil {
					t.Errorf("%s:%d: %s: no such file", p.path, i+1, m[1])
				} else if anchor != "" && !anchors[file][anchor] {
					t.Errorf("%s:%d: %s: no such heading", p.path, i+1, m[1])
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("looked at %d links only", seen)
	}
}

var (
	headings = regexp.MustCompile(`^#{1,6} +(.*)$`)
	dropped  = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)
)

// anchors are the names that a heading gets when it is shown: letters, digits and hyphens; a second of the same name is
// numbered.
func (p page) anchors() map[string]bool {
	names := map[string]bool{}
	for _, line := range p.lines {
		m := headings.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), ""), " ", "-")
		base := name
		for n := 1; names[name]; n++ {
			name = base + "-" + strconv.Itoa(n)
		}
		names[name] = true
	}
	return names
}
