#!/usr/bin/env bash
# Makes qemu-arm available, which runs tests as programs of a 32-bit processor; see need.sh. It needs Linux.
exec "$(dirname "$0")/need.sh" qemu-arm qemu-user
