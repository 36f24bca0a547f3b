package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/dashboard"
)

// A command whose operator function panicked was in no audit.
func TestACommandWhoseOperatorFunctionPanicsIsAudited(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("no session") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var told []dashboard.Audit
			h := handler(t, seed(t, "mcp"),
				dashboard.WithOperator(func(*http.Request) (string, error) {
					end()
					return "ada", nil
				}),
				dashboard.WithAudit(func(a dashboard.Audit) { told = append(told, a) }))
			var raised any
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { raised = recover() }()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/breakers/mcp/command", strings.NewReader(`{"action":"trip","why":"x"}`))
				r.Header.Set("Content-Type", "application/json")
				h.ServeHTTP(httptest.NewRecorder(), r)
			}()
			<-done
			if (raised == "no session") != (name == "panic") {
				t.Errorf("%v came out; want the panic to go on", raised)
			}
			if len(told) != 1 || told[0].Status != http.StatusInternalServerError || told[0].Err == nil || told[0].Command.Name != "mcp" {
				t.Errorf("%+v; want one audit of mcp with 500", told)
			}
		})
	}
}

func TestAnAuditFunctionThatPanicsIsToldOnce(t *testing.T) {
	told := 0
	h := handler(t, seed(t, "mcp"), dashboard.WithAudit(func(dashboard.Audit) {
		told++
		panic("full disk")
	}))
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/breakers/mcp/command", http.NoBody))
	}()
	if told != 1 {
		t.Errorf("it was told %d times; want once", told)
	}
}
