package kubernetes

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	tree   = "../../../"
	folder = tree + "deploy/kubernetes"
	board  = tree + "deploy/grafana"
)

// strict decodes what it knows, and takes no field that the type does not have and no field twice.
var strict = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// fleet is all objects that the folder builds, by their types.
type fleet struct {
	all         []metav1.Object
	namespaces  []*corev1.Namespace
	deployments []*appsv1.Deployment
	services    []*corev1.Service
	configMaps  []*corev1.ConfigMap
	budgets     []*policyv1.PodDisruptionBudget
	policies    []*networkingv1.NetworkPolicy
	monitors    []*monitoringv1.ServiceMonitor
	rules       []*monitoringv1.PrometheusRule
}

// build builds the folder as `kubectl apply -k` does, and decodes each object.
func build(t *testing.T) *fleet {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, resources)
}

func decoded(t *testing.T, resources resmap.ResMap) *fleet {
	t.Helper()
	f := &fleet{}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := strict.Decode(text, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", r.CurId(), err)
		}
		f.add(t, object)
	}
	return f
}

func (f *fleet) add(t *testing.T, object runtime.Object) {
	t.Helper()
	f.all = append(f.all, object.(metav1.Object))
	switch o := object.(type) {
	case *corev1.Namespace:
		f.namespaces = append(f.namespaces, o)
	case *appsv1.Deployment:
		f.deployments = append(f.deployments, o)
	case *corev1.Service:
		f.services = append(f.services, o)
	case *corev1.ConfigMap:
		f.configMaps = append(f.configMaps, o)
	case *policyv1.PodDisruptionBudget:
		f.budgets = append(f.budgets, o)
	case *networkingv1.NetworkPolicy:
		f.policies = append(f.policies, o)
	case *monitoringv1.ServiceMonitor:
		f.monitors = append(f.monitors, o)
	case *monitoringv1.PrometheusRule:
		f.rules = append(f.rules, o)
	default:
		t.Errorf("%T: say here what must hold for it", object)
	}
}

func (f *fleet) deployment(t *testing.T, name string) *appsv1.Deployment {
	t.Helper()
	for _, d := range f.deployments {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no Deployment is called %s", name)
	return nil
}

func TestEveryObjectIsWhatTheAPITakes(t *testing.T) {
	if f := build(t); len(f.all) < 15 {
		t.Errorf("%d objects only", len(f.all))
	}
}

func TestTheStrictDecoderRefusesWhatAPITypesDoNotHave(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown field": "{apiVersion: v1, kind: Namespace, metadata: {name: x, label: {}}}",
		"a field twice":    "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\nmetadata: {name: y}\n",
		"an unknown kind":  "{apiVersion: v1, kind: Namespaces, metadata: {name: x}}",
		"a wrong type":     "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replicas: three}}",
	} {
		if _, _, err := strict.Decode([]byte(text), nil, nil); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// A file that no kustomization names would be applied by nobody. What is written twice in it would be dropped by kustomize.
func TestEveryFileIsBuiltAndHasNoFieldTwice(t *testing.T) {
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || entry.Name() == "kustomization.yaml" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "kustomization.yaml"))
		if err != nil {
			return err
		}
		var k struct{ Resources []string }
		if err := yaml.Unmarshal(text, &k); err != nil {
			return err
		}
		if !slices.Contains(k.Resources, entry.Name()) {
			t.Errorf("%s: the kustomization beside it does not name it", path)
		}
		if text, err = os.ReadFile(path); err != nil {
			return err
		}
		for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
			if _, _, err := strict.Decode(document, nil, nil); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryObjectIsLabelledAndInTheNamespace(t *testing.T) {
	f := build(t)
	if len(f.namespaces) != 1 {
		t.Fatalf("%d namespaces", len(f.namespaces))
	}
	for _, o := range f.all {
		if o.GetNamespace() != f.namespaces[0].Name && o != metav1.Object(f.namespaces[0]) {
			t.Errorf("%T %s is in the namespace %q", o, o.GetName(), o.GetNamespace())
		}
		labels := o.GetLabels()
		if labels["app.kubernetes.io/part-of"] != "commontrip" {
			t.Errorf("%T %s: labels %v", o, o.GetName(), labels)
		}
		if name := labels["app.kubernetes.io/name"]; o != metav1.Object(f.namespaces[0]) && name != o.GetName() {
			t.Errorf("%T %s: the label app.kubernetes.io/name is %q", o, o.GetName(), name)
		}
	}
	for _, d := range f.deployments {
		for _, label := range []string{"name", "component", "part-of"} {
			if d.Spec.Template.Labels["app.kubernetes.io/"+label] == "" {
				t.Errorf("pods of %s have no label app.kubernetes.io/%s", d.Name, label)
			}
		}
	}
}

func TestTheBoardIsTheOneOfDeployGrafana(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(board, "commontrip.json"))
	if err != nil {
		t.Fatal(err)
	}
	f := build(t)
	if len(f.configMaps) != 1 || f.configMaps[0].Data["commontrip.json"] != string(want) || len(f.configMaps[0].Data) != 1 {
		t.Fatalf("%d ConfigMaps; want one that holds the board and nothing else", len(f.configMaps))
	}
	if f.configMaps[0].Labels["grafana_dashboard"] != "1" || strings.Contains(f.configMaps[0].Name, "board-") {
		t.Errorf("%s %v: Grafana's sidecar would not find it, or find it again under another name", f.configMaps[0].Name, f.configMaps[0].Labels)
	}
}
