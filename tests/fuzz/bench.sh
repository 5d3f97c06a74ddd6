#!/bin/bash
# `make bench-fuzz`: how long each fuzzer takes to find each known-bad design, from an empty corpus, and the bounded
# generator beside them. Resumable: each run is one line in BUILD/fuzz/bench.tsv, and what is there is not run again.
#
#     design  tool  seed  found (1, or 0: not within the cap)  CPU seconds  executions  [workloads]
#
# Time is CPU time of the fuzzer and all its children, so that a busy machine does not change the result; a run is cut off
# after CAP of them. Targets are built without sanitizers. The generator draws nothing, so one run of it is all there is;
# its executions are crash states judged; it alone has workloads.
#
# Environment: BUILD, SEEDS (10), CAP (60), DESIGNS (all named ones that are known to be bad), TOOLS (lib afl gen), and
# BENCH_LIMIT: stop after so many runs, to go on another time. BENCH_STORE: a result store; all runs are put into it too.
# shellcheck disable=SC2317 # run_lib and its like are called by name
set -u

here=$(dirname "$0")
build=${BUILD:-build}
out=$build/fuzz/bench.tsv
seeds=${SEEDS:-10}
cap=${CAP:-60}
tools=${TOOLS:-lib afl gen}
limit=${BENCH_LIMIT:-1000000}
LIB_OPTS=() AFL_OPTS=()
# shellcheck source=fuzz_crash.opts disable=SC1091
. "$here/fuzz_crash.opts"
# careful and autoclear are safe; phys-size and size-check but for one story that no generated workload tells.
designs=${DESIGNS:-v2 cow-flush upstream flush-always zero-detect skip-no-backing trim trim-flush reuse-flush mark-written \
    mark-flushed mark-on-flush timer naive eight-step seven-step}

export AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1 AFL_FAST_CAL=1
export AFL_BENCH_UNTIL_CRASH=1 AFL_CUSTOM_MUTATOR_ONLY=1
export AFL_CUSTOM_MUTATOR_LIBRARY=$PWD/$build/fuzz/afl/fuzz_crash.mutator.so

work=$build/fuzz/bench
child=
# AFL++ ends its target itself, which is in a session of its own: it gets the time for that.
end_child()
{
    kill -TERM -- "-$child" 2>/dev/null
    for _ in {1..50}; do
        kill -0 "$child" 2>/dev/null || return
        sleep 0.1
    done
    kill -KILL -- "-$child" 2>/dev/null
}

stop()
{
    [ -z "$child" ] || end_child
    exit 130
}
trap stop INT TERM

# CPU seconds of a process group so far, and of the children it has in groups of their own: AFL++'s target has a session.
# (ps -g would be a session.)
cpu_of()
{
    ps -eo pid=,ppid=,pgid=,cputimes= --sort=pid 2>/dev/null |
        awk -v group="$1" '$3 == group || $2 in mine { mine[$1]; n += $4 } END { print n + 0 }'
}

# Runs "$@" in a group of its own until it ends or has used up the cap; sets `cpu`.
run_capped()
{
    local before after
    before=$(children_cpu)
    set -m
    "$@" >"$work/log" 2>&1 </dev/null &
    child=$!
    set +m
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2
        if [ "$(cpu_of "$child")" -ge "$cap" ]; then
            end_child
        fi
    done
    wait "$child" 2>/dev/null
    child=
    after=$(children_cpu)
    cpu=$(awk -v a="$after" -v b="$before" 'BEGIN { printf "%.2f", a - b }')
}

# Of all children of this shell that have ended.
children_cpu()
{
    awk '{ print ($16 + $17) / 100 }' "/proc/$$/stat"
}

run_lib()
{
    mkdir -p "$work/corpus"
    QEDCRASH_FUZZ_DESIGN=$1 run_capped "$build/fuzz/plain/fuzz_crash" -seed="$2" -detect_leaks=0 -artifact_prefix="$work/" \
        "${LIB_OPTS[@]}" "$work/corpus"
    found=$(grep -c 'repro: ' "$work/log")
    execs=$(grep -o '^#[0-9]*' "$work/log" | tail -n 1 | tr -d '#')
}

run_afl()
{
    mkdir -p "$work/in"
    printf '\0' >"$work/in/empty"
    QEDCRASH_FUZZ_DESIGN=$1 run_capped afl-fuzz -s "$2" -i "$work/in" -o "$work/out" -m none -t 10000 "${AFL_OPTS[@]}" \
        -- "$build/fuzz/afl/fuzz_crash"
    found=$(find "$work/out/default/crashes" -name 'id*' 2>/dev/null | head -n 1 | wc -l)
    execs=$(awk '$1 == "execs_done" { print $3 }' "$work/out/default/fuzzer_stats" 2>/dev/null)
}

# Any class will do, as for the fuzzers.
run_gen()
{
    run_capped "$build/fuzz/hunt" "$1"
    found=$(grep -c 'repro: ' "$work/log")
    execs=$(grep -o '[0-9]* executions' "$work/log" | tail -n 1 | grep -o '[0-9]*')
    workloads=$(grep -o '[0-9]* workloads' "$work/log" | tail -n 1 | grep -o '[0-9]*')
}

if [ -n "${BENCH_STORE:-}" ] && [ ! -f "$BENCH_STORE" ]; then # said before half an hour of work
    echo "BENCH_STORE=$BENCH_STORE: no such store; make one with 'qedcrash matrix --store $BENCH_STORE'" >&2
    exit 2
fi
mkdir -p "$build/fuzz"
touch "$out"
done_now=0
for ((seed = 1; seed <= seeds; seed++)); do
    for design in $designs; do
        for tool in $tools; do
            [ "$tool" != gen ] || [ "$seed" -eq 1 ] || continue
            if grep -q "^$design	$tool	$seed	" "$out"; then continue; fi
            [ "$done_now" -lt "$limit" ] || break 3
            done_now=$((done_now + 1))
            rm -rf "$work"
            mkdir -p "$work"
            workloads=
            "run_$tool" "$design" "$seed"
            printf '%s\t%s\t%s\t%s\t%s\t%s%s\n' "$design" "$tool" "$seed" "$((found > 0))" "$cpu" "${execs:-0}" \
                "${workloads:+	$workloads}" | tee -a "$out"
        done
    done
done
awk -v cap="$cap" -f "$here/bench.awk" "$out"
if [ -n "${BENCH_STORE:-}" ]; then "$build/qedcrash" import --store "$BENCH_STORE" "$out"; fi
