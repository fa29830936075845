# shellcheck shell=bash
# What deploy.sh and rollback.sh run on the host: `deploy IMAGE:TAG` or `rollback`.
#
# Caddy listens for the world and passes requests on to one of two local ports. A new
# version starts at the free one, has to answer, and only then does Caddy turn to it.
set -euo pipefail

ACTIVE=flight-prophet
PREVIOUS=flight-prophet-previous
CANDIDATE=flight-prophet-candidate
SETTINGS=/etc/flight-prophet.env
CADDYFILE=${CADDYFILE:-/etc/caddy/Caddyfile}
UPSTREAM=$(dirname "$CADDYFILE")/flight-prophet/upstream.caddy
GRACE_SECONDS=35

fail() {
	echo "error: $*" >&2
	exit 1
}

port_of() {
	docker inspect --format '{{ index .Config.Labels "port" }}' "$1" 2>/dev/null || true
}

answers() {
	local url=http://127.0.0.1:$1 answer
	curl --fail --silent --output /dev/null --max-time 5 "$url/health/ready" || return 1
	answer=$(curl --fail --silent --max-time 5 "$url/predict" \
		--header 'Content-Type: application/json' \
		--data '{"flights":[{"OPERA":"Grupo LATAM","TIPOVUELO":"N","MES":3}]}') || return 1
	[[ $answer =~ ^\{\"predict\":\[[01]\]\}$ ]]
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

point_to() {
	# Written beside it first: a full disk must not cost the file that is in use.
	echo "reverse_proxy 127.0.0.1:$1" >"$UPSTREAM.new" || return 1
	mv "$UPSTREAM.new" "$UPSTREAM"
	caddy reload --config "$CADDYFILE" --adapter caddyfile >/dev/null 2>&1
}

turn_to() {
	local from
	from=$(port_of "$ACTIVE")
	if ! point_to "$(port_of "$1")"; then
		[ -z "$from" ] || point_to "$from" || true
		return 1
	fi
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
		--log-opt max-size=10m --log-opt max-file=5 \
		"${settings[@]}" "$image" >/dev/null || fail "$image does not start; nothing changed"
	wait_for "$CANDIDATE" || fail "$image does not answer; nothing changed"
	turn_to "$CANDIDATE" || fail "Caddy does not turn to $image; nothing changed"
	docker rm --force "$PREVIOUS" >/dev/null 2>&1 || true
	if [ -n "$(port_of "$ACTIVE")" ]; then
		docker stop --time "$GRACE_SECONDS" "$ACTIVE" >/dev/null
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
	docker stop --time "$GRACE_SECONDS" "$ACTIVE" >/dev/null
	docker rename "$ACTIVE" "$CANDIDATE"
	docker rename "$PREVIOUS" "$ACTIVE"
	docker rename "$CANDIDATE" "$PREVIOUS"
	echo "$(docker inspect --format '{{.Config.Image}}' "$ACTIVE") serves again"
}

"$@"
