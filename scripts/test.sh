#!/usr/bin/env bash
# Runs all tests of the main module with the race detector, and installs before what they cannot do without, if it
# may: redis-server, and a C compiler for the detector. Arguments go to go test.
#
# promtool and chromium, for the tests of rules and of the dashboard in a browser, are big: they are used if they are there,
# and installed by `make tools`, or if REQUIRE_PROMTOOL=1 and REQUIRE_CHROMIUM=1 are set, as in CI. Tests whose tool is
# missing are skipped, each with a line that says so; if REQUIRE_... is set they fail.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in redis promtool chromium; do
	require="REQUIRE_${tool^^}"
	if [[ "$tool" != redis && "${!require:-}" != 1 ]] && ! command -v "$tool" >/dev/null; then
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

set -x
exec go test ${race[@]+"${race[@]}"} -timeout 20m "$@" ./...
