package kubernetes

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// The overlay that docs/kubernetes.md shows is built as it stands, with this tree as the clone beside it.
func TestTheOverlayOfTheDocsIsBuilt(t *testing.T) {
	m := regexp.MustCompile("(?s)<!-- overlay -->\n```yaml\n(.*?)```\n").FindStringSubmatch(text(t, "docs/kubernetes.md"))
	if m == nil {
		t.Fatal("docs/kubernetes.md shows no overlay")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clone, err := filepath.Abs(tree)
	if err != nil {
		t.Fatal(err)
	}
	if clone, err = filepath.Rel(dir, clone); err != nil {
		t.Fatal(err)
	}
	overlay := strings.ReplaceAll(m[1], "- commontrip/deploy", "- "+filepath.ToSlash(clone)+"/deploy")
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	f := decoded(t, resources)
	if image := f.deployment(t, "commontrip-page").Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/commontrip:v1.2.3" {
		t.Errorf("the page is of the image %s", image)
	}
	for _, o := range f.all {
		if o.GetNamespace() != "payments" {
			t.Errorf("%T %s is in the namespace %q", o, o.GetName(), o.GetNamespace())
		}
	}
	if len(f.policies) == 0 || len(f.rules) == 0 || len(f.configMaps) == 0 {
		t.Error("a part is missing")
	}
}

var named = regexp.MustCompile(`\b(deployment|service|secret)[/ ]([a-z][a-z-]+)`)

func TestTheDocsNameObjectsThatExist(t *testing.T) {
	f := build(t)
	known := map[string]bool{"secret commontrip-redis": true}
	for _, d := range f.deployments {
		known["deployment "+d.Name] = true
	}
	for _, s := range f.services {
		known["service "+s.Name] = true
	}
	seen := 0
	for line := range strings.Lines(text(t, "docs/kubernetes.md")) {
		if !strings.HasPrefix(strings.TrimSpace(line), "kubectl") && !strings.Contains(line, "$(kubectl") {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			seen++
			if !known[m[1]+" "+m[2]] {
				t.Errorf("the docs name the %s %s, which is not there: %s", m[1], m[2], line)
			}
		}
	}
	if seen < 7 {
		t.Errorf("looked at %d names only", seen)
	}
}
