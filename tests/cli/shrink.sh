#!/bin/bash
# What `shrink` prints is a scenario; it shows the finding; and without any one of its statements it does not.
export QEDCRASH_SCENARIOS=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH

# first ARGS...: the id of the first finding of this run
first()
{
    "$q" run "$@" 2>/dev/null | sed -n "s/.*qedcrash repro '\(.*\)'$/\1/p" | head -n 1
}

# shows FILE DESIGN DISK CLASS: does a run of it come to this class?
shows()
{
    "$q" run "$1" --design "$2" --disk "$3" 2>/dev/null | grep -q "^    $4"
}

# minimal SCENARIO DESIGN DISK
minimal()
{
    local id class line n=0
    id=$(first "$1" --design "$2" --disk "$3")
    [[ $id ]] || { complain "$*: no finding to shrink"; return; }
    "$q" shrink "$id" >shrunk.scn 2>err
    rc=$?
    [[ $rc -eq 1 && ! -s err ]] || complain "shrink $id: exit $rc" "$(cat err)"
    class=$(sed -n 's/^expect .* unsafe //p' shrunk.scn)
    [[ $class ]] || { complain "shrink $id: expects nothing:" "$(cat shrunk.scn)"; return; }
    shows ./shrunk.scn "$2" "$3" "$class" || complain "shrink $id: the result does not show $class"
    # The file expects what it shows: nothing unexpected, said by its last comment, and pasted back.
    id=$(sed -n "s/^# repro: qedcrash repro '\(.*\)'$/\1/p" shrunk.scn)
    ran 1 "$class" "$q" repro "$id"
    while read -r line; do
        n=$((n + 1))
        grep -vxF "$line" shrunk.scn >less.scn
        shows ./less.scn "$2" "$3" "$class" && complain "shrink $1 $2 $3: '$line' is not needed" "$(cat shrunk.scn)"
    done < <(grep -vE '^(#|title|image|backing|ledger|schedules|expect|$)' shrunk.scn)
    [ $n -gt 0 ] || complain "shrink $1 $2 $3: no statement is left"
}
minimal cow-partial v2 ssd
minimal race-cluster v2 hostdev
minimal close-reopen upstream hostdev
minimal write-zeroes upstream ordered

# A state with more survivors than it needs; the same workload, written to a file, and found there.
id='cow-partial:v2:ssd:@10+C#2+D+L2'
lib_run "$q" shrink "$id" -o out.scn
[[ $rc -eq 1 && -s out.scn && $out == *"repro: qedcrash repro './out.scn:v2:ssd:@"* ]] ||
    lib_wanted 'exit 1, a file, and its id' shrink "$id" -o out.scn
[[ $out == *survivors\ to\ * && ${out##*$'\n'} == repro:* ]] || lib_wanted 'the counts, and a line to paste' shrink "$id"
repro=$(printf '%s\n' "$out" | sed -n "s/^repro: qedcrash repro '\(.*\)'$/\1/p")
ran 1 '' "$q" repro "$repro"

# Twice the same; one JSON object, whose scenario is the same text.
"$q" shrink "$id" >a; "$q" shrink "$id" >b
cmp -s a b || complain 'shrink twice: not the same'
lib_run "$q" shrink "$id" --json
[[ $rc -eq 1 && $out == '{"qedcrash":'*'"before":{"statements":3,'*'"after":{"statements":'*'"complete":true,'*'}' ]] ||
    lib_wanted 'one object' shrink --json
if command -v sqlite3 >/dev/null; then
    sqlite3 :memory: "SELECT json_extract(CAST(readfile('.out') AS TEXT), '\$.scenario')" >c
    grep -v '^#' a | sed '/^$/d' | cmp -s - <(sed '/^$/d' c) || complain 'shrink --json: another scenario'
fi

# A whole cell; a state in which all is well; ids and options that name nothing.
ran 1 '# repro: ' "$q" shrink cow-partial:v2:ssd
lib_run "$q" shrink cow-partial:v2:ssd:@0
[[ $rc -eq 0 && -z $out && $err == *'shows nothing wrong' ]] || lib_wanted 'exit 0, nothing wrong' shrink @0
for bad in cow-partial:v3:ssd:@1 cow-partial:v2:sdd:@1 cow-partal:v2:ssd:@1 cow-partial:v2:ssd:@999 nonsense \
    cow-partial:v2:ssd:@10+Q; do
    lib_run "$q" shrink "$bad"
    [[ $rc -eq 2 && -z $out && $err == qedcrash* && $err != *$'\n'* ]] || lib_wanted 'exit 2 and one line' shrink "$bad"
done
lib_run "$q" shrink
[[ $rc -eq 2 && -z $out && $err != *$'\n'* ]] || lib_wanted 'exit 2 and one line' shrink
lib_run "$q" shrink "$id" -o /nonexistent/x.scn
[[ $rc -eq 3 && $err == *'/nonexistent/x.scn'* ]] || lib_wanted 'exit 3, cannot write' shrink -o /nonexistent/x.scn
lib_run "$q" run cow-partial -o x.scn
[[ $rc -eq 2 && ! -e x.scn ]] || lib_wanted 'exit 2: run has no -o' run -o
lib_run "$q" shrink "$id" -o
[[ $rc -eq 2 && $err != *$'\n'* ]] || lib_wanted 'exit 2 and one line' shrink -o
ran 0 'Examples:' "$q" shrink --help

# The sample says how much it saw, and the seed decides.
"$q" run cow-partial --design v2 --explore sample --limit 60 --json >s1
"$q" run cow-partial --design v2 --explore sample --limit 60 --json >s2
"$q" run cow-partial --design v2 --explore sample --limit 60 --seed 2 --json >s3
cmp -s s1 s2 || complain 'sample: one seed, two results'
cmp -s s1 s3 && complain 'sample: two seeds, one result'
grep -q '"complete":false.*"explored":"[0-9]*","covered_log2":-.*"cut":"sampled with seed 1: 2^-' s1 ||
    complain 'sample: does not say what it covered' "$(cat s1)"
"$q" run cow-partial --design v2 --explore sample --limit 5000 --json | grep -q '"complete":true' ||
    complain 'sample: a space within its share was not enumerated'
finish
