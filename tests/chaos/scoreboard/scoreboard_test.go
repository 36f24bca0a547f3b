package scoreboard_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

func TestAScenarioLeavesOneLine(t *testing.T) {
	out := filepath.Join(t.TempDir(), "lines")
	t.Setenv("COMMONTRIP_CHAOS", "quick")
	t.Setenv("COMMONTRIP_CHAOS_SEED", "7")
	t.Setenv("COMMONTRIP_CHAOS_OUT", out)
	t.Run("scenario", func(t *testing.T) {
		scenario := scoreboard.Start(t, 21, "push dead only")
		if scenario.Full() || scoreboard.Pick(scenario, 1, 2) != 1 || scenario.Rand().Uint64() != scenario.Rand().Uint64() {
			t.Error("the quick profile is not as it should be")
		}
		scenario.Zero("views that went back", 0)
		scenario.Within("behind", 3*time.Second, time.Second)
		scenario.Report("drops", 12)
	})
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var line scoreboard.Line
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if line.Scenario != 21 || line.Seed != 7 || !line.Held || len(line.Numbers) != 3 || line.Commit == "" || line.Machine == "" {
		t.Errorf("the line is %+v", line)
	}
	if late := line.Numbers[1]; late.Held || late.Value != "3s" || late.Bar != "<= 1s" {
		t.Errorf("a time above its bar is written as %+v", late)
	}
}
