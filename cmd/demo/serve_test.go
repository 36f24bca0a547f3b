package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/tests/await"
)

func TestATierInAContainerTakesOnlyModesThatItKnows(t *testing.T) {
	tier := &tier{mode: answers, latency: time.Millisecond, counts: map[string]*tierCount{}, addr: "127.0.0.1:0"}
	if err := tier.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tier.server.Close() })
	control := httptest.NewServer(http.HandlerFunc(tier.takeMode))
	t.Cleanup(control.Close)

	for _, c := range []struct {
		mode     string
		taken    bool
		answered bool // whether the tier answers well after that
	}{
		{"503", true, false}, {"nonsense", false, false}, {"well", true, true}, {"refuse", true, false}, {"well", true, true},
	} {
		_, err := fetch(t.Context(), http.MethodPost, control.URL, c.mode)
		if (err == nil) != c.taken {
			t.Errorf("mode %q: %v", c.mode, err)
		}
		_, err = fetch(t.Context(), http.MethodGet, "http://"+tier.addr+"/accounts/42", "")
		if (err == nil) != c.answered {
			t.Errorf("after mode %q the tier answers %v", c.mode, err)
		}
	}
}

// TestGatheringNamesAReplicaThatSaysNothing: one that is left out would make a fleet look whole that is not.
func TestGatheringNamesAReplicaThatSaysNothing(t *testing.T) {
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/verdict" {
			http.Error(w, "ill", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte("web-1 tier1_mcp open fleet 7 up\n"))
	}))
	t.Cleanup(replica.Close)
	service, err := url.Parse(replica.URL)
	if err != nil {
		t.Fatal(err)
	}
	u := &users{service: service, served: map[string]int{}}
	for path, want := range map[string]string{"/verdict": "web-1 tier1_mcp open fleet 7 up\n", "/start": "127.0.0.1\n"} {
		w := httptest.NewRecorder()
		u.gather(path)(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if got := w.Body.String(); got != want {
			t.Errorf("%s: %q; want %q", path, got, want)
		}
	}
}

func TestUsersCountWhoServedThem(t *testing.T) {
	answer := http.StatusOK
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answer)
		_, _ = w.Write([]byte("tier2_sdk\n"))
	}))
	t.Cleanup(replica.Close)
	service, err := url.Parse(replica.URL)
	if err != nil {
		t.Fatal(err)
	}
	u := &users{service: service, served: map[string]int{}}
	u.send(t.Context())
	u.send(t.Context())
	answer = http.StatusServiceUnavailable
	u.send(t.Context())
	w := httptest.NewRecorder()
	u.tell(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if got := w.Body.String(); got != "nobody 1\ntier2_sdk 2\n" {
		t.Errorf("served: %q", got)
	}
}

// TestPartsRefuseWhatTheyCannotBe: a container that starts with the wrong words ends at once, with a sentence.
func TestPartsRefuseWhatTheyCannotBe(t *testing.T) {
	for _, args := range []string{
		"serve-tier", "serve-tier tier9", "serve-replica", "serve-replica tier1_mcp=http://x", "serve-replica tier9=http://x",
		"serve-load", "ask",
	} {
		words := strings.Fields(args)
		ctx, cancel := await.WithTimeout(t.Context(), 5*time.Second)
		if err := servers[words[0]](ctx, words[1:]); err == nil || ctx.Err() != nil {
			t.Errorf("demo %s: %v", args, err)
		}
		cancel()
	}
}
