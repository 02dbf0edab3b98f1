# The same commands serve people and CI. `make` alone prints what there is.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow fuzz compat check format docs wheel bench lessons-all pages gallery clean

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Make .venv and install polylogit in it, with the pinned versions that CI tests.

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install ## Train on the bundled zoo table, evaluate on unseen rows, and keep the model.
	$(BIN)/polylogit train zoo

test: install ## Run the tests, the docstrings' examples and the documents' code blocks.
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto

test-slow: install ## Run the long proofs that `make test` leaves out (minutes).
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto -m slow tests

fuzz: install ## Try 10,000 mutated tables and 10,000 mutated model files (minutes; `make test` tries some of them).
	POLYLOGIT_FUZZ=10000 $(BIN)/pytest tests/hostile/test_fuzz.py

compat: install ## Run scikit-learn's tests of LogisticRegression, and the tests of the estimators with its oldest version.
	$(BIN)/python tests/compat/scikit_learn_logistic.py
	$(PYTHON) -m venv build/oldest-scikit-learn
	build/oldest-scikit-learn/bin/pip install --quiet 'scikit-learn==1.6.*' 'scipy<1.16' 'numpy<2.3'
	@# Everything else comes from $(VENV).
	echo "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')" > "$$(build/oldest-scikit-learn/bin/python -c 'import site; print(site.getsitepackages()[0])')/rest.pth"
	build/oldest-scikit-learn/bin/python -m pytest -p no:cacheprovider -W ignore::pytest.PytestRemovedIn10Warning tests/estimators

check: install ## Lint, format, spelling, strict types and import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install ## Build the documentation site into build/site; warnings are errors.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: install ## Build wheel and source distribution, check them, and try the wheel in an environment of its own.
	rm -rf dist build/clean
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	PYTHON=$(BIN)/python bash .ci/try-wheel dist/*.whl

format: install ## Format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Run the benchmarks (one at a time, quiet machine); each writes benchmarks/results/.
	@for file in $(filter-out benchmarks/timing.py benchmarks/network_limits.py benchmarks/network_peers.py benchmarks/serve_peers.py benchmarks/lessons.py, $(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

lessons-all: install ## Run every lesson (twenty minutes, quiet machine); writes docs/lessons/results.md.
	$(BIN)/python benchmarks/lessons.py

pages: install ## Generate notebooks and pictures of the lessons, the page of the architecture, the manual page.
	$(BIN)/python docs/lessons/make_notebooks.py
	$(BIN)/python docs/lessons/draw_pictures.py
	$(BIN)/python docs/make_architecture.py
	$(BIN)/python docs/make_man_page.py

gallery: install ## Photograph the reports that the README and the gallery show (needs chromium).
	$(BIN)/python docs/make_gallery.py

clean: ## Remove .venv, caches and build leftovers (runs/ stays: it is yours).
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
