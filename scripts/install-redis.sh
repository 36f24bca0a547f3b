#!/usr/bin/env bash
# Makes redis-server available to the tests, which start their own servers on free ports; see need.sh.
# Any Redis or Valkey from 7.0 on will do.
exec "$(dirname "$0")/need.sh" redis-server redis-server
