#!/usr/bin/env bash
# Runs what depends on the server on releases of Redis and Valkey that this machine does not have: the laws, the rights of
# deploy/redis-users.acl, faults, Cluster, Sentinel, the command line with its doctor, and the demo. It goes through all of
# them, says what held on each, and fails if something did not.
#
# Usage: scripts/servers.sh [SERVER...]
#   SERVER as scripts/fetch-server.sh takes it, such as valkey/forky; by default those that docs/operations.md lists
#
# Races are not looked for: they are the same on every server, and make test finds them.
#
# With COMMONTRIP_SHORT=1 tests leave out what takes long, and the demo plays its first half only. A server that cannot be
# had is left out, with a line that says so; with REQUIRE_SERVERS=1, as in CI, that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

servers=("$@")
((${#servers[@]})) || servers=(redis/trixie valkey/trixie valkey/forky)
packages=(./store/redis ./tests/redistest ./tests/deploy ./cmd/commontrip)
export REQUIRE_REDIS=1 COMMONTRIP_DIFF_STEPS="${COMMONTRIP_DIFF_STEPS:-2000}"
test=(-count=1 -timeout 30m -skip Miniredis) demo=(-speed 2)
if [[ "${COMMONTRIP_SHORT:-}" == 1 ]]; then test+=(-short) demo+=(-only fleet); fi

work="$(mktemp -d)" pid=''
end() {
	if [[ -n "$pid" ]]; then kill -KILL "$pid" && wait "$pid"; fi 2>/dev/null || true
	pid=''
}
trap 'end; rm -rf "$work"' EXIT

# start starts redis-server on a free port of the loopback, and sets port and pid.
start() {
	for port in $(shuf -i 20000-29999 -n 5); do
		redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$work" >"$work/log" &
		pid=$!
		while kill -0 "$pid" 2>/dev/null; do # one that finds its port taken ends
			if redis-cli -p "$port" info server 2>/dev/null | grep -q "^process_id:$pid"$'\r'; then return; fi
			sleep 0.1
		done
	done
	cat "$work/log"
	return 1
}

# play plays the demo on a server, and wants nothing left there.
play() {
	local status=0 left
	start || return 1
	REDIS_URL="redis://127.0.0.1:$port" bin/demo "${demo[@]}" >"$work/demo" 2>&1 || status=$?
	left="$(redis-cli -p "$port" dbsize)"
	end
	if [[ "$status" != 0 ]]; then cat "$work/demo"; fi
	echo "demo: status $status; promises held: $(grep -c '^  held  ' "$work/demo"), not judged: $(grep -c '^  not judged  ' "$work/demo"); keys left: $left"
	[[ "$status" == 0 && "$left" == 0 ]]
}

mkdir -p bin
go build -o bin/demo ./cmd/demo
own="$PATH" failed=0
for server in "${servers[@]}"; do
	if ! bin="$(PATH="$own" scripts/fetch-server.sh "$server")"; then
		echo "=== not here: $server"
		if [[ "${REQUIRE_SERVERS:-}" == 1 ]]; then failed=1; fi
		continue
	fi
	PATH="$bin:$own"
	version="$(redis-server --version | sed -E 's/^(\w+) server v=([^ ]+) .*/\1 \2/') of $server" begin="$SECONDS" held=ok
	echo "=== $version"
	go test "${test[@]}" "${packages[@]}" || held=FAILED
	play || held=FAILED
	echo "=== $held: $version ($((SECONDS - begin)) s)"
	if [[ "$held" != ok ]]; then failed=1; fi
done
exit "$failed"
