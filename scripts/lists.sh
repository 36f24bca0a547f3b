#!/usr/bin/env bash
# Prints what the tests hold, one a line: the laws of the conformance suite, the scenarios of the scoreboard, the mutants and
# the fuzz targets. So two commits can be compared, to see that a rewrite of tests lost none:
#
#	diff <(scripts/lists.sh COMMIT) <(scripts/lists.sh)
#
# Usage: scripts/lists.sh [COMMIT]   without one: the files that git tracks, as they are
set -euo pipefail
cd "$(dirname "$0")/.."
commit="${1:-}"

# matches prints the lines that match, each behind its file: matches PATTERN PATH...
matches() { git grep -E "$1" ${commit:+"$commit"} -- "${@:2}" | sed "s|^$commit:||"; }

# The page names every law in quotes of code, and a name may go on in the next line. A test compares the page with the suite.
laws() { git grep -h '' ${commit:+"$commit"} -- docs/machine.md | tr '\n' ' ' | tr -s ' ' | grep -oE '`[0-9]+\.[0-9]{2} [^`]+`' | tr -d '`'; }
scenarios() { matches '^func TestScenario[0-9]' '*_test.go' | sed -E 's|^[^:]*:func (\w+).*|\1|'; }
mutants() { matches '^\s\{"[^"]+", "[a-z][a-z-]*", [A-Z]' tests/mutants | sed -E 's|^.*/([a-z]+)\.go:\s\{"([^"]+)".*|\1: \2|'; }
targets() { matches '^func Fuzz[A-Z]' '*_test.go' | sed -E 's|^(.*)/[^/]*:func (\w+).*|\1 \2|'; }

for kind in laws scenarios mutants targets; do
	if ! found="$("$kind")"; then
		echo "no $kind found${commit:+ at $commit}" >&2
		exit 1
	fi
	sed "s|^|$kind: |" <<<"$found" | LC_ALL=C sort -u
done
