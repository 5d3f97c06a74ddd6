#!/bin/bash
# `export`: a bundle that shows its finding again, the same bytes each time, with a crashed image that is what base, log
# and survivors make of it; and nothing where there is nothing to export or no room for it.
export QEDCRASH_SCENARIOS=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH
id='cow-partial:v2:ssd:@10+C#2.5+L2'

ran 0 bug "$q" export "$id" bug
for f in README.md repro.sh scenario.scn policy.design base.qed backing.raw writes.log crashed.qed recovered.qed \
    check.json story.txt story.json; do
    [[ -s bug/$f ]] || complain "no $f in the bundle"
done
lib_run bug/repro.sh
[[ $rc -eq 0 && $out == *'lost-cow'*'the power fails'*'as qedcrash checks it'* ]] || lib_wanted 'the finding again' repro.sh
lib_run env QEDCRASH=/nonexistent bug/repro.sh
[[ $rc -eq 2 && $err == *'set QEDCRASH'* ]] || lib_wanted 'exit 2: no qedcrash' repro.sh

# From another directory, at another time: the same bytes; and running repro.sh changed none.
mkdir elsewhere
(cd elsewhere && "$q" export "$id" again >/dev/null)
diff -r bug elsewhere/again || complain 'two exports of one id differ'

# number FILE OFFSET: 64 bits, little-endian
number()
{
    od -An -t u8 -j "$2" -N 8 "$1" | tr -d ' '
}
# The log: its head, and as many entries as it says. entry N: sets sector, sectors, at (of its data)
[[ $(od -An -t x8 -N 8 bug/writes.log) == *006a736677736872* && $(number bug/writes.log 8) -eq 1 ]] ||
    complain 'writes.log: magic or version'
entries=$(number bug/writes.log 16)
entry()
{
    local i pos=512
    for ((i = 1; i <= $1; i++)); do
        sector=$(number bug/writes.log $pos) sectors=$(number bug/writes.log $((pos + 8)))
        at=$((pos + 512))
        pos=$((at + 512 * sectors))
    done
}
entry "$entries"
[[ $entries -eq 4 && $((at + 512 * sectors)) -eq $(stat -c %s bug/writes.log) ]] ||
    complain "writes.log: $entries entries do not end at its end"
# The crashed image is the base, sector 5 of the second fill, and the L2 entry.
cp bug/base.qed mine.qed
entry 2
dd if=bug/writes.log of=mine.qed bs=512 skip=$((at / 512 + 5)) seek=$((sector + 5)) count=1 conv=notrunc status=none
entry 4
dd if=bug/writes.log of=mine.qed bs=512 skip=$((at / 512)) seek="$sector" count="$sectors" conv=notrunc status=none
cmp mine.qed bug/crashed.qed || complain 'crashed.qed is not base + survivors'

# Other disks: a device of fixed size, a length of its own; a power failure during recovery; a named schedule.
n=0
for other in cow-partial:v2:hostdev tail:v2:own-length race-cluster:v2:ssd:s3 tail:v2:ssd; do
    "$q" run "${other%%:*}" --design v2 --disk "$(cut -d: -f3 <<<"$other")" \
        --schedules 3 --json >run.json 2>/dev/null
    one=$(grep -o "\"id\":\"${other%%:*}:[^\"]*:@[^\"]*\"" run.json | cut -d'"' -f4 | tail -n 1)
    [[ $one ]] || { complain "$other: no finding to export"; continue; }
    n=$((n + 1))
    ran 0 "bug$n" "$q" export "$one" "bug$n"
    lib_run "bug$n/repro.sh"
    [[ $rc -eq 0 ]] || lib_wanted "the finding $one again" repro.sh
done
grep -q 'power to fail again' bug*/README.md || complain 'no bundle of a second power failure was tried'

# The run of a whole cell is a recording.
ran 0 "run" "$q" export cow-partial:v2:ssd run
[ "$(grep -c '"op":"write".*"byte":' run/guest.jsonl)" -gt 0 ] || complain 'the exported run has no guest'

# What run and replay of the export say: class, guest sector and missing order of each finding, and the verdict.
said() # CMD...
{
    "$@" --json 2>/dev/null | tr '{' '\n' |
        sed -n 's/.*\("verdict":"[a-z]*"\).*/\1/p; s/.*\("class":"[a-z-]*"\).*\("guest_sector":[0-9a-z]*\).*\("missing_order":"[^"]*"\).*/\1 \2 \3/p' |
        sort
}
for cell in cow-partial:v2 cow-partial:careful cow-partial-nobacking:upstream sequential-fill:v2 write-zeroes:upstream \
    close-reopen:upstream; do
    rm -rf same
    ran 0 "same" "$q" export "$cell:ssd" same
    said "$q" run "${cell%:*}" --design "${cell#*:}" --disk ssd >run.said
    said "$q" replay same --design "${cell#*:}" --disk ssd >replay.said
    grep -q verdict run.said || complain "$cell: run says nothing"
    cmp -s run.said replay.said || complain "$cell: run (<) and replay of its export (>) differ:" "$(diff run.said replay.said)"
done
grep -q '"verdict":"unsafe"' run.said || complain 'no unsafe cell was compared'

# A write that fails has no words there.
printf '%s\n' 'image size=1M cluster=4K table=2' 'inject write_aio EIO once' 'write 0 4K' 'flush' >failed.scn
ran 0 "failed" "$q" export ./failed.scn:v2:ssd failed
[ ! -e failed/guest.jsonl ] || complain 'a failed write became a line of guest.jsonl'
says 0 "only structure is judged" "$q" replay failed --design v2

# Nothing is overwritten, nothing is left behind where there is nothing to export.
cp -r bug before
lib_run "$q" export "$id" bug
[[ $rc -eq 2 && -z $out && $err == *'not empty'* ]] || lib_wanted 'exit 2: not empty' export
diff -r before bug || complain 'a refused export changed the directory'
for bad in "cow-partial:v2:ssd:@0" "cow-partial:v2:ssd:@999" nonsense cow-partial:v9:ssd:@1; do
    lib_run "$q" export "$bad" none
    [[ $rc -eq 2 && -z $out && $err == qedcrash* && $err != *$'\n'* && ! -e none ]] ||
        lib_wanted 'exit 2, one line, no directory' export "$bad"
done
mkdir empty
ran 0 empty "$q" export "$id" empty
says 2 'takes an id and a directory' "$q" export "$id"
says 3 'cannot make the directory' "$q" export "$id" /nonexistent/dir
says 2 'Not a directory' "$q" export "$id" /dev/null
ran 0 'Examples:' "$q" export --help
finish
