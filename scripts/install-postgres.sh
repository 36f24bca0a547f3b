#!/usr/bin/env bash
# Makes PostgreSQL and PgBouncer available to the tests, which start their own servers on free ports; see need.sh. Debian keeps
# the server's programs out of PATH. Any PostgreSQL from 13 on will do.
set -euo pipefail
PATH="$PATH:/usr/sbin" # Debian's place of pgbouncer

if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null; then
	echo "postgresql: $(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1)" >&2
else
	"$(dirname "$0")/need.sh" pg_createcluster postgresql
fi
exec "$(dirname "$0")/need.sh" pgbouncer pgbouncer
