package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/commontrip/commontrip/internal/limits"
)

func TestVersionAsksNoStore(t *testing.T) {
	d := newDesk(t)
	delete(d.env, "COMMONTRIP_URL")
	var b build
	if err := json.Unmarshal([]byte(d.must("version", "--json")), &b); err != nil || b.Version == "" || b.Go != runtime.Version() || b.Schema != limits.Schema {
		t.Errorf("%+v, %v", b, err)
	}
	for _, args := range [][]string{{"version"}, {"--version"}} {
		if out := d.must(args...); !strings.HasPrefix(out, "commontrip "+b.Version+" (commit ") || !strings.HasSuffix(out, "; schema 1\n") {
			t.Errorf("%q: %q", args, out)
		}
	}
}

func TestVersionSaysWhatTheBuildKnows(t *testing.T) {
	platform := runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + "; schema 1"
	released := &debug.BuildInfo{Main: debug.Module{Version: "v0.2.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
	}}
	for want, info := range map[string]*debug.BuildInfo{
		"commontrip (devel) (commit not known), " + platform:                 nil,
		"commontrip v0.2.0 (commit 0123456789ab, with changes), " + platform: released,
	} {
		if got := buildOf(info).String(); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
