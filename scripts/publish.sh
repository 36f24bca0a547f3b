#!/usr/bin/env bash
# Makes a release of a tag from what make binaries and make image have built: binaries and the image, each with its list of
# modules, SHA256SUMS, and what CHANGELOG.md says of the version. Usage: scripts/publish.sh v0.2.0; with --dry-run before
# the tag it stops before it tells anybody, and prints what it would tell.
set -euo pipefail
cd "$(dirname "$0")/.."

dry=false
if [[ "${1:-}" == --dry-run ]]; then
	dry=true
	shift
fi
tag="${1:-}"
if [[ ! "$tag" =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]]; then
	echo "publish: the tag is '$tag'; want one like v0.2.0 or v0.2.0-rc.1" >&2
	exit 2
fi

notes="$(awk -v version="[${tag#v}]" '/^## / { inside = ($2 == version); next } inside' CHANGELOG.md)"
if [[ -z "${notes//[[:space:]]/}" ]]; then
	echo "publish: CHANGELOG.md has no section '## [${tag#v}]', or an empty one" >&2
	exit 1
fi
if "$dry"; then
	printf '%s\n' "$notes"
	exit
fi

(cd bin/release && sha256sum --check --quiet SHA256SUMS)
docker save "commontrip:$tag" | gzip -n >bin/release/commontrip-image-linux.tar.gz
(cd bin/release && sha256sum commontrip-* >SHA256SUMS)
gh release create "$tag" --verify-tag --title "$tag" --notes "$notes" bin/release/*
