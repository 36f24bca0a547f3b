#!/usr/bin/env bash
# What is released is built in one way, and the same commit gives the same bytes with the same Go: no path of this machine,
# no C. Go itself writes version and commit into the binary, from git; `commontrip version` shows them. To be sourced.

# release_binary OS ARCH PACKAGE FILE
release_binary() {
	CGO_ENABLED=0 GOOS="$1" GOARCH="$2" GOFLAGS=-mod=readonly \
		go build -trimpath -buildvcs=true -ldflags='-s -w -buildid=' -o "$4" "$3"
}

# release_commit BINARY: prints the commit that Go wrote into it; fails if there is none. Go finds it in a clone only, and not in
# a worktree of one.
release_commit() { go version -m "$1" | awk '$1 == "build" && sub(/^vcs.revision=/, "", $2) { print $2; found = 1 } END { exit !found }'; }

# release_sbom BINARY FILE: the modules that the binary says it is made of, with their sums.
release_sbom() {
	local tool
	tool="$(scripts/tool.sh cyclonedx-gomod)"
	"$tool" bin -json -std -noserial -notimestamp -output "$2" "$1"
}
