#!/bin/bash
# QEMU alone: a cluster that the file ends in is handed out with what a cut-off write had left in it (docs/qemu.md, 3).
# Exit 0: it shows.
set -eu
for tool in qemu-io qemu-img; do
    command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
io() { qemu-io -f qed -t writeback "$@"; }

qemu-img create -q -f qed -o cluster_size=4096,table_size=2 base.qed 1M
io -c 'write -P 0x11 0 4k' base.qed >/dev/null # data at 0x3000, the L2 table at 0x4000; the file ends at 0x6000
cp base.qed first.qed
io -c 'write -P 0xee 32k 4k' first.qed >/dev/null # data at 0x6000

# The power fails in that write: half of the data is on the disk, and nothing else of it. The file ends within a cluster.
cp base.qed crashed.qed
dd if=first.qed of=crashed.qed bs=512 skip=48 seek=48 count=4 conv=notrunc status=none
echo "1. after the first failure the image is sound:"
qemu-img check -f qed crashed.qed 2>&1 | sed -n '/errors/p'

# The guest goes on and writes a sector elsewhere. QEMU hands out 0x6000 again: header, zeros, zeros, data, L2 entry.
cp crashed.qed after.qed
io -c 'write -P 0x22 4608 512' after.qed >/dev/null
# The power fails again: the L2 entry is on the disk, and the last sector of the fill, which makes the file long enough.
for sector in 32 55; do
    dd if=after.qed of=crashed.qed bs=512 skip=$sector seek=$sector count=1 conv=notrunc status=none
done
echo "2. after the second, too:"
qemu-img check -f qed crashed.qed 2>&1 | sed -n '/errors/p'
echo "3. the guest reads 4K, where it never wrote; this was written to 32K:"
io -c 'read -v 4k 16' crashed.qed | head -1
io -c 'read -P 0xee 4k 512' crashed.qed | { ! grep -q 'verification failed'; }
