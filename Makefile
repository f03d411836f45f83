SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The Node of package.json comes first: the system's may be older.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# Rust is compiled outside the clone, so that the next clone need not start over.
export XDG_CACHE_HOME ?= $(HOME)/.cache
export CARGO_TARGET_DIR ?= $(XDG_CACHE_HOME)/gatesvr/cargo-target

.PHONY: help tools fmt vet lint proto build test run demo-failover bench simulate chaos fuzz audit sbom images e2e-containers e2e e2e-up e2e-down clean

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

tools: node_modules/.installed ## install what the project needs, build the transport addon
	@node gateway/transport/native/build.ts

node_modules/.installed: package.json package-lock.json tools/prerequisites.sh
	@tools/prerequisites.sh
	# Not npm ci: it refuses a lock without packages for platforms that a registry does not carry.
	npm install --no-save
	touch $@

fmt: tools ## format the sources
	@biome check --write --linter-enabled=false .
	if command -v cargo >/dev/null; then cargo fmt --manifest-path gateway/transport/native/Cargo.toml; fi

vet: tools ## check types
	@tsc --noEmit

lint: tools ## look for mistakes, unused code and imports in the wrong direction
	@biome ci .
	knip --no-progress
	vitest run tools/style.test.ts

proto: tools ## generate code from proto/, the configuration template and its documentation from their table
	@buf generate
	node tools/generate.ts

build: tools ## compile to dist/
	@node tools/build.ts

test: tools ## every check and every test; ends with the counts
	@node tools/run-tests.ts

run: tools ## a primary, its backup and six example zones in development mode, until Ctrl-C
	@exec node tools/run-dev.ts

demo-failover: tools ## kill the primary of a pair while clients chat, and show the ledger
	@node tools/demo-failover.ts

simulate: tools ## play simulated pairs, fleets and sessions with faults, RUNS=100000 of them
	@GATESVR_RUNS=$(or $(RUNS),100000) GATESVR_FLEET_RUNS=$$(( $(or $(RUNS),100000) / 50 )) vitest run --testTimeout=0 gateway/testing/pair/pair.test.ts gateway/testing/sessions/world.test.ts gateway/testing/fleet/fleet.test.ts

chaos: tools ## faults at random against a real pair under load, MINUTES=5 SEED= CLIENTS=100
	@node tools/chaos.ts $(or $(MINUTES),5) $(SEED) $(CLIENTS)

bench: tools ## the benchmarks, one after the other
	@for main in bench/*/main.ts; do node "$$main"; done

fuzz: tools ## look for inputs that break decoders, for MINUTES=1
	@node fuzz/main.ts $(or $(MINUTES),1)

audit: tools ## versions, licences and install scripts of everything we depend on, native code included
	@node tools/audit.ts

sbom: tools ## the bill of materials, dist/gatesvr.cdx.json (CycloneDX)
	@node tools/sbom.ts

images: tools ## the images of gateway and operator, gatesvr/NAME:e2e, by docker, podman or buildah; IMAGE_TAG= CONTAINER_TOOL=
	@IMAGE_TAG=$(IMAGE_TAG) CONTAINER_TOOL=$(CONTAINER_TOOL) node tools/images.ts

e2e-containers: tools ## the gateway's image and Redis as containers, where docker or podman is
	@node e2e/containers/main.ts

e2e: tools ## tests on a real Kubernetes cluster, GATESVR_E2E_PROVIDER=kind|existing|local, TESTS=; ends with the counts
	@node e2e/cluster/main.ts run $(TESTS)

e2e-up: tools ## a cluster with the images in it, for work by hand; make e2e then uses it
	@node e2e/cluster/main.ts up

e2e-down: tools ## end the cluster of make e2e-up
	@node e2e/cluster/main.ts down

clean: ## remove what was built here
	@rm -rf dist node_modules/.installed gateway/transport/native/gatesvr-transport.{node,hash}
