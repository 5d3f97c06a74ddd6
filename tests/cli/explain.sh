#!/bin/bash
# `explain`: the story names what the id names; every finding of the library can be told; widths, colors, JSON, bad ids.
export QEDCRASH_SCENARIOS=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH

# The survivors of the id, and only they, are solid (#) or in part (%); what is lost is hollow (o).
id='cow-partial:v2:ssd:@10+C#2.5+L2'
ran 1 'lost-cow: ' "$q" explain "$id"
# row NAME MARK WORDS: the line of this write
row()
{
    local line
    line=$(printf '%s\n' "$out" | grep -E "^  [0-9]+-[0-9]* .* $2 $1 ")
    [[ $line == *"$3"* ]] || complain "explain $id: wanted $1 as '$2 $1 ... $3'" "$out"
}
row L2 '#' survived
row 'C#2' '%' '1 of 6 survived: sector 5'
row C o lost
row D o lost
[[ $(printf '%s\n' "$out" | grep -E '<-\.') == *' C '*'missing: cow_write before l2_update' ]] ||
    complain 'the arrow does not begin at C' "$out"
[[ $(printf '%s\n' "$out" | grep -E -e "--'") == *' L2 '* ]] || complain 'the arrow does not end at L2' "$out"
[[ $out == *'@10'*'the power fails'*'survived '*'recovery '*'the guest '*'why '*"qedcrash shrink '$id'"* ]] ||
    complain 'a part of the story is missing' "$out"

# As wide as asked; characters as the locale shows them; color only where wanted, and words without it.
COLUMNS=72 "$q" explain "$id" >narrow
awk 'length($0) > 72 && !/^  qedcrash/ { print; bad = 1 } END { exit bad }' narrow || complain 'wider than 72 columns'
LC_ALL=C.UTF-8 "$q" explain "$id" >narrow
grep -q '● L2' narrow || complain 'no solid mark in a UTF-8 locale' "$(cat narrow)"
LC_ALL=C "$q" explain "$id" | LC_ALL=C grep -q '[^ -~]' && complain 'more than ASCII in the C locale'
"$q" explain "$id" --color always >colored
grep -q $'\033' colored || complain 'no color with --color always'
sed $'s/\033\\[[0-9]*m//g' colored | cmp -s - <("$q" explain "$id" --color never) || complain 'color changes the words'

# JSON: the same, as data.
lib_run "$q" explain "$id" --json
[[ $rc -eq 1 && $out == '{"qedcrash":'* ]] || lib_wanted 'one object' explain --json
if command -v sqlite3 >/dev/null; then
    marks=$(sqlite3 :memory: "SELECT group_concat(json_extract(value, '\$.name') || '=' || json_extract(value, '\$.fate'))
        FROM json_each(CAST(readfile('.out') AS TEXT), '\$.findings[0].timeline')")
    [[ $marks == 'write 4608 512=in flight,C=lost,C#2=partly,D=lost,L2=survived' ]] ||
        complain "the timeline in JSON: $marks"
fi

# A flush is a bar; a request ends where it was acknowledged.
ran 1 'flush done' "$q" explain race-l2:v2:ssd:@16+L1+L2
[[ $out == *'aio a write 0 4K: acknowledged'* && $out == *'durable: flushed'* ]] || complain 'race-l2: flush, ack' "$out"

# What needs no crash has a timeline too: up to the read that saw it, where nothing was lost.
live='b08-zero-cluster-fill:upstream,native_zero=on,zero_cluster_fill=backing:ssd'
lib_run "$q" explain "$live" -v
seen=${out#*$'\n'wrong-read: }
[[ $rc -eq 1 && $seen == *' read 4K 4K: acknowledged'*'seen here'*'power failure is needed'* ]] ||
    lib_wanted 'the events before the wrong read' explain "$live" -v
[[ $seen == *' = D '*'durable: flushed'*' + L2 '*'completed, not flushed'* ]] || complain 'wrong-read: D, L2' "$seen"
[[ $seen != *'the power fails'* && $seen != *'survived '* ]] || complain 'wrong-read: no crash happened' "$seen"
if command -v sqlite3 >/dev/null; then
    events() # of the wrong read, under --schedules $1
    {
        rm -f "live$1.db"
        "$q" run b08-zero-cluster-fill --design upstream,native_zero=on,zero_cluster_fill=backing --disk ssd \
            --schedules "$1" --store "live$1.db" >/dev/null 2>&1
        sqlite3 "live$1.db" "SELECT lane, t.name, begin, end, fate FROM v_timeline t JOIN v_findings f
            ON f.cell = t.cell AND f.seq = t.finding WHERE f.class = 'wrong-read' ORDER BY t.seq"
    }
    [[ $(events 1 | wc -l) -ge 7 && $(events 1) == "$(events all)" ]] || complain 'wrong-read under all schedules' "$(events all)"
fi

# A whole cell, told in full with -v; a state in which all is well; ids that name nothing.
lib_run "$q" explain cow-partial:v2:ssd -v
[[ $rc -eq 1 && $(printf '%s\n' "$out" | grep -c 'the power fails') -ge 3 ]] || lib_wanted 'every finding' explain -v
ran 0 'nothing wrong' "$q" explain cow-partial:v2:ssd:@0
for bad in cow-partial:v3:ssd:@1 cow-partial:v2:sdd:@1 cow-partal:v2:ssd:@1 cow-partial:v2:ssd:@999 nonsense \
    cow-partial:v2:ssd:@10+Q; do
    lib_run "$q" explain "$bad"
    [[ $rc -eq 2 && -z $out && $err == qedcrash* && $err != *$'\n'* ]] || lib_wanted 'exit 2 and one line' explain "$bad"
done
says 2 'takes one id' "$q" explain
ran 0 'Examples:' "$q" explain --help
"$q" explain "$id" >a
"$q" explain "$id" >b
cmp -s a b || complain 'explain twice: not the same'

# Every finding of the library, on every disk: no event after the crash, each survivor of the id solid.
if command -v sqlite3 >/dev/null; then
    "$q" run cow-partial race-l2 race-tables tail grow --design all --disk all --store s.db >/dev/null 2>&1
    [[ $(sqlite3 s.db 'SELECT count(*) FROM v_findings') -gt 20 ]] || complain 'too few findings to look at'
    late=$(sqlite3 s.db "SELECT count(*) FROM v_timeline t JOIN v_findings f ON f.cell = t.cell AND f.seq = t.finding
        WHERE t.begin >= f.crash_point OR t.end >= f.crash_point + (f.id NOT LIKE '%:@%') OR t.end <= t.begin")
    [[ $late -eq 0 ]] || complain "$late events stand behind their crash"
    # The id's whole operations ("+L2", not "+C#2.5" nor a length) are exactly those that survived whole.
    sqlite3 s.db "SELECT f.id || ' ' || coalesce(group_concat('+' || t.name, ''), '') FROM v_findings f
        LEFT JOIN v_timeline t ON t.cell = f.cell AND t.finding = f.seq AND t.fate = 'survived' AND t.lane <> 'file'
        WHERE f.disk IN ('ssd', 'hostdev') GROUP BY f.cell, f.seq" >pairs
    while read -r id solid; do
        named=${id#*:@}
        named=${named%%/*}
        named=${named#"${named%%+*}"}
        for one in ${named//+/ }; do
            [[ $one == *.* || $one == len=* || $one == R* || $one == W* || $solid+ == *"+$one+"* ]] ||
                complain "$id: $one survived, and the timeline shows $solid"
        done
        for one in ${solid//+/ }; do
            [[ $named. == *"+$one"[+.]* ]] || complain "$id: the timeline shows $one, which the id does not name"
        done
    done <pairs
fi
finish
