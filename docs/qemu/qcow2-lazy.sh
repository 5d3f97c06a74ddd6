#!/bin/bash
# QEMU alone: with lazy_refcounts=on an L2 entry outlives the data it names, and the repair at the next open puts its new
# refcount structure where the entry points (docs/qemu.md, 4). Exit 0: it shows.
set -eu
for tool in qemu-io qemu-img; do
    command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
io() { qemu-io -f qcow2 -t writeback "$@"; }

qemu-img create -q -f qcow2 -o cluster_size=4096,lazy_refcounts=on base.qcow2 1M
io -c 'write -P 0x11 0 4k' base.qcow2 >/dev/null # the L2 table is there, at 0x4000; data at 0x5000; the file ends at 0x6000
cp base.qcow2 after.qcow2
# Header with the dirty bit, a flush; three clusters of data; the L2 table. No flush between data and table. Then killed.
{ printf 'write -P 0x22 4k 4k\nwrite -P 0x33 8k 4k\nwrite -P 0x44 12k 4k\nflush\nabort\n' | io after.qcow2; } \
    >/dev/null 2>&1 || true

# The power fails during the guest's flush: of what was in the disk's cache, the first data cluster and the table persist.
cp base.qcow2 crashed.qcow2
for cluster in 0 4 6; do
    dd if=after.qcow2 of=crashed.qcow2 bs=4096 skip=$cluster seek=$cluster count=1 conv=notrunc status=none
done

echo "1. the image is dirty, so the first read-write open repairs it:"
io -c 'read -P 0x11 0 4k' crashed.qcow2 2>&1 | sed -n '/rebuilt\|verification/p'
echo "2. check, then:"
qemu-img check -f qcow2 crashed.qcow2 2>&1 | sed -n '/errors were/p' || true
echo "3. the guest reads its third cluster; these are refcounts:"
io -r -c 'read -v 8k 16' crashed.qcow2 | head -1
echo "4. it writes to its fourth, and QEMU stops itself from destroying the refcount table:"
io -c 'write -P 0x55 12k 4k' crashed.qcow2 2>&1 | sed -n '/corrupt\|failed/p' || true
echo "5. from now on the image does not open any more, whatever the guest had flushed:"
io -c 'read 0 4k' crashed.qcow2 2>&1 | tee refused || true
grep -q 'cannot be opened read/write' refused
