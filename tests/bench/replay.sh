#!/bin/bash
# A recording of 1,000 guest operations of the installed QEMU, judged completely: the processor's seconds, and how much that is
# of what one with 250 takes. 4M, 4 KiB clusters, no backing file, a flush after every three requests, places drawn from a
# fixed seed. Then 1,000 operations on 64M, a flush after every four, without a backing file and with one.
#     replay.sh NUMBERS     (the file that gets one JSON object a line)
set -u
export LC_ALL=C
numbers=$1
QEDCRASH=$(realpath "$QEDCRASH")
command -v qemu-io >/dev/null || { echo "skipped: a recording replayed: qemu-io is missing"; exit 0; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

workload() # OPERATIONS
{
    awk -v n="$1" 'BEGIN {
        x = 42; size = 4194304
        print "image size=4M cluster=4K table=2"
        for (i = 0; i < n; i++) {
            if (i % 4 == 3) { print "flush"; continue }
            x = (x * 1103515245 + 12345) % 2147483648; at = int(x / 65536) % (size / 4096) * 4096
            x = (x * 1103515245 + 12345) % 2147483648; kind = int(x / 65536) % 10
            if (kind == 0) print "zero " at " 4096"
            else if (kind == 1) print "discard " at " 4096"
            else print "write " at + kind % 8 * 512 " " (kind % 3 ? 512 : 1024)
        }
    }'
}

large() # BACKING (0 or 1)
{
    awk -v back="$1" 'function draw(n) { x = (x * 1103515245 + 12345) % 2147483648; return int(x / 65536) % n }
    BEGIN {
        x = 7; size = 67108864
        print "image size=64M cluster=4K table=2"
        if (back) print "backing size=64M"
        for (i = 0; i < 1000; i++) {
            if (i % 5 == 4) { print "flush"; continue }
            at = (draw(32768) * 32768 + draw(32768)) % (size / 512) * 512
            kind = draw(10)
            bytes = (1 + draw(16)) * 512
            if (at + bytes > size) at = size - bytes
            print (kind == 0 ? "zero " : kind == 1 ? "discard " : "write ") at " " bytes
        }
    }'
}

once() # NAME: processor seconds of the replay; fails unless complete
{
    local TIMEFORMAT='%U %S' spent
    spent=$({ time "$QEDCRASH" replay -q "$work/rec$1" --json >"$work/out" 2>/dev/null; } 2>&1)
    grep -q '"complete":true' "$work/out" || return 1
    echo "$spent" | awk '{ print $1 + $2 }'
}

best=(1e9 1e9)
sizes=(250 1000)
for i in 0 1; do
    workload "${sizes[i]}" >"$work/w.scn"
    "$QEDCRASH" record -q "$work/w.scn" "$work/rec${sizes[i]}" || exit 1
    for _ in 1 2 3; do
        t=$(once "${sizes[i]}") || { echo "the replay of ${sizes[i]} operations is not complete"; exit 1; }
        best[i]=$(echo "${best[i]} $t" | awk '{ print ($1 < $2 ? $1 : $2) }')
    done
done
ratio=$(echo "${best[1]} ${best[0]}" | awk '{ printf "%.2f", $1 / $2 }')
met=$(echo "${best[1]}" | awk '{ print ($1 < 10 ? "true" : "false") }')
printf '  %-34s %8s %-6s %s\n' "1,000 operations replayed" "${best[1]}" s "(target under 10)"
printf '  %-34s %8s %-6s %s\n' "... to 250 operations" "$ratio" times ""
printf '{"name": "a recording of 1,000 operations replayed", "value": %s, "unit": "s", "target": "under 10", "met": %s, "how": "processor time of qedcrash replay, complete, best of three"}\n' "${best[1]}" "$met" >>"$numbers"
printf '{"name": "replay of 1,000 operations to 250", "value": %s, "unit": "times", "target": "", "met": true, "how": "the same by %s s for 250 operations"}\n' "$ratio" "${best[0]}" >>"$numbers"

for back in 0 1; do
    large "$back" >"$work/w.scn"
    "$QEDCRASH" record -q "$work/w.scn" "$work/rec64M$back" || exit 1
    t=$(once "64M$back") || { echo "the replay of 1,000 operations on 64M is not complete"; exit 1; }
    large_met=$(echo "$t" | awk '{ print ($1 < 10 ? "true" : "false") }')
    name="1,000 on 64M, $([ "$back" = 1 ] && echo with || echo without) backing file"
    printf '  %-34s %8s %-6s %s\n' "$name" "$t" s "(target under 10)"
    printf '{"name": "%s", "value": %s, "unit": "s", "target": "under 10", "met": %s, "how": "processor time of qedcrash replay, complete, once"}\n' "$name" "$t" "$large_met" >>"$numbers"
done
[ "$met" = true ]
