#!/usr/bin/env bash
# Makes a command available: says where it is, or installs it with apt if that is allowed (root, or a sudo that asks
# no password). If it is not allowed, it says how to get it and ends with 1. Run twice, it changes nothing.
# Usage: scripts/need.sh COMMAND PACKAGE...
set -euo pipefail

command="$1"
shift
say() { echo "$command: $*" >&2; }

if path="$(command -v "$command")"; then
	say "$path"
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	say "not here, and no apt-get to install it with; wanted: $* or what your system calls it"
	exit 1
fi
if [[ "$(id -u)" == 0 ]]; then
	as_root=()
elif sudo -n true 2>/dev/null; then
	as_root=(sudo -n)
else
	say "not here, and no right to install it. Run: sudo apt-get install $*"
	exit 1
fi
apt() { ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -o Dpkg::Use-Pty=0 "$@" >&2; }

say "installing $* with apt-get"
apt update -qq
apt install -y -qq --no-install-recommends "$@"
path="$(command -v "$command")" || {
	say "installed, but not in PATH"
	exit 1
}
say "$path"
