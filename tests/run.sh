#!/usr/bin/env bash
# Run the named suites, two at a time as much of a suite is waiting, all of them
# even where one fails, and close with how many tests passed and failed. To be
# run by the Makefile, under tests/servers/servers.py.
#   tests/run.sh [unit|integration|conformance|upstream|candidates|openstack|readme|openapi|apiref|examples|policy|limits|database|keystone|crash|outage|replicas|storm|beside]…
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${VENV:-target/venv}/bin/python"
results="${RESULTS:-target/test-results}"
jobs="${JOBS:-2}"
at_a_time="${SUITES:-2}"
# The databases for the tests of several replicas: some of postgres, mysql, galera.
export REPLICAS_ON="${REPLICAS_ON:-postgres mysql}"
mkdir -p "$results"
rm -rf "${results:?}"/*

target="$(cargo metadata --format-version 1 --no-deps |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')"
export ALLOTMENT_BIN="${ALLOTMENT_BIN:-$target/debug/allotment}"
# Settings that a developer has for a server of their own.
for name in $(compgen -e ALLOTMENT_); do
    case "$name" in ALLOTMENT_BIN | ALLOTMENT_OLD_BIN | ALLOTMENT_TEST_*) ;; *) unset "$name" ;; esac
done

suite() { # NAME COMMAND…: run it, keep its output, note whether it failed
    local begun=$SECONDS code
    echo
    echo "== $1"
    "${@:2}" 2>&1 | tee "$results/$1.log"
    code="${PIPESTATUS[0]}"
    [ "$code" = 0 ] || echo "$1" >>"$results/failed"
    echo "== $1 took $((SECONDS - begun)) s"
    # For the tally: a suite may fail without having counted a failure.
    echo "exit code $code" >>"$results/$1.log"
}

unit() {
    suite unit cargo test --locked --all-features --lib --bins --no-fail-fast
    suite doc cargo test --locked --all-features --doc
}
integration() {
    suite integration cargo test --locked --all-features --test '*' --no-fail-fast
}
python_tests() {
    suite "$1" "$python" -m pytest -c tests/pytest.ini --rootdir tests -rA -q "tests/$2"
}
upstream() { python_tests upstream upstream; }
candidates() { python_tests candidates candidates; }
openstack() { python_tests openstack openstack_cli; }
crash() { python_tests crash crash; }
outage() { python_tests outage outage; }
storm() { python_tests storm storm; }
beside() { python_tests beside beside; }
readme() { python_tests readme readme; }
policy() { python_tests policy policy; }
limits() { python_tests limits limits; }
database() { python_tests database database; }
keystone() { python_tests keystone keystone; }
openapi() { python_tests openapi openapi; }
apiref() { python_tests apiref apiref; }
examples() { python_tests examples examples; }
upstreams_suite() { # NAME DRIVER DATABASE
    suite "$1" "$python" tests/conformance/run.py \
        --driver "$2" --database "$3" --jobs "$jobs" \
        --not-yet tests/conformance/not_yet.txt \
        --out "$results/$1"
}
conformance() {
    for database in sqlite postgres mysql; do
        upstreams_suite "conformance-$database" allotment "$database"
    done
}
replicas() {
    for database in $REPLICAS_ON; do
        [ "$database" = mysql ] || upstreams_suite "replicas-conformance-$database" replicas "$database"
    done
    if [ -n "${ALLOTMENT_OLD_BIN:-}" ]; then
        for driver in upgrade beside-older older-beside; do
            upstreams_suite "$driver-conformance-postgres" "$driver" postgres
            upstreams_suite "$driver-conformance-mysql" "$driver" mysql
        done
    fi
    python_tests replicas replicas
}

# The suites that take longest come first.
[ $# -gt 0 ] || set -- integration replicas conformance upstream outage storm beside keystone openapi limits database crash candidates \
    apiref examples policy openstack readme unit

# All programs are built before, since two builds at once are slower than one.
cargo test --locked --all-features --no-run || exit 1
if [ $# = 1 ]; then
    "$1"
else
    # Each in a process group of its own: otherwise what runs in the background ignores SIGINT, which
    # the tests of signals do not expect. So they have to be told when it is over.
    set -m
    trap 'exit 1' HUP INT TERM
    trap 'for group in $(jobs -p); do kill -- "-$group" 2>/dev/null; done' EXIT
    for name in "$@"; do
        while [ "$(jobs -rp | wc -l)" -ge "$at_a_time" ]; do wait -n; done
        { "$name" >"$results/$name.out" 2>&1; flock "$results" cat "$results/$name.out"; } </dev/null &
    done
    wait
fi

echo
[ ! -e "$results/failed" ] || echo "failed: $(tr '\n' ' ' <"$results/failed")"
"$python" tests/tally.py "$results"/*.log
[ ! -e "$results/failed" ]
