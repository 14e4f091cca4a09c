# The one way to do things here; `make` alone prints what there is.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
# Made when everything of requirements.lock is installed.
INSTALLED := .venv/installed
DATA ?= .data
# Only who changes client/ needs Node.
NODE := $(shell command -v npm)
CLIENT_INSTALLED := client/node_modules/.package-lock.json
# And only who changes a Jenkinsfile, Java.
JAVA := $(shell command -v java)
GROOVY_LINT := tests/jenkins/node_modules/.package-lock.json

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.lock requirements-uv.lock
	@deploy/bootstrap

.PHONY: run
run: $(INSTALLED) ## start the whole service on this machine, without Docker; Ctrl-C stops it (PORT, DATA, HOST, ...)
	@exec $(BIN)/python -m deploy.run $(ARGS)

.PHONY: keys
keys: $(INSTALLED) ## mint a pair of API keys: make keys APP=shop
	@$(BIN)/python -m thumbstack.apps "$(APP)"

.PHONY: curator
curator: $(INSTALLED) ## keep a collection: make curator ARGS="usage" on what `make run` has running (ARGS=--help)
	@exec $(BIN)/python -m deploy.curator $(ARGS)

.PHONY: doctor
doctor: $(INSTALLED) ## check settings, buckets, clock, Thumbor and a picture's whole way, on what `make run` has running
	@exec $(BIN)/python -m deploy.curator doctor $(ARGS)

.PHONY: test
test: $(INSTALLED) ## run every test that this machine can run, and say loudly what it cannot
	@unset MAKEFLAGS MFLAGS MAKELEVEL ARGS; exec $(BIN)/python -m pytest $(ARGS) # tests run make, without these

.PHONY: lint_py
lint_py: $(INSTALLED) ## check the style and the types of the Python
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: lint
lint: lint_py ## check that, shell, YAML, the template and, with npm (and java), client/ and the Jenkinsfiles
	git ls-files -z --cached --others --exclude-standard | xargs -0 grep -lIZE '^#!.*\b(bash|sh)$$' -- | xargs -0 -r $(BIN)/shellcheck
	git ls-files -z --cached --others --exclude-standard '*.yml' '*.yaml' | xargs -0 -r $(BIN)/yamllint --strict
	$(BIN)/cfn-lint --regions eu-west-1 us-east-1 --include-checks I -t cf_template.yaml
	@$(if $(NODE),$(MAKE) $(CLIENT_INSTALLED) && cd client && npm run --silent lint,\
	echo '!!! NOT LINTED: client/, as there is no npm here.'; [ "$${CI:-}" != true ])
	@$(if $(and $(NODE),$(JAVA)),$(MAKE) $(GROOVY_LINT) && tests/jenkins/node_modules/.bin/npm-groovy-lint --noserver --loglevel warning \
	--config $(CURDIR)/tests/jenkins/groovylint.json --failon warning $(addprefix $(CURDIR)/,Jenkinsfile_build Jenkinsfile_deploy),\
	echo '!!! NOT LINTED: the Jenkinsfiles, as there is no npm or no java here.'; [ "$${CI:-}" != true ])

.PHONY: format
format: $(INSTALLED) ## put the Python and the TypeScript into their usual form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	@$(if $(NODE),$(MAKE) $(CLIENT_INSTALLED) && cd client && npm run --silent format)

# Not `npm ci`: where a registry has not every platform's Biome, the lock cannot name them, and it would refuse.
$(CLIENT_INSTALLED): client/package-lock.json
	@cd client && npm install --no-save --silent --ignore-scripts --no-audit --no-fund
	@touch $@

$(GROOVY_LINT): tests/jenkins/package-lock.json
	@cd tests/jenkins && npm install --no-save --silent --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: client
client: $(CLIENT_INSTALLED) ## build what browsers load, client/dist (needs Node 20); it is committed
	@cd client && npm run --silent build

.PHONY: lock
lock: $(INSTALLED) ## renew requirements.lock and requirements-uv.lock from pyproject.toml
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url pyproject.toml --group local --group dev -o requirements.lock
	grep '^uv==' requirements.lock | cut -d' ' -f1 | $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url - -o requirements-uv.lock

.PHONY: clean-data
clean-data: ## delete all pictures, keys and logs of `make run`, after asking (DATA; YES=1 does not ask)
	@exec deploy/clean-data "$(DATA)"

.PHONY: bench
bench: $(INSTALLED) ## measure against the plain thing (ONLY="hits many_hits signing misses crops rivals nodes faults uploads start_stop health many_uploads curator browser", ARGS)
	@for one in $(or $(ONLY),hits misses uploads start_stop); do $(BIN)/python -m bench.$$one $(ARGS); done

# Later files win: a laptop's defaults, the keys of $(DATA), what .env chooses. The shell's own variables win over all.
COMPOSE = docker compose $(addprefix --env-file ,deploy/laptop.env $(DATA)/secrets.env $(wildcard .env))
# Where an image comes from: the commit, and the commit's own date, so that the same commit makes the same image.
build push clean test_images up: export GIT_COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
build push clean test_images up: export CREATED ?= $(shell git show -s --format=%cI 2>/dev/null || echo unknown)

$(DATA)/secrets.env:
	@python3 deploy/keys.py $@

.PHONY: engine
engine:
	@deploy/engine

# What is done with images that are built already.
IMAGES = $(COMPOSE) --profile '*' config --format json | $(BIN)/python -m deploy.images

.PHONY: build
build: engine $(DATA)/secrets.env ## build the images, one a room, and the files of an instance on AWS; tagged latest and GIT_COMMIT
	$(COMPOSE) --profile '*' build $(ARGS)
	@$(MAKE) -s $(INSTALLED) # not before: the first build and the first installation go on side by side in CI
	@$(IMAGES) describe

.PHONY: push
push: engine $(DATA)/secrets.env $(INSTALLED) ## push what was built: make push REGISTRY=docker.io/<you> (or <account>.dkr.ecr.<region>.amazonaws.com)
	@$(IMAGES) push

# A project of their own on a free port, with a laptop's settings whatever .env says.
.PHONY: test_images
test_images: export COMPOSE_PROJECT_NAME = thumbstack-test-$(shell echo $$PPID)
test_images: export COMPOSE_PROFILES = local
test_images: export OPEN_APP = demo
test_images: export HOST = 127.0.0.1
test_images: export PORT = 0
test_images: export PUBLIC_URL =
test_images: export IMAGE_TAG = $(GIT_COMMIT)
test_images: engine $(DATA)/secrets.env $(INSTALLED) ## start the images that were built of this commit, and see that they do their work
	@trap '$(COMPOSE) down --volumes' EXIT; \
	$(COMPOSE) up --no-build --detach --wait || { $(COMPOSE) ps --all; $(COMPOSE) logs --tail 20; exit 1; }; \
	URL=http://$$($(COMPOSE) port nginx 5000) STACK_NAME= PRIVATE_API_KEY= COMMIT_ID=$$GIT_COMMIT $(BIN)/python -m deploy.smoke

.PHONY: clean
clean: engine $(DATA)/secrets.env $(INSTALLED) ## remove the images and bills that were built of this commit (GIT_COMMIT)
	@$(IMAGES) clean

.PHONY: up
up: engine $(DATA)/secrets.env ## build and start the whole service with Docker Compose; returns when it is ready (PORT, HOST, .env)
	@$(COMPOSE) up --build --detach --wait $(ARGS) || { $(COMPOSE) ps --all; $(COMPOSE) logs --tail 20; exit 1; }
	@address=http://$$($(COMPOSE) port nginx 5000); \
	printf '\nReady: %s (open it in a browser)\nOr:    curl -s -F file=@tests/images/coffee.jpg %s/\nStop:  make down\n' "$$address" "$$address"

.PHONY: down
down: engine $(DATA)/secrets.env ## stop what `make up` started; pictures stay (ARGS=-v: they go too)
	$(COMPOSE) down $(ARGS)

.PHONY: logs
logs: engine $(DATA)/secrets.env ## follow the logs of all containers (ARGS=uploader: of one room)
	$(COMPOSE) logs --follow --tail 100 $(ARGS)

# Parameters of cf_template.yaml are variables of their names; those of make's command line are given on by themselves.
.PHONY: update_stack
update_stack: $(INSTALLED) ## create or update the service on AWS: make update_stack STACK_NAME=pictures VPCCIDRBlock=... (docs/aws.md)
	@exec $(BIN)/python -m deploy.update_stack

.PHONY: stack_changes
stack_changes: $(INSTALLED) ## tell what make update_stack would change, and change nothing
	@exec $(BIN)/python -m deploy.update_stack --changes

.PHONY: stack_commit
stack_commit: $(INSTALLED) ## tell the commit that a stack has (STACK_NAME)
	@exec $(BIN)/python -m deploy.update_stack --commit

.PHONY: smoke
smoke: $(INSTALLED) ## upload, look at a thumbnail, delete: make smoke URL=http://localhost:5000, or STACK_NAME=pictures
	@exec $(BIN)/python -m deploy.smoke $(ARGS)

.PHONY: delete_stack
delete_stack: $(INSTALLED) ## end the service on AWS; the originals and the access logs are kept (STACK_NAME)
	@exec $(BIN)/python -m deploy.update_stack --delete
