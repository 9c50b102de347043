#!/usr/bin/env bash
# Move what a consumer holds from one host to another, with the turn on both of them.
#   migrate.sh CONSUMER_UUID FROM_PROVIDER_UUID TO_PROVIDER_UUID
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/placement.sh"
consumer="${1:?uuid of the consumer}" source="${2:?uuid of a provider}" destination="${3:?uuid of a provider}"
copy_seconds="${COPY_SECONDS:-0}"
lease_seconds="${LEASE_SECONDS:-30}"

lost_turn() {
    echo "LostTurn: $(jq -r '.errors[0].detail // .status' <<<"$BODY")" >&2
    exit 1
}

code() { jq -r '.errors[0].code // empty' <<<"$BODY"; }

# change FILTER: replace what the consumer holds by what the filter makes of it, in this turn.
change() {
    local attempt held wanted
    for attempt in {1..30}; do
        api GET "/allocations/$consumer"
        expect 200
        held="$BODY"
        wanted="$(jq -c --arg source "$source" --arg destination "$destination" "$1" <<<"$held")"
        [ "$wanted" != "$(jq -c . <<<"$held")" ] || return 0
        api PUT "/allocations/$consumer" "$wanted" -H "X-Waitlist-Ticket: $fence"
        case "$STATUS $(code)" in
            204*) return 0 ;;
            '409 placement.waitlist.not_active') lost_turn ;;
            '409 placement.concurrent_update') wait_a_little "$attempt" ;;
            '409 placement.undefined_code')
                echo "NoRoom: $(jq -r '.errors[0].detail' <<<"$BODY")" >&2
                exit 1
                ;;
            *) expect 204 ;;
        esac
    done
    echo 'LostTurn: others wrote for this consumer again and again' >&2
    exit 1
}

# Both tickets or none: whoever takes one after the other may wait forever for somebody who waits too.
api POST /waitlist "$(jq -nc --arg consumer "$consumer" --arg source "$source" --arg destination "$destination" \
    --argjson seconds "$lease_seconds" '{action: "migrate", lease_seconds: $seconds,
        tickets: [($source, $destination) | {resource_provider_uuid: ., scope: "vm", id: $consumer}]}')"
expect 201
group="$(jq -r .uuid <<<"$BODY")"
fence="$(jq -r '[.tickets[].uuid] | join(",")' <<<"$BODY")"
trap 'api DELETE "/waitlist/$group"' EXIT
while [ "$(jq -r .status <<<"$BODY")" = queued ]; do
    api GET "/waitlist/$group?wait=true&timeout=30"
    expect 200
done
[ "$(jq -r .status <<<"$BODY")" = active ] || lost_turn
generation="$(jq .generation <<<"$BODY")"

change 'if .allocations | has($source) and (has($destination) | not)
    then .allocations[$destination] = .allocations[$source] else . end'
# The copying, for which nothing stands here but time.
end="$(($(date +%s%N) + copy_seconds * 1000000000))"
while left="$((end - $(date +%s%N)))" && [ "$left" -gt 0 ]; do
    sleep "$(jq -n "[$left / 1e9, $lease_seconds / 3] | min")"
    [ "$(date +%s%N)" -lt "$end" ] || break
    api PUT "/waitlist/$group" "{\"generation\": $generation, \"lease_seconds\": $lease_seconds}"
    [ "$STATUS" != 409 ] || lost_turn
    expect 200
    generation="$(jq .generation <<<"$BODY")"
done
change 'if .allocations | has($source) then del(.allocations[$source]) else . end'
echo moved
