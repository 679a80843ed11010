# kexplore: everything is made from here. What a target needs it installs itself: Python packages into .venv, and,
# when run as root on Debian or Ubuntu, the few system packages through apt (named before; without root: named only).

SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
KEXPLORE := $(VENV)/bin/kexplore
SOURCES := $(wildcard *.py) explorer symbols tests screenshots

.PHONY: help run test test-6.1 fuzz check lab bench screenshots recording

help: ## this list
	@grep -hE '^[a-z0-9.-]+:.*## ' Makefile | sed -E 's/^([a-z0-9.-]+):.*## /\1\t/' | expand -t 14

run: $(VENV)/.installed ## open kexplore; with no terminal: a search, a prototype and a traced command
	@if [ -t 0 ] && [ -t 1 ]; then exec $(KEXPLORE); fi
	echo '$$ kexplore search opnat2 --limit 5'
	$(KEXPLORE) search opnat2 --limit 5
	echo; echo '$$ kexplore show do_sys_openat2'
	$(KEXPLORE) show do_sys_openat2
	echo; echo '$$ kexplore trace do_sys_openat2 do_sys_openat2%return -- cat /etc/passwd'
	code=0; $(KEXPLORE) trace do_sys_openat2 do_sys_openat2%return -- cat /etc/passwd || code=$$?
	if [ $$code = 4 ]; then
		echo 'This kernel cannot be probed, so the same on the lab kernel:'
		echo; echo '$$ kexplore --lab trace do_sys_openat2 do_sys_openat2%return -- cat /etc/passwd'
		code=0; $(KEXPLORE) --lab trace do_sys_openat2 do_sys_openat2%return -- cat /etc/passwd || code=$$?
	fi
	exit $$code

test: $(VENV)/.development $(VENV)/.oracles ## all tests, those on the lab kernel included
	@$(PYTHON) -m pytest

test-6.1: $(VENV)/.development $(VENV)/.oracles ## the whole lab layer on Debian's 6.1 kernel
	@$(PYTHON) -m pytest tests/lab --lab-kernel 6.1

fuzz: $(VENV)/.development ## damaged data for every parser: 10,000 examples each, or EXAMPLES=N
	@$(PYTHON) -m pytest tests/fuzz --hypothesis-profile=fuzz

chaos: $(VENV)/.development ## on the lab kernel: 10 seeds of 300 random actions, 10,000 senseless requests; hours
	@$(KEXPLORE) lab -- $(PYTHON) -m tests.chaos --seeds 10 --actions 300
	$(KEXPLORE) lab -- $(PYTHON) -m tests.agent_fuzz --requests 10000

check: $(VENV)/.development ## lint, types, import walls
	@$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

lab: $(VENV)/.installed ## a shell on the throwaway kernel
	@$(KEXPLORE) lab

bench: $(VENV)/.development $(VENV)/.oracles ## the measurements of CONTRIBUTING.md
	@echo '== start'; $(PYTHON) -m tests.benchmarks.startup
	echo '== search'; $(PYTHON) -m tests.benchmarks.search
	echo '== types'; $(PYTHON) -m tests.benchmarks.types
	echo '== decoding, of what the lab kernel records'; $(PYTHON) -m tests.benchmarks.decode
	echo '== counting and decoding by bpf'; $(PYTHON) -m tests.benchmarks.bpf_records
	echo '== keys in a flood that is played'; $(PYTHON) -m tests.benchmarks.flood_screen --played
	echo '== arming, on the lab kernel'; $(KEXPLORE) lab -- $(PYTHON) -m tests.benchmarks.arming
	echo '== arming by bpf, on the lab kernel'; $(KEXPLORE) lab --bcc -- $(PYTHON) -m tests.benchmarks.bpf_arming
	echo '== a flood, on the lab kernel'; $(KEXPLORE) lab --bcc -- $(PYTHON) -m tests.benchmarks.flood

screenshots: $(VENV)/.development ## draw screenshots/ anew, from the recorded session
	@$(PYTHON) -m screenshots.generate

recording: $(VENV)/.development ## record that session anew, on the lab kernel
	@$(PYTHON) -m screenshots.record

# The program. compileall: an installation that never wrote its byte code would compile at every start.
$(VENV)/.installed: pyproject.toml
	@if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
			echo 'installing with apt: python3 python3-venv' >&2
			apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 python3-venv >&2
		else
			echo 'kexplore needs Python 3.11 or later with venv; on Debian: apt-get install python3 python3-venv' >&2; exit 1
		fi
	fi
	echo 'installing the Python packages into $(VENV)' >&2
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q --upgrade 'pip>=25.1' >&2
	$(PYTHON) -m pip install -q -e . >&2
	$(PYTHON) -m compileall -q explorer symbols
	touch $@

$(VENV)/.development: $(VENV)/.installed
	@echo 'installing the development packages into $(VENV)' >&2
	$(PYTHON) -m pip install -q --group dev >&2
	touch $@

# What the tests compare with: bpftool, pfunct and pahole (BTF), fzf (search), gcc for x86-64 and aarch64 (calling conventions).
$(VENV)/.oracles: Makefile | $(VENV)/.installed
	@packages=''
	command -v bpftool >/dev/null || [ -x /usr/sbin/bpftool ] || packages+=' bpftool'
	command -v pfunct >/dev/null || packages+=' dwarves'
	command -v fzf >/dev/null || packages+=' fzf'
	command -v gcc >/dev/null || packages+=' gcc libc6-dev'
	[ "$$(uname -m)" = x86_64 ] || command -v x86_64-linux-gnu-gcc >/dev/null || packages+=' gcc-x86-64-linux-gnu'
	[ "$$(uname -m)" = aarch64 ] || command -v aarch64-linux-gnu-gcc >/dev/null || packages+=' gcc-aarch64-linux-gnu'
	if [ -n "$$packages" ]; then
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
			echo "installing with apt:$$packages" >&2
			apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$packages >&2
		else
			echo "tests that compare with these are skipped; to have them: apt-get install$$packages" >&2
		fi
	fi
	touch $@
