package main

import (
	"strings"
	"testing"

	"github.com/commontrip/commontrip/tests/postgrestest"
)

func TestMigrateMakesTheTablesOnce(t *testing.T) {
	srv := postgrestest.Start(t)
	d := &desk{t: t, env: map[string]string{"COMMONTRIP_URL": srv.TCPURL(srv.Addr())}}
	for _, c := range []struct{ args, want string }{
		{"migrate --timeout 1m", "the tables are at version 1 now; they were at 0\n"},
		{"migrate --timeout 1m", "the tables are at version 1 already; nothing was changed\n"},
		{"migrate --timeout 1m --json", "{\n  \"from\": 1,\n  \"to\": 1\n}\n"},
	} {
		if got := d.must(strings.Fields(c.args)...); got != c.want {
			t.Errorf("%s says %q; want %q", c.args, got, c.want)
		}
	}
}

func TestMigrateSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		url  string
		code int
		want string
	}{
		{"redis://:hunter2@localhost", misused, "only a store in PostgreSQL has tables"},
		{"postgres://app:hunter2@127.0.0.1:1/app", failed, "connection refused"},
		{"postgres://app:hunter2@127.0.0.1:port/app", failed, "the URL does not parse"},
	} {
		d := &desk{t: t, env: map[string]string{"COMMONTRIP_URL": c.url}}
		code, out, err := d.run("migrate")
		if code != c.code || !strings.Contains(err, c.want) || strings.Contains(out+err, "hunter2") {
			t.Errorf("%s: exit code %d, %q %q; want %d and %q, and no password", c.url, code, out, err, c.code, c.want)
		}
	}
}
