package kubernetes

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// party is one end of a connection: pods with these labels, in a namespace of that name.
type party struct {
	name, namespace string
	labels          map[string]string
}

func (p party) namespaceLabels() map[string]string {
	return map[string]string{"kubernetes.io/metadata.name": p.namespace}
}

// parties are the pods of the fleet, and some of the rest of the cluster.
func (f *fleet) parties() []party {
	all := []party{
		{"dns", "kube-system", map[string]string{"k8s-app": "kube-dns"}},
		{"prometheus", "monitoring", nil},
		{"stranger", "default", map[string]string{"commontrip/redis-client": "true"}},
	}
	for _, d := range f.deployments {
		all = append(all, party{d.Name, d.Namespace, d.Spec.Template.Labels})
	}
	return all
}

// connections are those that the fleet needs. All others must be refused.
var connections = map[[2]string][]int32{
	{"commontrip-page", "commontrip-redis"}: {6379},
	{"example-service", "commontrip-redis"}: {6379},
	{"example-service", "example-tier"}:     {8080},
	{"prometheus", "example-service"}:       {8080, 8081},
	{"stranger", "example-service"}:         {8080},
	{"dns", "example-service"}:              {8080},
	{"commontrip-page", "dns"}:              {53},
	{"commontrip-redis", "dns"}:             {53},
	{"example-service", "dns"}:              {53},
	{"example-tier", "dns"}:                 {53},
}

func TestTheNetworkAllowsWhatIsNeededAndNothingElse(t *testing.T) {
	f := build(t)
	for _, from := range f.parties() {
		for _, to := range f.parties() {
			if from.name == to.name || from.namespace != "commontrip" && to.namespace != "commontrip" {
				continue
			}
			needed := map[int32]bool{}
			for _, port := range connections[[2]string{from.name, to.name}] {
				needed[port] = true
			}
			for _, port := range []int32{53, 6379, 8080, 8081, 8321} {
				if got := f.allowed(t, from, to, port); got != needed[port] {
					t.Errorf("from %s to %s, port %d: allowed %v; want %v", from.name, to.name, port, got, needed[port])
				}
			}
		}
	}
}

// allowed says what the policies say, as the API defines it: a pod that no policy of a direction selects is open, any other
// allows what one of its policies allows.
func (f *fleet) allowed(t *testing.T, from, to party, port int32) bool {
	t.Helper()
	out, in := true, true
	egress, ingress := false, false
	for _, p := range f.policies {
		for _, kind := range p.Spec.PolicyTypes {
			switch {
			case kind == networkingv1.PolicyTypeEgress && p.Namespace == from.namespace && matches(t, &p.Spec.PodSelector, from.labels):
				out = false
				for _, rule := range p.Spec.Egress {
					egress = egress || admits(t, p.Namespace, rule.To, rule.Ports, to, port)
				}
			case kind == networkingv1.PolicyTypeIngress && p.Namespace == to.namespace && matches(t, &p.Spec.PodSelector, to.labels):
				in = false
				for _, rule := range p.Spec.Ingress {
					ingress = ingress || admits(t, p.Namespace, rule.From, rule.Ports, from, port)
				}
			}
		}
	}
	return (out || egress) && (in || ingress)
}

// admits says whether a rule is about that other end and that port.
func admits(t *testing.T, namespace string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, other party, port int32) bool {
	t.Helper()
	atPort := len(ports) == 0
	for _, p := range ports {
		atPort = atPort || p.Port.IntVal == port
	}
	if !atPort || len(peers) == 0 {
		return atPort
	}
	for _, p := range peers {
		inNamespace := other.namespace == namespace
		if p.NamespaceSelector != nil {
			inNamespace = matches(t, p.NamespaceSelector, other.namespaceLabels())
		}
		if inNamespace && (p.PodSelector == nil || matches(t, p.PodSelector, other.labels)) {
			return true
		}
	}
	return false
}
