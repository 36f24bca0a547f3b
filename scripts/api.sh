#!/usr/bin/env bash
# Prints how the public API differs from that of the last release, whose commit stands in tests/api/base.txt. It fails if the
# incompatible changes are not those that tests/api/incompatible.txt lists.
# If a shallow clone does not have that commit, it says so and compares nothing. If REQUIRE_OLD_RELEASE=1 is set, that is a
# failure.
set -euo pipefail
cd "$(dirname "$0")/.."

read -r base <tests/api/base.txt
if ! git cat-file -e "$base^{commit}" 2>/dev/null; then
	echo "the last release $base is not in this clone's history: the API is not compared (REQUIRE_OLD_RELEASE=1: or fail)" >&2
	[[ "${REQUIRE_OLD_RELEASE:-}" != 1 ]]
	exit
fi

apidiff="$(scripts/tool.sh apidiff)"
module="$(go list -m)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/old"
git archive "$base" | tar -x -C "$work/old"
# apidiff says on stderr which internal packages it passes over. That is shown if it fails.
quietly() { "$@" 2>"$work/log" || { cat "$work/log" >&2 && return 1; }; }
(cd "$work/old" && quietly "$apidiff" -m -w "$work/old.api" "$module")
quietly "$apidiff" -m "$work/old.api" "$module" >"$work/all"

# Not public, though not internal for Go: what the project keeps to itself.
public() { grep -vE "^- (\./|package $module/)(cmd|examples|scripts|tests)/" || true; }
public <"$work/all"
sed '/^Compatible/,$d' "$work/all" | { grep '^- ' || true; } | public | sort >"$work/found"
{ grep '^- ' tests/api/incompatible.txt || true; } | sort >"$work/listed"
if ! diff -u --label tests/api/incompatible.txt --label "found since $base" "$work/listed" "$work/found" >&2; then
	echo "a change that breaks users is decided: list it in tests/api/incompatible.txt, and tell users in CHANGELOG.md" >&2
	exit 1
fi
