#!/usr/bin/env bash
# Makes promtool available to the tests of the metrics and of the Prometheus rules; see need.sh.
exec "$(dirname "$0")/need.sh" promtool prometheus
