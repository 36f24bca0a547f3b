#!/usr/bin/env bash
# Makes a folder from which `docker build` makes an image of Redis without any registry: this machine's redis-server and
# redis-cli. If this machine is not Linux, or has no redis-server and may not install it, the image is the official one,
# and docker needs a registry.
# Usage: scripts/redis-image.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."

out="$1"
rm -rf "$out"
mkdir -p "$out"
if ! scripts/install-redis.sh || ! scripts/program-root.sh "$out/root" redis-server redis-cli; then
	echo "the image is made of the official redis:8, from a registry" >&2
	echo 'FROM redis:8' >"$out/Dockerfile"
	exit 0
fi
cat >"$out/Dockerfile" <<-'END'
	FROM scratch
	COPY root /
	ENV PATH=/usr/bin
	WORKDIR /data
	USER 65532:65532
	ENTRYPOINT ["redis-server"]
END
