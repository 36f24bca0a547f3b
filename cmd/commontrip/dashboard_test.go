package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store"
)

func TestDashboardServesThePageAndCommandsWhereItMay(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		status int
		mode   store.Mode
	}{
		"read-only":     {nil, http.StatusForbidden, store.Auto},
		"with commands": {[]string{"--commands", "--by", "ada"}, http.StatusOK, store.ForcedOpen},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.closed("mcp")
			out, end := d.begin(append([]string{"dashboard", "--listen", "localhost:0"}, c.args...)...)
			page, _, _ := strings.Cut(out.next("http://127.0.0.1:"), " ")
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			status, body := ask(t, client, http.MethodGet, page, "")
			if status != http.StatusOK || !strings.Contains(body, "<html") {
				t.Errorf("status %d, %.200s; want a page", status, body)
			}
			status, body = ask(t, client, http.MethodPost, page+"api/breakers/mcp/command", `{"name":"mcp","action":"force-open","for_ms":60000,"why":"x"}`)
			if status != c.status {
				t.Errorf("status %d, %s; want %d", status, body, c.status)
			}
			if x := d.read("mcp"); x.Mode != c.mode || c.mode != store.Auto && x.ModeNote.By != "ada" {
				t.Errorf("%+v", x)
			}
			if code := end(); code != done {
				t.Errorf("exit code %d; want %d", code, done)
			}
		})
	}
}

func ask(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
