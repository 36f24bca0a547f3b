#!/usr/bin/env bash
# The demo cluster of docker-compose.yml, with docker-compose 1.29 or `docker compose` 2.
#
#   scripts/compose.sh up     build the images, start the cluster, wait until all of it is healthy, say what to look at
#   scripts/compose.sh down   remove its containers, networks and images, and what they were built from
#
# COMMONTRIP_PORT and COMMONTRIP_PROMETHEUS_PORT are ports of the loopback where the cluster and its Prometheus can be looked
# at, by default 18080 and 19090. With COMPOSE_PROFILES=grafana there is Grafana too, on COMMONTRIP_GRAFANA_PORT, by default
# 13000; its image comes from a registry.
set -euo pipefail
cd "$(dirname "$0")/.."

export COMPOSE_PROJECT_NAME=commontrip-demo COMMONTRIP_PORT="${COMMONTRIP_PORT:-18080}"
export COMMONTRIP_PROMETHEUS_PORT="${COMMONTRIP_PROMETHEUS_PORT:-19090}" COMMONTRIP_GRAFANA_PORT="${COMMONTRIP_GRAFANA_PORT:-13000}"
URL="http://127.0.0.1:$COMMONTRIP_PORT"
PROMETHEUS="http://127.0.0.1:$COMMONTRIP_PROMETHEUS_PORT"
PARTS=10 # containers that say how they are: Redis, three tiers, five replicas, and the users

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

# within SECONDS WHAT COMMAND...: waits until the command succeeds, or says what it waited for, and fails.
within() {
	local end=$((SECONDS + $1)) what="$2"
	shift 2
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || fail "not in time: $what"
		sleep 0.2
	done
}

parts_that_are() { docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --filter "health=$1" | wc -l; }

all_healthy() { (($(parts_that_are healthy) == PARTS)); }

# folders makes what the images are built from: binaries for Docker's own platform, and a Redis.
folders() {
	mkdir -p bin/compose/app
	local arch
	arch="$(docker version --format '{{.Server.Arch}}')"
	CGO_ENABLED=0 GOOS=linux GOARCH="$arch" go build -trimpath -ldflags='-s -w' -o bin/compose/app/ ./cmd/demo ./cmd/commontrip
	cp deploy/compose/app.Dockerfile bin/compose/app/Dockerfile
	scripts/redis-image.sh bin/compose/redis
	scripts/prometheus-image.sh bin/compose/prometheus
}

up() {
	docker info >/dev/null 2>&1 || fail "Docker does not answer; see https://docs.docker.com/engine/install"
	command -v curl >/dev/null || fail "curl is not in PATH"
	folders
	compose build
	compose up -d
	within 120 "all $PARTS containers are healthy (see: docker ps)" all_healthy
	within 60 "Prometheus is ready (see: docker ps)" curl -fsS --max-time 5 "$PROMETHEUS/-/ready"
	cat <<-END

		The cluster is up: five replicas, three tiers, 50 requests a second.

		  $URL            the operator's page
		  $URL/replicas   what each replica holds of each breaker
		  $URL/served     who served how many requests
		  $PROMETHEUS/alerts     Prometheus, with the alerts of deploy/prometheus; it scrapes every replica
		  http://127.0.0.1:$COMMONTRIP_GRAFANA_PORT            Grafana with the board, if COMPOSE_PROFILES=grafana is set

		  docker exec ${COMPOSE_PROJECT_NAME}${SEPARATOR}load${SEPARATOR}1 /commontrip list
		  docker exec ${COMPOSE_PROJECT_NAME}${SEPARATOR}load${SEPARATOR}1 /demo ask http://tier1:8081/mode 503    break a tier: 503, hang, refuse; mend it: well
		  make compose-test   plays the whole story; make compose-down takes all of it away
	END
}

take_away() { COMPOSE_PROFILES=grafana compose down --volumes --remove-orphans --rmi all --timeout 5; }

# down tries again if the engine still counts a container that is gone as attached to a network, which it then keeps.
down() {
	local status=0 network attached
	if ! take_away; then
		for network in $(docker network ls -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME"); do
			for attached in $(docker network inspect --format '{{range .Containers}}{{.Name}} {{end}}' "$network"); do
				docker network disconnect --force "$network" "$attached" || true
			done
		done
		take_away || status=$?
	fi
	rm -rf bin/compose
	return "$status"
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
