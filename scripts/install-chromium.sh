#!/usr/bin/env bash
# Makes chromium available to the tests that drive the dashboard as a person would; see need.sh. The fonts are there so
# that its screenshots show text, since a machine without a desktop has none.
exec "$(dirname "$0")/need.sh" chromium chromium fonts-dejavu-core
