#!/usr/bin/env bash
# Builds the container images for Docker's own platform, FROM scratch, and sees the page come up in its own:
#
#   commontrip          the command line and page (deploy/image/commontrip.Dockerfile)
#   commontrip-example  the example service and its tier, for deploy/kubernetes/example
#
# Each holds the list of what it is made of (CycloneDX) in /usr/share/sbom. Usage: scripts/image.sh [TAG], by default "local"
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/release.sh

TAG="${1:-local}"

fail() {
	echo "image: $*" >&2
	exit 1
}

# authorities prints the file of the certificate authorities of this machine: an image FROM scratch has none of its own.
authorities() {
	local file
	for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
		if [[ -r "$file" ]]; then
			echo "$file"
			return
		fi
	done
	fail "this machine has no file of certificate authorities; on Debian: apt-get install ca-certificates"
}

# image NAME PACKAGE...: the image NAME of these programs.
image() {
	local name="$1" folder="bin/image/$1" package program
	shift
	rm -rf "$folder"
	mkdir -p "$folder/root/etc/ssl/certs" "$folder/root/usr/share/sbom"
	cp "$(authorities)" "$folder/root/etc/ssl/certs/ca-certificates.crt"
	for package in "$@"; do
		program="$(basename "$package")"
		release_binary linux "$ARCH" "$package" "$folder/root/$program"
		release_commit "$folder/root/$program" >/dev/null || echo "image: $program does not know its commit: this is not a clone" >&2
		release_sbom "$folder/root/$program" "$folder/root/usr/share/sbom/$program.cdx.json"
	done
	docker build --quiet --tag "$name:$TAG" --file "deploy/image/$name.Dockerfile" \
		--label org.opencontainers.image.title="$name" \
		--label org.opencontainers.image.source=https://github.com/commontrip/commontrip \
		--label org.opencontainers.image.revision="$(git rev-parse HEAD)" \
		--label org.opencontainers.image.version="$(git describe --tags --always --dirty)" \
		"$folder" >/dev/null
	echo "$name:$TAG  $(docker image inspect --format '{{.Size}}' "$name:$TAG") bytes"
}

# status is what the health check of a container says.
status() { docker inspect --format '{{.State.Health.Status}}' "$1"; }

# see_the_page runs the image as deploy/kubernetes does: read-only, without a right, and without a store that answers.
see_the_page() {
	page="$(docker run --detach --network none --read-only --cap-drop ALL --security-opt no-new-privileges \
		--health-interval 1s --env COMMONTRIP_URL=redis://127.0.0.1:1 "commontrip:$TAG")"
	trap 'docker rm --force "$page" >/dev/null' EXIT
	while [[ "$(status "$page")" == starting ]]; do sleep 0.5; done
	if [[ "$(status "$page")" != healthy ]]; then
		docker logs "$page" >&2
		docker inspect --format '{{json .State}}' "$page" >&2
		return 1
	fi
	docker exec "$page" /commontrip dashboard ping
	echo "commontrip:$TAG serves the page, and its health check says so"
}

docker info >/dev/null 2>&1 || fail "Docker does not answer; see https://docs.docker.com/engine/install"
ARCH="$(docker version --format '{{.Server.Arch}}')"
image commontrip ./cmd/commontrip
image commontrip-example ./examples/service ./cmd/demo
see_the_page || fail "the page did not come up in its image"
