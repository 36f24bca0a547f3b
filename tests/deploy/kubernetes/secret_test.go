package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/commontrip/commontrip/store"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/tests/redistest"
)

// secret is what secret.sh prints.
func secret(t *testing.T) *corev1.Secret {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(folder, "secret.sh"))
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	object, _, err := strict.Decode(out, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return object.(*corev1.Secret)
}

func TestTheSecretHasWhatPodsAskOfIt(t *testing.T) {
	s, asked := secret(t), 0
	f := build(t)
	if s.Namespace != f.namespaces[0].Name {
		t.Errorf("it is in the namespace %q", s.Namespace)
	}
	want := func(who, name, key string) {
		asked++
		if name != s.Name || s.StringData[key] == "" {
			t.Errorf("%s asks the Secret %s for %s", who, name, key)
		}
	}
	for _, d := range f.deployments {
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.Secret != nil {
				if mode := *v.Secret.DefaultMode; mode != 0o440 {
					t.Errorf("%s: the mode of its Secret is %o", d.Name, mode)
				}
				for _, item := range v.Secret.Items {
					want(d.Name, v.Secret.SecretName, item.Key)
				}
			}
		}
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				want(d.Name, e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key)
			}
		}
	}
	if asked != 3 {
		t.Errorf("%d keys are asked for; want the users, and the URLs of page and replicas", asked)
	}
}

func TestEachRunGivesNewPasswords(t *testing.T) {
	passwords := regexp.MustCompile(`[0-9a-f]{48}`)
	seen := map[string]bool{}
	for range 2 {
		s := secret(t)
		for _, key := range []string{"url", "viewer-url"} {
			password := passwords.FindString(s.StringData[key])
			if password == "" || seen[password] || !strings.Contains(s.StringData["users.acl"], " >"+password+" ") {
				t.Errorf("%s has no password of its own that the users' file has", key)
			}
			seen[password] = true
		}
	}
}

// redis is a Redis with the arguments of the pod. users is its file of users.
func redis(t *testing.T, s *corev1.Secret) (server *redistest.Server, users string) {
	t.Helper()
	dir := t.TempDir()
	users = filepath.Join(dir, "users.acl")
	mount(t, users, s)
	args := build(t).deployment(t, "commontrip-redis").Spec.Template.Spec.Containers[0].Args
	for i, arg := range args {
		switch arg {
		case "/etc/redis/users.acl":
			args[i] = users
		case "/data":
			args[i] = dir
		}
	}
	return redistest.Start(t, args...), users
}

// mount writes the file of users, as the cluster does.
func mount(t *testing.T, users string, s *corev1.Secret) {
	t.Helper()
	if err := os.WriteFile(users, []byte(s.StringData["users.acl"]), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open opens the store by one of the Secret's URLs.
func open(t *testing.T, server *redistest.Server, s *corev1.Secret, key string) *redisstore.Store {
	t.Helper()
	opened, err := redisstore.Open(strings.Replace(s.StringData[key], "commontrip-redis:6379", server.Addr(), 1), redisstore.WithTimeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

var report = store.Report{
	Name: "quotes", Policy: store.FleetPolicy(), Replica: "a#1", Announce: true, Seq: 1, MaxAge: time.Minute,
	Runs: []store.Run{{Outcome: store.Success, Count: 1}},
}

func TestEachUserOfTheSecretMayDoItsWorkAndNoMore(t *testing.T) {
	s := secret(t)
	server, _ := redis(t, s)
	for _, command := range []string{"get commontrip:x", "flushall", "config get *", "acl list", "acl setuser default on +@all"} {
		if answer, err := server.Command(strings.Fields(command)...); err != nil || !strings.Contains(answer, "NOPERM") {
			t.Errorf("%q without a password: %q, %v", command, answer, err)
		}
	}
	if answer, err := server.Command("ping"); err != nil || !strings.Contains(answer, "PONG") {
		t.Errorf("the probe: %q, %v", answer, err)
	}
	if result := open(t, server, s, "url").Sync(t.Context(), []store.Report{report})[0]; result.Err != nil {
		t.Errorf("replicas: %v", result.Err)
	}
	viewer := open(t, server, s, "viewer-url")
	if all, err := viewer.Read(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("the page: %v, %v", all, err)
	}
	if _, err := viewer.Command(t.Context(), store.Command{Name: "quotes", Action: store.Reset, By: "test"}); err == nil {
		t.Error("the page's user may command")
	}
}

// docs/kubernetes.md says how: new passwords need no restart of Redis, which would make it forget.
func TestPasswordsAreChangedAndNothingIsForgotten(t *testing.T) {
	before, after := secret(t), secret(t)
	server, users := redis(t, before)
	if result := open(t, server, before, "url").Sync(t.Context(), []store.Report{report})[0]; result.Err != nil {
		t.Fatal(result.Err)
	}
	mount(t, users, after)
	if answer, err := server.Command("acl", "load"); err != nil || !strings.Contains(answer, "OK") {
		t.Fatalf("acl load: %q, %v", answer, err)
	}
	if all, err := open(t, server, after, "url").Read(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("with the new password: %v, %v", all, err)
	}
	if _, err := open(t, server, before, "url").Read(t.Context()); err == nil {
		t.Error("the old password is still good")
	}
}
