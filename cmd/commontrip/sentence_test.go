package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/store"
)

// Events, history, show, watch and page each had words of their own for the same transition.
func TestATransitionIsToldInTheSameWordsEverywhere(t *testing.T) {
	d := newDesk(t)
	d.broken("mcp")
	entries, err := d.fleet.History(t.Context(), "mcp", 1)
	if err != nil || len(entries) != 1 || entries[0].To != store.Open {
		t.Fatal(entries, err)
	}
	words := entries[0].Sentence()
	for _, part := range []string{"mcp opened because ", "errors: 32 x timeout", "seen by web-1 and web-2"} {
		if !strings.Contains(words, part) {
			t.Errorf("%q is not in %q", part, words)
		}
	}

	var watched bytes.Buffer
	w := &watch{app: d.app(&watched, &watched), store: d.fleet, seen: map[string]store.Version{}}
	w.tell(t.Context(), store.Event{Transition: entries[0], Snapshot: d.read("mcp")})
	event := breaker.Event{Kind: breaker.Transitioned, Name: "mcp", Transition: entries[0]}
	for what, text := range map[string]string{
		"list": d.must("list"), "history": d.must("history", "mcp", "-n", "1"), "show": d.must("show", "mcp"), "watch": watched.String(), "the event": event.String(),
	} {
		if !strings.Contains(text, words) {
			t.Errorf("%s does not say %q:\n%s", what, words, text)
		}
	}
	page := httptest.NewRecorder()
	handler, err := dashboard.New(d.fleet)
	if err != nil {
		t.Fatal(err)
	}
	defer handler.Close(t.Context())
	handler.ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/breakers/mcp/history?limit=1", http.NoBody))
	for what, text := range map[string]string{"history --json": d.must("history", "mcp", "-n", "1", "--json"), "the page's source": page.Body.String()} {
		var told []struct {
			Sentence string `json:"sentence"`
		}
		if err := json.Unmarshal([]byte(text), &told); err != nil || len(told) != 1 || told[0].Sentence != words {
			t.Errorf("%s says %+v, %v; want %q", what, told, err, words)
		}
	}
}

// The page shows the server's sentence, and the demo the library's: neither has words of its own.
func TestNobodyElseHasWordsForATransition(t *testing.T) {
	own := regexp.MustCompile(`in a row failed|seen by|probes succeeded|probes failed|opened again|forced open['"]? by|forced mode is over|had lost it`)
	for _, folder := range []string{"../../dashboard/ui", "../demo", "."} {
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.IsDir() || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			text, err := os.ReadFile(folder + "/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			if found := own.FindString(string(text)); found != "" {
				t.Errorf("%s/%s says %q; store.Transition.Sentence puts a transition into words", folder, f.Name(), found)
			}
		}
	}
}
