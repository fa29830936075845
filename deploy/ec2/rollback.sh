#!/usr/bin/env bash
# Put the version that ran before into use again: rollback.sh admin@HOST
set -euo pipefail

if [ $# -ne 1 ]; then
	echo "usage: $0 HOST" >&2
	exit 2
fi
# shellcheck disable=SC2086
exec ssh ${SSH_OPTIONS-} "$1" bash -s -- rollback <"$(dirname "$0")/host.sh"
