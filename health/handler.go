package health

import (
	"encoding/json"
	"net/http"
	"slices"
)

// Handler answers GET and HEAD with what is known of all tiers, as JSON, and asks none of them. It says 503 if a needed
// tier is Down and 200 otherwise: without arguments it is a probe of liveness, with the tiers that the service cannot do
// without a probe of readiness. A needed name that no check has is missing, and that is 503 too, so that a misspelt name
// is found at the first deploy.
//
//	{"ready": false, "down": ["db"], "checks": [{"name": "db", "health": "down", "problem": "timeout", ...}]}
//
// "down" lists the needed tiers that are Down, "missing" the unknown names. Error texts are not shown, see
// [Status.MarshalJSON].
func (m *Monitor) Handler(need ...string) http.Handler {
	need = slices.Clone(need)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		a := m.answer(need)
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

type answer struct {
	Ready   bool     `json:"ready"`
	Down    []string `json:"down,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Checks  []Status `json:"checks"`
}

func (m *Monitor) answer(need []string) answer {
	a := answer{Checks: m.All()}
	for _, name := range need {
		i := slices.IndexFunc(a.Checks, func(s Status) bool { return s.Name == name })
		switch {
		case i < 0:
			a.Missing = append(a.Missing, name)
		case a.Checks[i].Health == Down:
			a.Down = append(a.Down, name)
		}
	}
	a.Ready = a.Down == nil && a.Missing == nil
	return a
}
