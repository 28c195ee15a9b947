# What can be done here; `make help` lists it. Each target does the set-up that it needs: packages of the system through
# scripts/setup.sh, the patched SSH library through scripts/russh.sh. A second run of either changes nothing.

CARGO ?= cargo
DENY_VERSION := 0.20.2
# How long each target is fuzzed.
SECONDS ?= 60
# How many tests run at once. Most wait for hosts and clients: two for each processor keep a small machine busy. Empty: as many as the
# test program thinks right.
RUST_TEST_THREADS ?= $(shell n=$$(nproc 2>/dev/null) && [ "$$n" -le 4 ] && echo $$((2 * n)))

.DEFAULT_GOAL := build
.PHONY: build demo test bench fuzz lint deny clean help prepare

build: prepare ## Build the release binary: target/release/keyward
	$(CARGO) build --release --locked
	@echo
	@echo "built target/release/keyward; next: make demo"

demo: build ## Show the product on this machine: a real sshd, a broker, one session, the audit trail
	scripts/setup.sh sshd python
	scripts/demo.sh

test: prepare ## Run all tests, also those against real OpenSSH and other clients
	scripts/test-peers.sh
	$(if $(RUST_TEST_THREADS),RUST_TEST_THREADS=$(RUST_TEST_THREADS)) $(CARGO) test --release --locked

bench: build ## Measure against direct ssh and ProxyJump (BENCH_QUICK=1 for a short run)
	scripts/setup.sh sshd python
	scripts/bench.py

fuzz: prepare ## Fuzz each target for SECONDS=60, or only those of TARGETS="masking shown"
	scripts/setup.sh fuzz
	SECONDS_EACH=$(SECONDS) scripts/fuzz.sh $(TARGETS)

lint: prepare ## Check format and lints
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --release --all-targets --locked -- --no-deps -D warnings
	$(CARGO) clippy --release --lib --features fuzzing --locked -- --no-deps -D warnings

deny: prepare ## Check licences, bans and sources of dependencies; advisories where their database can be reached
	test -x .tools/bin/cargo-deny || $(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --root .tools
	.tools/bin/cargo-deny check licenses bans sources
	@if .tools/bin/cargo-deny fetch db >/dev/null 2>&1; \
	then .tools/bin/cargo-deny check advisories; \
	else echo "advisories were NOT checked: their database cannot be reached from here"; fi

clean: ## Remove everything that was built or fetched into this folder
	rm -rf target .russh .tools

help: ## Show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

prepare:
	@scripts/setup.sh build
	@scripts/russh.sh
