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

// A Redis is started with the arguments of the pod and the users of the Secret. Each URL does what its user may, and the
// probe works without a password.
func TestRedisTakesTheUsersAndTheArguments(t *testing.T) {
	s, d := secret(t), build(t).deployment(t, "commontrip-redis")
	dir := t.TempDir()
	users := filepath.Join(dir, "users.acl")
	if err := os.WriteFile(users, []byte(s.StringData["users.acl"]), 0o600); err != nil {
		t.Fatal(err)
	}
	args := d.Spec.Template.Spec.Containers[0].Args
	for i, arg := range args {
		switch arg {
		case "/etc/redis/users.acl":
			args[i] = users
		case "/data":
			args[i] = dir
		}
	}
	server := redistest.Start(t, args...)
	for _, command := range [][]string{{"get", "commontrip:x"}, {"flushall"}, {"config", "get", "*"}} {
		if answer, err := server.Command(command...); err != nil || !strings.Contains(answer, "NOPERM") {
			t.Errorf("%q without a password: %q, %v", command, answer, err)
		}
	}
	if answer, err := server.Command("ping"); err != nil || !strings.Contains(answer, "PONG") {
		t.Errorf("the probe: %q, %v", answer, err)
	}
	open := func(key string) *redisstore.Store {
		opened, err := redisstore.Open(strings.Replace(s.StringData[key], "commontrip-redis:6379", server.Addr(), 1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = opened.Close() })
		return opened
	}
	report := store.Report{
		Name: "quotes", Policy: store.FleetPolicy(), Replica: "a#1", Announce: true, Seq: 1, MaxAge: time.Minute,
		Runs: []store.Run{{Outcome: store.Success, Count: 1}},
	}
	if result := open("url").Sync(t.Context(), []store.Report{report})[0]; result.Err != nil {
		t.Errorf("replicas: %v", result.Err)
	}
	viewer := open("viewer-url")
	if all, err := viewer.Read(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("the page: %v, %v", all, err)
	}
	if _, err := viewer.Command(t.Context(), store.Command{Name: "quotes", Action: store.Reset, By: "test"}); err == nil {
		t.Error("the page's user may command")
	}
}
