#!/usr/bin/env bash
# Builds the static binaries of the command line that a release has, into bin/release: for each system and processor a
# binary and the list of what it is made of (CycloneDX), and SHA256SUMS for all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/release.sh

out=bin/release
rm -rf "$out"
mkdir -p "$out"
for os in linux darwin windows; do
	for arch in amd64 arm64; do
		file="$out/commontrip-$os-$arch"
		if [[ "$os" == windows ]]; then
			file+=.exe
		fi
		echo "building $file" >&2
		release_binary "$os" "$arch" ./cmd/commontrip "$file"
		release_commit "$file" >/dev/null || {
			echo "binaries: $file does not know its commit; build it in a clone of the repository" >&2
			exit 1
		}
		release_sbom "$file" "$file.cdx.json"
	done
done
cd "$out"
if command -v sha256sum >/dev/null; then
	sha256sum commontrip-* >SHA256SUMS
else
	shasum -a 256 commontrip-* >SHA256SUMS
fi
cat SHA256SUMS
