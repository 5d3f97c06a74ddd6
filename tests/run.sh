#!/bin/bash
# Runs the tests named (unit test programs and scripts), a few at a time, and prints them in the order given.
# Exit 77 of a test is a skip; the last line of its stdout is the reason. The closing line stands alone:
# "N passed, N failed, N skipped". Environment: BUILD, BUILT (no: the build failed, which counts as a failed test),
# TEST_TIMEOUT (seconds for one test).
set -u

unset MAKEFLAGS MAKELEVEL MFLAGS # a test that calls make starts anew
export BUILD=${BUILD:-build}
export QEDCRASH=${QEDCRASH:-$PWD/$BUILD/qedcrash}
export TEST_TIMEOUT=${TEST_TIMEOUT:-280}
export LOGS=$BUILD/test-logs
rm -rf "$LOGS"
mkdir -p "$LOGS"

run_one()
{
    local log=$LOGS/${1//\//_} start=$SECONDS
    if [ -x "$1" ]; then
        case $1 in /*) set -- "$1" ;; *) set -- "./$1" ;; esac
        timeout "$TEST_TIMEOUT" "$1" >"$log.out" 2>"$log.err" </dev/null
        echo "$? $((SECONDS - start))" >"$log.rc"
    elif [ -e "$1" ]; then
        echo "not executable" >"$log.err"
        echo "126 0" >"$log.rc"
    else
        echo "did not build" >"$log.err"
        echo "127 0" >"$log.rc"
    fi
}
export -f run_one
[ $# -eq 0 ] || printf '%s\0' "$@" | xargs -0 -n 1 -P "$(nproc)" bash -c 'run_one "$0"'

passed=0 failed=0 skipped=0
for t in "$@"; do
    log=$LOGS/${t//\//_}
    read -r rc seconds <"$log.rc"
    name=${t#"$BUILD"/}
    case $rc in
    0)
        passed=$((passed + 1))
        echo "ok    $name (${seconds}s)"
        ;;
    77)
        skipped=$((skipped + 1))
        echo "skip  $name: $(tail -n 1 "$log.out")"
        ;;
    *)
        failed=$((failed + 1))
        [ "$rc" -eq 124 ] && echo "timed out after $TEST_TIMEOUT s" >>"$log.err"
        echo "FAIL  $name (exit $rc, ${seconds}s)"
        for part in out err; do
            if [ -s "$log.$part" ]; then tail -n 60 "$log.$part" | sed 's/^/      | /'; fi
        done
        ;;
    esac
done
if [ "${BUILT:-yes}" = no ]; then
    failed=$((failed + 1))
    echo "FAIL  the build (see above); tests may have run older binaries"
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
