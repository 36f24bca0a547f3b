#!/usr/bin/env bash
# Plays the story of the demo cluster end to end, and says what holds. It starts the cluster again and takes it away at the
# end, whatever happened. Every wait is bounded. With COMPOSE_PROFILES=postgres the cluster is on PostgreSQL. Story and end are
# judged apart:
#
#   0  the story holds, and the cluster is gone
#   1  the story does not hold, or could not begin
#   3  the story holds, but not all of the cluster could be taken away; it says how to end it
set -euo pipefail
. "$(dirname "$0")/compose.sh"

act() { printf '\n== %s\n' "$*"; }
holds() { printf '   ok: %s\n' "$*"; }

# look PATH: what every replica that runs says there.
look() {
	local one
	for one in $(docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --filter label=com.docker.compose.service=replica); do
		docker exec "$one" /demo ask "http://127.0.0.1:8080/$1" &
	done
	wait
}

# tell TIER MODE: breaks a tier, or mends it.
tell() { docker exec "$PAGE" /demo ask "http://$1:8081/mode" "$2" >/dev/null; }

# held_by N TIER WORDS: N replicas hold the tier's breaker so; WORDS is a pattern for state, whose verdict, generation
# and store of a line of /verdict, such as "(open|half-open) own .* away". Its last word is a count of requests.
held_by() { (($(look verdict | grep -cE "^[^ ]+ $2 $3 [0-9]+$") == $1)); }

# stored TIER FIELD: what the store says of the tier's breaker.
stored() { docker exec "$PAGE" /commontrip show "$1" --json | field "$2"; }
field() { sed -nE "s/^  \"$1\": \"?([^\",]*)\"?,?\$/\1/p"; }

in_store() { [[ "$(stored "$1" state)" =~ ^$2$ ]]; } # in_store TIER STATES

# served TIER: how many requests it served, by the replicas that run.
served() { look verdict | awk -v by="$1" '$2 == by { n += $NF } END { print n + 0 }'; }

# serves TIER: it serves more requests than before.
serves() { (($(served "$1") > MARK + 20)); }

# measures VALUE QUERY: Prometheus answers the query with that one value.
measures() {
	curl -fsS --max-time 5 -G --data-urlencode "query=$2" "$PROMETHEUS/api/v1/query" | grep -qE '"value":\[[0-9.]+,"'"$1"'"\]'
}

scrapes() { # scrapes N: all N replicas are up for Prometheus
	within 60 "Prometheus scrapes $1 replicas" measures "$1" 'sum(up{job="accounts"})'
	holds "Prometheus scrapes all $1 replicas"
}

NOT_CLOSED='(open|half-open)'

breaks() {
	act "tier1 answers 503"
	tell tier1 503
	within 30 "all five replicas leave tier1" held_by 5 tier1_mcp "$NOT_CLOSED fleet .* up"
	holds "all five replicas hold the fleet's open verdict"
	MARK="$(served tier2_sdk)"
	within 30 "tier2 serves" serves tier2_sdk
	holds "tier2 serves instead"
	# It fires after two minutes, for which this story does not wait.
	within 60 "an alert tells of tier1" measures 1 'count(ALERTS{alertname="CommontripBreakerOpen", job="accounts", breaker="tier1_mcp"})'
	measures 0 'count(ALERTS{alertname="CommontripBreakerOpen", breaker!="tier1_mcp"}) or vector(0)' || fail "an alert tells of a tier that is well"
	holds "the alert CommontripBreakerOpen pends for tier1, and for no other"
	within 30 "the trip is counted" measures 1 'sum(commontrip_transitions_total{breaker="tier1_mcp", to="open", reason!="probe-failure"})'
	holds "the sum over the replicas counts one trip"
}

loses_store() {
	act "$STORE is killed, then tier2 answers 503 too"
	local before
	before="$(stored tier1_mcp generation)"
	docker kill "$KEEPER" >/dev/null
	within 30 "all five replicas miss the store" held_by 5 tier3_rest "closed [a-z]+ .* away"
	tell tier2 503
	within 60 "each replica leaves tier2 by its own verdict" held_by 5 tier2_sdk "$NOT_CLOSED own .* away"
	holds "each of the five leaves tier2 by its own verdict"
	MARK="$(served tier3_rest)"
	within 30 "tier3 serves" serves tier3_rest
	holds "tier3 serves instead"

	local memory='without its memory'
	[[ "$STORE" == redis ]] || memory='as its disk has it'
	act "$STORE is back, $memory; tier2 is well"
	docker start "$KEEPER" >/dev/null
	tell tier2 well
	within 60 "all five replicas are back on the fleet's verdict" held_by 5 tier2_sdk "closed fleet .* up"
	within 30 "the store knows tier1 again" in_store tier1_mcp "$NOT_CLOSED"
	(($(stored tier1_mcp generation) >= before)) || fail "the store has forgotten generation $before of tier1"
	holds "it holds that tier1 is open; its generation never went back"
}

# probing finds the replica that has the one probe under way, and kills it.
probing() {
	local now
	now="$(docker exec "$PAGE" /commontrip show tier1_mcp --json)"
	[[ "$(field state <<<"$now") $(field probing <<<"$now")" == "half-open 1" ]] || return 1
	PROBER="$(field cause <<<"$now")" # host-pid#incarnation
	PROBER="${PROBER%%-*}"
	docker kill "$PROBER"
}

kills_a_prober() {
	act "tier1 hangs, and the replica that probes it is killed"
	tell tier1 hang
	within 60 "a replica probes tier1" probing
	holds "killed $PROBER with the fleet's one probe under way"
	tell tier1 well
	within 60 "the other four find tier1 well" held_by 4 tier1_mcp "closed fleet .* up"
	holds "its place came back: the other four probed, and closed the breaker"
	MARK="$(served tier1_mcp)"
	within 30 "tier1 serves" serves tier1_mcp
	holds "tier1 serves again"
}

scales() {
	act "tier1 answers 503, and the fleet grows to ten"
	tell tier1 503
	within 30 "all four replicas leave tier1" held_by 4 tier1_mcp "$NOT_CLOSED fleet .* up"
	local old
	old="$(look start | cut -d' ' -f1 | sort -u)"
	compose up -d --no-deps --no-recreate --scale replica=10 replica
	within 120 "ten replicas are up" held_by 10 tier1_mcp "$NOT_CLOSED fleet .* up"
	local new
	new="$(look start | grep ' tier1_mcp ' | grep -vF "$old")"
	(($(wc -l <<<"$new") == 6)) || fail "want six newcomers: $new"
	if grep -vE "^[^ ]+ tier1_mcp $NOT_CLOSED fleet [1-9][0-9]* up 0$" <<<"$new"; then
		fail "a newcomer did not hold the verdict before its first call"
	fi
	holds "all six newcomers held the open verdict before their first call"
	tell tier1 well
	within 60 "all ten find tier1 well" held_by 10 tier1_mcp "closed fleet .* up"
	holds "all ten are back at tier1"
	scrapes 10
}

finish() {
	local status=$?
	if ((status != 0)); then
		echo "-- what was to be seen at the end:"
		look verdict || true
		docker exec "${PAGE:-none}" /commontrip list || true
		docker ps -a --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" || true
	fi
	echo "-- taking the cluster away ..."
	local gone=0
	(down) || gone=3
	case "$status" in
	0) printf '\nstory: it holds, in %d s\n' "$PLAYED" ;;
	130) printf '\nstory: interrupted\n' ;;
	*) if [[ -n "${BEGUN:-}" ]]; then printf '\nstory: IT DOES NOT HOLD\n'; else printf '\nstory: it could not begin\n'; fi ;;
	esac
	case "$gone" in
	0) echo "end: the cluster is gone" ;;
	*) echo "end: NOT ALL OF THE CLUSTER IS GONE; see above" ;;
	esac
	exit "$((status != 0 ? status : gone))"
}

trap finish EXIT
trap 'exit 130' INT TERM
if [[ -n "$(ours container)$(ours network)" ]]; then
	echo "-- taking away what an earlier run left ..."
	(down) || fail "the cluster of an earlier run is in the way"
fi
up
BEGUN=yes
PAGE="$(compose ps -q page)"
KEEPER="$(compose ps -q "$STORE")"
within 60 "tier1 serves, and all replicas hold it closed" held_by 5 tier1_mcp "closed fleet .* up"
scrapes 5
breaks
loses_store
kills_a_prober
scales
PLAYED="$SECONDS"
