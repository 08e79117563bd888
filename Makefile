# `make help` lists the targets. Everything CI checks is `make test`.
CARGO ?= cargo
export GUILDHALL_TEST_BIN ?= $(or $(CARGO_TARGET_DIR),target)/debug/guildhall

.PHONY: help run bench test check fmt lint fuzz coverage openapi docs clients newman backends-up backends-down clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

run: ## build and start everything on embedded SQLite, with ./data as its folder
	$(CARGO) build --release --locked --package guildhall
	$(or $(CARGO_TARGET_DIR),target)/release/guildhall serve --data-dir ./data

bench: ## measure a release build beside an empty handler and the bare drivers; result in bench/results
	scripts/bench.sh

check: ## the fast inner loop: format, clippy, unit tests and the suite on SQLite
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) xtask edges
	$(CARGO) test --workspace --locked --quiet

test: ## everything CI checks: all gates, the suite on SQLite, PostgreSQL and MariaDB, coverage
	scripts/test.sh

coverage: ## the suite on SQLite with line coverage
	scripts/test.sh coverage

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## clippy, dependency rules, cargo-deny and rustdoc
	scripts/test.sh lint

fuzz: ## fuzz every reader of untrusted bytes, a minute each (scripts/fuzz.sh TARGET SECONDS for one)
	scripts/fuzz.sh

openapi docs: ## regenerate the OpenAPI copy, the Postman collection, the config reference, the role table and the ER diagrams
	$(CARGO) xtask docs

clients: ## build the TypeScript client and try it against the debug build of the server
	scripts/clients.sh

newman: ## run the Postman collection against the debug build of the server
	scripts/newman.sh

backends-up: ## start private PostgreSQL, MariaDB and Redis servers; eval "$(scripts/backends.sh env)"
	scripts/backends.sh up

backends-down: ## stop them
	scripts/backends.sh down

clean: ## remove build output, tools, test servers and coverage
	-scripts/backends.sh down
	rm -rf .local coverage scripts/newman/node_modules
	cd clients/typescript && rm -rf node_modules dist src/generated .readme .test
	$(CARGO) clean
