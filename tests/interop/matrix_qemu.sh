#!/bin/bash
# matrix --engine qemu: what agrees, what differs for a known reason, what nobody has explained, a reason that is out of use,
# a scenario that cannot be recorded; and a QEMU whose flushes are swallowed, which must be found out.
set -u
# shellcheck source=tests/interop/lib.sh
. tests/interop/lib.sh
needs qemu-img qemu-io sqlite3 qed blklogwrites
library=$PWD/scenarios cover=$PWD/tests/qemu/cover
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

field() { sqlite3 :memory: "SELECT json_extract(readfile('$1'), '$2')"; }

mkdir few
cp "$library"/{a01-reuse,cow-partial,cow-partial-nobacking,tail}.scn few
says 1 "3 cells of 3 scenarios: 2 as our upstream, 0 differ for a known reason, 1 DIFFER" \
    "$QEDCRASH" matrix --engine qemu few --disk ssd
[[ $out == *"states 1028: nobody has said why"*"repro: qedcrash record few/a01-reuse.scn rec"* ]] || complain "no repro line:" "$out"
[[ $out == *"skipped: few/tail.scn: QEMU cannot be asked for 'crash'"* ]] || complain "no reason for tail:" "$out"
[[ $out == *"canaries: 1 of 1 caught"* ]] || complain "no canary:" "$out"

echo 'a01-reuse all states: because of the flush' >few/qemu-reasons.txt
says 0 "2 as our upstream, 1 differ for a known reason, 0 DIFFER" "$QEDCRASH" matrix --engine qemu few --disk ssd
echo 'cow-partial ssd verdict: none' >>few/qemu-reasons.txt
says 1 "the reason for cow-partial ssd verdict explains nothing" "$QEDCRASH" matrix --engine qemu few --disk ssd
echo 'cow-partial ssd' >few/qemu-reasons.txt
fails_with() { lib_run "${@:3}"; [[ $rc -eq $1 && $err == *"$2"* && -z $out ]] || lib_wanted "exit $1 and \"$2\"" "${@:3}"; }
fails_with 2 "qemu-reasons.txt:1: wanted is" "$QEDCRASH" matrix --engine qemu few
rm few/qemu-reasons.txt

# The recordings are kept, and the ids of the JSON can be pasted.
"$QEDCRASH" matrix --engine qemu few --disk ssd -o rec --json >m.json
[ "$(field m.json '$.counts.differ') $(field m.json '$.counts.skipped') $(field m.json '$.canaries.caught')" = "1 1 1" ] ||
    complain "counts in the JSON:" "$(cat m.json)"
[ "$(field m.json '$.cells[0].scenario') $(field m.json '$.cells[0].design') $(field m.json '$.cells[0].differences[0].what')" = \
    "few/a01-reuse.scn qemu states" ] || complain "the first cell of the JSON:" "$(cat m.json)"
id=$(field m.json '$.cells[1].findings[0].id')
ran 1 "corrupt" "$QEDCRASH" repro "$id"

# Each of the sixteen ways to use an image is in the library or in tests/qemu/cover.
"$QEDCRASH" matrix --engine qemu "$library" "$cover" --disk writethrough >all || complain "the library differs:" "$(cat all)"
grep "no scenario is" all && complain "a way to use an image that nothing covers"
grep -q "0 DIFFER; 0 incomplete" all || complain "incomplete:" "$(tail -1 all)"

# A QEMU that swallows the guest's flushes.
mkdir bin
printf '#!/bin/sh\nsed -u "s/^flush.*/length/" | exec %s "$@"\n' "$(command -v qemu-io)" >bin/qemu-io
chmod +x bin/qemu-io
ln -s "$(command -v qemu-img)" bin/qemu-img
rm few/a01-reuse.scn
fails_differ() { lib_run "$@"; [[ $rc -eq 1 && $out == *"DIFFERS"*"upstream: verdict safe"* ]] || lib_wanted "exit 1 and DIFFERS" "$@"; }
fails_differ env PATH="$PWD/bin:$PATH" "$QEDCRASH" matrix --engine qemu few --disk ssd

fails_with 4 "nothing ran: there is no qemu-img" env PATH=/nowhere "$QEDCRASH" matrix --engine qemu few
fails_with 2 "--design names designs of our engine" "$QEDCRASH" matrix --engine qemu few --design v2
fails_with 2 "did you mean 'qemu'" "$QEDCRASH" matrix --engine qeum few
fails_with 2 "takes one directory" "$QEDCRASH" matrix few few
finish
