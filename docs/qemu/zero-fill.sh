#!/bin/bash
# QEMU alone, no crash: a partial write brings back bytes that the guest had zeroed (docs/qemu.md, 2). Exit 0: it shows.
set -eu
for tool in qemu-io qemu-img; do
    command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
io() { qemu-io -f qed -t writeback "$@"; }

truncate -s 1M backing.raw
qemu-io -f raw -c 'write -P 0x42 0 1M' backing.raw >/dev/null
qemu-img create -q -f qed -o cluster_size=4096,table_size=2 -b backing.raw -F raw image.qed
io -c 'write -z 8k 4k' -c flush image.qed >/dev/null
echo "1. the guest zeroed a cluster, flushed, and reads zeros:"
io -c 'read -v 9k 16' image.qed | head -1
io -c 'write -P 0x11 8k 512' -c flush image.qed >/dev/null
echo "2. it wrote the cluster's first sector; 1K further it reads the backing file:"
io -c 'read -v 9k 16' image.qed | head -1
io -c 'read -P 0 9k 512' image.qed | grep -q 'verification failed'
