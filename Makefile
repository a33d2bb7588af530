# Every target sets up what it needs in $(VENV); `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help run test check petsage.pyz demo soak bench lock clean
help: ## list the targets
	@sed -n 's/^\([a-z.]*\):.*## /make \1\t/p' Makefile | expand -t 18

run: $(VENV)/run ## start the service exactly as the Procfile does (PORT, 8000 by default)
	@PATH="$(CURDIR)/$(BIN):$$PATH" exec sh -c "exec $$(sed -n 's/^web: *//p' Procfile)"

# Most tests wait for other processes: there is room for more than one a core. The tests of a file
# stay together, as they share running services; in the order of their names, the long ones are not last.
test: $(VENV)/dev ## run the tests (ARGS="-k browser" for some of them)
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/dev ## format, lint, types, known holes of dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.audit

petsage.pyz: | $(BIN)/python ## build the command as one file
	@$(BIN)/python deploy/build_pyz.py $@

soak: $(VENV)/dev ## measure what the service holds out against (SCALE=0.1 for a tenth of it)
	@$(BIN)/python -m bench.soak --scale $(or $(SCALE),1)

bench: $(VENV)/bench ## measure how fast the service is, beside FastAPI and others (takes minutes)
	@$(BIN)/python -m bench.speed

demo: $(VENV)/run ## watch a rolling deploy behind HAProxy; leaves its timeline in rollout.html
	@$(BIN)/python deploy/rolling.py demo

lock: $(VENV)/dev ## pin the requirements*.txt anew from setup.cfg
	$(BIN)/python -m tests.locks --upgrade

clean: ## remove the virtual environment and caches
	rm -rf .venv* build dist petsage.pyz *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "PetSage needs Python 3.11 or newer; name one: make PYTHON=python3.13 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "No virtual environment: on Debian, 'apt install python3-venv' adds what is missing." >&2; exit 1; }

$(VENV)/run: requirements.txt setup.cfg pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@# setuptools warns that an editable installation is one.
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/dev: $(VENV)/run requirements-dev.txt
	@echo "Adding the test tools to $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/bench: $(VENV)/run requirements-bench.txt
	@echo "Adding the peers of the benchmark to $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@
