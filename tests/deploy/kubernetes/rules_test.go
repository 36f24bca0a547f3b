package kubernetes

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write deploy/kubernetes/monitoring/rules.yaml again")

var ruleFiles = map[string]string{"commontrip-alerts": "alerts.yml", "commontrip-slo": "slo.yml"}

// The rules stand in deploy/prometheus. The operator wants them inside an object, and no tool of kustomize puts them there:
// monitoring/rules.yaml is made of them by this test.
func TestTheRulesAreWrittenFromDeployPrometheus(t *testing.T) {
	var want strings.Builder
	want.WriteString("# Made of deploy/prometheus by: go -C tests/deploy/kubernetes test -run Written . -update\n")
	for i, name := range []string{"commontrip-alerts", "commontrip-slo"} {
		if i > 0 {
			want.WriteString("---\n")
		}
		want.WriteString("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: " + name +
			"\n  labels:\n    app.kubernetes.io/name: " + name + "\n    app.kubernetes.io/component: monitoring\nspec:\n")
		for line := range strings.Lines(string(ruleFile(t, name))) {
			if line != "\n" {
				line = "  " + line
			}
			want.WriteString(line)
		}
	}
	path := filepath.Join(folder, "monitoring", "rules.yaml")
	if *update {
		if err := os.WriteFile(path, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want.String() {
		t.Errorf("%s is not what deploy/prometheus says (%v); run this test with -update", path, err)
	}
}

func ruleFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(tree + "deploy/prometheus/" + ruleFiles[name])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What the operator reads is compared too, after all that kustomize does.
func TestTheRulesOfTheClusterAreThoseOfDeployPrometheus(t *testing.T) {
	f := build(t)
	if len(f.rules) != len(ruleFiles) {
		t.Errorf("%d objects of rules; want %d", len(f.rules), len(ruleFiles))
	}
	for _, r := range f.rules {
		var want monitoringv1.PrometheusRuleSpec
		if err := yaml.UnmarshalStrict(ruleFile(t, r.Name), &want); err != nil {
			t.Fatal(r.Name, err)
		}
		if len(want.Groups) == 0 || !reflect.DeepEqual(r.Spec, want) {
			t.Errorf("%s has other rules than deploy/prometheus/%s", r.Name, ruleFiles[r.Name])
		}
	}
}
