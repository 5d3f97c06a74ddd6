#!/bin/bash
# Scenarios on the installed QEMU: recorded, replayed on every disk model, and compared with the run of our own engine
# under `upstream`: the same verdict, and as many crash states. Every cell in which they differ is printed.
set -u
# shellcheck source=tests/interop/lib.sh
. tests/interop/lib.sh
needs qemu-img qemu-io sqlite3 qed blklogwrites
library=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

# refused RC WORDS CMD...: nothing on stdout, one line of stderr with WORDS in it
refused()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == "qedcrash "*"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

# cells JSON: "disk verdict states" a line
cells()
{
    sqlite3 :memory: "SELECT json_extract(value, '\$.disk'), json_extract(value, '\$.verdict'), json_extract(value, \
        '\$.states.total') FROM json_each(readfile('$1'), '\$.cells')"
}

# The log's entries, each at its place on top of the base image, give the image that QEMU left.
rebuild()
{
    cp "$1/base.qed" rebuilt
    local at=512 size
    size=$(stat -c %s "$1/writes.log")
    while [ "$at" -lt "$size" ]; do
        local sector count
        sector=$(log_number "$1/writes.log" "$at") count=$(log_number "$1/writes.log" $((at + 8)))
        at=$((at + 512))
        dd if="$1/writes.log" of=rebuilt bs=512 skip=$((at / 512)) seek="$sector" count="$count" conv=notrunc status=none
        at=$((at + count * 512))
    done
    cmp -s rebuilt "$1/image.qed" || complain "$1: base.qed and writes.log do not give the image that QEMU left"
}

for s in cow-partial cow-partial-nobacking sequential-fill write-zeroes close-reopen overwrite-in-place; do
    sed 's/table=1/table=2/' "$library/$s.scn" >"$s.scn" # QEMU makes images with table=1 and does not open them
    ran 0 "entries in the log" "$QEDCRASH" record "$s.scn" "$s"
    "$QEDCRASH" run "$s.scn" --design upstream --disk all --json >ours.json
    "$QEDCRASH" replay "$s" --disk all --json >qemu.json
    rebuild "$s"
    cells ours.json >ours
    cells qemu.json >qemu
    [ "$(wc -l <qemu)" -ge 8 ] || complain "$s: $(wc -l <qemu) cells"
    cmp -s ours qemu || complain "$s: design upstream (<) and QEMU (>) differ:" "$(diff ours qemu)"
done

# A finding against QEMU is a finding like any other.
id=$("$QEDCRASH" replay cow-partial-nobacking | sed -n "s/.*repro: qedcrash repro '\(.*\)'/\1/p" | head -1)
ran 1 "corrupt" "$QEDCRASH" repro "$id"
ran 1 "missing: header_update before l2_update" "$QEDCRASH" explain "$id"
refused 2 "a bundle already" "$QEDCRASH" export "$id" bundle

# A bug that is planted: the same log without its flushes (they become marks) loses what was copied.
drop_flush cow-partial noflush
says 1 "lost-cow" "$QEDCRASH" replay noflush

# Requests that overlap: each is in flight until the wait, and there are two readings where a write met a flush.
printf '%s\n' 'image size=1M cluster=4K table=2' 'prepare write 0 64K' 'aio a write 0 512' 'aio b write 4K 4K' 'flush' \
    'aio c write 8K 4K' 'aio f flush' 'wait all' 'flush' >aio.scn
# QEMU may be done with a before b comes: then once more.
together=0
for try in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf aio
    ran 0 "8 statements" "$QEDCRASH" record aio.scn aio
    together=$(grep -c '"op":"write".*"log_start":0' aio/guest.jsonl)
    [ "$together" -eq 2 ] && break
done
[ "$together" -eq 2 ] || complain "a and b were not in flight together in $try recordings"
"$QEDCRASH" replay aio --json >both.json 2>both.err
[ $? -le 1 ] || complain "the recording with aio is not judged: $(cat both.err)"
if grep -q 'judged by both readings' both.err; then # whether a write completes within the flush is QEMU's to say
    for reading in aio aio+uncovered; do
        grep -q "\"scenario\":\"./$reading\"" both.json || complain "the JSON has no cell of ./$reading"
    done
fi

# Without the guest's side only structure can be judged, and that is said where it matters.
cp -r cow-partial-nobacking structure
rm structure/guest.jsonl
says 1 "only structure was judged" "$QEDCRASH" replay structure

# What cannot be recorded or read: one line each.
printf 'image size=1M cluster=4K table=2\naio a discard 0 4K\nwait a\n' >aio.scn
refused 2 "'aio a discard 0 4K' cannot be recorded" "$QEDCRASH" record aio.scn never
refused 2 "table=1" "$QEDCRASH" record "$library/close-reopen.scn" never
refused 2 "not an empty directory" "$QEDCRASH" record cow-partial.scn cow-partial
[ ! -e never ] || complain "a refused recording left a directory"
refused 3 "no qemu-io" env PATH=/nowhere "$QEDCRASH" record cow-partial.scn never
finish
