package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

const canary = "cAnaRy-9#"

// A user of PostgreSQL without a password was taken for one, and "postgres" was hidden wherever it stood.
func TestAUserOfPostgreSQLIsNoSecret(t *testing.T) {
	if got := secretsOf("postgres://postgres@db/postgres?sslmode=disable"); len(got) > 0 {
		t.Errorf("%q", got)
	}
	const nested = "postgres://app:outer-secret@pool/app?listen_url=postgres%3A%2F%2Fapp%3Ainner%2523secret%40db%2Fapp"
	a := &app{}
	a.keep(nested)
	for _, text := range []string{shownURL(nested), a.hide("it is " + nested), a.hide("pq: inner#secret, inner%23secret and inner%2523secret of app")} {
		if strings.Contains(text, "outer-secret") || strings.Contains(text, "inner") {
			t.Errorf("%q", text)
		}
	}
}

func TestNoOutputShowsThePassword(t *testing.T) {
	guarded := miniredis.RunT(t)
	guarded.RequireAuth("another")
	urls := []string{
		"redis://u:" + canary + "@" + guarded.Addr(),
		"redis://:cAnaRy-9%23@" + guarded.Addr(),
		"redis://u:cAnaRy-9@127.0.0.1:1",
		"redis://cAnaRy-9@127.0.0.1:1",
		"redis://u:cAnaRy-9%zz@127.0.0.1:1",
		"redis://u:cAnaRy-9@127.0.0.1:port",
		"redis://u:cAnaRy-9@127.0.0.1:1/db/" + "cAnaRy-9",
		"redis://u:cAnaRy-9@127.0.0.1:1?addr=127.0.0.1:2",
		"redis://127.0.0.1:1?master_name=m&username=u&password=cAnaRy-9",
		"redis://127.0.0.1:1?master_name=m&sentinel_password=cAnaRy-9&bogus=1",
		"http://u:cAnaRy-9@127.0.0.1:1",
	}
	for _, url := range urls {
		d := newDesk(t)
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte("url = "+url+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		broken := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(broken, []byte("uri = "+url+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"list", "-v", "--url", url},
			{"doctor", "--timeout", "300ms", "-v", "--url", url},
			{"doctor", "--timeout", "300ms", "--json", "--url", url},
			{"watch", "--timeout", "300ms", "--url", url},
			{"show", "x", "-v", "--timeout", "300ms", "--url=" + url},
			{"list", url},
			{url},
			{"list", "--urll=" + url},
			{"list", "--timeout", url},
			{"show", url},
			{"-v", "list", "--url=", "--timeout", "300ms"},
			{"doctor", "--timeout", "300ms", "--config", broken},
			{"__complete", "show", "--url", url, ""},
		} {
			_, out, err := d.run(args...)
			if strings.Contains(out+err, "cAnaRy-9") {
				t.Errorf("%q: %s%s", args, out, err)
			}
		}
		delete(d.env, "COMMONTRIP_URL")
		if _, out, err := d.run("doctor", "--timeout", "300ms", "--config", file, "-v"); strings.Contains(out+err, "cAnaRy-9") {
			t.Errorf("%s: %s%s", url, out, err)
		}
	}
}

// A short password was once taken out of every word that it is a part of, and out of what had been put in its place.
func TestAShortPasswordLeavesOtherWordsAlone(t *testing.T) {
	d := newDesk(t)
	d.server.RequireAuth("x")
	address := d.server.Addr()
	code, out, err := d.run("list", "-v", "--url", "redis://:x@"+address)
	if want := "commontrip: store redis://xxxxx@" + address + " (--url), prefix commontrip (the default)\n"; code != done || !strings.HasPrefix(err, want) {
		t.Errorf("exit code %d, %q, %q; want %q", code, out, err, want)
	}
	got := d.app(nil, nil).hide(`"redis://u:y@host?master_name=m&password=z&sentinel_password=zz" is bad`)
	if want := `"redis://xxxxx@host?master_name=m&password=xxxxx&sentinel_password=xxxxx" is bad`; got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

func TestSettingsComeFromFlagThenEnvironmentThenFile(t *testing.T) {
	d := newDesk(t)
	d.closed("mcp")
	home := t.TempDir()
	file := filepath.Join(home, "commontrip", "config")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := d.env["COMMONTRIP_URL"]
	d.env = map[string]string{"XDG_CONFIG_HOME": home}
	write("# the fleet\nurl = " + url + "\n\nprefix=commontrip\nby = file\n")
	d.must("trip", "mcp")
	if by := d.read("mcp").Cause; by != "file" {
		t.Errorf("signed by %q; want the file's", by)
	}
	d.env["COMMONTRIP_PREFIX"] = "other"
	if code, _, _ := d.run("show", "mcp"); code != unknown {
		t.Errorf("exit code %d; want the environment's prefix to rule", code)
	}
	d.must("show", "mcp", "--prefix", "commontrip")
	if _, _, err := d.run("list", "-v"); !strings.Contains(err, "prefix other (COMMONTRIP_PREFIX)") || !strings.Contains(err, "("+file+")") {
		t.Errorf("%q; want it said where each came from", err)
	}
	write("prefix other\n")
	if code, _, err := d.run("list", "--url", url); code != misused || !strings.Contains(err, "line 1") {
		t.Errorf("exit code %d, %q", code, err)
	}
	if code, _, err := d.run("list", "--url", url, "--config", filepath.Join(home, "none")); code != misused || !strings.Contains(err, "no such file") {
		t.Errorf("exit code %d, %q; want a file that was asked for to be there", code, err)
	}
}
