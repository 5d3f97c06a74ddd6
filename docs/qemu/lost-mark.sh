#!/bin/bash
# QEMU alone: an L2 entry outlives the mark and the data it was written with (docs/qemu.md, 1). Exit 0: it shows.
set -eu
for tool in qemu-io qemu-img; do
    command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
io() { qemu-io -f qed -t writeback "$@"; }

qemu-img create -q -f qed -o cluster_size=4096,table_size=2 base.qed 1M
io -c 'write -P 0x11 0 4k' base.qed >/dev/null # the L2 table is there
cp base.qed after.qed
io -c 'write -P 0x22 4608 512' after.qed >/dev/null # header, fill, data, L2 entry: and no flush between them

# The power fails. Of this write the sector with the L2 entry is on the disk (it stands at 0x4000), and nothing else.
cp base.qed crashed.qed
dd if=after.qed of=crashed.qed bs=512 skip=32 seek=32 count=1 conv=notrunc status=none

echo "1. the image is not marked, so no open repairs it; check:"
qemu-img check -f qed crashed.qed 2>&1 | sed -n '/errors/p'
echo "2. the guest reads the cluster, which before the crash it could:"
io -c 'read 4608 512' crashed.qed 2>&1 || true
echo "3. it goes on and writes somewhere else (0x77 at 64K, flushed); now it reads there what it wrote elsewhere:"
io -c 'write -P 0x77 64k 4k' -c flush crashed.qed >/dev/null
io -c 'read -v 4608 16' crashed.qed | head -1
echo "4. and a write to the one (0x33 at 4K, flushed) changes the other:"
io -c 'write -P 0x33 4k 512' -c flush crashed.qed >/dev/null
io -c 'read -v 64k 16' crashed.qed | head -1
io -c 'read -P 0x77 64k 512' crashed.qed | grep -q 'verification failed'
