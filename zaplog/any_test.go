package zaplog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
)

// zap.Any and encoding/json wrote "Err":{} of whatever has an error in a field.
func TestWhatIsGivenToALoggerAsItIsTellsItsError(t *testing.T) {
	refused := errors.New("no such operator")
	opened := store.Transition{Name: "mcp", From: store.Closed, To: store.Open, Generation: 7, Reason: store.ByFailureRate}
	for name, c := range map[string]struct {
		value any
		want  string // of the JSON form, in order, with anything between
	}{
		"an audit": {
			dashboard.Audit{Command: store.Command{Name: "mcp", Action: store.Trip, For: time.Minute, By: "ada", Why: "INC-42"}, Remote: "10.0.0.1:1", Status: 403, Err: refused},
			`{"by":"ada","breaker":"mcp","action":"trip","for_ms":60000,"why":"INC-42","remote":"10.0.0.1:1","status":403,"error":"no such operator"}`,
		},
		"an audit that understood nothing": {
			dashboard.Audit{Status: 403, Err: refused}, `{"by":"","breaker":"","why":"","remote":"","status":403,"error":"no such operator"}`,
		},
		"an audit of a policy": {
			dashboard.Audit{Command: store.Command{Action: store.Retune, Policy: store.FleetPolicy()}, Err: refused}, `"policy":{"window_calls":100,* "error":"no such operator"}`,
		},
		"the manager's event": {
			breaker.Event{Kind: breaker.StoreLost, Err: refused},
			`{"kind":"store-lost","sentence":"the store is lost: no such operator; the replica's own verdict rules","error":"no such operator"}`,
		},
		"a transition's event": {
			breaker.Event{Kind: breaker.Transitioned, Name: "mcp", Transition: opened, Err: refused},
			`{"kind":"transitioned","breaker":"mcp","sentence":"mcp opened* "transition":{"name":"mcp","from":"closed","to":"open"* "error":"no such operator"}`,
		},
		"a trace": {
			fallback.Trace{Tier: "sdk", Elapsed: time.Second, Attempts: []fallback.Attempt{{Tier: "mcp", Skipped: true, Err: refused, Elapsed: time.Millisecond}}},
			`{"tier":"sdk","attempts":[{"tier":"mcp","skipped":true,"error":"no such operator","elapsed_ms":1}],"elapsed_ms":1000}`,
		},
		"an attempt": {retry.Attempt{Number: 2, Err: refused, Wait: time.Second, Elapsed: time.Minute}, `{"number":2,"error":"no such operator","wait_ms":1000,"elapsed_ms":60000}`},
		"a result":   {store.Result{Err: refused, Made: &opened, Again: time.Second}, `{"snapshot":{* "made":{* "again_ms":1000,"error":"no such operator"}`},
	} {
		if line := asAny(t, c.value); !strings.Contains(line, "no such operator") {
			t.Errorf("%s: zap.Any writes %s", name, line)
		}
		form, err := json.Marshal(c.value)
		rest := string(form)
		for _, part := range strings.Split(c.want, "* ") {
			_, after, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s: %s, %v; lacks %s", name, form, err, part)
			}
			rest = after
		}
	}
	carriedOut := dashboard.Audit{Command: store.Command{Name: "mcp", Action: store.Lift, By: "ada"}, Status: 200}
	if line := asAny(t, carriedOut); strings.Contains(line, "error") {
		t.Errorf("%s; want no error", line)
	}
}

// asAny is what zap.Any makes of a value.
func asAny(t *testing.T, value any) string {
	t.Helper()
	var out bytes.Buffer
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
	zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.InfoLevel)).Info("", zap.Any("value", value))
	var line map[string]json.RawMessage
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%s: %v", out.Bytes(), err)
	}
	if problem, failed := line["valueError"]; failed {
		return "no line: " + string(problem)
	}
	return string(line["value"])
}

// It was an error, since its events are counted by a struct.
func TestAStatusCanBeLoggedAsItIs(t *testing.T) {
	s := breaker.ManagerStatus{Breakers: []breaker.Status{{Name: "mcp", Events: map[breaker.EventClass]uint64{
		{Kind: breaker.Transitioned, Here: true, From: breaker.Closed, To: breaker.Open, Reason: breaker.ByFailureRate}: 3,
		{Kind: breaker.Transitioned, From: breaker.HalfOpen, To: breaker.Open, Action: breaker.Retune}:                  1,
	}}}}
	const want = `"Events":{"transitioned half-open open retune":1,"transitioned here closed open failure-rate":3}`
	if form, err := json.Marshal(s); err != nil || !strings.Contains(string(form), want) {
		t.Errorf("%v: %s; want %s in it", err, form, want)
	}
	if line := asAny(t, s); !strings.Contains(line, want) {
		t.Errorf("zap.Any writes %s", line)
	}
}
