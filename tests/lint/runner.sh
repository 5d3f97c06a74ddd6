#!/bin/bash
# tests/run.sh counts right: pass, fail, skip with its reason, not built; and says so on its closing line.
set -u
runner=$PWD/tests/run.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
unset BUILT

# script NAME BODY
script()
{
    printf '#!/bin/sh\n%s\n' "$2" >"$1"
    chmod +x "$1"
}

# expect RC WORDS TEST...
expect()
{
    local want=$1 words=$2 out rc
    shift 2
    out=$(BUILD=b TEST_TIMEOUT=1 "$runner" "$@" 2>&1)
    rc=$?
    if [ $rc -ne "$want" ] || [[ $out != *"$words"* ]]; then
        echo "wanted exit $want and \"$words\", got exit $rc:"
        echo "$out"
        failed=1
    fi
}

script good 'exit 0'
script bad 'echo oh no; exit 3'
script lazy 'echo looking; echo no qemu here; exit 77'
script slow 'sleep 9'
touch plain
expect 0 $'\n1 passed, 0 failed, 0 skipped' good
expect 0 'skip  lazy: no qemu here' good lazy
expect 0 $'\n1 passed, 0 failed, 1 skipped' lazy good
expect 1 '| oh no' good bad
expect 1 'timed out after 1 s' slow
expect 1 'did not build' good b/tests/missing
expect 1 'not executable' good plain
expect 1 $'\n1 passed, 3 failed, 1 skipped' good bad lazy b/missing plain
expect 1 $'\n0 passed, 0 failed, 1 skipped' lazy
expect 1 $'\n0 passed, 0 failed, 0 skipped'
BUILT=no expect 1 $'\n1 passed, 1 failed, 0 skipped' good
exit $failed
