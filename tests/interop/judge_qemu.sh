#!/bin/bash
# replay --judge qemu: crash states that the installed QEMU opens, checks, reads and writes to again. It must come to the
# findings of our own engine, by the same ids; a log without its flushes must be found unsafe; and what ends it early (no
# QEMU, no room, Ctrl-C) is one sentence, and leaves no file.
set -u
# shellcheck source=tests/interop/lib.sh
. tests/interop/lib.sh
needs qemu-img qemu-io sqlite3 qed blklogwrites
library=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
mkdir scratch
export TMPDIR=$PWD/scratch

refused()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == "qedcrash "*"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

# findings JSON: a line each, who judged left out
findings()
{
    sqlite3 :memory: "SELECT replace(replace(json_extract(f.value, '\$.id'), ':qemu:', ':'), ':upstream:', ':'),
        json_extract(f.value, '\$.class'), json_extract(f.value, '\$.guest_sector'), json_extract(f.value, '\$.found'),
        json_extract(f.value, '\$.missing_order'), json_extract(c.value, '\$.states.distinct')
        FROM json_each(readfile('$1'), '\$.cells') AS c LEFT JOIN json_each(c.value, '\$.findings') AS f ORDER BY 1, 2, 3"
}

for s in cow-partial cow-partial-nobacking write-zeroes discard overwrite-in-place; do
    sed 's/table=1/table=2/' "$library/$s.scn" >"$s.scn"
    "$QEDCRASH" record -q "$s.scn" "$s" || complain "$s: not recorded"
    "$QEDCRASH" replay "$s" --judge qemu --sample 60 --json >qemu.json
    "$QEDCRASH" replay "$s" --explore sample --limit 60 --nested 0 --json >ours.json
    findings qemu.json >qemu
    findings ours.json >ours
    [ -s qemu ] || complain "$s: no cell"
    cmp -s ours qemu || complain "$s: our engine (<) and QEMU (>) differ:" "$(diff ours qemu)"
done

# A mark is acted on when QEMU opens the image: with it the same survivors are no finding.
ran 1 "broken tables, and no mark" "$QEDCRASH" repro './cow-partial-nobacking:qemu:ssd:@10+L2' -v
ran 0 "safe" "$QEDCRASH" repro './cow-partial-nobacking:qemu:ssd:@10+hdr+L2'
ran 1 "Opening it changed nothing" "$QEDCRASH" explain './cow-partial-nobacking:qemu:ssd:@10+L2'

# The canary: the same log without its flushes (they become marks) is unsafe.
drop_flush cow-partial noflush
says 1 "lost-cow" "$QEDCRASH" replay noflush --judge qemu --sample 60

# A QEMU that crashes on an image is a finding, and no end of the run.
mkdir bin
printf '#!/bin/sh\nsed -u "/^read/q" | exec %s "$@"\n' "$(command -v qemu-io)" >bin/qemu-io
chmod +x bin/qemu-io
ln -s "$(command -v qemu-img)" bin/qemu-img
says 1 "QEMU did not survive the image: qemu-io died at 'read -v " \
    env PATH="$PWD/bin:$PATH" "$QEDCRASH" replay cow-partial --judge qemu --sample 3 --disk ordered

# Who works beside whom changes nothing.
for j in 1 5; do "$QEDCRASH" replay discard --judge qemu --sample 30 --json -j $j >j$j.json; done
cmp -s j1.json j5.json || complain "-j 1 and -j 5 differ"

# A limit is said.
says 0 "sampled with seed 1" "$QEDCRASH" replay overwrite-in-place --judge qemu --sample 10

refused 3 "no qemu-img" env PATH=/nowhere "$QEDCRASH" replay cow-partial --judge qemu
refused 3 "File too large" sh -c "ulimit -f 100; exec '$QEDCRASH' replay cow-partial --judge qemu -q"
refused 3 "QEMU needs room there" bash -c "ulimit -f 34; exec '$QEDCRASH' replay cow-partial-nobacking --judge qemu -q"
refused 3 "directory for crashed images" env TMPDIR=/nonexistent "$QEDCRASH" replay cow-partial --judge qemu
refused 2 "--judge qemu says that QEMU does" "$QEDCRASH" replay cow-partial --judge qemu --design v2
refused 2 "whole states" "$QEDCRASH" replay cow-partial --judge qemu --explore complete
refused 2 "did you mean 'qemu'" "$QEDCRASH" replay cow-partial --judge qeum
refused 2 "recordings alone" "$QEDCRASH" repro './cow-partial.scn:qemu:ssd:@10'

set -m # else a background job ignores Ctrl-C
"$QEDCRASH" replay cow-partial --judge qemu --disk all >out 2>err &
for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.1
    [ -z "$(ls scratch)" ] || break
done
[ -n "$(ls scratch)" ] || complain "no scratch directory while QEMU judges"
kill -INT $!
wait $!
rc=$?
[ "$rc" -eq 130 ] || complain "Ctrl-C: exit $rc" "$(cat err)"
[ -z "$(ls scratch)" ] || complain "left behind: $(ls scratch)"
finish
