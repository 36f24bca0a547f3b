package chaos

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

var (
	row    = regexp.MustCompile(`(?m)^//\t *(\d+)  .+: ([a-z/, ]+)$`)
	played = regexp.MustCompile(`(?m)^func TestScenario(\d\d)`)
)

// The table in doc.go names each scenario once, and the folders that hold its tests.
func TestTheTableOfScenariosIsWhatTheTreeHolds(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	table := row.FindAllStringSubmatch(string(text), -1)
	tree := scenarioFolders(t, "../..")
	for i, r := range table {
		if r[1] != strconv.Itoa(i+1) {
			t.Errorf("row %d of the table is scenario %s", i+1, r[1])
		}
		if want := strings.Join(tree[i+1], ", "); r[2] != want {
			t.Errorf("scenario %d: the table names %q, its tests are in %q", i+1, r[2], want)
		}
		delete(tree, i+1)
	}
	if len(tree) > 0 || len(table) != scoreboard.Scenarios {
		t.Errorf("the table has %d rows of %d; it misses %v", len(table), scoreboard.Scenarios, tree)
	}
}

// scenarioFolders gives the folders that hold tests of each scenario, in order.
func scenarioFolders(t *testing.T, root string) map[int][]string {
	t.Helper()
	folders := map[int][]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, found := range played.FindAllStringSubmatch(string(text), -1) {
			n, _ := strconv.Atoi(found[1]) // two digits
			if folder = filepath.ToSlash(folder); !slices.Contains(folders[n], folder) {
				folders[n] = append(folders[n], folder)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range folders {
		slices.Sort(in)
	}
	return folders
}
