#!/usr/bin/env bash
# Runs all tests of the main module with the race detector, and installs before what they need, where it may:
# redis-server, promtool, chromium, and a C compiler for the detector. Arguments go to go test.
#
# Where one of the three servers and tools is missing, the tests that need it are skipped, each with a line that says so;
# where it is there, or where REQUIRE_... is set as CI does, a test that does not find it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in redis promtool chromium; do
	require="REQUIRE_${tool^^}"
	if scripts/install-$tool.sh; then
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
