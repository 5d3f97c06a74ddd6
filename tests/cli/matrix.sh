#!/bin/bash
# `qedcrash matrix` over small directories: what is expected, what is not, and nothing at all.
lib=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH

one()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == qedcrash* && $err == *"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

mkdir empty small wrong broken
says 4 'nothing ran' "$q" matrix empty
one 2 nowhere "$q" matrix nowhere
cp "$lib/cow-partial.scn" small/
axes=(--design v2 --design cow-flush --disk ssd --disk ordered)
ran 0 'cow-partial' "$q" matrix small "${axes[@]}" # unsafe where it says so
[[ $out == *anaries* ]] || complain 'nothing is said of the canaries'
ran 0 '"canaries":{"caught":' "$q" matrix small "${axes[@]}" --json
[[ $out == *'"ledger":["A7"'* ]] || complain 'the claims of the scenario are not there'
first=$out
ran 0 '' "$q" matrix small "${axes[@]}" --json
[ "$out" = "$first" ] || complain 'a second matrix says something else'
{ cat small/cow-partial.scn && echo 'expect design=v2 disk=ssd safe'; } >wrong/cow-partial.scn
ran 1 '' "$q" matrix wrong --design v2 --disk ssd
{ cat small/cow-partial.scn && echo 'expect design=v2 disk=ordered unsafe'; } >wrong/cow-partial.scn
ran 1 '' "$q" matrix wrong --design v2 --disk ordered
printf 'image size=1M cluster=4K table=2\nwrit 0 512\n' >broken/b.scn
one 2 'b.scn:2:' "$q" matrix broken
ran 0 'small/cow-partial.scn:v2:ssd' "$q" matrix small --design v2 --disk ssd --dry-run
QEDCRASH_SCENARIOS=$lib ran 0 'cow-partial:v2:ssd' "$q" matrix "$lib" --design v2 --disk ssd --dry-run
ran 0 '' "$q" matrix small --design cow-flush --disk ssd --store m.db
[ -s m.db ] || complain '--store left no file'

finish
