package metrics_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// TestPromtoolFindsNothingToSay gives a whole scrape, as text, to promtool check metrics.
func TestPromtoolFindsNothingToSay(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		const hint = "promtool is not in PATH; get it with: scripts/install-promtool.sh"
		if os.Getenv("REQUIRE_PROMTOOL") == "1" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(everything(t))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var scrape bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&scrape, f); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = &scrape
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
