#!/usr/bin/env bash
# Makes a folder from which `docker build` makes an image of Redis without any registry: this machine's redis-server and
# redis-cli, with the shared objects that they need, and nothing else. Where this machine is no Linux, or has no
# redis-server and may not install it, the image is the official one, and docker needs a registry.
# Usage: scripts/redis-image.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."

out="$1"
rm -rf "$out"
mkdir -p "$out"

if [[ "$(uname -s)" != Linux ]] || ! command -v ldd >/dev/null || ! scripts/install-redis.sh; then
	echo "the image is made of the official redis:8, from a registry" >&2
	echo 'FROM redis:8' >"$out/Dockerfile"
	exit 0
fi

root="$out/root"
mkdir -p "$root"/{usr/bin,etc,data,tmp}
for program in redis-server redis-cli; do
	path="$(command -v "$program")"
	cp -L "$path" "$root/usr/bin/$program"
	# Lines of ldd: "name => /path (address)" and, for the loader itself, "/path (address)".
	for object in $(ldd "$path" | grep -oE '/[^ ]+' | sort -u); do
		mkdir -p "$root$(dirname "$object")"
		cp -L "$object" "$root$object"
	done
done
echo 'redis:x:65532:65532::/data:/' >"$root/etc/passwd"
chmod 1777 "$root/tmp"
chmod 777 "$root/data"

cat >"$out/Dockerfile" <<-'END'
	FROM scratch
	COPY root /
	ENV PATH=/usr/bin
	WORKDIR /data
	USER 65532:65532
	ENTRYPOINT ["redis-server"]
END
