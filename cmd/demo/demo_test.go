package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/commontrip/commontrip/tests/await"
	"github.com/commontrip/commontrip/tests/postgrestest"
)

// build makes the demo's binary, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "demo")
	args := []string{"build", "-o", binary}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race") // as the test has it
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	return binary, errors.Join(err, errorOf(out))
})

func errorOf(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	return errors.New(string(out))
}

func TestMain(m *testing.M) {
	text.DisableColors()
	status := m.Run()
	if binary, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(status)
}

// demo gives a command that runs the demo with an embedded Redis, from a binary of its own, so that its processes can be
// told from those of other tests.
func demo(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	built, err := build()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "demo")
	if err := os.Link(built, binary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "REDIS_URL=", "DATABASE_URL=")
	return cmd
}

// judge looks at what a half said that has been played to its end, and at what its replicas logged: all its promises are kept,
// or not judged since this machine was too late.
func judge(t *testing.T, out []byte, log string, tables ...string) {
	t.Helper()
	logged, err := os.ReadFile(log)
	if err != nil || !bytes.Contains(logged, []byte("replica-8")) || bytes.Contains(logged, []byte("DATA RACE")) {
		t.Errorf("the replicas logged: %v\n%s", err, logged)
	}
	for _, text := range append(tables, "What was promised") {
		if !bytes.Contains(out, []byte(text)) {
			t.Errorf("it does not say %q", text)
		}
	}
	if bytes.Contains(out, []byte("BROKEN")) {
		t.Error("a promise is broken")
	}
	if bytes.Contains(out, []byte("\x1b")) {
		t.Error("it colours what goes to no terminal")
	}
	if t.Failed() || bytes.Contains(out, []byte("  not judged  ")) {
		t.Logf("\n%s", out)
	}
}

func TestTheFleetKeepsItsPromisesAndLeavesNoProcess(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	cmd := demo(t, "-only", "fleet", "-speed", "1.5", "-log", log)
	cmd.Env = append(cmd.Env, "CIRCUIT_BREAKER_FAILURE_RATE=of another program's") // replicas would refuse to start with it
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	judge(t, out, log, "One tier, dead for a while", "Redis, away for some seconds")
	goneSoon(t, cmd.Path)
}

func TestCtrlCEndsEveryProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("that a parent is killed is seen, and is harder")
	}
	cmd, lines := begin(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(lines)
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 130 || !bytes.Contains(rest, []byte("interrupted")) {
		t.Errorf("it ended with %v and said %q; want status 130", cmd.ProcessState, rest)
	}
	goneSoon(t, cmd.Path)
}

// follow reads lines until one has the words, and gives the address in it.
func follow(t *testing.T, lines *bufio.Reader, words string) string {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended before it said %q: %v", words, err)
		}
		if strings.Contains(line, words) {
			return regexp.MustCompile(`http://[0-9.:]+/`).FindString(line)
		}
	}
}

// The page of the fleet is served meanwhile, and takes commands once the story has been told.
func TestTheTiersKeepTheirPromisesAndLeaveNoProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("the other half of the story is played")
	}
	log := filepath.Join(t.TempDir(), "log")
	cmd := demo(t, "-only", "tiers", "-speed", "1.5", "-stay", "-log", log)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var said bytes.Buffer
	lines := bufio.NewReader(io.TeeReader(out, &said))
	url := follow(t, lines, "The fleet's page:")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	command := func() (status int) {
		await.Until(t, "the store answers the page in time", func() bool {
			answer, err := client.Post(url+"api/breakers/tier1_mcp/command", "application/json", strings.NewReader(`{"action":"trip","why":"to see it"}`))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			status = answer.StatusCode
			return status != http.StatusServiceUnavailable
		})
		return status
	}
	if status := command(); status != http.StatusForbidden {
		t.Errorf("a command while the story is told: %d", status)
	}
	if again := follow(t, lines, "Ctrl-C ends it"); again != url {
		t.Errorf("%s became %s", url, again)
	}
	if status := command(); status != http.StatusOK {
		t.Errorf("a command to the fleet that goes on: %d", status)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, lines)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %v", cmd.ProcessState)
	}
	judge(t, said.Bytes(), log, "who served how many requests, when", "From the first replica that left a tier to the last")
	goneSoon(t, cmd.Path)
}

func TestNoProcessOutlivesAParentThatIsKilled(t *testing.T) {
	cmd, lines := begin(t)
	if running(t, cmd.Path) < 1+len(rates) {
		t.Error("the story and eight replicas should be running")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, lines)
	_ = cmd.Wait()
	goneSoon(t, cmd.Path)
}

// begin starts the first half and returns once all processes are there and the first scene plays.
func begin(t *testing.T) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := demo(t, "-only", "fleet")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended before the first scene: %v", err)
		}
		if strings.Contains(line, "calls a second") {
			return cmd, lines
		}
	}
}

// goneSoon waits until no process of this binary runs.
func goneSoon(t *testing.T, binary string) {
	t.Helper()
	await.Until(t, "the last of its processes ends", func() bool { return running(t, binary) == 0 })
}

// running counts the processes of this binary.
func running(t *testing.T, binary string) int {
	t.Helper()
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil || len(exes) == 0 {
		t.Skip("no /proc to count processes in")
	}
	n := 0
	for _, exe := range exes {
		if to, err := os.Readlink(exe); err == nil && strings.TrimSuffix(to, " (deleted)") == binary {
			n++
		}
	}
	return n
}

func TestABadFlagIsStatus2(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "both"}, {"-speed", "0"}, {"-speed", "NaN"}, {"-speed", "5"}, {"more"}, {"-nosuch"},
	} {
		cmd := demo(t, args...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != 2 || len(out) == 0 {
			t.Errorf("%v: status %d and %q; want 2 and a reason", args, got, out)
		}
	}
}

func TestAStoreThatCannotBeUsedIsStatus1AndASentence(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://app:hunter2@127.0.0.1:1/app": "connection refused", "mysql://app:hunter2@h/app": "want postgres://",
		"postgres:///app?host=/tmp&password=hunter2": "cuts the network", "postgres://a:hunter2@h1,h2/app": "cuts the network",
		"postgres://app:hunter2@h/app?sslmode=verify-full": "sslmode=require",
	} {
		cmd := demo(t, "-only", "fleet")
		cmd.Env = append(cmd.Env, "DATABASE_URL="+url)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != 1 || !bytes.Contains(out, []byte(want)) || bytes.Contains(out, []byte("hunter2")) {
			t.Errorf("%s: status %d and %q; want 1 and %q", url, got, out, want)
		}
	}
	cmd := demo(t, "-only", "fleet")
	cmd.Env = append(cmd.Env, "DATABASE_URL=postgres://h/app", "REDIS_URL=redis://h:6379")
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 1 || !bytes.Contains(out, []byte("want one of them")) {
		t.Errorf("%v, %q; want one store", cmd.ProcessState, out)
	}
}

func TestTheFleetKeepsItsPromisesOnPostgreSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("the story on another store: not with -short")
	}
	srv := postgrestest.Start(t)
	log := filepath.Join(t.TempDir(), "log")
	cmd := demo(t, "-only", "fleet", "-speed", "1.5", "-log", log)
	cmd.Env = append(cmd.Env, "DATABASE_URL="+srv.TCPURL(srv.Addr()))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	judge(t, out, log, "the PostgreSQL of DATABASE_URL keeps their verdict", "PostgreSQL, away for some seconds")
	if bytes.Contains(out, []byte("Redis")) {
		t.Error("it speaks of Redis")
	}
	conn, err := pgx.Connect(t.Context(), srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var left int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM commontrip.breakers").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left, %v", left, err)
	}
	goneSoon(t, cmd.Path)
}

func TestARedisThatIsNotThereIsStatus1AndASentence(t *testing.T) {
	for _, url := range []string{"redis://127.0.0.1:1", "rediss://localhost:6379", "not a url"} {
		cmd := demo(t, "-only", "fleet")
		cmd.Env = append(cmd.Env, "REDIS_URL="+url)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != 1 || !bytes.Contains(out, []byte("demo: ")) {
			t.Errorf("%s: status %d and %q; want 1 and a reason", url, got, out)
		}
	}
}

func TestAReplicaWhoseParentIsGoneEnds(t *testing.T) {
	cmd := demo(t, replicaMark, `{"Tiers": [{"Name": "payments"}], "Rate": 1}`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		t.Error("it was killed")
	}
}
