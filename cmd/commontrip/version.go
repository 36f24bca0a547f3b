package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/commontrip/commontrip/internal/limits"
)

// build is what is known of this program, and its JSON form.
type build struct {
	Version  string `json:"version"` // "(devel)" without a release
	Commit   string `json:"commit"`  // "" = not known
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Schema   int    `json:"schema"`
}

func thisBuild() build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Schema: limits.Schema}
	if info == nil {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is one line.
func (b build) String() string {
	commit := "not known"
	if b.Commit != "" {
		commit = b.Commit[:min(len(b.Commit), 12)]
	}
	if b.Modified {
		commit += ", with changes"
	}
	return fmt.Sprintf("commontrip %s (commit %s), %s, %s; schema %d", b.Version, commit, b.Go, b.Platform, b.Schema)
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Which release this is, and which schema it writes", Args: noName, ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Says which release this is, the commit it was built from, and the schema of the hashes that it writes: replicas and\n" +
			"this program must speak the same one (doctor compares). It asks no store.\n\n" +
			"JSON: {version, commit, modified, go, platform, schema}.",
		RunE: func(*cobra.Command, []string) error {
			if a.flags.json {
				return a.writeJSON(thisBuild())
			}
			fmt.Fprintln(a.out, thisBuild())
			return nil
		},
	}
}
