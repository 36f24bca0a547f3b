package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/config"
)

const secret = "hunter2"

func TestAPasswordIsInNoPrintedForm(t *testing.T) {
	c := good(t, "CIRCUIT_BREAKER_STORE_URL=redis://ops:"+secret+"@db:6379/0?sentinel_password="+secret)
	if !strings.Contains(c.Store.URL, secret) {
		t.Fatal("the program itself needs it")
	}
	forms := map[string]string{"Store.String": c.Store.String(), "Store.LogValue": c.Store.LogValue().String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%10.3v"} {
		for name, v := range map[string]any{"Config": c, "*Config": &c, "Store": c.Store, "*Store": &c.Store, "slice": []config.Store{c.Store}} {
			forms[name+" "+verb] = fmt.Sprintf(verb, v)
		}
	}
	for name, v := range map[string]any{"Config": c, "Store": c.Store, "*Config": &c} {
		asJSON, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		forms[name+" JSON"] = string(asJSON)
		for kind, handler := range map[string]func(*bytes.Buffer) slog.Handler{
			"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("read", "config", v)
			forms[name+" slog "+kind] = out.String()
		}
	}
	for form, text := range forms {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s: %s", form, text)
		}
	}
	for _, form := range []string{"Config %+v", "Store %v", "Store %#v", "Config JSON", "Store slog text"} {
		if !strings.Contains(forms[form], "redis://xxxxx@db:6379/0?xxxxx") {
			t.Errorf("%s hides too much: %s", form, forms[form])
		}
	}
	plain := config.Store{URL: "redis://db:6379/1", Prefix: "p", Timeout: time.Second}
	if got := plain.String(); got != "{URL:redis://db:6379/1 Prefix:p Timeout:1s}" {
		t.Errorf("got %s", got)
	}
}

func TestAPasswordIsInNoError(t *testing.T) {
	for _, value := range []string{
		"http://ops:" + secret + "@db:6379",
		"redis://ops:" + secret + "%zz@db:6379",
		"redis://ops:" + secret + "/" + secret + "@db",
		"redis://ops:" + secret + "?" + secret + "#" + secret + "@db:port",
		"redis://ops:a@" + secret + "@db:port",
		"redis://:" + secret,
		"redis://db:port?password=" + secret,
		"http://db?auth=x&" + secret,
		"ops:" + secret + "@db:6379",
		"redis:ops:" + secret + "@db:6379",
		"redis://:" + secret + "@a:1,redis://:" + secret + "@b:2:3",
		"redis:// ops:" + secret + "@db",
	} {
		for _, variable := range []string{"CIRCUIT_BREAKER_STORE_URL", "CIRCUIT_BREAKER_OPEN_FOR", "CIRCUIT_BREAKER_STORE_DOWN", "RETRY_JITTER_ENABLED", "CIRCUIT_BREAKER__MCP__PROBES"} {
			c, err := config.From([]string{variable + "=" + value})
			if err == nil && strings.HasSuffix(variable, "_URL") { // a URL to url.Parse, for the store to refuse
				err = &config.Error{Variable: variable, Want: c.Store.String()}
			}
			var e *config.Error
			if !errors.As(err, &e) || strings.Contains(fmt.Sprintf("%+v %#v %v", err, e, e), secret) {
				t.Errorf("%s=%s: %v", variable, value, err)
			}
		}
	}
	_, err := config.From([]string{"RETRY_DELAY=redis://:" + secret + "@db", "RETRY_BASE_DELAY=redis://:" + secret + "2@db"})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
}

func TestALongValueIsCut(t *testing.T) {
	e := bad(t, "RETRY_BASE_DELAY="+strings.Repeat("x", 100_000))["RETRY_BASE_DELAY"]
	if e == nil || len(e.Value) > 300 {
		t.Errorf("%d bytes", len(e.Value))
	}
}
