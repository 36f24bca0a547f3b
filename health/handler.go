package health

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Readiness says what a service needs to be ready.
type Readiness struct {
	// Need are the names of the checks whose tiers the service cannot do without. It is ready once each of them is Up: one
	// of which nothing is known yet is as good as down, since nobody has seen it work. A name that no check has is missing,
	// and never ready, so that a misspelt one is found at the first deploy.
	Need []string
	// Breakers makes a needed tier count as down while the breaker that its check names is open. Let the check feed that
	// breaker (FeedProbes or FeedAll): a service that gets no requests sends no probes by itself, and would not come back.
	Breakers bool
}

// Handler is [Monitor.ReadyHandler] for the needed names, whatever their breakers say. Without names it is a probe of
// liveness, which is always 200.
func (m *Monitor) Handler(need ...string) http.Handler { return m.ReadyHandler(Readiness{Need: need}) }

// ReadyHandler answers GET and HEAD with what is known of all tiers, as JSON, and asks none of them. It says 200 if the
// service is ready, and 503 otherwise: before the first check of what is needed, too. A request is ended after 10 s, however
// slowly its body comes or its answer is taken.
//
//	{"ready": false, "down": ["db"], "checks": [{"name": "db", "health": "down", "problem": "timeout", ...}]}
//
// "down" lists the needed tiers that are Down, "unknown" those that have not been found Up or Down yet, "open" those whose
// breaker is open, "missing" the unknown names. Error texts are not shown, see [Status.MarshalJSON].
func (m *Monitor) ReadyHandler(ready Readiness) http.Handler {
	ready.Need = slices.Clone(ready.Need)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bound(w, r)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		a := m.answer(ready)
		code := http.StatusOK
		if !a.Ready {
			code = http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(a) // the asker has gone: nobody to tell
	})
}

// requestTime is how long a request may take to come in, and its answer to be taken.
const requestTime = 10 * time.Second

// bound lets no asker hold a request for longer than requestTime, whatever the server's own limits, if the server can. A body
// is not waited for: without "close" the server would read it before it answers.
func bound(w http.ResponseWriter, r *http.Request) {
	control, end := http.NewResponseController(w), time.Now().Add(requestTime)
	_ = control.SetWriteDeadline(end)
	if r.ContentLength != 0 {
		_ = control.SetReadDeadline(end)
		w.Header().Set("Connection", "close")
	}
}

type answer struct {
	Ready   bool     `json:"ready"`
	Down    []string `json:"down,omitempty"`
	Unknown []string `json:"unknown,omitempty"`
	Open    []string `json:"open,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Checks  []Status `json:"checks"`
}

func (m *Monitor) answer(ready Readiness) answer {
	targets := m.all()
	a := answer{Ready: true, Checks: make([]Status, len(targets))}
	for i, t := range targets {
		a.Checks[i] = t.known()
	}
	for _, name := range ready.Need {
		i := slices.IndexFunc(targets, func(t *target) bool { return t.Name == name })
		if i < 0 {
			a.Missing, a.Ready = append(a.Missing, name), false
			continue
		}
		if lists := map[Health]*[]string{Down: &a.Down, Unknown: &a.Unknown}; lists[a.Checks[i].Health] != nil {
			list := lists[a.Checks[i].Health]
			*list, a.Ready = append(*list, name), false
		}
		if ready.Breakers && targets[i].open() {
			a.Open, a.Ready = append(a.Open, name), false
		}
	}
	return a
}

// open reports whether the breaker that the check names refuses everybody.
func (t *target) open() bool { return hasBreaker(t.Breaker) && t.Breaker.State() == store.Open }
