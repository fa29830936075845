# `make` prints the targets. Each works from a fresh clone: what it needs is made first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# "uv pip install --quiet" does in seconds what takes pip minutes.
PIP_INSTALL ?= $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

TRAIN_DATA ?= data/data.csv
MODEL_OUTPUT ?= tmp/delay_model.pkl
FEATURES ?= schedule
CLASSIFIER ?= xgboost
TRAIN_OPTIONS ?=
HOST ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= 1
# The production image and what it is built on.
BASE ?= python:3.13-slim-bookworm
IMAGE ?= flight-prophet
TAG ?= latest
IMAGE_NAMES = $(IMAGE):$(TAG) $(if $(LATEST),$(IMAGE):latest)
DOCKER_BUILD = docker build --file Dockerfile.prod $(IMAGE_NAMES:%=--tag %) \
	--build-arg BASE_IMAGE=$(BASE) \
	$(if $(MODEL),--build-arg MODEL=$(MODEL)) \
	--build-arg VERSION=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
	--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) \
	--build-arg CREATED=$(shell git log -1 --format=%cI 2>/dev/null) \
	--build-arg SOURCE_DATE_EPOCH=$(shell git log -1 --format=%ct 2>/dev/null)
STRESS_URL ?= http://127.0.0.1:8000
# pytest in a process for each core, up to four, for memory; each computes in one thread.
PYTEST_ALL_CORES = OPENBLAS_NUM_THREADS=1 $(BIN)/pytest \
	--numprocesses=logical --maxprocesses=4 --dist=worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv install data model-train report tune notebook api-run api-dev \
	demo compose-dev compose-test chaos-test browser-test kubernetes-test replicas-test soak fuzz audit monitoring-test test coverage model-test api-test stress-test benchmark benchmark-cluster test-model code-quality-check format \
	lock openapi image image-push container-test deploy-test ci-local release build clean

help: ## Print the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

venv: $(BIN)/python ## Make the virtual environment, without packages

install: $(VENV)/.dev ## Install everything that development needs

data: data/data.csv ## Expand data/figures into the sample flights, data/data.csv

model-train: $(VENV)/.train $(TRAIN_DATA) ## Train a model: TRAIN_DATA to MODEL_OUTPUT
	$(BIN)/python train.py "$(TRAIN_DATA)" "$(MODEL_OUTPUT)" \
		--features $(FEATURES) --classifier $(CLASSIFIER) $(TRAIN_OPTIONS)

report: $(VENV)/.train $(TRAIN_DATA) ## Evaluate MODEL_OUTPUT on TRAIN_DATA: reports/evaluation.html
	@test -e "$(MODEL_OUTPUT)" || $(MAKE) --no-print-directory model-train
	$(BIN)/flight-prophet evaluate "$(MODEL_OUTPUT)" "$(TRAIN_DATA)" \
		--report reports/evaluation.html

tune: $(VENV)/.train $(TRAIN_DATA) ## Cross-validate the parameters of CLASSIFIER on TRAIN_DATA
	$(BIN)/flight-prophet tune "$(TRAIN_DATA)" --classifier $(CLASSIFIER)

notebook: $(VENV)/.dev data/data.csv ## Run challenge/exploration.ipynb from top to bottom, in place
	$(BIN)/jupyter-nbconvert --execute --to notebook --inplace --log-level ERROR \
		--ExecutePreprocessor.record_timing=False challenge/exploration.ipynb

api-run: $(VENV)/.train ## Serve MODEL_OUTPUT on HOST and PORT with WORKERS; train it if missing
	@test -e "$(MODEL_OUTPUT)" || $(MAKE) --no-print-directory model-train
	$(BIN)/flight-prophet serve "$(MODEL_OUTPUT)" \
		--host $(HOST) --port $(PORT) --workers $(WORKERS)

api-dev: $(VENV)/.train ## Serve MODEL_OUTPUT, and start again when a source changes
	@test -e "$(MODEL_OUTPUT)" || $(MAKE) --no-print-directory model-train
	MODEL_FILEPATH="$(MODEL_OUTPUT)" $(BIN)/uvicorn challenge.api:app \
		--host $(HOST) --port $(PORT) --reload --reload-dir challenge

SPEED ?= 600
demo: $(VENV)/.demo ## Train on New York until 9 July 2013, serve it, and play 10 July, SPEED times as fast
	$(BIN)/python examples/demo.py --speed $(SPEED) \
		$(if $(filter file,$(origin PORT)),,--port $(PORT))

compose-dev: ## Let docker-compose serve these sources, by docker-compose.dev.yml
	ln -sf docker-compose.dev.yml docker-compose.override.yml

compose-test: ## Let docker-compose run make targets, by docker-compose.test.yml
	ln -sf docker-compose.test.yml docker-compose.override.yml

test: $(VENV)/.test data/data.csv ## Run all tests
	$(PYTEST_ALL_CORES)

coverage: $(VENV)/.test data/data.csv ## Run all tests and measure their coverage, which takes half as long again
	$(PYTEST_ALL_CORES) --cov --cov-report=term

model-test: $(VENV)/.test data/data.csv ## Run the tests of the model and its training
	$(PYTEST_ALL_CORES) tests/model

api-test: $(VENV)/.test ## Run the tests of the HTTP API
	$(PYTEST_ALL_CORES) tests/api

chaos-test: $(VENV)/.test ## Break running servers in every way known, and see what holds
	$(BIN)/pytest tests/chaos --ignore tests/chaos/test_soak.py

browser-test: $(VENV)/.dev ## Use the page as people do, in Chromium; pictures go to reports
	@mkdir -p reports
	$(PYTEST_ALL_CORES) tests/e2e

kubernetes-test: $(VENV)/.dev ## Test the manifests of deploy/kubernetes
	$(BIN)/pytest tests/kubernetes

replicas-test: $(VENV)/.test ## Replace replicas behind nginx under load
	$(BIN)/pytest tests/replicas

SOAK_SECONDS ?= 3600
soak: $(VENV)/.test ## Send a running server every kind of bad request for SOAK_SECONDS
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/pytest -s tests/chaos/test_soak.py

FUZZ_SECONDS ?= 60
fuzz: $(VENV)/.dev ## Feed random bytes to the readers of models, bodies and files; Linux, Python below 3.14
	for target in artifact body csv parquet; do \
		$(BIN)/python tests/fuzz/fuzz.py $$target tmp/fuzz-$$target \
			-max_total_time=$(FUZZ_SECONDS) -artifact_prefix=tmp/fuzz-$$target- & \
		running="$$running $$!"; \
	done; \
	for one in $$running; do wait $$one || failed=1; done; test -z "$$failed"

audit: $(VENV)/.dev ## Look for known vulnerabilities in what is installed to serve; SBOM in reports/
	mkdir -p reports
	$(BIN)/pip-audit --disable-pip --require-hashes --requirement requirements.txt
	$(BIN)/pip-audit --disable-pip --require-hashes --requirement requirements.txt \
		--format cyclonedx-json --output reports/sbom.json

monitoring-test: ## Check deploy/monitoring and test its alerts; needs promtool (prometheus)
	promtool check config deploy/monitoring/prometheus.yml
	promtool test rules deploy/monitoring/alerts.test.yml

STRESS_SECONDS ?= 60
stress-test: $(VENV)/.test ## Load STRESS_URL with 100 users for STRESS_SECONDS; report in reports/
	mkdir -p reports
	$(BIN)/locust --locustfile tests/stress/locustfile.py --headless \
		--users 100 --spawn-rate 20 --run-time $(STRESS_SECONDS)s --host "$(STRESS_URL)" \
		--html reports/stress-test.html --only-summary

benchmark: $(VENV)/.train data/data.csv ## Measure MODEL_OUTPUT beside yardsticks, ten minutes; needs wrk, nginx
	@test -e "$(MODEL_OUTPUT)" || $(MAKE) --no-print-directory model-train
	$(BIN)/python benchmarks/serving.py "$(MODEL_OUTPUT)" data/data.csv
	$(BIN)/python benchmarks/deciding.py "$(MODEL_OUTPUT)" data/data.csv
	$(BIN)/python benchmarks/files.py "$(MODEL_OUTPUT)" data/data.csv
	$(BIN)/python benchmarks/lookup.py "$(MODEL_OUTPUT)"
	MAX_WAIT_MS=5 $(BIN)/python benchmarks/overload.py "$(MODEL_OUTPUT)"
	$(BIN)/python benchmarks/replicas.py "$(MODEL_OUTPUT)"

benchmark-cluster: $(VENV)/.test data/data.csv ## Count and answer 68 million flights, with and without Dask
	@test -e "$(MODEL_OUTPUT)" || $(MAKE) --no-print-directory model-train
	$(BIN)/python benchmarks/cluster.py "$(MODEL_OUTPUT)" data/data.csv

test-model: $(VENV)/.train data/data.csv ## Make the committed tests/resources/test_model.pkl
	$(BIN)/python train.py data/data.csv tests/resources/test_model.pkl \
		--features top10 --classifier logistic-regression

code-quality-check: $(VENV)/.dev ## Check format, types, import contracts, and all other kinds of files
	$(BIN)/black --check --quiet . || { $(BIN)/black --check .; exit 1; }
	$(BIN)/isort --check-only .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml challenge train.py
	$(BIN)/hadolint Dockerfile.prod Dockerfile.dev Dockerfile.test
	$(BIN)/shellcheck .ci/run deploy/ec2/*.sh examples/*.sh
	$(BIN)/zizmor --offline --quiet .github/workflows
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml

format: $(VENV)/.dev ## Format the code
	$(BIN)/isort .
	$(BIN)/black .

# requirements.txt constrains the others, so that all install the same versions.
UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-strip-extras --custom-compile-command "make lock"
openapi: $(VENV)/.dev ## Write the description of the API to docs/openapi.json
	$(BIN)/python -c 'import json; from challenge.api import create_app; \
		print(json.dumps(create_app("tests/resources/test_model.pkl").openapi(), indent=1))' >docs/openapi.json

lock: $(VENV)/.dev ## Lock the dependencies of pyproject.toml with hashes
	$(UV_COMPILE) pyproject.toml --output-file requirements.txt
	$(UV_COMPILE) --group build --output-file requirements-build.txt
	for extra in train demo test dev; do \
		$(UV_COMPILE) pyproject.toml --extra $$extra --constraint requirements.txt \
			--output-file requirements-$$extra.txt || exit 1; \
	done

image: ## Build the production image, IMAGE:TAG
	$(DOCKER_BUILD) .

# For several platforms at once buildx is needed; such an image cannot be kept here. It is
# a release, so its base is named by the digest that the tag has now.
image-push: ## Build the production image and push IMAGE:TAG (and LATEST=1: :latest)
ifneq ($(PLATFORMS),)
	digest=$$(docker buildx imagetools inspect $(BASE) --format '{{.Manifest.Digest}}') && \
	docker buildx $(wordlist 2,99,$(DOCKER_BUILD)) --platform $(PLATFORMS) \
		--build-arg BASE_IMAGE=$(BASE)@$$digest \
		--sbom=true --provenance=mode=max --push .
else
	$(DOCKER_BUILD) .
	for name in $(IMAGE_NAMES); do docker push $$name || exit 1; done
endif

container-test: $(VENV)/.test ## Build the production image and test it on a Docker engine
	$(MAKE) --no-print-directory image
	CONTAINER_IMAGE=$(IMAGE):$(TAG) $(BIN)/pytest tests/containers

deploy-test: $(VENV)/.test ## Test deploy/ec2 against this machine: Docker, sshd, Caddy, registry
	CONTAINER_IMAGE=$(IMAGE):$(TAG) $(BIN)/pytest tests/deploy

ci-local: $(VENV)/.dev ## Run the steps of .github/workflows/ci.yml on the local Docker engine
	$(BIN)/python .github/scripts/run_workflow.py .github/workflows/ci.yml

release: ## Set VERSION in pyproject.toml and CHANGELOG.md
	@test -n "$(VERSION)" || { echo "make release VERSION=1.2.3"; exit 2; }
	$(PYTHON) .github/scripts/release.py prepare "$(VERSION)"

build: $(VENV)/.dev ## Build the wheel and the sdist into dist/
	$(BIN)/uv build --quiet --out-dir dist

clean: ## Remove everything that make made
	rm -rf .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		build dist reports tmp data/data.csv "$(VENV)"
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

data/data.csv: challenge/training/data/sample_data.py $(wildcard data/figures/*.csv) | $(VENV)/.train
	$(BIN)/python -m challenge.training.data.sample_data

$(BIN)/python:
	$(PYTHON) -m venv "$(VENV)"

# A stamp for each lock file: newer than it once its packages are installed. The packages
# of `train` are in `demo`, those of both in `test`, and all of these in `dev`.
STAMPS_train = .train
STAMPS_demo = .train .demo
STAMPS_test = .train .demo .test
STAMPS_dev = .train .demo .test .dev
$(VENV)/.train $(VENV)/.demo $(VENV)/.test $(VENV)/.dev: $(VENV)/.%: requirements-%.txt pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --require-hashes -r requirements-$*.txt
	$(PIP_INSTALL) --no-deps --editable .
	@touch $(STAMPS_$*:%=$(VENV)/%)
