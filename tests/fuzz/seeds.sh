#!/bin/bash
# seeds.sh DIR: where the corpora of fuzz_scenario, fuzz_image, fuzz_log and fuzz_qemu_diff began, in DIR/TARGET: the scenario
# library and a few of each other kind. Always the same files. What fuzzing added, and `-merge=1 -use_counters=0` kept, is in
# tests/fuzz/corpus.
set -eu
[ $# -eq 1 ] || { echo "usage: seeds.sh DIR" >&2; exit 2; }
out=$1
mkdir -p "$out"/fuzz_scenario "$out"/fuzz_image "$out"/fuzz_log "$out"/fuzz_qemu_diff
seed()
{
    printf '%b' "$3" >"$out/$1/$2"
}

for scn in scenarios/*.scn; do
    { printf s; grep -v '^#' "$scn"; } >"$out/fuzz_scenario/$(basename "$scn" .scn)"
done
n=0
for design in v2 careful upstream,data_flush=never trim,lock=none,clear_on=close+timer; do
    seed fuzz_scenario design-$((n += 1)) "d$design"
done
seed fuzz_scenario inject-after 'simage size=1M cluster=4K table=2\ninject flush ENOSPC always after=3\nwrite 0 4K\n'
seed fuzz_scenario file 'fsummary x\nbase upstream\ndata_flush never\nclear_on close+quiet\n'
seed fuzz_scenario id-1 'icow-partial:v2:ssd:@14+L2+C#2.6'
seed fuzz_scenario id-2 'ix.scn:v2,l1_flush=off:ssd:x0102:seed=3:@14+L2/1.0.1.0'
seed fuzz_scenario survivors-1 'w+L2+D'
seed fuzz_scenario survivors-2 'w+C#2.6+len=12288'
seed fuzz_scenario generated 'ggen/b1.wma.f.x.zfp-wta'

# Clusters of 4K, one table of two clusters: L1 at 1, L2 at 3, data at 5 and 6; one entry that dangles, one cross-link.
image='\0\0\3\0\0\0\1\0\7\0\0\0\0\3\2'
for target in fuzz_image fuzz_qemu_diff; do
    seed $target clean "$image"'\0\0\0\0\3\0\1\3\0\0\5\0\1\3\2\0\6\0'
    seed $target dangling "$image"'\0\0\0\0\3\0\1\3\0\0\5\0\1\3\2\0\77\0'
    seed $target table-twice "$image"'\0\0\0\0\3\0\0\0\1\0\3\0\1\3\2\0\6\0'
    seed $target at-the-end "$image"'\0\0\0\0\3\0\1\3\0\0\0\7\1\3\2\0\6\0'
    seed $target crossed "$image"'\0\0\0\0\3\0\1\3\0\0\5\0\1\3\2\0\5\0'
done

printf '\0\0\3\0\1\0\1\0\7\0\5\0\0\3\2' >"$out/fuzz_image/name-one-byte-too-long"

# The same, and an entry whose place is beyond 2^64 in bytes.
seed fuzz_log far '\0\41\11\0'"$image"'\0\0\0\0\3\0\1\3\0\0\5\0\1\3\2\0\6\0''\0\0\0\0\100\76\0\1\7'

# The clean image, a write and a flush; who did it is known.
seed fuzz_log written '\1\41\16\0'"$image"'\0\0\0\0\3\0\1\3\0\0\5\0\1\3\2\0\6\0''\0\0\0\0\0\50\0\1\7\1\0\0\0\0'\
'{"op":"write","offset":0,"length":512,"byte":7,"log_start":0,"log_end":1}\n{"op":"flush","log_start":1,"log_end":2}\n'
