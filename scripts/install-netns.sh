#!/usr/bin/env bash
# Makes `ip` and `nft` available to the tests that cut and lose packets between replicas and their Redis, in network
# namespaces that they make; see need.sh. Those tests need Linux and root as well.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin" # where Debian keeps both; not every user's PATH has it
need="$(dirname "$0")/need.sh"
"$need" ip iproute2
"$need" nft nftables
