#!/usr/bin/env bash
# Makes a folder from which `docker build` makes an image of PostgreSQL without any registry: this machine's server, and an
# empty cluster that lets in every client that reaches it. It is for the demo cluster, whose network nobody else reaches.
# Usage: scripts/postgres-image.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."

out="$1"
rm -rf "$out"
mkdir -p "$out"
scripts/install-postgres.sh
bin="$(dirname "$(readlink -f "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1 || command -v initdb)")")"
if ! PATH="$bin:$PATH" scripts/program-root.sh "$out/root" postgres pg_isready; then
	echo "an image of PostgreSQL can be made on Linux only" >&2
	exit 1
fi
mkdir -p "$out/root$bin" # the server looks for its libraries beside itself
mv "$out/root/usr/bin"/* "$out/root$bin"
for folder in "$("$bin/pg_config" --sharedir 2>/dev/null || echo "/usr/share/postgresql/$(basename "$(dirname "$bin")")")" "$(dirname "$bin")/lib"; do
	mkdir -p "$out/root$folder"
	cp -rL "$folder/." "$out/root$folder"
done
rm -rf "$out/root$(dirname "$bin")/lib"/{bitcode,llvmjit*} # for jit, which is off

# PostgreSQL and initdb do not run as root.
data="$(mktemp -d)"
trap 'rm -rf "$data"' EXIT
as=()
if ((EUID == 0)); then
	chown postgres "$data"
	as=(runuser -u postgres --)
fi
(cd "$data" && "${as[@]}" "$bin/initdb" -D "$data/data" -U postgres -E UTF8 --locale=C --auth=trust --no-sync >/dev/null)
echo 'host all all all trust' >>"$data/data/pg_hba.conf"
cat >>"$data/data/postgresql.conf" <<-'END'
	listen_addresses = '*'
	unix_socket_directories = '/tmp'
	timezone = 'GMT' # the one that needs no file
	log_timezone = 'GMT'
	jit = off
END
mkdir -p "$out/cluster/var/lib"
cp -r "$data/data" "$out/cluster/var/lib/postgres"
chmod 700 "$out/cluster/var/lib/postgres"

cat >"$out/Dockerfile" <<-END
	FROM scratch
	COPY root /
	COPY --chown=65532:65532 cluster /
	ENV PATH=$bin
	VOLUME /var/lib/postgres
	USER 65532:65532
	ENTRYPOINT ["postgres", "-D", "/var/lib/postgres"]
END
