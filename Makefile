# commontrip: what can be done here. `make` alone lists it. Needs Go, GNU make and bash; the rest is installed or said.

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help api demo compose compose-test compose-down integration chaos mutants test servers test-all lint fmt bench peers \
	fuzz cover cross diff lists image binaries kubernetes tools vuln

DEMO       ?=
FUZZTIME   ?= 20000x
BENCHTIME  ?= 1s
BENCH      ?= .
DIFF_STEPS ?= 200000
SCENARIO   ?=
SEED       ?=
PROFILE    ?= full
PEERS      ?=
COMMIT     ?=
SERVERS    ?=
IMAGE_TAG  ?= local

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## a fleet on this machine that loses its tiers, and what that cost (about a minute; DEMO="-h" for its flags)
	@mkdir -p bin
	go build -o bin/demo ./cmd/demo
	@./bin/demo $(DEMO)

compose: ## the demo fleet in containers: Redis, three tiers, five replicas, load (docker-compose 1.29 or docker compose 2)
	@scripts/compose.sh up

compose-test: ## the story of that fleet, from its start to its end, with an exit status
	@scripts/compose-test.sh

compose-down: ## take that fleet away: containers, networks, images
	@scripts/compose.sh down

integration: ## Redis in containers, alone, as Cluster, under Sentinels, with TLS, with least rights (REQUIRE_DOCKER=1: or fail)
	@scripts/install-netns.sh || echo "scenarios that keep servers apart will be skipped" >&2
	COMMONTRIP_INTEGRATION=1 go test -race -count=1 -timeout 20m ./tests/integration

chaos: ## every fault and attack of the scoreboard, about an hour (SCENARIO=15 SEED=7 for one; PROFILE=quick for minutes)
	@scripts/chaos.sh '$(SCENARIO)' '$(SEED)' '$(PROFILE)'

mutants: ## small bugs put into machine, scripts and breaker, one at a time: does a test find each? (about 20 minutes)
	@scripts/install-redis.sh
	REQUIRE_REDIS=1 go run ./tests/mutants

test: ## the tests with the race detector, in minutes; installs redis-server if it may, and says what it leaves out
	@scripts/test.sh -short

servers: ## what depends on the server, on other releases of Redis and Valkey (SERVERS="valkey/forky"; REQUIRE_SERVERS=1: or fail)
	@scripts/servers.sh $(SERVERS)

test-all: ## all tests with the race detector, with what make test leaves out since it takes the processor for long
	@scripts/test.sh

lint: ## golangci-lint at its pinned version (.golangci.yml), built on first use
	@linter="$$(scripts/tool.sh golangci-lint)"; set -x; "$$linter" run --allow-parallel-runners ./...

fmt: ## rewrite all Go files as gofumpt wants them
	@linter="$$(scripts/tool.sh golangci-lint)"; set -x; "$$linter" fmt ./...

bench: ## benchmarks with allocations, beside other libraries too (BENCH=regexp, BENCHTIME=1s)
	for module in . tests/peers; do \
		go -C "$$module" test -run '^$$' -bench '$(BENCH)' -benchtime '$(BENCHTIME)' -benchmem ./... | \
			grep -vE '\[no test(s to run| files)\]$$'; \
	done

peers: ## tables beside other libraries, small (about an hour with PEERS='-full -write', into docs/performance.md)
	@scripts/install-redis.sh
	REQUIRE_REDIS=1 go -C tests/peers test -p 1 -count=1 -v -run '^TestTable' -timeout 100m ./inprocess ./shared ./scale \
		-args $(PEERS)

fuzz: ## every fuzz target in turn (FUZZTIME=20000x runs each, or a time such as 1m)
	@scripts/fuzz.sh '$(FUZZTIME)'

cover: ## test coverage of each package against all tests, and cover.html
	@mkdir -p bin
	@scripts/install-redis.sh || true
	go test -short -coverpkg ./... -coverprofile bin/cover.out ./... >/dev/null
	@go tool cover -func bin/cover.out | tail -1
	@go tool cover -html bin/cover.out -o bin/cover.html
	@echo "line by line: bin/cover.html"

diff: ## random histories through the machine in Go and in Lua, which must agree (DIFF_STEPS=200000)
	@scripts/install-redis.sh
	REQUIRE_REDIS=1 COMMONTRIP_DIFF_STEPS='$(DIFF_STEPS)' \
		go test -run '^TestDifferential' ./store/redis -count=1 -v -timeout 60m

cross: ## builds for windows, darwin, 386 and arm, and short tests on a 32-bit processor under qemu (REQUIRE_QEMU=1: or fail)
	@scripts/cross.sh

api: ## the public API beside that of the last release; fails for a change that breaks users and is not listed
	@scripts/api.sh

lists: ## the laws, scenarios, mutants and fuzz targets, one a line, to compare two commits (COMMIT=HEAD~1 for an older one)
	@scripts/lists.sh $(COMMIT)

image: ## container images of command line, page and example service, FROM scratch (needs Docker; IMAGE_TAG=local)
	@scripts/image.sh '$(IMAGE_TAG)'

binaries: ## static binaries for linux, darwin and windows, amd64 and arm64, each with an SBOM, into bin/release
	@scripts/binaries.sh

kubernetes: ## every object of deploy/kubernetes, decoded strictly and held to what it names
	@scripts/install-redis.sh || true
	go -C tests/deploy/kubernetes test -race -count=1 ./...

vuln: ## govulncheck, if its database can be reached
	@checker="$$(scripts/tool.sh govulncheck)"; set -x; "$$checker" ./...

tools: ## install what the other targets need, now: redis-server, PostgreSQL, promtool, chromium, the linter
	@scripts/install-redis.sh
	@scripts/install-postgres.sh
	@scripts/install-promtool.sh
	@scripts/install-chromium.sh
	@scripts/tool.sh golangci-lint
