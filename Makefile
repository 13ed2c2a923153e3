# make demo, make test, make strict, make sweep, make audit, make check, make docs, make bench, make bench-packets: each sets up .venv by itself (Python 3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test strict sweep audit check format docs bench bench-packets clean

demo: .venv/ready
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/demo.sh

test: .venv/ready
	$(BIN)/pytest -n auto --dist worksteal

strict: .venv/ready
	$(BIN)/pytest -n auto --ignore tests/local --ignore tests/sweep --fault not-found,seconds=1 --fault unavailable,seconds=2
	$(BIN)/pytest -n auto --ignore tests/local --ignore tests/sweep --speed 200 --fault not-found,seconds=100 --fault unavailable,seconds=200
	$(BIN)/pytest -n auto --moto tests/local

sweep: .venv/ready
	$(BIN)/pytest -n auto --sweep tests/sweep

audit: .venv/ready
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	.venv/audit/bin/pip-audit --strict --skip-editable --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/ready
	@$(BIN)/python docs/write_config.py
	@$(BIN)/python docs/write_why.py
	@$(BIN)/python docs/pictures/draw.py

bench: .venv/ready
	@$(BIN)/python -m benchmarks.speed --write docs/performance.md

bench-packets: .venv/ready
	@$(BIN)/python benchmarks/packets.py

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "plab needs Python 3.11 or newer; say make PYTHON=python3.11"; exit 1; }
	@echo "Setting up .venv: pip fetches plab and the packages that it needs, about 70. This takes one to three minutes."
	@$(PYTHON) -m venv .venv
	@{ $(BIN)/pip install --disable-pip-version-check --progress-bar off -e '.[dev]'; echo $$? > .venv/exit; } \
	  | awk '/^(Collecting|Building|Installing)/ { print "  " $$1, $$2; fflush() }'; exit $$(cat .venv/exit)
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
