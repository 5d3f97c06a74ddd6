#!/bin/bash
# coverage.sh BUILD PERCENT ROOM...: the line coverage of each room after the tests ran in a --coverage build; fails
# when one is below PERCENT. gcov writes one line per source line, "COUNT:LINE:TEXT"; ##### is one never reached,
# - one without code.
set -eu
build=$1 percent=$2
shift 2
failed=0
for room in "$@"; do
    if ! ls "$build/$room"/*.gcno >/dev/null 2>&1; then
        echo "$room/: nothing built"
        failed=1
        continue
    fi
    for source in "$room"/*.c; do
        # With no run there is no .gcda, and gcov counts every line as missed: rightly.
        gcov --stdout "$build/${source%.c}.o" 2>/dev/null |
            awk -F: -v source="$source" '
                /^ *-: *0:Source:/ { ours = $4 == source }
                ours && $2 + 0 > 0 && $1 !~ /-/ { lines++; if ($1 !~ /#|=/) hit++ }
                END { print source, hit + 0, lines + 0 }'
    done | awk -v room="$room" -v percent="$percent" '
        { hit += $2; lines += $3 }
        $3 && $2 / $3 < percent / 100 { low = low sprintf("    %5.1f %%  %s\n", 100 * $2 / $3, $1) }
        END {
            share = lines ? 100 * hit / lines : 0
            printf "%5.1f %%  %s/ (%d of %d lines)\n%s", share, room, hit, lines, low
            exit share < percent
        }' || failed=1
done
[ $failed -eq 0 ] || echo "coverage: below $percent %" >&2
exit $failed
