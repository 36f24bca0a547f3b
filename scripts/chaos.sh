#!/usr/bin/env bash
# Plays the scoreboard of faults and attacks, or one scenario of it, against real servers and processes, and prints what held.
# It fails if a scenario does. The lines that the scenarios leave are in bin/chaos.jsonl.
#
# Usage: scripts/chaos.sh [SCENARIO [SEED [PROFILE]]]
#   SCENARIO its number, or several with commas between; "" or all: every scenario
#   SEED     a number, to play a run again; "": 1 in the quick profile, else a new one for each scenario
#   PROFILE  full (about an hour; the default) or quick (minutes, as in CI)
set -euo pipefail
cd "$(dirname "$0")/.."

scenario="${1:-all}" seed="${2:-}" profile="${3:-full}"
if [[ ! "$scenario" =~ ^(all|[1-9][0-9]*(,[1-9][0-9]*)*)$ || ! "$seed" =~ ^[0-9]*$ || ! "$profile" =~ ^(quick|full)$ ]]; then
	sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi

# Without Redis nothing can be attacked. What else is missing skips its scenarios, each with a line that says so.
scripts/install-redis.sh
export REQUIRE_REDIS=1
scripts/install-netns.sh || echo "scenarios that need network namespaces will be skipped" >&2
race=(-race)
if ! command -v "$(go env CC)" >/dev/null && ! scripts/need.sh gcc gcc libc6-dev; then
	echo "no C compiler: playing without the race detector" >&2
	race=()
fi

test='TestScenario[0-9]+'
if [[ "$scenario" != all ]]; then
	test="TestScenario0*(${scenario//,/|})([^0-9]|\$)"
fi
mapfile -t packages < <(grep -rlE "^func ${test%(*}" --include='*_test.go' . | xargs -r dirname | sort -u)
if [[ "${#packages[@]}" == 0 ]]; then
	echo "no test plays scenario $scenario" >&2
	exit 2
fi

mkdir -p bin
out="$PWD/bin/chaos.jsonl"
: >"$out"
export COMMONTRIP_CHAOS="$profile" COMMONTRIP_CHAOS_SEED="$seed" COMMONTRIP_CHAOS_OUT="$out"
status=0
go test ${race[@]+"${race[@]}"} -count=1 -timeout 3h -p 1 -run "^$test" "${packages[@]}" || status=$?
go run ./tests/chaos/report -show "$out"
exit "$status"
