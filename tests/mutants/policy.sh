#!/bin/bash
# The other half of the score: `careful` with one field at a weaker value, each time. `qedcrash flushes` says which it needs.
# What it does not is in policy.txt: kept by something else too (then it must show once that is gone), or equivalent.
# Exit: 0 all accounted for; 1 something is not.
set -u
export LC_ALL=C
BUILD=${BUILD:-build}
q=$BUILD/qedcrash list=tests/mutants/policy.txt design=careful disk=ssd
gen="--ops 1 --events 1 --with kill"
needed=0 kept=0 equivalent=0 survived=0

# found DESIGN: its findings, by scenario, and by kind in generated workloads
found()
{
    local store
    store=$(mktemp -u)
    {
        "$q" matrix --design "$1" --disk $disk -q --store "$store" >"$store.out" 2>&1
        sqlite3 -separator ' ' "$store" "SELECT DISTINCT scenario, class, coalesce(missing_order, '-') FROM v_findings"
        # shellcheck disable=SC2086
        "$q" gen --judge --design "$1" --disk $disk $gen 2>/dev/null | sed -n 's/^  \([a-z-]*\), missing: \(.*\)/\1 \2/p'
    } | sort -u
    rm -f "$store" "$store.out"
}

say()
{
    printf '%-34s %s\n' "$1" "$2"
}

while read -r field _ _ to verdict; do
    weak=$field=${to%:}
    if [[ $verdict == NEEDED* ]]; then
        needed=$((needed + 1))
        say "$weak" "caught: ${verdict#NEEDED }"
        continue
    fi
    IFS='|' read -r _ how why < <(grep "^$weak |" $list | sed 's/ *| */|/g')
    case ${how:-} in
    equivalent)
        equivalent=$((equivalent + 1))
        say "$weak" "equivalent: $why"
        ;;
    with\ *)
        with=${how#with }
        new=$(comm -13 <(found "$design,$with") <(found "$design,$with,$weak") | head -n 1)
        if [ -n "$new" ]; then
            kept=$((kept + 1))
            say "$weak" "caught without $with: $new. Else: $why"
        else
            survived=$((survived + 1))
            say "$weak" "SURVIVED, also without $with"
        fi
        ;;
    scenario\ *)
        read -r _ path on <<<"$how"
        if "$q" matrix "$path" --design "$design" --disk "$on" -q 2>/dev/null | grep -q ' 0 unsafe' &&
            "$q" matrix "$path" --design "$design,$weak" --disk "$on" -q 2>/dev/null | grep -q '1 unsafe'; then
            needed=$((needed + 1))
            say "$weak" "caught: $path, $on: $why"
        else
            survived=$((survived + 1))
            say "$weak" 'SURVIVED'
        fi
        ;;
    *)
        survived=$((survived + 1))
        say "$weak" "SURVIVED: not needed within the bound, and $list does not say why"
        ;;
    esac
done < <("$q" flushes $design --disk $disk | grep -e ' -> ')

echo
echo "$((needed + kept + equivalent + survived)) weakenings of $design: $needed caught, $kept caught once what else keeps the order is gone," \
    "$equivalent equivalent, $survived survived"
[ $survived -eq 0 ] && [ $needed -gt 0 ]
