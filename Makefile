# qedcrash. `make help` lists the targets. Everything built lands in $(BUILD); nothing else is written.

BUILD ?= build
PREFIX ?= /usr/local
CC ?= cc
CFLAGS ?= -O2 -g
AR ?= ar

# One job per core unless -j was given: a person types `make test` and nothing else.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# A room that does not build yet need not stop the others: `make tests ROOMS="engine simdisk"`.
ROOMS ?= engine simdisk oracle scenarios harness reports
MAIN := harness/main.c
SRCS := $(sort $(wildcard $(ROOMS:%=%/*.c)))
LIB_SRCS := $(filter-out $(MAIN),$(SRCS))
UNIT_ALL := $(sort $(wildcard tests/unit/*.c))
UNIT_SRCS := $(sort $(shell grep -lw -e '^int main' -e '^main' $(UNIT_ALL) /dev/null))
# Files without a main are helpers. They go into an archive, so a test links only those it uses.
HELPER_SRCS := $(filter-out $(UNIT_SRCS),$(UNIT_ALL))
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(BUILD)/tests/%)
BENCH_ALL := $(sort $(wildcard tests/bench/*.c))
BENCH_SRCS := $(sort $(shell grep -lw -e '^int main' $(BENCH_ALL) /dev/null))
BENCH_HELPERS := $(filter-out $(BENCH_SRCS),$(BENCH_ALL))
BENCH_BINS := $(BENCH_SRCS:tests/bench/%.c=$(BUILD)/bench/%)
# Fuzzing (docs/fuzzing.md): a target is fuzz_NAME.c, with mutate_NAME.c if it has a mutator of its own; what is left
# are helpers. Three builds: build/fuzz/replay by $(CC), build/fuzz/lib by clang, build/fuzz/afl by afl-clang-fast.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_MUTATED := $(patsubst tests/fuzz/mutate_%.c,fuzz_%,$(filter-out %/mutate_kit.c,$(wildcard tests/fuzz/mutate_*.c)))
FUZZ_ALL := $(sort $(wildcard tests/fuzz/*.c))
FUZZ_HELPERS := $(filter-out tests/fuzz/fuzz_% tests/fuzz/mutate_% %_glue.c %_main.c,$(FUZZ_ALL)) tests/fuzz/mutate_kit.c
FUZZ_REPLAY := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/replay/%)
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fsanitize-address-use-after-return=never \
    -fno-omit-frame-pointer
# Comparisons, indirect calls and the depth of the stack are not traced: each is a call, and the mutators know the formats.
FUZZ_COVERAGE := -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp,indirect-calls,stack-depth
FUZZ_LINK := -fsanitize=fuzzer
# Without sanitizers libFuzzer puts its own memcmp and the like before the C library's. Nothing asks for what they note.
FUZZ_LINK_PLAIN = $$(clang -print-file-name=libclang_rt.fuzzer-$$(uname -m).a) -lstdc++ -ldl
# fuzz_NAME.cover lists the sources in which libFuzzer counts edges for this target, which then has objects of its own:
# each edge that a run passes costs time in libFuzzer, and most of them are of no use to it. FUZZ_COVER is there to change
# with the file, so that the objects are built anew.
FUZZ_COVERED := $(patsubst tests/fuzz/%.cover,%,$(wildcard tests/fuzz/*.cover))
SCRIPTS := $(sort $(filter-out %/lib.sh,$(wildcard tests/lint/*.sh tests/cli/*.sh tests/interop/*.sh)))
STYLED = $(sort $(wildcard $(addsuffix /*.[ch],$(ROOMS) tests/unit tests/fuzz tests/bench tests/guest tests/canaries)))

WERROR ?= -Werror
STD_CFLAGS := -std=gnu11 -Wall -Wextra $(WERROR) -Wshadow -D_GNU_SOURCE -I.
LIBS := -lsqlite3 -lxxhash -lpthread -lm
COMPILE = $(CC) $(STD_CFLAGS) $(CPPFLAGS) $(CFLAGS)

DEPS_BUILD := gcc make libc6-dev libsqlite3-dev libxxhash-dev
DEPS_TEST := libcmocka-dev sqlite3
DEPS_LINT := clang clang-format clang-tidy cppcheck
# Wanted, not needed: the tests that use them skip, with a reason, where they are missing.
DEPS_WANTED := qemu-utils help2man
DEPS_PAGE := chromium nodejs gnuplot-nox fonts-dejavu-core
DEPS_BENCH := qemu-utils gnuplot-nox
DEPS_FUZZ := clang libclang-rt-dev afl++
DEPS_SLURM := slurmctld slurmd slurm-client sqlite3

.PHONY: guest-recording search flushes help all tests deps deps-build deps-lint matrix matrix-qemu agree-qemu test run-tests lint lint-includes lint-format lint-tidy \
        lint-cppcheck format coverage mutants asan test-compilers test-slurm test-kill bench bench-fuzz fuzz fuzz-bins fuzz-replay fuzz-seeds fuzz-lib fuzz-afl fuzz-plain install man clean test-page FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z_.-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

all: $(BUILD)/qedcrash ## build $(BUILD)/qedcrash

tests: $(UNIT_BINS) $(FUZZ_REPLAY) $(BUILD)/fuzz/crash_seeds ## build the unit tests and the replayers of the fuzz corpora

deps: ## install the Debian packages that are missing
	@.ci/deps $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_LINT) --wanted $(DEPS_WANTED)

deps-build:
	@.ci/deps $(DEPS_BUILD)

deps-lint:
	@.ci/deps $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_LINT)

# The steps of these targets are ordered, so they are commands, not prerequisites that -j would run side by side.
matrix: ## the crash matrix: every scenario x design x disk model
	@$(MAKE) --no-print-directory deps-build
	@$(MAKE) --no-print-directory all
	$(BUILD)/qedcrash matrix

# Exit status 4: there is no QEMU, which has been said.
guest-recording: all $(BUILD)/guest_states ## a Linux guest with ext4 on a QED disk, under software emulation, judged at every crash point
	@BUILD=$(BUILD) QEDCRASH=$(CURDIR)/$(BUILD)/qedcrash tests/guest/guest.sh || { r=$$?; [ $$r -eq 77 ] || exit $$r; }

matrix-qemu: all ## the scenario library on the installed QEMU, beside our design upstream
	$(BUILD)/qedcrash matrix --engine qemu scenarios tests/qemu/cover || [ $$? -eq 4 ]

agree-qemu: all ## N=1000 random recordings (SEED=1): our engine and the installed QEMU must judge alike; a second each
	@QEDCRASH=$(CURDIR)/$(BUILD)/qedcrash tests/qemu/agree.sh || { r=$$?; [ $$r -eq 77 ] || exit $$r; }

test: ## build and run all tests
	@.ci/deps $(DEPS_BUILD) $(DEPS_TEST) --wanted $(DEPS_WANTED)
	@$(MAKE) --no-print-directory run-tests

# -k: what does not build does not hide the rest. It is counted as a failed test, also where an older binary is left.
run-tests:
	+@BUILT=yes; $(MAKE) --no-print-directory -k all tests || BUILT=no; \
	    BUILD=$(BUILD) BUILT=$$BUILT CC="$(CC)" tests/run.sh $(UNIT_BINS) $(FUZZ_REPLAY) $(SCRIPTS)

lint: ## include directions, format, clang-tidy, cppcheck
	@$(MAKE) --no-print-directory deps-lint
	@$(MAKE) --no-print-directory -k lint-includes lint-format lint-tidy lint-cppcheck

lint-includes:
	@awk -f tests/lint/includes.awk $(STYLED)

lint-format:
	@$(if $(STYLED),clang-format --dry-run -Werror $(STYLED))

# One process a file: clang-tidy is slow, and xargs uses every core. Its stderr only counts what is suppressed.
lint-tidy:
	@printf '%s\n' $(SRCS) | xargs -P $$(nproc) -n 1 sh -c 'out=$$(clang-tidy --quiet "$$0" -- \
	    $(filter-out -Werror,$(STD_CFLAGS)) 2>/dev/null) || { printf "%s\n" "$$out"; exit 1; }'

# uninitvar: wrong about addresses taken; both compilers and the sanitizers watch over that.
lint-cppcheck:
	@cppcheck --quiet -j $$(nproc) --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --error-exitcode=1 --suppress=missingIncludeSystem --suppress=uninitvar -D__linux__ -D_GNU_SOURCE -I. $(SRCS)

format: ## rewrite all sources in the house style
	clang-format -i $(STYLED)

coverage: ## line coverage of engine/, simdisk/ and oracle/ by the unit tests; fails below 90 %
	@rm -rf build-cov
	@QEDCRASH_DIFFERENTIAL_CASES=60 QEDCRASH_TEST_HISTORIES=20 $(MAKE) --no-print-directory run-tests SCRIPTS= BUILD=build-cov \
	    CC=gcc CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage
	@tests/coverage.sh build-cov 90 engine simdisk oracle

mutants: ## the engine with one ordering weakened at a time: which of them are caught? (MUTANTS="name..."; some 15 minutes)
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) tests/mutants/run.sh $(MUTANTS)
	@$(if $(MUTANTS),,BUILD=$(BUILD) tests/mutants/policy.sh)

flushes: ## which flushes each named design needs, as the table of docs/flushes.md (FLUSHES="--disk ssd --events 0": options of qedcrash flushes)
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) tests/flushes.sh $(FLUSHES)

search: ## all designs there can be, on every disk model: the cheapest safe ones; some ten minutes (SEARCH="--disk ssd": options)
	@$(MAKE) --no-print-directory all
	@$(BUILD)/qedcrash designs search $(or $(SEARCH),--disk all)

asan: ## all tests under AddressSanitizer, UBSan and leak detection
	@QEDCRASH_DIFFERENTIAL_CASES=60 QEDCRASH_TEST_HISTORIES=20 $(MAKE) --no-print-directory run-tests BUILD=build-asan LDFLAGS="-fsanitize=address,undefined" \
	    CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"

test-compilers: ## gcc and clang both build without a warning and give the same result, byte for byte
	@$(MAKE) --no-print-directory all tests BUILD=build-gcc CC=gcc
	@$(MAKE) --no-print-directory all tests BUILD=build-clang CC=clang
	@for c in gcc clang; do build-$$c/qedcrash matrix --json >build-$$c/matrix.json; \
	    r=$$?; [ $$r -le 1 ] || { echo "build-$$c/qedcrash matrix: exit $$r"; exit 1; }; done
	@cmp build-gcc/matrix.json build-clang/matrix.json && echo "gcc and clang: same matrix"

test-page: ## the report page in headless Chromium: links, timelines, accessibility; screenshots in $(BUILD)/page/shots
	@.ci/deps $(DEPS_BUILD) $(DEPS_TEST) --wanted $(DEPS_PAGE)
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) TEST_TIMEOUT=600 tests/run.sh tests/page/run.sh

test-slurm: ## a campaign as a Slurm job array: one controller, two nodes, all on this machine
	@.ci/deps $(DEPS_BUILD) --wanted $(DEPS_SLURM)
	@$(MAKE) --no-print-directory all
	@QEDCRASH=$(CURDIR)/$(BUILD)/qedcrash tests/slurm/slurm.sh || { r=$$?; [ $$r -eq 77 ] && echo "skipped: see above"; }

test-kill: ## kill -9 of campaigns and of workers at 50 random moments (ROUNDS), each resumed; some minutes
	@.ci/deps $(DEPS_BUILD) sqlite3
	@$(MAKE) --no-print-directory all
	@QEDCRASH=$(CURDIR)/$(BUILD)/qedcrash tests/kill/kill.sh

bench: ## the benchmarks, some three minutes: a table, $(BUILD)/bench/bench.json, $(BUILD)/bench/*.svg
	@.ci/deps $(DEPS_BUILD) --wanted $(DEPS_BENCH)
	@$(MAKE) --no-print-directory all $(BENCH_BINS)
	@BUILD=$(BUILD) QEDCRASH=$(BUILD)/qedcrash tests/bench/bench.sh

fuzz: ## every fuzz target under libFuzzer and AFL++, FUZZ_TIME=60 seconds each; fails when anything is found
	@$(MAKE) --no-print-directory fuzz-bins
	@BUILD=$(BUILD) FUZZ_TARGETS="$(if $(filter command% environment,$(origin FUZZ_TARGETS)),$(FUZZ_TARGETS))" tests/fuzz/run.sh

# $(1): where to; $(2): flags; $(3): with which the fuzzer is linked
fuzz_lib = $(MAKE) --no-print-directory fuzz-lib OUT=$(1) CC=clang $(if $(3),FUZZ_LINK="$(3)")
define build_for_libfuzzer
set -e; $(if $(filter-out $(FUZZ_COVERED),$(FUZZ_TARGETS)),$(fuzz_lib) BUILD=$(1)/obj CFLAGS="$(2) $(FUZZ_COVERAGE)" \
    FUZZ_TARGETS="$(filter-out $(FUZZ_COVERED),$(FUZZ_TARGETS))";) \
$(foreach t,$(filter $(FUZZ_COVERED),$(FUZZ_TARGETS)),$(fuzz_lib) BUILD=$(1)/obj-$(t) FUZZ_TARGETS=$(t) \
    CFLAGS="$(2) $(FUZZ_COVERAGE) -fsanitize-coverage-allowlist=tests/fuzz/$(t).cover \
    -DFUZZ_COVER=$(firstword $(shell cksum <tests/fuzz/$(t).cover))";)
endef

fuzz-bins: ## build every fuzz target for libFuzzer and AFL++ (FUZZ_TARGETS="fuzz_x ...")
	@.ci/deps $(DEPS_BUILD) $(DEPS_FUZZ)
	@$(MAKE) --no-print-directory fuzz-replay
	+@$(call build_for_libfuzzer,$(BUILD)/fuzz/lib,-O2 -g $(FUZZ_SANITIZE))
	@AFL_QUIET=1 $(MAKE) --no-print-directory fuzz-afl BUILD=$(BUILD)/fuzz/afl/obj OUT=$(BUILD)/fuzz/afl \
	    CC=afl-clang-fast CFLAGS="-O2 -g"

# Without sanitizers: for rates, and for the benchmark.
fuzz-plain: $(FUZZ_REPLAY)
	+@$(call build_for_libfuzzer,$(BUILD)/fuzz/plain,-O2 -g,$(FUZZ_LINK_PLAIN))

bench-fuzz: ## each known-bad design from an empty corpus: libFuzzer, AFL++, the generator (SEEDS=10, CAP=60; goes on where it was)
	@$(MAKE) --no-print-directory fuzz-bins fuzz-plain FUZZ_TARGETS=fuzz_crash
	@$(MAKE) --no-print-directory $(BUILD)/fuzz/hunt $(BUILD)/qedcrash
	@BUILD=$(BUILD) BENCH_STORE="$(BENCH_STORE)" tests/fuzz/bench.sh

fuzz-seeds: $(BUILD)/fuzz/crash_seeds ## the seeds of fuzz_crash anew, from the library and the generator
	@rm -f tests/fuzz/corpus/fuzz_crash/library-* tests/fuzz/corpus/fuzz_crash/gen-*
	@$< scenarios tests/fuzz/corpus/fuzz_crash

$(BUILD)/fuzz/crash_seeds $(BUILD)/fuzz/hunt: $(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%_main.o $(BUILD)/tests/fuzz/crash_case.o \
    $(BUILD)/libqedcrash.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

fuzz-replay: $(FUZZ_REPLAY)

man: all ## the manual pages of section 1, by help2man, in $(BUILD)/man
	@rm -rf $(BUILD)/man
	@docs/man/make.sh $(BUILD)/qedcrash $(BUILD)/man || [ $$? -eq 77 ]

SHARE = $(DESTDIR)$(PREFIX)/share

install: man ## install program, scenarios, manual pages and completion under $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/qedcrash/scenarios $(SHARE)/man/man1 $(SHARE)/man/man5 \
	    $(SHARE)/bash-completion/completions
	install -m 755 $(BUILD)/qedcrash $(DESTDIR)$(PREFIX)/bin/qedcrash
	install -m 644 $(wildcard scenarios/*.scn) scenarios/qemu-reasons.txt $(SHARE)/qedcrash/scenarios
	install -m 644 docs/man/qedcrash-scenario.5 $(SHARE)/man/man5
	[ ! -d $(BUILD)/man ] || install -m 644 $(BUILD)/man/*.1 $(SHARE)/man/man1
	install -m 644 docs/completion/qedcrash $(SHARE)/bash-completion/completions/qedcrash

clean: ## remove everything built
	rm -rf build build-asan build-cov build-gcc build-clang compile_commands.json

# ---- what is built -------------------------------------------------------------------------------------------------

# Objects depend on the flags they were built with: changing CC or CFLAGS rebuilds.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LDFLAGS)' | cmp -s - $@ || echo '$(COMPILE) $(LDFLAGS)' >$@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

# Embedded by .incbin, which -MMD does not see.
$(BUILD)/reports/schema.o: reports/schema.sql
$(BUILD)/reports/page_files.o: reports/page.css reports/page.js

# q appends: r would let two files of one name, in two rooms, replace each other.
$(BUILD)/libqedcrash.a: $(LIB_SRCS:%.c=$(BUILD)/%.o)
	@rm -f $@
	$(AR) qcs $@ $^

$(BUILD)/tests/libhelpers.a: $(HELPER_SRCS:%.c=$(BUILD)/%.o)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) qcs $@ $^

$(BUILD)/qedcrash: $(MAIN:%.c=$(BUILD)/%.o) $(BUILD)/libqedcrash.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(UNIT_BINS): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/tests/libhelpers.a $(BUILD)/libqedcrash.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(LIBS)

$(BUILD)/tests/test_fuzz_crash: $(patsubst %,$(BUILD)/tests/fuzz/%.o,crash_case crash_features crash_keep crash_run mutate_crash mutate_kit)

$(BUILD)/guest_states: $(BUILD)/tests/guest/guest_states.o $(BUILD)/libqedcrash.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BENCH_BINS): $(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BENCH_HELPERS:%.c=$(BUILD)/%.o) $(BUILD)/libqedcrash.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(FUZZ_REPLAY): $(BUILD)/fuzz/replay/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay_main.o \
    $(FUZZ_HELPERS:%.c=$(BUILD)/%.o) $(BUILD)/libqedcrash.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# Only by way of fuzz-bins, which names OUT and the compiler.
ifdef OUT
FUZZ_OUT := $(FUZZ_TARGETS:%=$(OUT)/%)
MUTATORS := $(patsubst %,$(OUT)/%.mutator.so,$(filter $(FUZZ_MUTATED),$(FUZZ_TARGETS)))
fuzz-lib: $(FUZZ_OUT)
fuzz-afl: $(FUZZ_OUT) $(MUTATORS)

$(FUZZ_OUT): $(OUT)/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_HELPERS:%.c=$(BUILD)/%.o) $(BUILD)/libqedcrash.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(FUZZ_LINK) $(LIBS)

ifeq ($(CC),afl-clang-fast)
$(FUZZ_OUT): $(BUILD)/tests/fuzz/afl_edge_glue.o
else
$(filter $(FUZZ_MUTATED:%=$(OUT)/%),$(FUZZ_OUT)): $(OUT)/fuzz_%: $(BUILD)/tests/fuzz/mutate_%.o \
    $(BUILD)/tests/fuzz/libfuzzer_glue.o
endif

$(MUTATORS): $(OUT)/fuzz_%.mutator.so: tests/fuzz/mutate_%.c tests/fuzz/afl_glue.c tests/fuzz/mutate_kit.c \
    tests/fuzz/fuzz.h tests/fuzz/mutate_kit.h
	@mkdir -p $(@D)
	cc $(STD_CFLAGS) -O2 -g -shared -fPIC -o $@ $(filter %.c,$^)
endif

compile_commands.json: Makefile FORCE ## for clangd and other tools
	@printf '%s\n' $(SRCS) $(UNIT_ALL) $(BENCH_ALL) $(FUZZ_ALL) | awk -v dir="$(CURDIR)" -v cmd='$(COMPILE)' 'BEGIN { printf "[" } \
	    { printf "%s\n{\"directory\": \"%s\", \"file\": \"%s\", \"command\": \"%s -c %s\"}", (NR > 1 ? "," : ""), \
	      dir, $$1, cmd, $$1 } END { print "\n]" }' >$@

-include $(SRCS:%.c=$(BUILD)/%.d) $(UNIT_ALL:%.c=$(BUILD)/%.d) $(BENCH_ALL:%.c=$(BUILD)/%.d) $(FUZZ_ALL:%.c=$(BUILD)/%.d)
