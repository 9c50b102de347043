#!/usr/bin/env bash
# Make sure that a resource provider has a trait, while others change its traits too.
#   ensure_trait.sh PROVIDER_UUID TRAIT
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/placement.sh"
provider="${1:?uuid of a resource provider}" trait="${2:?name of a trait}"

api PUT "/traits/$trait"
expect 201 204
for attempt in {1..30}; do
    api GET "/resource_providers/$provider/traits"
    expect 200
    if jq -e --arg trait "$trait" 'any(.traits[]; . == $trait)' <<<"$BODY" >/dev/null; then
        echo 'was there'
        exit
    fi
    # What was seen goes along with the decision that rests on it.
    api PUT "/resource_providers/$provider/traits" \
        "$(jq -c --arg trait "$trait" '.traits += [$trait]' <<<"$BODY")"
    if is_concurrent_update; then
        wait_a_little "$attempt"
        continue
    fi
    expect 200
    echo added
    exit
done
echo "others were faster every time" >&2
exit 1
