package kubernetes

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/commontrip/commontrip/config"
)

// The checks are those by which a cluster admits pods to the namespace.
func TestEveryPodIsAdmittedByTheProfileRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := build(t)
	if level := f.namespaces[0].Labels["pod-security.kubernetes.io/enforce"]; level != string(security.LevelRestricted) {
		t.Errorf("the namespace enforces %q", level)
	}
	restricted := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	for _, d := range f.deployments {
		pod := d.Spec.Template
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
		if !result.Allowed {
			t.Errorf("%s: %s: %s", d.Name, result.ForbiddenReason(), result.ForbiddenDetail())
		}
	}
}

// What the profile does not ask for.
func TestEveryContainerIsReadOnlyBoundedAndProbed(t *testing.T) {
	f := build(t)
	if len(f.deployments) < 4 {
		t.Errorf("%d Deployments only", len(f.deployments))
	}
	for _, d := range f.deployments {
		pod := d.Spec.Template.Spec
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s has a token of the cluster's API", d.Name)
		}
		if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
			t.Errorf("%s gets variables of other Services, such as COMMONTRIP_..._PORT", d.Name)
		}
		for _, c := range pod.Containers {
			if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s can write to its image", d.Name)
			}
			if r := c.Resources; r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() {
				t.Errorf("%s: resources %v", d.Name, c.Resources)
			}
			if _, tag, _ := strings.Cut(c.Image, ":"); tag == "" || tag == "latest" {
				t.Errorf("%s: the image %s may become another one", d.Name, c.Image)
			}
			for what, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
				probed(t, d.Name+"'s "+what+" probe", c, p)
			}
		}
	}
}

// probed wants a probe that asks what is there, and that gives a busy node time.
func probed(t *testing.T, what string, c corev1.Container, p *corev1.Probe) {
	t.Helper()
	switch {
	case p == nil:
		t.Errorf("there is no %s", what)
	case p.HTTPGet != nil && !slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool { return p.HTTPGet.Port == intstr.FromString(port.Name) }):
		t.Errorf("%s asks the port %v", what, p.HTTPGet.Port)
	case p.HTTPGet == nil && p.Exec == nil:
		t.Errorf("%s asks nothing", what)
	case p.TimeoutSeconds < 5 || p.FailureThreshold < 2:
		t.Errorf("%s is over after %d s, %d times", what, p.TimeoutSeconds, p.FailureThreshold)
	}
}

// longestEnd is what the pods' programs take at most to end, in seconds, by their own bounds.
var longestEnd = map[string]int64{
	"example-service": 5 + 1 + 5 + 1 + 5 + 2, // within, in examples/service
	"commontrip-page": 5 + 5,                 // serve, in cmd/commontrip
}

func TestPodsHaveTimeToEnd(t *testing.T) {
	f := build(t)
	for name, takes := range longestEnd {
		pod := f.deployment(t, name).Spec.Template.Spec
		if l := pod.Containers[0].Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
			takes += l.PreStop.Sleep.Seconds
		}
		if grace := *pod.TerminationGracePeriodSeconds; grace <= takes {
			t.Errorf("%s is killed after %d s, and may take %d", name, grace, takes)
		}
	}
}

func TestReplicasServeUntilNobodySendsThemCalls(t *testing.T) {
	d := build(t).deployment(t, "example-service")
	l := d.Spec.Template.Spec.Containers[0].Lifecycle
	if l == nil || l.PreStop == nil || l.PreStop.Sleep == nil || l.PreStop.Sleep.Seconds < 1 {
		t.Error("no preStop: a replica that ends still gets calls")
	}
	if r := d.Spec.Strategy.RollingUpdate; r == nil || r.MaxUnavailable.String() != "0" || *d.Spec.Replicas < 2 {
		t.Errorf("%d replicas, %+v: a rollout leaves fewer of them", *d.Spec.Replicas, r)
	}
}

// Two of them would be two verdicts.
func TestThereIsOneRedisAtATime(t *testing.T) {
	d := build(t).deployment(t, "commontrip-redis")
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != "Recreate" {
		t.Errorf("%d replicas, %s", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
}

func TestWhatSelectsFindsSomething(t *testing.T) {
	f := build(t)
	for _, d := range f.deployments {
		if !matches(t, d.Spec.Selector, d.Spec.Template.Labels) {
			t.Errorf("%s does not select its own pods", d.Name)
		}
	}
	for _, s := range f.services {
		pod := f.selected(t, "Service "+s.Name, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		for _, p := range s.Spec.Ports {
			if pod != nil && !hasPort(pod, p.TargetPort) {
				t.Errorf("Service %s: its pods have no port %v", s.Name, p.TargetPort)
			}
		}
	}
	for _, b := range f.budgets {
		f.selected(t, "budget "+b.Name, b.Spec.Selector)
	}
	if len(f.monitors) == 0 || len(f.budgets) == 0 {
		t.Error("no ServiceMonitor, or no budget")
	}
	for _, m := range f.monitors {
		for _, e := range m.Spec.Endpoints {
			if !slices.ContainsFunc(f.services, func(s *corev1.Service) bool {
				return matches(t, &m.Spec.Selector, s.Labels) && slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.Port })
			}) {
				t.Errorf("ServiceMonitor %s finds no Service with a port %q", m.Name, e.Port)
			}
		}
	}
}

// selected is the template of the one Deployment whose pods are selected.
func (f *fleet) selected(t *testing.T, what string, selector *metav1.LabelSelector) (pod *corev1.PodTemplateSpec) {
	t.Helper()
	found := 0
	for _, d := range f.deployments {
		if matches(t, selector, d.Spec.Template.Labels) {
			pod = &d.Spec.Template
			found++
		}
	}
	if found != 1 {
		t.Errorf("%s selects the pods of %d Deployments", what, found)
	}
	return pod
}

func matches(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(labels.Set(of))
}

func hasPort(pod *corev1.PodTemplateSpec, name intstr.IntOrString) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return name == intstr.FromString(p.Name) })
	})
}

func TestEveryVariableIsReadByItsProgram(t *testing.T) {
	commandLine := []string{"COMMONTRIP_URL", "COMMONTRIP_PREFIX", "COMMONTRIP_BY"}
	for _, d := range build(t).deployments {
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			known := slices.ContainsFunc(config.Variables(), func(v config.Variable) bool { return v.Name == e.Name })
			if d.Name == "commontrip-page" {
				known = slices.Contains(commandLine, e.Name)
			}
			if !known {
				t.Errorf("%s: nothing reads %s", d.Name, e.Name)
			}
		}
	}
}

func TestEachReplicaIsCalledByItsPodsName(t *testing.T) {
	f := build(t)
	for _, e := range f.deployment(t, "example-service").Spec.Template.Spec.Containers[0].Env {
		if e.Name == "CIRCUIT_BREAKER_REPLICA" && e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "metadata.name" {
			return
		}
	}
	t.Error("CIRCUIT_BREAKER_REPLICA is not metadata.name")
}

// The images are those that `make image` builds, and their programs have the flags that are given.
func TestImagesAndFlagsAreThoseOfThePrograms(t *testing.T) {
	script, service := text(t, "scripts/image.sh"), text(t, "examples/service/main.go")
	f := build(t)
	for _, d := range f.deployments {
		name, tag, _ := strings.Cut(d.Spec.Template.Spec.Containers[0].Image, ":")
		if tag == "local" && !regexp.MustCompile(`(?m)^\s*image `+name+` `).MatchString(script) {
			t.Errorf("%s: scripts/image.sh builds no image %s", d.Name, name)
		}
	}
	for _, arg := range f.deployment(t, "example-service").Spec.Template.Spec.Containers[0].Args {
		if flag, ok := strings.CutPrefix(arg, "-"); ok && !strings.Contains(service, `flag.String("`+flag+`"`) {
			t.Errorf("examples/service has no flag %s", arg)
		}
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(tree + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
