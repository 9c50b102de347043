#!/usr/bin/env bash
# Install what building and testing need, where it is missing: Debian packages
# (as root only) and the Python packages, in a virtual environment.
#   tests/setup.sh VENV
set -euo pipefail
venv="${1:?directory of the virtual environment}"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
requirements="$here/requirements.txt"

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
has() { command -v "$1" >/dev/null 2>&1; }

# Servers live where an unprivileged user does not look.
PATH="$PATH:/usr/sbin:/sbin"

missing=()
need() { "${@:2}" || missing+=("$1"); }

need gcc has gcc
need libc6-dev test -e /usr/include/stdio.h
need make has make
need pkg-config has pkg-config
# Certificates for the tests of TLS.
need openssl has openssl
# The examples in shell.
need curl has curl
need jq has jq
# A wall clock that tests set.
need libfaketime compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null
# The proxy before the service, and the balancer before several.
need nginx has nginx
need haproxy has haproxy
need postgresql compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
need pgbouncer has pgbouncer
need mariadb-server has mariadbd
need mariadb-client has mariadb-admin
# A cluster of MariaDB servers, and the programs with which its nodes copy their data.
need galera-4 compgen -G '/usr/lib/galera*/libgalera_smm.so' >/dev/null
need rsync has rsync
need lsof has lsof
# Networks between the nodes of a cluster.
need iproute2 has ip
if has dpkg-query; then
    need libpq-dev installed libpq-dev
    need libmariadb-dev installed libmariadb-dev
fi
# Debian's python3 comes without what a virtual environment is made with.
need python3-venv python3 -c 'import ensurepip' 2>/dev/null

if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        echo "setup.sh: please install: ${missing[*]}" >&2
        exit 1
    fi
    echo "setup.sh: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
fi
if ! has cargo; then
    echo "setup.sh: please install Rust (cargo, rustfmt, clippy)" >&2
    exit 1
fi

# The copy of the requirements is written last: it says that all are there.
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
    echo "setup.sh: installing Python packages in $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$venv/requirements.txt"
fi
