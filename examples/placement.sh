# What the shell examples share; to be sourced. Needs curl and jq.

PLACEMENT_URL="${PLACEMENT_URL:-http://127.0.0.1:8778}"
PLACEMENT_TOKEN="${PLACEMENT_TOKEN:-admin}"

# api METHOD PATH [BODY] [CURL-OPTION…]: one request, whose answer is in $STATUS and $BODY.
api() {
    local method="$1" path="$2" body="${3:-}" answer
    local options=("${@:4}")
    [ -z "$body" ] || options+=(-H 'Content-Type: application/json' -d "$body")
    answer="$(curl -sS -w '\n%{http_code}' -X "$method" -H "X-Auth-Token: $PLACEMENT_TOKEN" \
        -H 'OpenStack-API-Version: placement 1.39' "${options[@]}" "$PLACEMENT_URL$path")"
    STATUS="${answer##*$'\n'}"
    BODY="${answer%$'\n'*}"
}

# expect STATUS…: end here unless the last answer has one of them.
expect() {
    local status
    for status in "$@"; do
        [ "$STATUS" != "$status" ] || return 0
    done
    echo "$STATUS: $BODY" >&2
    exit 1
}

# Whether somebody else was faster: read again, decide again, write again.
is_concurrent_update() {
    [ "$STATUS" = 409 ] && [ "$(jq -r '.errors[0].code' <<<"$BODY")" = placement.concurrent_update ]
}

# wait_a_little ATTEMPT: a random time that grows, so that those who fail together part.
wait_a_little() {
    local most=$(($1 < 8 ? 5 << $1 : 1000))
    sleep "$(printf '0.%03d' $((RANDOM % most % 1000)))"
}
