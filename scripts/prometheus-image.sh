#!/usr/bin/env bash
# Makes a folder from which `docker build` makes an image of Prometheus with this project's rules, without any registry:
# this machine's prometheus, or, if it has none and may not install it, the official image from a registry.
# Usage: scripts/prometheus-image.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."

out="$1"
rm -rf "$out"
mkdir -p "$out/rules"
cp deploy/compose/prometheus.yml "$out/"
cp deploy/prometheus/alerts.yml deploy/prometheus/slo.yml "$out/rules/"
from=scratch root='COPY root /'
if ! scripts/need.sh prometheus prometheus || ! scripts/program-root.sh "$out/root" prometheus; then
	echo "the image is made of the official prom/prometheus:v3.5.0, from a registry" >&2
	from=prom/prometheus:v3.5.0 root=''
fi
cat >"$out/Dockerfile" <<END
FROM $from
$root
COPY prometheus.yml /etc/commontrip/
COPY rules /etc/commontrip/rules/
ENV PATH=/usr/bin:/bin
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["prometheus"]
END
