#!/usr/bin/env bash
# Makes a folder that `docker build` can take for the root of an image FROM scratch: programs of this machine, with the
# shared objects that they need, and nothing else. If this machine is not Linux it ends with 1.
# Usage: scripts/program-root.sh FOLDER PROGRAM...
set -euo pipefail

root="$1"
shift
[[ "$(uname -s)" == Linux ]] && command -v ldd >/dev/null || exit 1
mkdir -p "$root"/{usr/bin,etc,data,tmp}
for program in "$@"; do
	path="$(command -v "$program")"
	cp -L "$path" "$root/usr/bin/$program"
	# Lines of ldd: "name => /path (address)" and, for the loader itself, "/path (address)".
	for object in $(ldd "$path" | grep -oE '/[^ ]+' | sort -u); do
		mkdir -p "$root$(dirname "$object")"
		cp -L "$object" "$root$object"
	done
done
echo 'program:x:65532:65532::/data:/' >"$root/etc/passwd"
chmod 1777 "$root/tmp"
chmod 777 "$root/data"
