# Thin names for ./run, which needs no make.
.DEFAULT_GOAL := help
.PHONY: help run test drills check fix token lock
T ?=
SUB ?= dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start everything, from nothing; Ctrl-C stops it
	@exec ./run

test: ## the whole suite, or T=tests/unit/... for some of it
	@exec ./run test $(T)

drills: ## every fault at every point, long; T="-k webhooks --seed 1" for some of it
	@exec ./run drills $(T)

check: ## format, lint, types, import rules, unit and house tests
	@exec ./run check

fix: ## repair format and lint where that can be done for you
	@exec ./run fix

token: ## a token for the embedded service, for SUB=alice
	@exec ./run token --sub "$(SUB)"

lock: ## resolve requirements*.in anew into the hashed files (needs uv)
	uv pip compile --universal --generate-hashes --python-version 3.11 requirements.in -o requirements.txt
	uv pip compile --universal --generate-hashes --python-version 3.11 -c requirements.txt requirements-dev.in -o requirements-dev.txt
