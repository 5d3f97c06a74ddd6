#!/bin/bash
# The include lint finds what it should, and accepts what it should.
set -u
awk_file=$PWD/tests/lint/includes.awk
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

# write FILE LINE...: one file of a made-up tree
write()
{
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "${@:2}" >"$1"
}

# expect WORDS: the lint fails and says WORDS; expect "": it passes, silently
expect()
{
    local out rc
    out=$(awk -f "$awk_file" */*.[ch] 2>&1)
    rc=$?
    if [ -z "$1" ] && { [ $rc -ne 0 ] || [ -n "$out" ]; }; then
        echo "should pass, but: $out"
        failed=1
    elif [ -n "$1" ] && { [ $rc -eq 0 ] || [[ $out != *"$1"* ]]; }; then
        echo "should say \"$1\", but (exit $rc): $out"
        failed=1
    fi
    rm -rf ./*
}

write engine/blockdev.h '#include <stdint.h>'
write engine/qed.h '#include "engine/blockdev.h"'
write simdisk/disk.h '#include "engine/blockdev.h"'
write oracle/walk.c '#include "engine/qed_format.h"'
write scenarios/run.c '#include "engine/qed.h"' '#include "simdisk/disk.h"' '#include "oracle/verdict.h"'
write harness/main.c '#include "reports/store.h"' '#include "engine/req.h"' '#include "scenarios/run.h"'
write reports/store.c '#include <sqlite3.h>' '#include "reports/store.h"' '#include "oracle/verdict.h"'
write tests/any.c '#include "engine/req.h"' '#include <sqlite3.h>'
expect ""

write engine/qed.c '#include "simdisk/disk.h"'
expect "engine/qed.c:1: engine/ may not include simdisk/disk.h"

write simdisk/disk.c 'int x;' '  #  include "engine/qed.h"'
expect "simdisk/disk.c:2: simdisk/ may not include engine/qed.h"

write oracle/walk.c '#include "engine/check.h"'
expect "oracle/ may not include engine/check.h"

write scenarios/run.c '#include "engine/table.h"'
expect "scenarios/ may not include engine/table.h"

write reports/x.c '#include "oracle/promise.h"'
expect "reports/ may not include oracle/promise.h"

write harness/x.c '#include "tests/dev.h"'
expect "harness/ may not include tests/dev.h"

write harness/x.c '#include <sqlite3.h>'
expect "harness/ may not include <sqlite3.h>"

write engine/x.c '#include "qed.h"'
expect 'name the room'

write attic/x.c '#include "engine/qed.h"'
expect 'no such room: attic'

write engine/a.h '#include "engine/b.h"'
write engine/b.h '#include "engine/c.h"'
write engine/c.h '#include "engine/a.h"'
expect "include circle:"

write harness/a.h '#include "harness/a.h"'
expect "include circle: harness/a.h harness/a.h"

write oracle/x.h '#include "engine/blockdev.h"'
write engine/x.h '#include "oracle/x.h"'
expect "room circle:"

# A diamond is no circle.
write engine/a.h '#include "engine/b.h"' '#include "engine/c.h"'
write engine/b.h '#include "engine/d.h"'
write engine/c.h '#include "engine/d.h"'
write engine/d.h ''
expect ""

exit $failed
