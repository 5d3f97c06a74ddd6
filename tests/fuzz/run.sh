#!/bin/bash
# `make fuzz`: every target under libFuzzer (with sanitizers) and AFL++, as many at a time as there are cores, FUZZ_TIME
# seconds each. Fails when anything was found: crashes, leaks, timeouts, hangs; the smallest is run once more, for its
# repro line. What was found is kept in BUILD/fuzz/found/TARGET.
#
# Environment: BUILD, FUZZ_TIME, FUZZ_TARGETS, FUZZ_JOBS. A target's own options: tests/fuzz/TARGET.opts (LIB_OPTS, AFL_OPTS;
# BY_DEFAULT=no leaves it out unless it is named).
# shellcheck disable=SC2317 # run_lib and run_afl are called by name, stop_all by a trap
set -u

here=$(dirname "$0")
build=${BUILD:-build}/fuzz
seconds=${FUZZ_TIME:-60}
jobs_max=${FUZZ_JOBS:-$(nproc)}
work=$build/run
found=$build/found

# Short stacks for allocations, and little memory held back: half the time goes into these otherwise. Not of one frame:
# without a caller LeakSanitizer takes every block for the dynamic linker's, and finds nothing.
asan=malloc_context_size=2:quarantine_size_mb=4:thread_local_quarantine_size_kb=64:detect_stack_use_after_return=0
# The machine may be busy: only what takes ten seconds is a hang.
export AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_UI=1 AFL_NO_AFFINITY=1 AFL_FAST_CAL=1
export AFL_HANG_TMOUT=10000

options_of()
{
    LIB_OPTS=() AFL_OPTS=() BY_DEFAULT=yes
    # shellcheck disable=SC1090 # the target's own
    if [ -e "$here/$1.opts" ]; then . "$here/$1.opts"; fi
}

targets=${FUZZ_TARGETS:-}
if [ -z "$targets" ]; then
    for source in "$here"/fuzz_*.c; do
        name=$(basename "$source" .c)
        options_of "$name"
        if [ "$BY_DEFAULT" = yes ]; then targets+=" $name"; fi
    done
fi

# --- jobs: "fuzz_crash lib" and the like, each a process group of its own -----------------------------------------------

queue=() running=() finished=()
declare -A group

seeds_of()
{
    mkdir -p "$2"
    find "$here/corpus/$1" -type f ! -name README.md -exec cp {} "$2" \; 2>/dev/null
    [ -n "$(ls -A "$2")" ] || printf '\0' >"$2/empty"
}

run_lib()
{
    local dir=$work/$1.lib
    options_of "$1"
    seeds_of "$1" "$dir/corpus"
    mkdir -p "$dir/crashes"
    export ASAN_OPTIONS=$asan
    exec "$build/lib/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -report_slow_units=60 -artifact_prefix="$dir/crashes/" "${LIB_OPTS[@]}" "$dir/corpus" >"$dir/log" 2>&1 </dev/null
}

run_afl()
{
    local dir=$work/$1.afl
    options_of "$1"
    seeds_of "$1" "$dir/in"
    if [ -e "$build/afl/$1.mutator.so" ]; then
        export AFL_CUSTOM_MUTATOR_LIBRARY=$PWD/$build/afl/$1.mutator.so AFL_CUSTOM_MUTATOR_ONLY=1
    fi
    exec afl-fuzz -V "$seconds" -i "$dir/in" -o "$dir/out" -m none -t 10000 "${AFL_OPTS[@]}" -- "$build/afl/$1" \
        >"$dir/log" 2>&1 </dev/null
}

start()
{
    local name=${1/ /.}
    rm -rf "${work:?}/$name"
    mkdir -p "$work/$name"
    set -m # a process group for each
    "run_${1#* }" "${1% *}" &
    set +m
    group[$1]=$!
    running+=("$1")
}

stop_all()
{
    trap - INT TERM
    for job in "${running[@]}"; do kill -TERM -- "-${group[$job]}" 2>/dev/null; done
    # AFL++ ends its target itself, which is in a session of its own: it needs the time for that.
    for _ in {1..50}; do
        local alive=no
        for job in "${running[@]}"; do
            if kill -0 "${group[$job]}" 2>/dev/null; then alive=yes; fi
        done
        [ "$alive" = yes ] || break
        sleep 0.1
    done
    for job in "${running[@]}"; do kill -KILL -- "-${group[$job]}" 2>/dev/null; done
    wait 2>/dev/null
    echo >&2
    echo "interrupted; what was found so far is in $work" >&2
    exit 130
}
trap stop_all INT TERM

# --- what came of them --------------------------------------------------------------------------------------------------

stat_of()
{
    awk -v key="$2" '$1 == key { print $3 }' "$work/$1.afl/out/default/fuzzer_stats" 2>/dev/null
}

executions()
{
    [ -e "$work/$1/log" ] || { echo 0; return; }
    case $1 in
    *.lib) tr '\r' '\n' 2>/dev/null <"$work/$1/log" | awk '/^#[0-9]/ { n = substr($1, 2) } /number_of_executed_units/ { n = $2 }
        END { print n + 0 }' ;;
    *.afl) echo "$(($(stat_of "${1%.afl}" execs_done) + 0))" ;;
    esac
}

coverage()
{
    [ -e "$work/$1/log" ] || { echo 0; return; }
    case $1 in
    *.lib) awk '/ cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") n = $(i + 1) } END { print n + 0 }' "$work/$1/log" ;;
    *.afl) echo "$(($(stat_of "${1%.afl}" edges_found) + 0))" ;;
    esac
}

# One file a line.
findings()
{
    find "$work/$1/crashes" "$work/$1/out/default/crashes" "$work/$1/out/default/hangs" -type f \
        ! -name README.txt ! -name 'slow-unit-*' 2>/dev/null
}

# A status line on a terminal; elsewhere one every thirty seconds.
say_status()
{
    local text="" job name
    for job in "${running[@]}"; do
        name=${job/ /.}
        text+=" | $name $(executions "$name"), $(coverage "$name") edges, $(findings "$name" | wc -l) found"
    done
    if [ -t 2 ]; then
        printf '\r\033[K%s' "$(printf '%s' "${#finished[@]} of $total done$text" | cut -c "1-$((${COLUMNS:-120} - 1))")" >&2
    elif [ $((SECONDS - last_said)) -ge 30 ]; then
        last_said=$SECONDS
        echo "${#finished[@]} of $total done$text" >&2
    fi
}

reap()
{
    local still=() job
    for job in "${running[@]}"; do
        if kill -0 "${group[$job]}" 2>/dev/null; then
            still+=("$job")
        else
            wait "${group[$job]}"
            code[$job]=$?
            kill -KILL -- "-${group[$job]}" 2>/dev/null # its children, had it died
            finished+=("$job")
        fi
    done
    running=("${still[@]}")
}

# What AFL++ went through without sanitizers, once with them.
check_queue()
{
    local dir=$work/$1.afl
    [ -d "$dir/out/default/queue" ] || return 0
    options_of "$1"
    mkdir -p "$dir/crashes"
    ASAN_OPTIONS=$asan "$build/lib/$1" -runs=0 -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$dir/crashes/" "${LIB_OPTS[@]}" \
        "$dir/out/default/queue" >"$dir/sanitized.log" 2>&1 </dev/null
}

# What only the sanitizers see, the replayer does not.
show_again()
{
    QEDCRASH_FUZZ_OUT=$found/$1 timeout 20 "$build/replay/$1" "$2"
    case $? in
    0) ASAN_OPTIONS=$asan timeout 20 "$build/lib/$1" "$2" ;;
    124) echo "no end within 20 seconds" ;;
    esac
}

# --- all of it ----------------------------------------------------------------------------------------------------------

for target in $targets; do
    for tool in lib afl; do
        if [ -x "$build/$tool/$target" ]; then
            queue+=("$target $tool")
        else
            echo "$build/$tool/$target is missing: run 'make fuzz-bins'" >&2
            exit 2
        fi
    done
done
total=${#queue[@]} last_said=$SECONDS
declare -A code
while [ ${#queue[@]} -gt 0 ] || [ ${#running[@]} -gt 0 ]; do
    while [ ${#queue[@]} -gt 0 ] && [ ${#running[@]} -lt "$jobs_max" ]; do
        start "${queue[0]}"
        queue=("${queue[@]:1}")
    done
    sleep 1
    reap
    say_status
done
if [ -t 2 ]; then printf '\r\033[K' >&2; fi

failed=0
declare -A found_now
printf '%-24s %14s %8s %8s\n' "target" "executions" "edges" "found"
for job in "${finished[@]}"; do
    name=${job/ /.} target=${job% *}
    if [ "${job#* }" = afl ]; then
        check_queue "$target" || failed=1
    fi
    count=$(findings "$name" | wc -l)
    printf '%-24s %14s %8s %8s\n' "$name" "$(executions "$name")" "$(coverage "$name")" "$count"
    if [ "$count" -gt 0 ]; then
        failed=1 found_now[$target]=yes
        mkdir -p "$found/$target"
        findings "$name" | while read -r file; do cp "$file" "$found/$target/$(sha1sum <"$file" | cut -c 1-16)"; done
    elif [ "${code[$job]}" -ne 0 ]; then # it did not even run
        failed=1
        echo "$name ended with exit code ${code[$job]}:"
        tail -n 15 "$work/$name/log"
    fi
done
for target in $targets; do
    smallest=$(find "$found/$target" -type f ! -name '*.scn' -printf '%s %p\n' 2>/dev/null | sort -n | head -n 1 | cut -d ' ' -f 2-)
    [ -n "${found_now[$target]:-}" ] || continue
    echo "$target: the smallest finding is $smallest; to see it again: $build/lib/$target $smallest"
    show_again "$target" "$smallest" >"$work/again" 2>&1
    grep -v -e '^$' -e '^INFO' "$work/again" | tail -n 5
done
exit $failed
