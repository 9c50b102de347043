# What is to be built and checked. CONTRIBUTING.md says more.
#
#   make test        everything: unit, integration, conformance, takeover from
#                    upstream, openstack command, the README's tour, the OpenAPI
#                    document, policies, limits, a Keystone and kill -9, on SQLite,
#                    PostgreSQL and MariaDB servers started for it
#   make bench       speed, beside upstream's
#   make lint        formatting, clippy, documentation, licences
#   make servers     start the database servers and leave them running, for
#                    "cargo test" by hand: eval "$(make -s servers)"
#   make clean-servers

VENV ?= target/venv
export VENV

SERVERS := tests/servers/servers.py
RUN := $(SERVERS) run -- tests/run.sh

.PHONY: all setup test unit integration conformance upstream candidates \
        openstack crash policy limits keystone readme openapi bench fmt lint servers clean-servers

all:
	cargo build --release --all-features

setup:
	@tests/setup.sh $(VENV)

test: setup
	$(RUN)

unit integration conformance upstream candidates openstack crash policy limits keystone readme openapi: setup
	$(RUN) $@

# Takes a quarter of an hour, most of it upstream's.
bench: setup
	$(VENV)/bin/pip install --quiet --disable-pip-version-check uwsgi==2.0.31
	cargo build --locked --release --all-features
	$(VENV)/bin/python benches/compare.py --hosts 1000
	$(VENV)/bin/python benches/compare.py --hosts 1000 --nested
	$(VENV)/bin/python benches/compare.py --hosts 10000

fmt:
	cargo fmt --all

lint:
	cargo fmt --all --check
	cargo clippy --locked --all-features --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --all-features --no-deps
	@if command -v cargo-deny >/dev/null; then \
	    cargo deny --offline check licenses bans sources; \
	else \
	    echo 'cargo-deny is not installed: licences are not checked'; \
	fi

servers:
	@tests/setup.sh $(VENV) >&2
	@$(SERVERS) up

clean-servers:
	@$(SERVERS) down
