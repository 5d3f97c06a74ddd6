#!/bin/bash
# Both ways with the installed QEMU: what either engine writes, both call clean and read alike, and design `upstream`
# writes the same bytes. Driver and details: qemu_random.c. SEED and COUNT may be given.
set -u
# shellcheck source=tests/interop/lib.sh
. tests/interop/lib.sh
needs qemu-img qemu-io qed

# Memory, where there is some: both engines flush a lot.
scratch=${TMPDIR:-/tmp}
[ -d /dev/shm ] && [ -w /dev/shm ] && scratch=/dev/shm
work=$(mktemp -d "$scratch/qedcrash-interop.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -o "$work/driver" tests/interop/qemu_random.c || exit 1

seed=${SEED:-1} count=${COUNT:-520}
bytes=$((count / 8))
jobs=()
# job NAME MODE FIRST COUNT
job()
{
    mkdir "$work/$1"
    "$work/driver" "$2" "$seed" "$3" "$4" "$work/$1" >"$work/$1.log" 2>&1 &
    jobs+=("$1:$!")
}
job contents-1 contents 0 $((count / 2))
job contents-2 contents $((count / 2)) $((count - count / 2))
failed=0
finish()
{
    for j in "${jobs[@]}"; do
        wait "${j#*:}" || { echo "${j%%:*} failed:"; cat "$work/${j%%:*}.log"; failed=1; }
    done
    jobs=()
}
finish
job bytes-1 bytes 0 $((bytes / 2))
job bytes-2 bytes $((bytes / 2)) $((bytes - bytes / 2))
finish
[ $failed -eq 0 ] && echo "$count sequences read alike, $bytes are the same byte for byte (seed $seed)"
exit $failed
