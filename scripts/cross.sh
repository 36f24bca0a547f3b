#!/usr/bin/env bash
# Builds the main module for systems and processors other than this machine's, and vets it with its tests for the system that
# differs most. Then it runs tests as programs of a 32-bit processor, under qemu: there an atomic of 64 bits that is not aligned panics, and a number that needs
# more than 32 bits overflows an int.
# If qemu is missing and may not be installed, these tests are left out, with a line that says so. If REQUIRE_QEMU=1 is set,
# that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

for target in windows/amd64 darwin/arm64 linux/386 linux/arm; do
	echo "--- $target: build"
	GOOS="${target%/*}" GOARCH="${target#*/}" go build ./...
done
echo "--- windows/amd64: vet"
GOOS=windows GOARCH=amd64 go vet ./...

if ! scripts/install-qemu.sh; then
	if [[ "${REQUIRE_QEMU:-}" == 1 ]]; then
		exit 1
	fi
	echo "tests of a 32-bit processor are left out (REQUIRE_QEMU=1: or fail)" >&2
	exit 0
fi
programs="$(mktemp -d)"
trap 'rm -rf "$programs"' EXIT
for package in breaker retry fallback health store store/memory; do
	echo "--- linux/arm: the short tests of $package"
	GOOS=linux GOARCH=arm go test -c -o "$programs/test" "./$package"
	(cd "$package" && qemu-arm "$programs/test" -test.short)
done
