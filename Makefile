# Each target sets up all that it needs; a second run finds it done. Needs make and Python 3.11 or newer.
#   make demo                     a conference on this machine, with halls, a crash and a report
#   make demo ARGS="--seconds 0"  the same until Ctrl-C
#   make test                     every test, with a real browser
#   make check                    format, lint, types, import rules, quick tests
#   make fuzz SECONDS=60          every parser, side by side, for so many seconds
#   make chaos ROUNDS=20          coordinators and stores killed and frozen at random; so many rounds of each kind
#   make chaos ARGS="-k relays"   200 real halls lose a relay: killed, stopped, unplugged, mute
#   make chaos ROUNDS=1000 ARGS="-k deaths"   a thousand coordinators killed on each kind of journal
#   make lock                     pin the requirements again (ARGS=--upgrade for newer versions)
#   make clean                    remove what these made

.DEFAULT_GOAL := help
.PHONY: help demo test check fuzz chaos lock clean

ARGS ?=
SECONDS ?= 20
ROUNDS ?= 20
PY := .venv/bin/python
CODE := bridges conference configs monitoring relay
QUICK := tests/unit tests/property tests/scenario tests/architecture

# Tests wait more than they compute, but those that wait for media must not starve. One at a time is handed out, long ones first: all
# workers end together.
SIDE_BY_SIDE := -n 2 --dist load --maxschedchunk 1

RUNTIME := .venv/installed-runtime
DEV := .venv/installed-dev
CONSOLE := conference/pages/vendor/package-lock.json

help:
	@sed -n 's/^#   //p' Makefile

$(RUNTIME): requirements/runtime.txt requirements/build.txt pyproject.toml
	@tools/venv.sh runtime

$(DEV): requirements/dev.txt requirements/build.txt pyproject.toml
	@tools/venv.sh dev

$(CONSOLE): console/package-lock.json tools/console.sh
	@tools/console.sh
	@touch $@

# Without it a phone's camera may read no QR code; everything else of the demo is there.
demo: $(RUNTIME)
	@$(MAKE) --silent $(CONSOLE) || true
	@exec .venv/bin/diemcau demo $(ARGS)

test: $(DEV) $(CONSOLE)
	@tools/system_packages.sh
	@$(PY) -m pytest $(SIDE_BY_SIDE) $(ARGS)

check: $(DEV)
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy $(CODE) tests $(wildcard benchmarks)
	@.venv/bin/lint-imports
	@$(PY) -m pytest -q $(SIDE_BY_SIDE) $(wildcard $(QUICK)) $(ARGS)

fuzz: $(DEV)
	@tools/fuzz.sh $(SECONDS)

chaos: $(DEV)
	@tools/system_packages.sh
	@CHAOS_ROUNDS=$(ROUNDS) $(PY) -m pytest -q tests/chaos $(ARGS)

lock: $(DEV)
	@tools/lock.sh $(ARGS)

clean:
	rm -rf .venv build dist var conference/pages/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
