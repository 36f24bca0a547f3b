#!/usr/bin/env bash
# Runs the tests of the main module with the race detector, and installs before what they cannot do without, if it
# may: redis-server, and a C compiler for the detector. Arguments go to go test.
#
# With -short tests leave out what takes the processor for long; at the end it says which did. Without it all runs.
#
# PostgreSQL, promtool and chromium, for the tests of its store, of rules and of the dashboard in a browser, are big: they are
# used if they are there, and installed by `make tools`, or if REQUIRE_POSTGRES=1, REQUIRE_PROMTOOL=1 and REQUIRE_CHROMIUM=1
# are set, as in CI. Tests whose tool is missing are skipped, each with a line that says so; if REQUIRE_... is set they fail.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in redis postgres promtool chromium; do
	require="REQUIRE_${tool^^}"
	if [[ "$tool" != redis && "${!require:-}" != 1 ]] && ! command -v "$tool" >/dev/null &&
		! compgen -G "/usr/lib/postgresql/*/bin/$tool" >/dev/null; then
		echo "tests that need $tool will be skipped; to have it: make tools" >&2
	elif scripts/install-$tool.sh; then
		export "$require=1"
	elif [[ "${!require:-}" != 1 ]]; then
		echo "tests that need $tool will be skipped" >&2
	fi
done

race=(-race)
if ! command -v "$(go env CC)" >/dev/null && ! scripts/need.sh gcc gcc libc6-dev; then
	if [[ "${CI:-}" == true ]]; then
		exit 1
	fi
	echo "no C compiler: testing without the race detector" >&2
	race=()
fi

# left_out names the tests that look at -short, by their folders.
left_out() {
	local folder tests
	echo "Left out by -short, in whole or in part, and run by make test-all:"
	grep -rl --include='*_test.go' 'testing\.Short()' . | xargs -n1 dirname | sort -u | while read -r folder; do
		tests="$(awk '/^func Test/ { sub(/\(.*/, "", $2); name = $2 } /testing\.Short\(\)/ && name != "TestMain" { print name }' "$folder"/*_test.go | sort -u | paste -sd' ')"
		if [[ -n "$tests" ]]; then
			echo "  ${folder#./}: $tests"
		fi
	done
	echo "  store/redis: TestDifferential plays $COMMONTRIP_DIFF_STEPS steps"
	echo "  everywhere: random histories of properties are a fifth as many"
}

# The deadline is for what hangs. On a machine that is busy with other things a package may take many times its own time.
limit=90m
short=false
if [[ " $* " == *" -short "* ]]; then
	short=true
	export COMMONTRIP_DIFF_STEPS="${COMMONTRIP_DIFF_STEPS:-700}"
fi

status=0
(
	set -x
	go test ${race[@]+"${race[@]}"} -timeout "$limit" "$@" ./...
) || status=$?
if "$short"; then
	left_out
fi
exit "$status"
