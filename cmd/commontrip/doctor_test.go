package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/redistest"
)

// examined runs the doctor and gives the findings of one check, "level: found | do".
func (d *desk) examined(want int, args ...string) func(check string) string {
	d.t.Helper()
	code, out, err := d.run(append([]string{"doctor", "-json"}, args...)...)
	var findings []finding
	if e := json.Unmarshal([]byte(out), &findings); e != nil || code != want {
		d.t.Fatalf("exit code %d, %v; want %d\n%s%s", code, e, want, out, err)
	}
	return func(check string) string {
		var text strings.Builder
		for _, f := range findings {
			if f.Check == check {
				text.WriteString(string(f.Level) + ": " + f.Found + " | " + f.Do + "\n")
			}
			if f.Level != fine && f.Do == "" {
				d.t.Errorf("%+v does not say what to do", f)
			}
		}
		return text.String()
	}
}

func holds(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q lacks %q", text, part)
		}
	}
}

func redisDo(t *testing.T, srv *redistest.Server, want string, args ...string) {
	t.Helper()
	if got, err := srv.Command(args...); err != nil || got != want {
		t.Fatalf("%q: %q, %v; want %q", args, got, err, want)
	}
}

func TestDoctorFindsAGoodServerWellAndLeavesNothingBehind(t *testing.T) {
	srv := redistest.Start(t)
	d := deskAt(t, srv.URL())
	found := d.examined(done)
	holds(t, found("eviction"), "ok: server: noeviction")
	holds(t, found("scripts"), "ok: all run; schema 1")
	holds(t, found("clock"), "ok:")
	holds(t, found("server"), "ok: "+product(t))
	holds(t, found("breakers"), "note: no breakers under the prefix commontrip (the default) yet")
	if found("way") == "" || found("push") == "" || found("rights") == "" {
		t.Error("way, push or rights were not looked at")
	}
	redisDo(t, srv, ":0", "DBSIZE")
}

func TestDoctorSeesEvictionRightsAndSchemas(t *testing.T) {
	srv := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	d := deskAt(t, srv.URL())
	d.closed("a{b}%")
	redisDo(t, srv, ":0", "HSET", "commontrip:{a%7Bb%7D%25}", "v", "2")
	found := d.examined(ill)
	holds(t, found("eviction"), "problem: server: allkeys-lru", "set maxmemory-policy to noeviction")
	holds(t, found("breaker a{b}%"), "problem: schema 2, newer than this program's 1 | upgrade")

	redisDo(t, srv, "+OK", "ACL", "SETUSER", "weak", "on", ">"+canary, "~commontrip:*", "-@all", "+ping", "+time", "+hmget", "+hget", "+hgetall", "+smembers")
	found = d.examined(ill, "--url", strings.Replace(srv.URL(), "//", "//weak:cAnaRy-9%23@", 1))
	holds(t, found("rights"), "problem: the server denies", "+hset", "+publish", "+eval", "ACL SETUSER weak +", "then ask the doctor again")
	holds(t, found("push"), "problem:", "ACL SETUSER weak +subscribe +unsubscribe")
	holds(t, found("scripts"), "note: not tried")
	redisDo(t, srv, "*2", "KEYS", "*") // the breaker and the index: nothing was left behind
	holds(t, found("server"), "note: this user may not see version and eviction policy")
}

func TestDoctorSaysWhatToDoAboutAFullServer(t *testing.T) {
	srv := redistest.Start(t, "--maxmemory", "1")
	redisDo(t, srv, "+OK", "CONFIG", "SET", "maxmemory-policy", "noeviction")
	found := deskAt(t, srv.URL()).examined(ill)
	holds(t, found("rights"), "problem:", "OOM", "more memory")
}

func TestDoctorAsTheLeastUser(t *testing.T) {
	file, err := os.ReadFile("../../deploy/redis-users.acl")
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(own, file, 0o600); err != nil {
		t.Fatal(err)
	}
	srv := redistest.Start(t, "--aclfile", own)
	redisDo(t, srv, "+OK", "ACL", "SETUSER", "commontrip", "on", ">"+canary)
	d := deskAt(t, strings.Replace(srv.URL(), "//", "//commontrip:cAnaRy-9%23@", 1))
	d.closed("mcp")
	found := d.examined(done)
	holds(t, found("rights"), "ok: all there")
	holds(t, found("scripts"), "ok: all run")
	holds(t, found("breaker mcp"), "ok: closed for ", "lane 0, 1 replicas")
}

func TestDoctorTellsWhoIsSilentAndWhatWasForgotten(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	d.must("force-open", "mcp", "--why", "x", "--for", "forever")
	d.must("retune", "mcp", "probes=9", "--for", "forever")
	d.server.SetTime(noon.Add(25 * time.Second))
	other := store.FleetPolicy()
	other.Probes = 5
	d.report(store.Report{Name: "mcp", Replica: "web-2#b2", Seq: 1, Policy: other})
	found := d.examined(ill)
	holds(t, found("breaker mcp"), "note: forced-open without an end, by oncall", "commontrip lift mcp",
		"note: a retuned policy without an end", "commontrip restore mcp", "silent for more than 20s: web-1#a1",
		"problem: web-2 reports another policy than the fleet's: Probes 5 here, 3 agreed")
	holds(t, found("clock"), "note: server: ")
}

func TestDoctorLooksAtEachNodeOfACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: three servers")
	}
	d := deskAt(t, redistest.ClusterURL(redistest.StartCluster(t, 3)))
	d.closed("mcp")
	found := d.examined(done)
	holds(t, found("scripts"), "ok: all run")
	holds(t, found("push"), "the echo took ")
	holds(t, found("breaker mcp"), "lane ", " (slots ")
	if n := strings.Count(found("clock"), "node 127.0.0.1:"); n < 3 {
		t.Errorf("%d nodes; want at least 3", n)
	}
}

func TestDoctorGoesByWhatTheSentinelsSay(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: two servers")
	}
	master := redistest.Start(t)
	sentinel := redistest.StartSentinel(t, "fleet", master)
	d := deskAt(t, sentinel.URL()+"?master_name=fleet")
	d.closed("mcp")
	found := d.examined(done)
	holds(t, found("server"), "ok: "+product(t))
	holds(t, found("eviction"), "ok: server: noeviction")
	holds(t, found("scripts"), "ok: all run")
	holds(t, found("push"), "the echo took ")
	holds(t, found("breaker mcp"), "ok: closed for ", "1 replicas")

	_, out, _ := deskAt(t, sentinel.URL()+"?master_name=nobody").run("doctor", "--timeout", "1s")
	holds(t, out, "problem", "->")
}

// A renamed EVAL was answered with "check the URL".
func TestDoctorKnowsARenamedCommand(t *testing.T) {
	srv := redistest.Start(t, "--rename-command", "EVAL", "HIDDEN", "--rename-command", "HSET", "HIDDEN2")
	d := deskAt(t, srv.URL())
	found := d.examined(ill)
	holds(t, found("rights"), "problem: the server does not know eval, hset | the server has renamed or disabled it (rename-command in its configuration")
	holds(t, found("scripts"), "note: not tried")
	for _, text := range []string{
		"ERR unknown command 'EVAL', with args beginning with: ", "ERR unknown command `eval`, with args", "ERR Unknown Redis command called from script",
		"ERR Unknown command called from script script: 0a",
	} {
		holds(t, adviceFor(errors.New(text)), "rename-command")
	}
}

func TestAStoreThatHangsIsAMatterForTheDoctor(t *testing.T) {
	srv := redistest.Start(t)
	d := deskAt(t, srv.URL())
	srv.Stop()
	defer srv.Cont()
	for _, args := range [][]string{{"list"}, {"show", "mcp"}, {"trip", "mcp"}} {
		code, _, err := d.run(append(args, "--timeout", "100ms")...)
		if code != failed || !strings.Contains(err, "commontrip doctor may tell why") {
			t.Errorf("%q: exit code %d, %q", args, code, err)
		}
	}
}

// The doctor asked the breakers in turn, four exchanges each, all within one time-out: a well fleet of 600 breakers at 5 ms
// was a problem.
func TestDoctorLooksAtManyBreakersInFewExchanges(t *testing.T) {
	d := newDesk(t)
	reports := make([]store.Report, 600)
	for i := range reports {
		reports[i] = store.Report{
			Name: fmt.Sprint("tier-", i), Replica: "web-1#a1", Seq: 1, MaxAge: time.Minute, Announce: true, Policy: store.FleetPolicy(),
			Runs: []store.Run{{Outcome: store.Success, Count: 1}},
		}
	}
	for _, r := range d.fleet.Sync(t.Context(), reports) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	address, sent := relay(t, d.server.Addr())
	found := d.examined(done, "--url", "redis://"+address, "--timeout", "1m")
	for i := range reports {
		if text := found(fmt.Sprint("breaker tier-", i)); !strings.HasPrefix(text, "ok: closed") {
			t.Fatalf("tier-%d: %q", i, text)
		}
	}
	if n := sent.Load(); n > 300 {
		t.Errorf("it sent %d times for 600 breakers; want at most one for two of them", n)
	}
}

// relay passes bytes to a server, and counts how often clients sent some.
func relay(t *testing.T, server string) (address string, sent *atomic.Int64) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sent = &atomic.Int64{}
	var under sync.WaitGroup
	under.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			there, err := new(net.Dialer).DialContext(context.Background(), "tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			under.Go(func() {
				defer there.Close()
				_, _ = io.Copy(counter{there, sent}, client)
			})
			under.Go(func() {
				defer client.Close()
				_, _ = io.Copy(client, there)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		under.Wait()
	})
	return listener.Addr().String(), sent
}

// counter counts what is written to a connection.
type counter struct {
	net.Conn
	n *atomic.Int64
}

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}

// It advised to UNLINK a breaker for its own time-out.
func TestDoctorsOwnTimeoutIsNoBreakersFault(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	x := &doctor{app: d.app(io.Discard, io.Discard), store: d.fleet}
	x.set.url.value = "redis://" + d.server.Addr()
	if err := x.attach(); err != nil {
		t.Fatal(err)
	}
	defer x.server.close()
	if x.checkSome(over, []string{"mcp"}) {
		t.Error("a time-out goes unseen")
	}
	if len(x.findings) != 1 || x.findings[0].Check != "breakers" || !strings.Contains(x.findings[0].Do, "longer --timeout") {
		t.Errorf("%+v; want the time-out, and what to do about it", x.findings)
	}
}
