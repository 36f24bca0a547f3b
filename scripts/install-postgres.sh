#!/usr/bin/env bash
# Makes PostgreSQL available to the tests, which start their own servers on free ports; see need.sh. Debian keeps the server's
# programs out of PATH. Any PostgreSQL from 13 on will do.
if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null; then
	echo "postgresql: $(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1)" >&2
	exit 0
fi
exec "$(dirname "$0")/need.sh" pg_createcluster postgresql
