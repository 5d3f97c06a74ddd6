#!/bin/bash
# The scripts that show QEMU's defects (docs/qemu.md) still show them, and every one of them is named on that page. They
# were written for QEMU 7.2; a later one that does not show a defect any more is told of, and no failure.
set -u
# shellcheck source=tests/interop/lib.sh
. tests/interop/lib.sh
needs qemu-img qemu-io
version=$(qemu-img --version | sed -n 's/^qemu-img version \([0-9]*\.[0-9]*\).*/\1/p')
failed=0
for script in docs/qemu/*.sh; do
    grep -q "](qemu/${script##*/})" docs/qemu.md || { echo "$script: docs/qemu.md does not link to it"; failed=1; }
    out=$(timeout 60 bash "$script" 2>&1)
    rc=$?
    [ "$rc" -eq 0 ] && continue
    echo "$script: exit $rc, with QEMU $version:" "$out"
    [ "$version" != 7.2 ] || failed=1
done
# Each is of one defect: a heading with its number.
for script in docs/qemu/*.sh; do
    number=$(sed -n 's/.*(docs\/qemu.md, \([0-9]*\)).*/\1/p' "$script" | head -1)
    grep -q "^## ${number:-none}\. " docs/qemu.md || { echo "$script: defect '$number' is not on docs/qemu.md"; failed=1; }
done
# What a maintainer wants to know of each.
for number in $(sed -n 's/^## \([0-9]*\)\. .*/\1/p' docs/qemu.md); do
    text=$(sed -n "/^## $number\. /,/^## /p" docs/qemu.md)
    for part in 'Operations' 'What QEMU writes' 'What survives' 'What QEMU then does' 'The missing order' 'The cheapest fix'; do
        grep -qF "*$part.*" <<<"$text" || { echo "docs/qemu.md, defect $number: nothing says '$part'"; failed=1; }
    done
    grep -q '](qemu/.*\.sh)' <<<"$text" || { echo "docs/qemu.md, defect $number: no script"; failed=1; }
done
exit "$failed"
