#!/usr/bin/env bash
# Put a version into use on a host, beside the one that runs:
#
#   IMAGE=you/flight-prophet deploy.sh admin@HOST 1.2.3
#
# If anything goes wrong, the host goes on serving what it serves. SSH_OPTIONS are ssh's.
set -euo pipefail

if [ $# -ne 2 ]; then
	echo "usage: IMAGE=you/flight-prophet $0 HOST TAG" >&2
	exit 2
fi
: "${IMAGE:?name the image, as in IMAGE=you/flight-prophet}"
# shellcheck disable=SC2086
exec ssh ${SSH_OPTIONS-} "$1" bash -s -- deploy "$IMAGE:$2" <"$(dirname "$0")/host.sh"
