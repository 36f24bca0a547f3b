#!/usr/bin/env bash
# Makes promtool available to the tests of metrics and alert rules; see need.sh. Any version from 2.40 on will do.
exec "$(dirname "$0")/need.sh" promtool prometheus
