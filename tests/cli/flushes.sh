#!/bin/bash
# flushes: a design of one's own that drops a needed flush is told which, with an id that shows it; designs search.
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH

one()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == qedcrash* && $err == *"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

# A design file that drops a needed flush.
cat >mine.design <<'D'
# careful, but a new table may be linked before it is durable, and no mark makes up for it
summary  what a user might try
base     careful
need_check off
l1_flush off
D
ran 1 ' tests itself' "$q" flushes ./mine.design --disk ssd --events 0
# Without the mark only one thing is left that fails: ledger B1.
ran 1 'l1_flush                 on -> off: NEEDED  corrupt' "$q" flushes careful,need_check=off,close_flush=if-written --disk ssd --events 0
[[ $out == 'careful,need_check=off,close_flush=if-written: fails 1 of '*'fails b01-close-after-kill on ssd: lost-flushed'* ]] ||
    complain "it does not begin with the verdict: ${out%%$'\n'*}"
id=$(grep -A2 'l1_flush .*on -> off' <<<"$out" | sed -n "s/.*repro '\(.*\)'/\1/p")
says 1 'corrupt' "$q" repro "$id"
[[ $out == *'tail '*'not needed within this bound'* ]] && complain "a tail is needed by somebody"

# Whatever the number of processes, the same words.
ran 1 'upstream' "$q" flushes upstream --disk writethrough --ops 1 --events 0 -j 1
first=$out
ran 1 'upstream' "$q" flushes upstream --disk writethrough --ops 1 --events 0 -j 3
[[ $out == "$first" ]] || complain "-j 3 says something else than -j 1" "$out" "$first"

lib_run "$q" flushes careful,need_check=off,close_flush=if-written --disk ssd --events 0 --json
printf '%s' "$out" >json
[[ $(sqlite3 :memory: "SELECT json_extract(readfile('json'), '\$.failed') || ' ' || (SELECT count(*) > 3 FROM
    json_each(readfile('json'), '\$.orderings') WHERE json_extract(value, '\$.needed'))") == '1 1' ]] ||
    complain "--json does not say the same: ${out:0:200}"

ran 0 'Examples:' "$q" flushes --help
one 2 "there is no design 'carefull'; did you mean 'careful'?" "$q" flushes carefull
one 2 "no field 'l1_flsh'" "$q" flushes careful,l1_flsh=off
one 2 "takes one design" "$q" flushes
printf 'base careful\ndata_flush sometimes\n' >bad.design
one 2 "./bad.design:2: data_flush cannot be 'sometimes'" "$q" flushes ./bad.design
one 2 "cannot read the design ./none.design" "$q" flushes ./none.design
ran 0 'Examples:' "$q" designs search --help
one 2 "takes no argument" "$q" designs search ssd

finish
