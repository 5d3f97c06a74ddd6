#!/bin/bash
# Mutation score of the engine. Each mutant of mutants.txt is one source file of engine/ with an ordering weakened; it is
# compiled, linked with the library as built, and run against scenarios and generated workloads. What the unmutated
# program does not find, catches it. docs/mutants.md says more.
#
#   tests/mutants/run.sh [NAME...]      all, or those; from the repository's root, after `make`
#   BUILD, JOBS, MUTANT_TIMEOUT (seconds for one run of the program), MUTANT_KEEP, MUTANT_QUICK (the library on ssd only),
#   MUTANT_RESUME (what the last run caught, or found equivalent as stated, is not run again)
#
# Exit: 0 all caught or equivalent; 1 a survivor; 2 a mutation that does not apply or compile.
set -u
export LC_ALL=C
export BUILD=${BUILD:-build} JOBS=${JOBS:-$(nproc)} MUTANT_TIMEOUT=${MUTANT_TIMEOUT:-400}
export HERE=tests/mutants WORK=$BUILD/mutants
# First what is cheap: one disk. Nothing new there: more disks, the scenarios here, which are too slow for the library, and
# generated workloads.
export FIRST="--disk ssd" HEAVY="$HERE --disk ssd --disk hostdev" THEN="--disk hostdev --disk fsync-drop"
export MATRIX="-j 1 -q --color never --limit 20000"
export GEN="--ops 1 --with inject,kill,truncate,rebase,reopen,cancel"

mutants()
{
    awk -v mode="$1" -v name="${2:-}" -f $HERE/mutants.awk $HERE/mutants.txt
}

# Every kind of finding of a `gen --judge`, one a line.
kinds()
{
    sed -n 's/^  \([a-z-]*\), missing: \(.*\)$/\1, missing \2/p; s/^  \(stuck\|wrong-read\|unopenable\|bad-repair\|corrupt\|torn\|disclosure\|lost-cow\|lost-flushed\)$/\1/p' "$1" | sort -u
}

# key DESIGN ARGS: a file name
key()
{
    printf '%s' "$1 $2" | tr -c 'a-z0-9\n' '_'
}

# judge PROGRAM DESIGN ARGS OUT
judge()
{
    # shellcheck disable=SC2086
    timeout "$MUTANT_TIMEOUT" "$1" gen --judge --design "$2" --disk ssd -j 1 $3 >"$4" 2>&1 </dev/null
}

# What the unmutated program finds: once for each design and test, by whoever asks first.
base_gen()
{
    local out
    out=$WORK/base/$(key "$1" "$2")
    (
        flock 9
        [ -e "$out" ] && exit 0
        MUTANT_TIMEOUT=900 judge "$BUILD/qedcrash" "$1" "$2" "$out.out"
        [ $? -le 1 ] || { echo "ERROR: $1, gen $2: the unmutated program fails"; exit 1; }
        kinds "$out.out" >"$out.new" && mv "$out.new" "$out"
    ) 9>"$out.lock"
}

base_matrix()
{
    local out
    out=$WORK/base/$(key "$1" "matrix $2")
    (
        flock 9
        [ -e "$out.db" ] && exit 0
        # shellcheck disable=SC2086
        "$BUILD/qedcrash" matrix --design "$1" $2 $MATRIX --store "$out.new" >"$out.out" 2>&1 </dev/null
        [ $? -le 1 ] || { echo "ERROR: $1: the matrix of the unmutated program fails"; exit 1; }
        mv "$out.new" "$out.db"
    ) 9>"$out.lock"
}

# by_matrix NAME DESIGN ARGS: says what caught it
by_matrix()
{
    local out=$WORK/$1/matrix.out rc
    base_matrix "$2" "$3" || return 0
    # shellcheck disable=SC2086
    timeout "$MUTANT_TIMEOUT" "$WORK/$1/qedcrash" matrix --design "$2" $3 $MATRIX --cell-timeout 10s --time-limit 60s \
        --baseline "$WORK/base/$(key "$2" "matrix $3").db" >"$out" 2>&1 </dev/null
    rc=$?
    case $rc in
    124) echo "caught: hangs under $2"; return 0 ;;
    0 | 1 | 130) ;; # 130: the time limit; what was found by then counts
    *) echo "caught: crashes under $2 (exit $rc: $(grep -m 1 -E 'qedcrash|signal|assert' "$out" | cut -c 1-120))"; return 0 ;;
    esac
    local n
    n=$(grep -c '^new: ' "$out")
    [ "$n" -gt 0 ] || return 1
    echo "caught: $(sed -n 's/^new: \([^ ]*\) \([^ ]*\) \([^ ]*\)  \([a-z-]*\).*/\4 in \1, \2, \3/p' "$out" | head -n 1) ($n new)"
}

# by_gen NAME DESIGN ARGS
by_gen()
{
    local out=$WORK/$1/gen.out rc new
    base_gen "$2" "$3" || return 0
    judge "$WORK/$1/qedcrash" "$2" "$3" "$out"
    rc=$?
    case $rc in
    124) echo "caught: hangs under $2, gen $3"; return 0 ;;
    0 | 1) ;;
    *) echo "caught: crashes under $2, gen $3 (exit $rc)"; return 0 ;;
    esac
    new=$(kinds "$out" | comm -13 "$WORK/base/$(key "$2" "$3")" - | head -n 1)
    [ -n "$new" ] || return 1
    echo "caught: $new in $(grep -F -A 1 "  ${new%%, *}" "$out" | sed -n 's/.*first in workload [0-9]*: //p' | head -n 1), $2, ssd"
}

build_mutant()
{
    local dir=$WORK/$1 flags
    flags=$(cat "$BUILD/flags")
    rm -rf "$dir"
    mkdir -p "$dir"
    mutants apply "$1" >"$dir/${2##*/}" || return 1
    # shellcheck disable=SC2086
    $flags -w -O1 -g0 -c -o "$dir/mutant.o" "$dir/${2##*/}" &&
        $flags -o "$dir/qedcrash" "$BUILD/harness/main.o" "$dir/mutant.o" "$BUILD/libqedcrash.a" \
            -lsqlite3 -lxxhash -lpthread -lm
}

# one NAME FILE DESIGNS GEN EQUIVALENT: its line, in $WORK/NAME.line
one()
{
    local design said start=$SECONDS
    [ -n "${MUTANT_RESUME:-}" ] && grep -q -e '^caught' -e '^equivalent' "$WORK/$1.line" 2>/dev/null && return
    if ! build_mutant "$1" "$2" >"$WORK/$1.log" 2>&1; then
        echo "ERROR: $(tail -n 1 "$WORK/$1.log")" >"$WORK/$1.line"
        return
    fi
    said=$(
        for design in $3; do by_matrix "$1" "$design" "$FIRST" && exit 0; done
        [ -z "${MUTANT_QUICK:-}" ] || exit 1
        for design in $3; do by_matrix "$1" "$design" "$THEN" && exit 0; done
        for design in $3; do by_matrix "$1" "$design" "$HEAVY" && exit 0; done
        for design in $3; do by_gen "$1" "$design" "$GEN" && exit 0; done
        [ "$4" != - ] && for design in $3; do by_gen "$1" "$design" "$4" && exit 0; done
        exit 1
    )
    if [ -z "$said" ] && [ "$5" = equivalent ]; then
        said="equivalent: $(mutants reason "$1" | tr '\n' ' ' | sed 's/ $//')"
    elif [ -z "$said" ]; then
        said="SURVIVED under $3"
    elif [ "$5" = equivalent ]; then
        said="ERROR: stated to be equivalent, but $said"
    fi
    printf '%s\n' "$said" >"$WORK/$1.line"
    [ -n "${MUTANT_KEEP:-}" ] || rm -rf "${WORK:?}/$1"
    echo "$1: $((SECONDS - start)) s" >>"$WORK/times"
}

export -f mutants kinds key judge base_gen base_matrix by_matrix by_gen build_mutant one

mkdir -p "$WORK/base"
: >"$WORK/times"
[ -n "${MUTANT_RESUME:-}" ] || rm -f "$WORK"/*.line "$WORK"/*.log "$WORK"/base/*
mutants list >"$WORK/all" || exit 2
cp "$WORK/all" "$WORK/list"
if [ $# -gt 0 ]; then
    for n in "$@"; do grep "^$n	" "$WORK/all" || { echo "no mutant $n" >&2; exit 2; }; done >"$WORK/list"
fi

tr '\n' '\0' <"$WORK/list" | xargs -0 -n 1 -P "$JOBS" bash -c 'IFS=$'"'\t'"' read -r name file designs gen eq <<<"$0"
    one "$name" "$file" "$designs" "$gen" "$eq"'

caught=0 equivalent=0 survived=0 errors=0
while IFS=$'\t' read -r name file _; do
    line=$(cat "$WORK/$name.line" 2>/dev/null || echo 'ERROR: it was not run')
    printf '%-28s %-12s %s\n' "$name" "${file#engine/}" "$line"
    case $line in
    caught*) caught=$((caught + 1)) ;;
    equivalent*) equivalent=$((equivalent + 1)) ;;
    SURVIVED*) survived=$((survived + 1)) ;;
    *) errors=$((errors + 1)) ;;
    esac
done <"$WORK/list"
echo
echo "$((caught + equivalent + survived + errors)) mutants: $caught caught, $equivalent equivalent, $survived survived$([ $errors -eq 0 ] || echo ", $errors in ERROR")"
[ $errors -eq 0 ] || exit 2
[ $survived -eq 0 ]
