package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A service and the command line read the store's URL and prefix by two names each.
func TestAServicesVariablesDoForTheCommandLineToo(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	url := d.env["COMMONTRIP_URL"]
	d.env = map[string]string{"CIRCUIT_BREAKER_STORE_URL": url, "CIRCUIT_BREAKER_STORE_PREFIX": "commontrip"}
	d.must("show", "mcp")
	if _, _, err := d.run("list", "-v"); !strings.Contains(err, "(CIRCUIT_BREAKER_STORE_URL), prefix commontrip (CIRCUIT_BREAKER_STORE_PREFIX)") {
		t.Errorf("%q; want it said where each came from", err)
	}
	d.env["COMMONTRIP_PREFIX"] = "other"
	if _, _, err := d.run("list", "-v"); !strings.Contains(err, "prefix other (COMMONTRIP_PREFIX)") {
		t.Errorf("%q; want the program's own name to rule", err)
	}
	d.env["CIRCUIT_BREAKER_STORE_URL"] = "redis://u:cAnaRy-9@nowhere:1"
	d.env["COMMONTRIP_URL"] = url
	if _, out, err := d.run("list", "-v"); strings.Contains(out+err, "cAnaRy-9") {
		t.Errorf("a password is shown: %s%s", out, err)
	}
}

// The quotes of an env file, and of the program's own file, silently became a part of the prefix.
func TestAPairOfQuotesIsStrippedHereToo(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	url := d.env["COMMONTRIP_URL"]
	d.env = map[string]string{"COMMONTRIP_URL": `"` + url + `"`, "COMMONTRIP_PREFIX": "'commontrip'"}
	d.must("show", "mcp")
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("url = \""+url+"\"\nprefix = 'commontrip'\nby = \"on call\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.env = map[string]string{}
	d.must("trip", "mcp", "--config", file)
	if by := d.read("mcp").Cause; by != "on call" {
		t.Errorf("signed by %q", by)
	}
	for name, value := range map[string]string{"COMMONTRIP_URL": `"redis://u:cAnaRy-9@db`, "COMMONTRIP_PREFIX": `team"`} {
		d.env = map[string]string{"COMMONTRIP_URL": url}
		d.env[name] = value
		if code, out, err := d.run("list"); code != misused || !strings.Contains(err, name) || !strings.Contains(err, "quote") || strings.Contains(out+err, "cAnaRy-9") {
			t.Errorf("%s=%s: exit code %d, %q", name, value, code, err)
		}
	}
}
