# Everything that a checkout needs: `make` lists it. Nothing is installed outside .venv and tests/web/node_modules.
PYTHON ?= python3
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
FAULT_WORKERS ?= 4
MINUTES ?= 10
NODE_REPORT := tests/web/node_modules/.report.tap

.DEFAULT_GOAL := help
.PHONY: help run demo programs test test-node check bench soak rehearse docs lock clean

help:  ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# `exec`: no shell stands between a signal and the server. (make passes SIGTERM on; Ctrl-C reaches both.)
run: .venv/run.stamp  ## Set up and serve on http://127.0.0.1:8650
	@exec .venv/bin/sidecar serve

demo: .venv/run.stamp  ## Play workers for a running sidecar, in another terminal than `make run`
	@exec .venv/bin/sidecar demo

# Those of faults come first and by themselves: they load the machine, and wait for most of their time.
test: programs check test-node  ## Set up, then check and run every test; a skipped one fails
	@rm -f .coverage .coverage.*
	.venv/bin/pytest -n $(FAULT_WORKERS) --maxschedchunk 1 --cov --cov-report= --cov-fail-under=0 tests/faults
	.venv/bin/pytest -n $(WORKERS) --maxschedchunk 1 --cov --cov-append --cov-report= --ignore=tests/faults
	@.venv/bin/coverage report --format=total --include='sidecar/core/*' --fail-under=100 >/dev/null \
	    || { .venv/bin/coverage report --include='sidecar/core/*' --fail-under=100; exit 1; }

check: .venv/dev.stamp  ## Lint, format, types, layers, and whether generated files are fresh
	.venv/bin/pip check
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python tools/settings_page.py --check
	.venv/bin/python -m tools.dashboards --check

test-node: .venv/dev.stamp tests/web/node_modules/.stamp  ## The part of `make test` that runs in Node
	tests/web/node_modules/.bin/tsc -p tests/web
	node --test --test-timeout=300000 --test-concurrency=4 --test-reporter=spec --test-reporter-destination=stdout \
	    --test-reporter=tap --test-reporter-destination=$(NODE_REPORT) tests/web/*.test.js
	@! grep -E '^# (skipped|todo) [1-9]' $(NODE_REPORT) || { echo 'A skipped test counts as a failed one.' >&2; exit 1; }

# The programs that tests start and that no package of Python or Node brings, each with its package in Debian.
programs:
	@PATH="$$PATH:/usr/sbin"; for each in cc:gcc node:nodejs npm:npm chromium:chromium nginx:nginx \
	    prometheus:prometheus amtool:prometheus-alertmanager; do \
	    command -v $${each%%:*} >/dev/null \
	        || { echo "The tests need $${each%%:*}. On Debian: apt-get install $${each##*:}" >&2; exit 1; }; \
	done
	@node -e 'const [major, minor] = process.versions.node.split("."); process.exit(+(+major + minor / 100 < 20.1))' \
	    || { echo 'The tests need Node 20.10 or later.' >&2; exit 1; }

bench: .venv/dev.stamp  ## Measure
	.venv/bin/python bench/run.py

soak: .venv/dev.stamp  ## Let faults befall a whole deployment; make soak MINUTES=60 SEED=7 EMBEDDED=1
	.venv/bin/python -m tests.faults.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) \
	    $(if $(EMBEDDED),--embedded)

rehearse: .venv/dev.stamp  ## See alerts come and go as people will: what compose runs, without containers, 21 minutes
	.venv/bin/python -u -m tests.rehearsal

docs: .venv/dev.stamp  ## Write docs/settings.md and dashboards/ anew
	.venv/bin/python tools/settings_page.py
	.venv/bin/python -m tools.dashboards

lock:  ## Pin what .venv gets; make lock UPGRADE=--upgrade takes the newest
	PYTHON=$(PYTHON) tools/lock $(UPGRADE)

clean:  ## Remove what the targets above have made; .sidecar-data, which has your jobs, stays
	rm -rf .venv tests/web/node_modules dist .coverage .coverage.*
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/dev.stamp: .venv/run.stamp
# The lists are whole, so pip has nothing to resolve (--no-deps): an older one, left to itself, tries the newest release of
# a package that is asked for with an extra, and refuses it for want of a hash. `make check` asks whether all fits.
.venv/%.stamp: requirements/%.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo 'The sidecar needs Python 3.11 or later: make PYTHON=python3.12, say.' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo 'This Python cannot make virtual environments. On Debian: apt-get install python3-venv' >&2; exit 1; }
	@[ -x .venv/bin/pip ] || $(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

tests/web/node_modules/.stamp: tests/web/package-lock.json tests/web/package.json tests/web/.npmrc
	@cd tests/web && npm ci --silent
	@touch $@
