#!/usr/bin/env bash
# Prints the path of a development tool at its pinned version, and builds it first if it is not there yet.
# Usage: scripts/tool.sh apidiff|cyclonedx-gomod|golangci-lint|govulncheck
#
# Tools are built through the Go module proxy into a cache outside of the tree ($COMMONTRIP_TOOLS, by default the
# user's cache folder), one folder a version, so that they touch neither go.mod nor the next clone's first run.
set -euo pipefail

case "${1:-}" in
apidiff) module=golang.org/x/exp/cmd/apidiff version=v0.0.0-20261113113407-e3970619a1a4 ;;
cyclonedx-gomod) module=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod version=v1.10.0 ;;
golangci-lint) module=github.com/golangci/golangci-lint/v2/cmd/golangci-lint version=v2.15.0 ;;
govulncheck) module=golang.org/x/vuln/cmd/govulncheck version=v1.9.0 ;;
*)
	echo "usage: $0 apidiff|cyclonedx-gomod|golangci-lint|govulncheck" >&2
	exit 2
	;;
esac

cache="${COMMONTRIP_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/commontrip/tools}"
# The Go version is part of the place: a linter refuses code of a newer Go than the one that it was built with.
dir="$cache/$1-$version-$(go env GOVERSION)"
if [[ ! -x "$dir/$1" ]]; then
	echo "building $1 $version into $dir (once; may take some minutes)" >&2
	mkdir -p "$dir"
	# Installed under another name first, so that a build that was cut short leaves no half a tool.
	GOBIN="$dir/new" GOFLAGS=-mod=mod go install "$module@$version" >&2
	mv "$dir/new/$1" "$dir/$1"
	rmdir "$dir/new"
fi
echo "$dir/$1"
