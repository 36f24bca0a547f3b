package examples

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

var serving = regexp.MustCompile(`msg=serving callers=(\S+) "inner pages"=(\S+)`)

// This is how deploy/kubernetes runs the service: callers and inner pages apart, and an end that is asked for.
func TestTheServiceServesUntilItIsToldToEnd(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("nothing here tells a process to end")
	}
	t.Parallel()
	tier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "to err is human")
	}))
	defer tier.Close()
	cmd := program(t, "service", "-listen", "127.0.0.1:0", "-inner", "127.0.0.1:0", "-tier", tier.URL)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	log := bufio.NewScanner(stderr)
	var at []string
	for at == nil && log.Scan() {
		at = serving.FindStringSubmatch(log.Text())
	}
	if at == nil {
		t.Fatal("it ended, and did not say that it serves")
	}
	for url, want := range map[string]string{
		at[1] + "/quote": "to err is human", at[2] + "/healthz": "", at[2] + "/metrics": "commontrip_replica_info", at[2] + "/breakers/": "<html",
	} {
		if status, body := fetch(t, url); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, %.200q; want %q", url, status, body, want)
		}
	}
	for _, page := range []string{"/metrics", "/breakers/", "/healthz"} {
		if status, _ := fetch(t, at[1]+page); status != http.StatusNotFound {
			t.Errorf("callers see %s: status %d", page, status)
		}
	}
	tier.Close()
	if status, _ := fetch(t, at[1]+"/quote"); status != http.StatusBadGateway {
		t.Errorf("status %d without a tier", status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(stderr)
	if err := cmd.Wait(); err != nil {
		t.Errorf("told to end, it ended with %v\n%s", err, rest)
	}
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
