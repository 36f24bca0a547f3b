#!/usr/bin/env bash
# Makes redis-server available to the tests, which start their own servers on free ports; see need.sh.
# Any Redis from 6.2 on will do; for Valkey, and for other releases, see fetch-server.sh.
exec "$(dirname "$0")/need.sh" redis-server redis-server
