#!/bin/bash
# `qedcrash gen`: names, texts, files; run, repro and shrink of workloads that are nowhere but in their names; judging.
export QEDCRASH_SCENARIOS=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH

one()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == "qedcrash "*"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

# --- what there is ---
says 0 '34 workloads' "$q" gen --ops 1 --events 0 --with ''
ran 0 'gen/b1.wma' "$q" gen --ops 1 --events 0 -q
[ "$(wc -l <<<"$out")" -eq 34 ] || complain "not 34 names: $out"
ran 0 'gen/n0.iflush_to_disk.wma' "$q" gen --ops 1 --with inject -q
ran 0 'gen/n1.wma.f' "$q" gen --ops 2 --only write,flush -q
[[ $out != *z* ]] || complain 'zeros, and only writes and flushes were asked for'
one 2 "did you mean 'flush'?" "$q" gen --only flsh
one 2 'at most 16' "$q" gen --ops 99
one 2 "takes a whole number" "$q" gen --ops many

# --- one of them ---
ran 0 'aio r1 write 5632 512' "$q" gen gen/b1.wma-f
ran 0 'backing size=8190K' "$q" gen gen/b1.wma-f
one 2 "there is no word 'wmz'" "$q" gen gen/b1.wmz
one 2 "takes one workload" "$q" gen gen/b1.wma gen/b1.wmb

# --- all of them as files: the same as by name ---
says 0 '34 workloads' "$q" gen --ops 1 --events 0 -o all
[ "$(find all -name '*.scn' | wc -l)" -eq 34 ] || complain 'not 34 files'
ran 1 'lost-cow' "$q" run all/b1.wma.scn --design v2
by_file=${out//\.\/all\/b1.wma.scn/X} by_file=${by_file//all\/b1.wma.scn/X}
ran 1 'lost-cow' "$q" run gen/b1.wma --design v2
[ "$(grep -c lost-cow <<<"$out")" = "$(grep -c lost-cow <<<"$by_file")" ] || complain 'a file and a name differ'
one 3 'cannot write' "$q" gen --ops 1 -o /dev/null/x

# --- an id needs no file ---
id=$("$q" run gen/b1.wma --design v2 | sed -n "s/.*repro: qedcrash repro '\(.*\)'.*/\1/p" | head -n 1)
[[ $id == gen/b1.wma:v2:ssd:@* ]] || complain "no id of a generated workload: $id"
ran 1 'write 5632 512' "$q" repro "$id"
ran 1 'image size=' "$q" shrink "$id"
one 2 'is no generated workload' "$q" repro 'gen/b1.nothing:v2:ssd:@3'

# --- judging ---
ran 1 'UNSAFE within 1 operation and 0 events: 34 workloads' "$q" gen --judge --ops 1 --events 0 --design v2
[[ $out == *"complete"* && $out == *'lost-cow, missing: cow_write before l2_update'* ]] || complain "$out"
ran 0 'safe within 1 operation and 0 events' "$q" gen --judge --ops 1 --events 0 --design careful
ran 1 '"missing_order":"cow_write before l2_update"' "$q" gen --judge --ops 1 --events 0 --design v2 --json
printf '%s' "$out" >out.json
if command -v sqlite3 >/dev/null; then
    [ "$(sqlite3 :memory: "SELECT json_extract(CAST(readfile('out.json') AS TEXT), '\$.results[0].workloads')")" = 34 ] ||
        complain "not JSON, or not 34 workloads: $out"
fi
first=$out
ran 1 '' "$q" gen --judge --ops 1 --events 0 --design v2 --json
[ "$out" = "$first" ] || complain 'two runs differ'
# Whatever the number of processes, the same words.
ran 1 '"workloads":' "$q" gen --judge --only write,flush --design v2 --json -j 1
first=$out
ran 1 '"workloads":' "$q" gen --judge --only write,flush --design v2 --json -j 3
[ "$out" = "$first" ] || complain '-j 3 says something else than -j 1'
finish
