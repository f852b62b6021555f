# make run plays. Every target makes what it needs: .venv, its packages, libVLC.
# Arguments are passed on: make run ARGS="--station piano", make test ARGS="-k spool".

PY := .venv/bin/python
CODE := prototype tests
ARGS ?=
MINUTES ?= 30
ALL_CORES := -n auto --dist worksteal
MAKEFLAGS += --no-print-directory
export PYTHONPATH := prototype:tests

.PHONY: help run serve ctl test check format faults simulate soak listen-sheet bench realtime server-stub settings clean .venv/.run .venv/.test

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 14

run: .venv/.run .venv/.vlc .venv/.instruments ## play (ARGS="--help" shows all options)
	@$(PY) prototype/app.py $(ARGS) $(if $(findstring --check,$(ARGS)),|| [ $$? = 1 ])

serve: .venv/.run ## start ACE-Step's own server and keep it alive
	@$(PY) prototype/app.py --serve $(ARGS)

ctl: .venv/.run ## tell the running player what to do (ARGS="volume +5", ARGS=help for all)
	@$(PY) prototype/app.py --ctl $(or $(ARGS),status)

test: .venv/.test .venv/.vlc ## run the tests
	@$(PY) -m pytest $(ALL_CORES) $(ARGS)

check: .venv/.test .venv/.vlc ## format, lint, types, tests: the same as CI
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m ruff check $(CODE)
	$(PY) -m mypy
	@$(MAKE) test

format: .venv/.test ## put the code into shape
	@$(PY) -m ruff format $(CODE)
	@$(PY) -m ruff check --fix $(CODE)

faults: .venv/.test .venv/.vlc ## the fault matrix as a table
	@$(PY) tests/whole/faults/matrix.py $(ARGS)

simulate: .venv/.test ## virtual days with random faults, and other examples of the properties
	@$(PY) -m pytest -q -m "virtual or hypothesis" --hypothesis-profile "by chance" $(ALL_CORES)
	@$(PY) tests/whole/simulate.py $(ARGS)

soak: .venv/.test .venv/.vlc ## real minutes with random faults, recorded and checked (MINUTES=30)
	@$(PY) tests/whole/soak.py --minutes $(MINUTES) $(ARGS)

listen-sheet: .venv/.test ## every built-in station as sound, picture and figures (ARGS="--station jazz")
	@$(PY) tests/listening/listen_sheet.py $(ARGS)

bench: .venv/.test .venv/.vlc ## measure against other players
	@$(PY) tests/bench/bench.py $(ARGS)

realtime: .venv/.test .venv/.vlc ## the tests that need libVLC and wall-clock time
	@$(PY) -m pytest -m realtime $(ARGS)

server-stub: .venv/.test ## the genuine acestep-api with its inference stubbed
	@$(PY) tests/doubles/genuine_acestep.py $(ARGS)

settings: .venv/.test ## write .env.example and the README's table from the settings
	@$(PY) tests/tools/settings_docs.py

clean: ## remove .venv and caches; the music in spool/ stays
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# Phony: what has been removed, upgraded or broken since is put right.
.venv/.run:
	@.ci/venv requirements.txt

.venv/.test:
	@.ci/venv requirements.txt tests/requirements.txt tests/requirements-server.txt

# Plugins count too: libVLC without them loads but makes no instance.
HAS_VLC := $(PY) -c 'import sys, vlc; sys.exit(vlc.Instance("--quiet") is None)' 2>/dev/null
.venv/.vlc: | .venv/.run
	@$(HAS_VLC) || .ci/system vlc
	@$(HAS_VLC) || { echo "libVLC 3 is installed but does not start; see: $(PY) -c 'import vlc; vlc.Instance()'" >&2; exit 1; }
	@touch $@

# Asked for once: the music plays without them.
.venv/.instruments: | .venv/.vlc
	@touch $@
	@.ci/system instruments || true
