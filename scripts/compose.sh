#!/usr/bin/env bash
# The demo cluster of docker-compose.yml, with docker-compose 1.29 or `docker compose` 2.
#
#   scripts/compose.sh up     build the images, start the cluster, wait until all of it is healthy, say what to look at
#   scripts/compose.sh down   remove its containers, networks and images, and what they were built from; it needs nothing but
#                             docker, may be run at any time, and again after it failed
#
# COMMONTRIP_PORT and COMMONTRIP_PROMETHEUS_PORT are ports of the loopback where the cluster and its Prometheus can be looked
# at, by default 18080 and 19090. With COMPOSE_PROFILES=grafana there is Grafana too, on COMMONTRIP_GRAFANA_PORT, by default
# 13000; its image comes from a registry. With COMPOSE_PROFILES=postgres a PostgreSQL keeps the verdicts.
set -euo pipefail
cd "$(dirname "$0")/.."

export COMPOSE_PROJECT_NAME=commontrip-demo COMMONTRIP_PORT="${COMMONTRIP_PORT:-18080}"
export COMMONTRIP_PROMETHEUS_PORT="${COMMONTRIP_PROMETHEUS_PORT:-19090}" COMMONTRIP_GRAFANA_PORT="${COMMONTRIP_GRAFANA_PORT:-13000}"
URL="http://127.0.0.1:$COMMONTRIP_PORT"
PROMETHEUS="http://127.0.0.1:$COMMONTRIP_PROMETHEUS_PORT"
PARTS=10 # containers that say how they are: Redis, three tiers, five replicas, and the page
STORE=redis
if [[ ",${COMPOSE_PROFILES:-}," == *,postgres,* ]]; then
	PARTS=11 STORE=postgres
	export COMMONTRIP_STORE_URL='postgres://postgres@postgres:5432/postgres?sslmode=disable'
fi

fail() {
	echo "compose: $*" >&2
	exit 1
}

compose() {
	if docker compose version >/dev/null 2>&1; then
		docker compose "$@"
	elif command -v docker-compose >/dev/null; then
		docker-compose "$@"
	else
		fail "neither docker compose nor docker-compose is here; see https://docs.docker.com/compose/install"
	fi
}

# crowd is how many processes want each core of this machine now, at least 1.
crowd() {
	local cores running=1
	cores="$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)"
	if [[ -r /proc/loadavg ]]; then
		running="$(awk '{ split($4, n, "/"); print n[1] }' /proc/loadavg)"
	fi
	echo $((running > cores ? running / cores : 1))
}

# within SECONDS WHAT COMMAND...: waits until the command succeeds, or says what it waited for, and fails. The seconds are
# those of a machine that has nothing else to do: on a busy one they last longer.
within() {
	local left=$(($1 * 5)) what="$2"
	shift 2
	until "$@" >/dev/null 2>&1; do
		((left > 0)) || fail "it did not come to this: $what"
		for ((i = $(crowd); i > 0; i--)); do sleep 0.2; done
		left=$((left - 1))
	done
}

# doing TEXT COMMAND...: says what is being done, and how long it took.
doing() {
	local text="$1" start="$SECONDS"
	shift
	echo "-- $text ..."
	"$@"
	echo "-- $text: done in $((SECONDS - start)) s"
}

parts_that_are() { docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --filter "health=$1" | wc -l; }

all_healthy() { (($(parts_that_are healthy) == PARTS)); }

# folders makes what the images are built from: binaries for Docker's own platform, and a Redis.
folders() {
	mkdir -p bin/compose/app bin/compose/postgres # compose looks for the folders of profiles that are off, too
	local arch
	arch="$(docker version --format '{{.Server.Arch}}')"
	CGO_ENABLED=0 GOOS=linux GOARCH="$arch" doing "building demo and commontrip for linux/$arch; the first time takes minutes" \
		go build -trimpath -ldflags='-s -w' -o bin/compose/app/ ./cmd/demo ./cmd/commontrip
	cp deploy/compose/app.Dockerfile bin/compose/app/Dockerfile
	doing "gathering what an image of Redis is made of; it may have to be installed" scripts/redis-image.sh bin/compose/redis
	if [[ "$STORE" == postgres ]]; then
		doing "gathering what an image of PostgreSQL is made of; it may have to be installed" scripts/postgres-image.sh bin/compose/postgres
	fi
	doing "gathering what an image of Prometheus is made of; it may have to be installed" scripts/prometheus-image.sh bin/compose/prometheus
}

up() {
	docker info >/dev/null 2>&1 || fail "Docker does not answer; see https://docs.docker.com/engine/install"
	command -v curl >/dev/null || fail "curl is not in PATH"
	folders
	doing "building the images" compose build
	doing "starting the containers" compose up -d
	echo "-- waiting until all $PARTS containers are healthy ..."
	within 120 "all $PARTS containers are healthy (see: docker ps)" all_healthy
	within 60 "Prometheus is ready (see: docker ps)" curl -fsS --max-time 5 "$PROMETHEUS/-/ready"
	cat <<-END

		The cluster is up: five replicas, three tiers, 50 requests a second. Its verdicts are kept by $STORE.

		  $URL            the operator's page
		  $PROMETHEUS/alerts     Prometheus, with the alerts of deploy/prometheus; it scrapes every replica
		  http://127.0.0.1:$COMMONTRIP_GRAFANA_PORT            Grafana with the board, if COMPOSE_PROFILES=grafana is set

		  docker exec ${COMPOSE_PROJECT_NAME}${SEPARATOR}page${SEPARATOR}1 /commontrip list
		  docker exec ${COMPOSE_PROJECT_NAME}${SEPARATOR}replica${SEPARATOR}1 /demo ask http://127.0.0.1:8080/verdict   what it holds of each tier, and how many requests that served
		  docker exec ${COMPOSE_PROJECT_NAME}${SEPARATOR}page${SEPARATOR}1 /demo ask http://tier1:8081/mode 503    break a tier: 503, hang, refuse; mend it: well
		  make compose-test   plays the whole story; make compose-down takes all of it away
	END
}

IMAGES=(commontrip-demo:local commontrip-demo-redis:local commontrip-demo-postgres:local commontrip-demo-prometheus:local commontrip-demo-grafana:local)

# ours KIND gives what the engine has of the cluster: container, network, volume or image.
ours() {
	local mine=(--filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME") image
	case "$1" in
	container) docker ps --all --quiet "${mine[@]}" ;;
	image) for image in "${IMAGES[@]}"; do docker image ls --quiet "$image"; done ;;
	*) docker "$1" ls --quiet "${mine[@]}" ;;
	esac
}

# take_away removes all of the cluster that can be removed now, and fails if something is left.
take_away() {
	local one attached status=0
	for one in $(ours container); do
		docker rm --force --volumes "$one" || status=1
	done
	for one in $(ours network); do
		# The engine may count a container that is gone as attached, and would keep the network.
		for attached in $(docker network inspect --format '{{range .Containers}}{{.Name}} {{end}}' "$one"); do
			docker network disconnect --force "$one" "$attached" || true
		done
		docker network rm "$one" || status=1
	done
	for one in $(ours volume); do
		docker volume rm --force "$one" || status=1
	done
	for one in $(ours image); do
		docker image rm --force "$one" || status=1
	done
	return "$status"
}

# down does so, and again for a while if the engine is still busy with what it was told before. It goes by the engine
# alone, and not by the files from which the cluster was made.
down() {
	docker info >/dev/null 2>&1 || fail "Docker does not answer; what it runs of the cluster is still there"
	local log
	log="$(mktemp)"
	if ! (within 30 "all of the cluster is gone" take_away) >/dev/null 2>&1 && ! take_away >"$log" 2>&1; then
		{
			echo "compose: not all of the cluster could be taken away. The engine says:"
			sed 's/^/  /' "$log"
			echo "compose: what is left:"
			left_over
			echo "compose: to end it, run this again: make compose-down"
			echo "compose: if a network \"has active endpoints\" of no container, restart the engine before (such as: systemctl restart docker)"
		} >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
	rm -rf bin/compose
}

left_over() {
	local kind one
	for kind in container network volume image; do
		for one in $(ours "$kind"); do
			echo "  $kind $one"
		done
	done
}

# Version 1 names containers with underscores, version 2 with dashes.
SEPARATOR=_
if docker compose version >/dev/null 2>&1; then
	SEPARATOR=-
fi

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
	case "${1:-}" in
	up | down) "$1" ;;
	*) fail "want up or down" ;;
	esac
fi
