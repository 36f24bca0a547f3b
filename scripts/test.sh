#!/usr/bin/env bash
# Runs all tests of the main module with the race detector, and installs before what they need: redis-server, and a C
# compiler for the detector. Arguments go to go test.
#
# Without redis-server the tests against a real Redis are skipped, each with a line that says so; where it is there, or
# where REQUIRE_REDIS=1 is set as CI does, a test that does not find it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

if scripts/install-redis.sh; then
	export REQUIRE_REDIS=1
elif [[ "${REQUIRE_REDIS:-}" != 1 ]]; then
	echo "tests against a real Redis will be skipped" >&2
fi

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
