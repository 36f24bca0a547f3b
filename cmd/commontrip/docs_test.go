package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

const docsFile = "../../docs/cli.md"

// TestTheDocsAreCurrent holds what docs/cli.md shows to what the program writes. To write it again:
//
//	go test ./cmd/commontrip -run TestTheDocsAreCurrent -update
func TestTheDocsAreCurrent(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	docs := string(text)
	for region, content := range map[string]string{"session": session(t), "help": help(t)} {
		begin, end := "<!-- begin: "+region+" -->\n", "<!-- end: "+region+" -->"
		head, rest, ok := strings.Cut(docs, begin)
		was, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no region %q", docsFile, region)
		}
		if was != content && !*update {
			t.Errorf("the %s in %s is not current; run: go test ./cmd/commontrip -run %s -update\nit says\n%s\nwant\n%s", region, docsFile, t.Name(), was, content)
		}
		docs = head + begin + content + end + tail
	}
	if *update {
		if err := os.WriteFile(docsFile, []byte(docs), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// help is the help of every command.
func help(t *testing.T) string {
	d := newDesk(t)
	var out strings.Builder
	for _, name := range []string{
		"", "list", "show", "history", "roster", "watch", "dashboard", "dashboard ping", "doctor", "force-open", "force-closed", "lift", "trip", "reset",
		"retune", "restore", "remove", "migrate", "version",
	} {
		args := strings.Fields("help " + name)
		text, _, _ := strings.Cut(d.must(args...), "\nGlobal Flags:")
		title := strings.TrimSpace("commontrip " + name)
		out.WriteString("\n### " + title + "\n\n```text\n" + strings.TrimRight(text, "\n") + "\n```\n")
	}
	return out.String() + "\n"
}

// session is an afternoon with a fleet.
func session(t *testing.T) string {
	d := newDesk(t)
	d.closed("ledger")
	d.broken("card-network")
	d.server.SetTime(noon.Add(25 * time.Second))
	d.report(store.Report{Name: "ledger", Replica: "web-1#a1", Seq: 9, Runs: []store.Run{{Outcome: store.Success, Count: 10}}})
	var out strings.Builder
	say := func(args ...string) {
		shown := make([]string, len(args))
		for i, arg := range args {
			if shown[i] = arg; strings.Contains(arg, " ") {
				shown[i] = "'" + arg + "'"
			}
		}
		out.WriteString("$ commontrip " + strings.Join(shown, " ") + "\n" + d.must(args...) + "\n")
	}
	out.WriteString("```console\n")
	say("list")
	say("show", "card-network")
	say("history", "card-network")
	say("force-open", "card-network", "--why", "INC-42: bank is down")
	d.server.SetTime(noon.Add(2 * time.Minute))
	say("list")
	say("lift", "card-network", "--why", "bank is back")
	say("retune", "card-network", "failure_rate=30%", "ramp_up=2m", "--for", "1h", "--why", "INC-42")
	say("restore", "card-network")
	say("history", "card-network", "-n", "3")
	say("reset", "card-network")
	say("show", "ledger", "--json")
	return strings.TrimSuffix(out.String(), "\n") + "```\n"
}
