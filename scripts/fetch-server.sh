#!/usr/bin/env bash
# Prints a folder that holds the redis-server and redis-cli of another release of Debian, and fetches them first if they are
# not there yet. With that folder in front of PATH, tests start that server instead of this machine's:
#
#   PATH="$(scripts/fetch-server.sh valkey/trixie):$PATH" go test ./store/redis
#
# Usage: scripts/fetch-server.sh PACKAGE/SUITE, such as redis/trixie or valkey/forky. Of Valkey the programs are named as those
# of Redis are.
#
# Nothing is installed, and no right is needed. apt fetches what the suite has now, with what it links, into a cache
# outside of the tree, and checks signatures and sums as it always does. The programs run with the loader and the libraries
# of their own release, since those of an older system do not fit. To have a newer version of a suite, remove its folder.
#
# DEBIAN_MIRROR is the mirror, such as one of https://www.debian.org/mirror/list; by default the one that this machine's own
# packages come from.
set -euo pipefail

say() { echo "$spec: $*" >&2; }
fail() {
	say "$*"
	exit 1
}

spec="${1:-}"
package="${spec%%/*}" suite="${spec#*/}"
if [[ ! "$spec" =~ ^(redis|valkey)/[a-z-]+$ ]]; then
	echo "usage: $0 redis|valkey/SUITE; the server is ${spec:-not named}" >&2
	exit 2
fi
cache="${COMMONTRIP_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/commontrip/servers}"
dir="$cache/$package-$suite"
if [[ -x "$dir/bin/redis-server" ]]; then
	echo "$dir/bin"
	exit 0
fi

for command in apt-get dpkg-deb; do
	command -v "$command" >/dev/null || fail "needs $command, as Debian and its kin have it; other ways to the server: docker, or its own source"
done
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -e "$keys" ]] || fail "needs Debian's keys: apt-get install debian-archive-keyring"
mirror="${DEBIAN_MIRROR:-$(apt-get update --print-uris | sed -nE "s|^'(.*/debian)/*dists/.*|\1|p" | sed -n 1p)}"
[[ -n "$mirror" ]] || fail "this machine's packages come from no mirror of Debian: name one by DEBIAN_MIRROR"

mkdir -p "$cache"
work="$(mktemp -d "$cache/new.XXXXXX")"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,debs,all,new/bin,new/lib,new/program}
echo "deb [signed-by=$keys] $mirror $suite main" >"$work/sources.list"
cat >"$work/apt.conf" <<END
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::State::status "/dev/null";
Dir::Cache "$work";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
END
export APT_CONFIG="$work/apt.conf"

say "fetching it from $mirror"
apt-get update -qq >&2
# With no package installed, this is the whole closure of what the server depends on.
needed="$(apt-get install -qq --simulate --no-install-recommends "$package-server" | awk '$1 == "Inst" { print $2 }')"
(cd "$work/debs" && apt-get download -qq $needed >&2)
for deb in "$work"/debs/*.deb; do dpkg-deb --extract "$deb" "$work/all"; done

# loader ARGUMENTS: the dynamic loader of the release, with its libraries.
loader="$(find "$work/all" -name 'ld-linux*.so.*' -print -quit)"
libraries="$(find "$work/all" -name '*.so.*' -path '*/lib/*-linux-*' -printf '%h\n' | sort -u | paste -sd:)"
cp -L "$loader" "$work/new/lib/loader"
for program in server cli; do
	path="$work/all/usr/bin/$package-$program"
	cp -L "$path" "$work/new/program/redis-$program"
	for object in $("$loader" --library-path "$libraries" --list "$path" | grep -oE '=> /[^ ]+' | cut -c4- | grep -F "$work/all/"); do
		cp -L "$object" "$work/new/lib/"
	done
	cat >"$work/new/bin/redis-$program" <<END
#!/bin/sh
exec '$dir/lib/loader' --argv0 'redis-$program' --library-path '$dir/lib' '$dir/program/redis-$program' "\$@"
END
	chmod +x "$work/new/bin/redis-$program"
done
rm -rf "$dir"
mv -T "$work/new" "$dir"
say "$("$dir/bin/redis-server" --version)"
echo "$dir/bin"
