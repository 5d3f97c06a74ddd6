#!/bin/bash
# QEMU alone: a cluster that was discarded is given to another place of the guest at once; after a power failure the old
# place, whose L2 entry is still on the disk, shows the other one's bytes (docs/qemu.md, 5). Exit 0: it shows.
set -eu
for tool in qemu-io qemu-img; do
    command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
io() { qemu-io -f qcow2 -t writeback -d unmap "$@"; }

qemu-img create -q -f qcow2 -o cluster_size=4096 base.qcow2 1M
io -c 'write -P 0x11 0 8k' -c flush base.qcow2 >/dev/null
cp base.qcow2 after.qcow2
# The freed cluster is the first free one: the write's data go there, at 0x5000; the L2 table without the old entry is
# written behind them, with no flush between the two.
{ printf 'discard 0 4k\nwrite -P 0x22 64k 4k\nabort\n' | io after.qcow2; } >/dev/null 2>&1 || true

# The power fails between the two: the data are on the disk, the table is as it was.
cp base.qcow2 crashed.qcow2
dd if=after.qcow2 of=crashed.qcow2 bs=4096 skip=5 seek=5 count=1 conv=notrunc status=none
echo "1. check:"
qemu-img check -f qcow2 crashed.qcow2 | sed -n '/errors/p'
echo "2. the guest reads offset 0, where it wrote 0x11 and flushed, and then discarded:"
io -c 'read -v 0 16' crashed.qcow2 | head -1
echo "3. and 64K, where it wrote 0x22 (and had not flushed it):"
io -c 'read -v 64k 16' crashed.qcow2 | head -1
io -c 'read -P 0x22 0 4k' crashed.qcow2 | { ! grep -q 'verification failed'; }
