#!/usr/bin/env bash
# Prints the Secret that this folder's manifests want, with new passwords each time: the users of Redis (deploy/redis-users.acl,
# switched on), and the URLs by which replicas and the page use it. Passwords stand on no command line and in no file. A client without a password
# may ping, for the probes, and have the file of users read again, after it was changed.
# Usage: deploy/kubernetes/secret.sh [NAMESPACE] | kubectl apply -f -    NAMESPACE is commontrip if it is not given
set -euo pipefail
cd "$(dirname "$0")"

password() { od -An -v -N24 -tx1 /dev/urandom | tr -d ' \n'; }

replica="$(password)"
viewer="$(password)"
cat <<END
apiVersion: v1
kind: Secret
metadata:
  name: commontrip-redis
  namespace: ${1:-commontrip}
  labels: {app.kubernetes.io/name: commontrip-redis, app.kubernetes.io/component: store, app.kubernetes.io/part-of: commontrip}
type: Opaque
stringData:
  url: redis://commontrip:$replica@commontrip-redis:6379
  viewer-url: redis://commontrip-viewer:$viewer@commontrip-redis:6379
  users.acl: |
    user default on nopass resetkeys resetchannels -@all +ping +acl|load
END
while read -r line; do
	line="${line/#user commontrip off resetpass /user commontrip on resetpass >$replica }"
	echo "    ${line/#user commontrip-viewer off resetpass /user commontrip-viewer on resetpass >$viewer }"
done <../redis-users.acl
