# shellcheck shell=bash
# What deploy.sh and rollback.sh run on the host: `deploy IMAGE:TAG` or `rollback`.
#
# Caddy listens for the world and passes requests on to one of two local ports: to 8002
# while a file of that name is there, else to 8001. So nothing is reloaded when a new
# version takes over, and no connection is closed. It starts at the free port and has to
# answer first.
set -euo pipefail

ACTIVE=flight-prophet
PREVIOUS=flight-prophet-previous
CANDIDATE=flight-prophet-candidate
SETTINGS=/etc/flight-prophet.env
# What POST /flights tells, for this version and the next.
LIVE=flight-prophet-live
SWITCH=${SWITCH:-/etc/caddy/flight-prophet}/8002
GRACE_SECONDS=35

fail() {
	echo "error: $*" >&2
	exit 1
}

port_of() {
	docker inspect --format '{{ index .Config.Labels "port" }}' "$1" 2>/dev/null || true
}

# Ready means that the model has answered the known flights of its card. A request without
# a flight shows that predictions are served, whatever airlines the model knows: 400, or
# 401 where a key is required.
answers() {
	local url=http://127.0.0.1:$1 status
	curl --fail --silent --output /dev/null --max-time 5 "$url/health/ready" || return 1
	status=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 5 \
		--header 'Content-Type: application/json' --data '{"flights":[]}' \
		"$url/predict") || return 1
	[[ $status == 400 || $status == 401 ]]
}

wait_for() {
	local name=$1
	for _ in $(seq 60); do
		answers "$(port_of "$name")" && return
		[ "$(docker inspect --format '{{.RestartCount}}' "$name")" = 0 ] || break
		sleep 0.5
	done
	docker logs --tail 3 "$name" 2>&1 | sed 's/^/| /' >&2
	return 1
}

turn_to() {
	case $(port_of "$1") in
	8002) touch "$SWITCH" ;;
	*) rm -f "$SWITCH" ;;
	esac
}

# Requests that Caddy was about to send to it arrive first.
retire() {
	sleep 1
	docker stop --time "$GRACE_SECONDS" "$1" >/dev/null
}

deploy() {
	local image=$1 port=8001
	docker pull --quiet "$image" >/dev/null || fail "$image cannot be pulled; nothing changed"
	[ "$(port_of "$ACTIVE")" != 8001 ] || port=8002
	docker rm --force "$CANDIDATE" >/dev/null 2>&1 || true
	trap 'docker rm --force "$CANDIDATE" >/dev/null 2>&1 || true' EXIT
	local settings=()
	[ ! -e "$SETTINGS" ] || settings=(--env-file "$SETTINGS")
	docker run --detach --name "$CANDIDATE" --label "port=$port" \
		--publish "127.0.0.1:$port:8000" --restart unless-stopped \
		--read-only --tmpfs /tmp:size=512m --cap-drop ALL \
		--security-opt no-new-privileges:true --pids-limit 256 \
		--volume "$LIVE:/live" --env LIVE_STORE=/live/flights.sqlite \
		--log-opt max-size=10m --log-opt max-file=5 \
		"${settings[@]}" "$image" >/dev/null || fail "$image does not start; nothing changed"
	wait_for "$CANDIDATE" || fail "$image does not answer; nothing changed"
	turn_to "$CANDIDATE" || fail "$SWITCH cannot be written; nothing changed"
	docker rm --force "$PREVIOUS" >/dev/null 2>&1 || true
	if [ -n "$(port_of "$ACTIVE")" ]; then
		retire "$ACTIVE"
		docker rename "$ACTIVE" "$PREVIOUS"
	fi
	docker rename "$CANDIDATE" "$ACTIVE"
	# Older versions would fill the disk; those of the two containers stay.
	docker image prune --all --force \
		--filter label=org.opencontainers.image.title=flight-prophet >/dev/null
	echo "$image serves"
}

rollback() {
	[ -n "$(port_of "$PREVIOUS")" ] || fail "no version ran before this one"
	docker start "$PREVIOUS" >/dev/null || fail "the previous version does not start; nothing changed"
	if ! wait_for "$PREVIOUS" || ! turn_to "$PREVIOUS"; then
		docker stop "$PREVIOUS" >/dev/null
		fail "the previous version does not answer; nothing changed"
	fi
	retire "$ACTIVE"
	docker rename "$ACTIVE" "$CANDIDATE"
	docker rename "$PREVIOUS" "$ACTIVE"
	docker rename "$CANDIDATE" "$PREVIOUS"
	echo "$(docker inspect --format '{{.Config.Image}}' "$ACTIVE") serves again"
}

"$@"
