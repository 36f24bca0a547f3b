package dashboard_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

// post is an operator's well-formed command, with a place for headers and another for the body.
func post(path, headers, body string) string {
	text := "POST " + path + " HTTP/1.1\nHost: HOST\nX-User: alice\nContent-Type: application/json\n" + headers + "\n" + body
	return text
}

const (
	commandPath = "/api/breakers/mcp/command"
	aTrip       = `{"action":"trip","why":"attack"}`
)

// attacks are raw requests that must change nothing; HOST is the server's own address.
var attacks = []struct {
	name, request string
	want          int
	audited       bool
}{
	// Another page in the operator's browser.
	{"a cross-site fetch", post(commandPath, "Sec-Fetch-Site: cross-site\n", aTrip), 403, true},
	{"a fetch from a sibling site", post(commandPath, "Sec-Fetch-Site: same-site\n", aTrip), 403, true},
	{"an unknown Sec-Fetch-Site", post(commandPath, "Sec-Fetch-Site: trust-me\n", aTrip), 403, true},
	{"a cross-site fetch that forges the Origin", post(commandPath, "Sec-Fetch-Site: cross-site\nOrigin: http://HOST\n", aTrip), 403, true},
	{"an old browser's foreign Origin", post(commandPath, "Origin: http://evil.test\n", aTrip), 403, true},
	{"the Origin null of a sandboxed frame", post(commandPath, "Origin: null\n", aTrip), 403, true},
	{"an Origin of another port", post(commandPath, "Origin: http://127.0.0.1:1\n", aTrip), 403, true},
	{"an Origin that begins with ours", post(commandPath, "Origin: http://HOST.evil.test\n", aTrip), 403, true},
	{"an Origin with ours as its user", post(commandPath, "Origin: http://HOST@evil.test\n", aTrip), 403, true},
	{"a no-cors fetch of text/plain", strings.Replace(post(commandPath, "", aTrip), "application/json", "text/plain", 1), 415, true},
	{"a form", strings.Replace(post(commandPath, "", "action=trip&why=attack"), "application/json", "application/x-www-form-urlencoded", 1), 415, true},
	{"a form with files", strings.Replace(post(commandPath, "", aTrip), "application/json", "multipart/form-data; boundary=x", 1), 415, true},
	{"no content type", strings.Replace(post(commandPath, "", aTrip), "Content-Type: application/json\n", "", 1), 415, true},
	{"JSON in a comment of the content type", strings.Replace(post(commandPath, "", aTrip), "application/json", "text/plain; application/json", 1), 415, true},
	{"a cross-site stream", "GET /api/events HTTP/1.1\nHost: HOST\nSec-Fetch-Site: cross-site\n\n", 403, false},
	{"a cross-site image of the list", "GET /api/breakers HTTP/1.1\nHost: HOST\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\n\n", 403, false},
	{"an old browser's foreign stream", "GET /api/events HTTP/1.1\nHost: HOST\nOrigin: http://evil.test\n\n", 403, false},

	// A name that somebody else points at this server.
	{"a rebound name", strings.Replace(post(commandPath, "", aTrip), "Host: HOST", "Host: evil.test", 1), 403, false},
	{"a rebound name with our port", strings.Replace(post(commandPath, "Origin: http://evil.test:8080\n", aTrip), "Host: HOST", "Host: evil.test:8080", 1), 403, false},
	{"a rebound name that reads", "GET /api/breakers HTTP/1.1\nHost: evil.test\n\n", 403, false},
	{"a rebound name that loads the page", "GET / HTTP/1.1\nHost: evil.test\n\n", 403, false},
	{"a name that begins as an address", "GET /api/breakers HTTP/1.1\nHost: 127.0.0.1.evil.test\n\n", 403, false},
	{"a name that begins as localhost", "GET /api/breakers HTTP/1.1\nHost: localhost.evil.test\n\n", 403, false},
	{"a name that ends like localhost", "GET /api/breakers HTTP/1.1\nHost: evillocalhost\n\n", 403, false},
	{"the name that tests use", "GET /api/breakers HTTP/1.1\nHost: example.com\n\n", 403, false},
	{"no name", "GET /api/breakers HTTP/1.1\nHost:\n\n", 403, false},
	{"a forwarded name of ours", "GET /api/breakers HTTP/1.1\nHost: evil.test\nX-Forwarded-Host: localhost\nForwarded: host=localhost\n\n", 403, false},
	{"a rebound name in the request line", "GET http://evil.test/api/breakers HTTP/1.1\nHost: HOST\n\n", 403, false},

	// Methods.
	{"GET of a command", "GET " + commandPath + "?action=trip&why=x HTTP/1.1\nHost: HOST\nX-User: alice\n\n", 405, false},
	{"HEAD of a command", "HEAD " + commandPath + " HTTP/1.1\nHost: HOST\nX-User: alice\n\n", 405, false},
	{"OPTIONS of a command", "OPTIONS " + commandPath + " HTTP/1.1\nHost: HOST\nOrigin: http://evil.test\nAccess-Control-Request-Method: POST\n\n", 405, false},
	{"PUT of a command", strings.Replace(post(commandPath, "", aTrip), "POST", "PUT", 1), 405, false},
	{"DELETE of a command", strings.Replace(post(commandPath, "", aTrip), "POST", "DELETE", 1), 405, false},
	{"an unknown method", strings.Replace(post(commandPath, "", aTrip), "POST", "TRIP", 1), 405, false},
	{"GET that says it is POST, by header", "GET " + commandPath + " HTTP/1.1\nHost: HOST\nX-User: alice\nX-HTTP-Method-Override: POST\nX-HTTP-Method: POST\nContent-Type: application/json\n\n" + aTrip, 405, false},
	{"GET that says it is POST, by query", "GET " + commandPath + "?_method=POST HTTP/1.1\nHost: HOST\nX-User: alice\nContent-Type: application/json\n\n" + aTrip, 405, false},
	{"GET of a breaker that says it is POST", "GET /api/breakers/mcp?action=trip HTTP/1.1\nHost: HOST\nX-User: alice\nX-HTTP-Method-Override: POST\n\n", 200, false},
	{"POST to the page", post("/", "", aTrip), 405, false},
	{"POST to a breaker", post("/api/breakers/mcp", "", aTrip), 405, false},
	{"DELETE of a breaker", strings.Replace(post("/api/breakers/mcp", "", ""), "POST", "DELETE", 1), 405, false},
	{"POST to the stream", post("/api/events", "", aTrip), 405, false},
	{"HEAD of the stream", "HEAD /api/events HTTP/1.1\nHost: HOST\n\n", 405, false},
	{"POST to the history", post("/api/breakers/mcp/history", "", aTrip), 405, false},

	// Who.
	{"anonymous", strings.Replace(post(commandPath, "", aTrip), "X-User: alice\n", "", 1), 403, true},
	{"an operator function that fails", strings.Replace(post(commandPath, "", aTrip), "alice", "broken", 1), 403, true},
	{"an operator's name that is too long", strings.Replace(post(commandPath, "", aTrip), "alice", strings.Repeat("a", 201), 1), 403, true},
	{"anonymous with a name in the body", strings.Replace(post(commandPath, "", `{"action":"trip","why":"x","by":"alice"}`), "X-User: alice\n", "", 1), 403, true},

	// Bodies.
	{"no body", post(commandPath, "", ""), 400, true},
	{"no JSON", post(commandPath, "", "trip"), 400, true},
	{"null", post(commandPath, "", "null"), 400, true},
	{"an array", post(commandPath, "", "["+aTrip+"]"), 400, true},
	{"two commands", post(commandPath, "", aTrip+aTrip), 400, true},
	{"an unknown field", post(commandPath, "", `{"action":"force-open","why":"x","four_ms":1000}`), 400, true},
	{"an unknown field of the policy", post(commandPath, "", `{"action":"retune","why":"x","policy":{"failure_rat":0.5}}`), 400, true},
	{"a policy out of range", post(commandPath, "", `{"action":"retune","why":"x","policy":{"failure_rate":1.5}}`), 400, true},
	{"an unknown action", post(commandPath, "", `{"action":"explode","why":"x"}`), 400, true},
	{"no action", post(commandPath, "", `{"why":"x"}`), 400, true},
	{"no reason", post(commandPath, "", `{"action":"trip"}`), 400, true},
	{"a blank reason", post(commandPath, "", `{"action":"trip","why":"  "}`), 400, true},
	{"a reason with a line break", post(commandPath, "", `{"action":"trip","why":"x\r\nlevel=info"}`), 400, true},
	{"a reason that turns text around", post(commandPath, "", `{"action":"trip","why":"x\u202ey"}`), 400, true},
	{"an end that no action has", post(commandPath, "", `{"action":"reset","why":"x","for_ms":1000}`), 400, true},
	{"an end beyond 30 days", post(commandPath, "", `{"action":"force-open","why":"x","for_ms":2592000001}`), 400, true},
	{"an end that overflows", post(commandPath, "", `{"action":"force-open","why":"x","for_ms":9223372036854775807}`), 400, true},
	{"a body that names another breaker", post(commandPath, "", `{"name":"ledger","action":"trip","why":"x"}`), 400, true},
	{"a body of a megabyte", post(commandPath, "", `{"action":"trip","why":"`+strings.Repeat("x", 1<<20)+`"}`), 413, true},
	{"a body in chunks without end", post(commandPath, "Transfer-Encoding: chunked\n", "8000\r\n"+strings.Repeat(" ", 0x8000)+"\r\n"), 413, true},

	// Paths.
	{"a final slash", post(commandPath+"/", "", aTrip), 405, false},
	{"two slashes", post("/api//breakers/mcp/command", "", aTrip), 405, false},
	{"two slashes in front", post("//api/breakers/mcp/command", "", aTrip), 405, false},
	{"up and down", post("/api/breakers/x/../mcp/command", "", aTrip), 405, false},
	{"up and down, escaped", post("/api/breakers/%2e%2e/mcp/command", "", aTrip), 405, false},
	{"another case", post("/API/breakers/mcp/command", "", aTrip), 405, false},
	{"an escaped slash between name and verb", post("/api/breakers/mcp%2fcommand", "", aTrip), 405, false},
	{"no name", post("/api/breakers//command", "", aTrip), 404, true},
	{"a name with a NUL", post("/api/breakers/mcp%00/command", "", aTrip), 404, true},
	{"a name that is not UTF-8", post("/api/breakers/mcp%ff/command", "", aTrip), 404, true},
	{"a name that is not there", post("/api/breakers/mcp2/command", "", aTrip), 404, true},
	{"a file above", "GET /../handler.go HTTP/1.1\nHost: HOST\n\n", 404, false},
	{"a file above, escaped", "GET /%2e%2e/handler.go HTTP/1.1\nHost: HOST\n\n", 404, false},
	{"a file above, escaped with its slash", "GET /..%2fhandler.go HTTP/1.1\nHost: HOST\n\n", 404, false},
	{"the folder of the page", "GET /ui/ HTTP/1.1\nHost: HOST\n\n", 404, false},
	{"a limit that is not one", "GET /api/breakers/mcp/history?limit=-1 HTTP/1.1\nHost: HOST\n\n", 400, false},
}

// siege is what came of all attacks.
type siege struct{ attacks, succeeded, commanded, unaudited, bare int }

// besiege sends every attack to a server, and then one command that is not an attack.
func besiege(t *testing.T) (sum siege) {
	s := seed(t, "mcp", "ledger")
	var heard audits
	server := httptest.NewServer(handler(t, s, dashboard.WithOperator(byHeader), dashboard.WithAudit(heard.add)))
	defer server.Close()
	address := server.Listener.Addr().String()
	before := [...]any{versionOf(t, s, "mcp"), versionOf(t, s, "ledger")}
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			sum.attacks++
			got := raw(t, address, attack.request)
			if got.status != attack.want {
				t.Errorf("status %d, want %d: %s", got.status, attack.want, got.body)
			}
			if after := [...]any{versionOf(t, s, "mcp"), versionOf(t, s, "ledger")}; after != before {
				sum.succeeded++
				t.Fatalf("it changed %v to %v", before, after)
			}
			if !isProtected(t, got) {
				sum.bare++
			}
			told := heard.take()
			if attack.audited {
				sum.commanded++
			}
			if len(told) > 1 || (len(told) == 1) != attack.audited {
				sum.unaudited++
				t.Fatalf("audits: %+v", told)
			}
			if len(told) == 1 && (told[0].Err == nil || told[0].Status != attack.want || told[0].Remote == "") {
				t.Errorf("audit %+v", told[0])
			}
		})
	}
	if got := raw(t, address, post(commandPath, "Sec-Fetch-Site: same-origin\n", aTrip)); got.status != 200 {
		t.Errorf("and the page's own command: %d %s", got.status, got.body)
	}
	if versionOf(t, s, "mcp") == before[0] {
		t.Error("the page's own command changed nothing: the attacks may have failed for the wrong reason")
	}
	return sum
}

func TestNoAttackChangesAnythingAndEachCommandIsAudited(t *testing.T) { besiege(t) }

func TestScenario34ForgedReboundAndNamelessRequestsChangeNothing(t *testing.T) {
	scenario := scoreboard.Start(t, 34, "dashboard: forged, rebound and nameless requests, raw")
	sum := besiege(t)
	scenario.AtLeast("attacks", sum.attacks, 30)
	scenario.Zero("attacks that changed something", sum.succeeded)
	scenario.Zero("answers without all headers", sum.bare)
	scenario.Report("attempts to command", sum.commanded)
	scenario.Zero("attempts without their audit", sum.unaudited)
}

// isProtected looks at the headers that every answer carries, whatever it says.
func isProtected(t *testing.T, a answer) (protected bool) {
	t.Helper()
	protected = true
	bad := func(format string, args ...any) {
		t.Helper()
		protected = false
		t.Errorf(format, args...)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
		"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		"Access-Control-Allow-Origin": "", "Set-Cookie": "", "Server": "",
	} {
		if got := a.header.Get(name); got != want {
			bad("%s is %q, want %q", name, got, want)
		}
	}
	csp := a.header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(csp, part) {
			bad("the Content-Security-Policy %q lacks %s", csp, part)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		bad("the Content-Security-Policy %q lets something in", csp)
	}
	return protected
}

func TestEveryRouteCarriesTheHeaders(t *testing.T) {
	h := handler(t, seed(t, "mcp"), dashboard.WithOperator(byHeader))
	for _, route := range []string{
		"/", "/app.js", "/style.css", "/icon.svg", "/policy.json", "/nothing", "/api/breakers", "/api/breakers/mcp",
		"/api/breakers/mcp/history", "/api/breakers/mcp/roster", "/api/breakers/nobody", "/api/nothing",
	} {
		t.Run(route, func(t *testing.T) { isProtected(t, get(h, route)) })
	}
}
