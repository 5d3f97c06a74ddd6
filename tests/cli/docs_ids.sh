#!/bin/bash
# Every witness that the documents name still shows a violation: a claim about the machine that the machine does not repeat
# is worth nothing.
# shellcheck source=tests/cli/lib.sh
repo=$PWD
. "${0%/*}/lib.sh"
q=$QEDCRASH
export QEDCRASH_SCENARIOS=$repo/scenarios

disks=$("$q" designs | sed -n '/^disk models:/,$s/^  \([^ ]*\) .*/\1/p' | paste -sd'|')
ids=$(grep -ohE "[a-z0-9][a-z0-9/_.-]*:[a-z0-9-]+(,[a-z_]+=[a-z0-9+-]+)*:($disks)(:[a-z0-9=]+)*(:@[0-9]+[A-Za-z0-9+#./=-]*)?" \
    "$repo"/docs/ledger.md "$repo"/docs/what-the-machine-says.md "$repo"/docs/qemu.md | sed 's/[.,]$//' | sort -u)
[[ $(wc -l <<<"$ids") -gt 30 ]] || complain "the documents name only $(wc -l <<<"$ids") ids"
while read -r id; do
    lib_run "$q" repro "$id"
    [[ $rc -eq 1 ]] || complain "$id: exit $rc" "  $err"
done <<<"$ids"

finish
