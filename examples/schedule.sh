#!/usr/bin/env bash
# Find a place for a workload and claim it, while others claim too.
#   schedule.sh CONSUMER_UUID RESOURCES         such as VCPU:2,MEMORY_MB:512
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/placement.sh"
consumer="${1:?uuid of the consumer}" resources="${2:?resources, as CLASS:AMOUNT,…}"

for attempt in {1..30}; do
    # Somebody may have written for this consumer: we ourselves, in a try whose answer was lost.
    api GET "/allocations/$consumer"
    expect 200
    if jq -e '.allocations != {}' <<<"$BODY" >/dev/null; then
        jq -c .allocations <<<"$BODY"
        exit
    fi
    api GET '/allocation_candidates' '' -G --data-urlencode "resources=$resources" -d limit=50
    expect 200
    # All who ask now see the same list: let them not all start at its top.
    mapfile -t candidates < <(jq -c '.allocation_requests[]' <<<"$BODY" | shuf)
    if [ "${#candidates[@]}" = 0 ]; then
        echo "$resources fits nowhere" >&2
        exit 1
    fi
    for candidate in "${candidates[@]}"; do
        api PUT "/allocations/$consumer" "$(jq -c '. + {project_id: "lab", user_id: "ann",
            consumer_type: "INSTANCE", consumer_generation: null}' <<<"$candidate")"
        if [ "$STATUS" = 204 ]; then
            jq -c .allocations <<<"$candidate"
            exit
        fi
        # After a 5xx it may have been done all the same: look.
        if [ "$STATUS" -ge 500 ] || is_concurrent_update; then
            break
        fi
        # Full by now: the next one.
        expect 409
    done
    wait_a_little "$attempt"
done
echo "no luck with $resources" >&2
exit 1
