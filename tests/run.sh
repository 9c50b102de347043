#!/usr/bin/env bash
# Run the named suites one after the other, all of them even where one fails,
# and close with how many tests passed and failed. To be run by the Makefile,
# under tests/servers/servers.py.
#   tests/run.sh [unit|integration|conformance|upstream|candidates|openstack|readme|openapi|apiref|examples|policy|limits|keystone|crash]…
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${VENV:-target/venv}/bin/python"
results="${RESULTS:-target/test-results}"
jobs="${JOBS:-2}"
mkdir -p "$results"
rm -rf "${results:?}"/*

target="$(cargo metadata --format-version 1 --no-deps |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')"
export ALLOTMENT_BIN="${ALLOTMENT_BIN:-$target/debug/allotment}"
# Settings that a developer has for a server of their own.
for name in $(compgen -e ALLOTMENT_); do
    case "$name" in ALLOTMENT_BIN | ALLOTMENT_TEST_*) ;; *) unset "$name" ;; esac
done

failed=()
suite() { # NAME COMMAND…: run it, keep its output, note whether it failed
    echo
    echo "== $1"
    "${@:2}" 2>&1 | tee "$results/$1.log"
    local code="${PIPESTATUS[0]}"
    [ "$code" = 0 ] || failed+=("$1")
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
binary() { cargo build --locked --all-features || exit 1; }
python_tests() {
    binary
    suite "$1" "$python" -m pytest -c tests/pytest.ini --rootdir tests -rA -q "tests/$2"
}
upstream() { python_tests upstream upstream; }
candidates() { python_tests candidates candidates; }
openstack() { python_tests openstack openstack_cli; }
crash() { python_tests crash crash; }
readme() { python_tests readme readme; }
policy() { python_tests policy policy; }
limits() { python_tests limits limits; }
keystone() { python_tests keystone keystone; }
openapi() { python_tests openapi openapi; }
apiref() { python_tests apiref apiref; }
examples() {
    cargo build --locked --all-features --examples || exit 1
    python_tests examples examples
}
conformance() {
    binary
    for database in sqlite postgres mysql; do
        suite "conformance-$database" "$python" tests/conformance/run.py \
            --driver allotment --database "$database" --jobs "$jobs" \
            --not-yet tests/conformance/not_yet.txt \
            --out "$results/conformance-$database"
    done
}

[ $# -gt 0 ] || set -- unit integration upstream candidates openstack readme openapi apiref examples policy limits keystone crash conformance
for name in "$@"; do "$name"; done

echo
[ "${#failed[@]}" = 0 ] || echo "failed: ${failed[*]}"
"$python" tests/tally.py "$results"/*.log
[ "${#failed[@]}" = 0 ]
