package board_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/chaos/board"
)

func TestARowLeavesOneLine(t *testing.T) {
	out := filepath.Join(t.TempDir(), "lines")
	t.Setenv("COMMONTRIP_CHAOS", "quick")
	t.Setenv("COMMONTRIP_CHAOS_SEED", "7")
	t.Setenv("COMMONTRIP_CHAOS_OUT", out)
	t.Run("row", func(t *testing.T) {
		row := board.Start(t, 21, "push dead only")
		if row.Full() || board.Pick(row, 1, 2) != 1 || row.Rand().Uint64() != row.Rand().Uint64() {
			t.Error("the quick profile is not as it should be")
		}
		row.Zero("views that went back", 0)
		row.Within("behind", 3*time.Second, time.Second)
		row.Report("drops", 12)
	})
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var line board.Line
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if line.Row != 21 || line.Seed != 7 || !line.Held || len(line.Numbers) != 3 || line.Commit == "" || line.Machine == "" {
		t.Errorf("the line is %+v", line)
	}
	if late := line.Numbers[1]; late.Held || late.Value != "3s" || late.Bar != "<= 1s" {
		t.Errorf("a time above its bar is written as %+v", late)
	}
}
