#!/bin/bash
# The benchmarks: a table on the terminal (with --json: the JSON instead), $BUILD/bench/bench.json, and two plots.
# Fails if a number misses its target. What a missing tool leaves out is said. Environment: BUILD, QEDCRASH.
set -u

export BUILD=${BUILD:-build}
export QEDCRASH=${QEDCRASH:-$BUILD/qedcrash}
out=$BUILD/bench
lines=$out/numbers
failed=0
mkdir -p "$out"
: >"$lines"
[ "${1:-}" = --json ] && exec 3>&1 >&2

have() { command -v "$1" >/dev/null; }

# The states are written where writing costs least, so that the baseline is not the disk's speed.
qemu=()
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" qedcrash-bench.XXXXXX) || exit 1
trap 'rm -rf "$scratch"' EXIT
if have qemu-img; then
    qemu=(--qemu "$scratch")
else
    echo "skipped: the baseline, and the ratio to it: qemu-img is missing"
fi

echo "crash states by enumeration, one core"
"$out/bench_states" --json "$lines" "${qemu[@]}" scenarios/cow-partial.scn || failed=1
echo "complete verdicts"
"$out/bench_complete" --json "$lines" --plot "$out" || failed=1
echo "a recording of QEMU's"
tests/bench/replay.sh "$lines" || failed=1
echo "campaigns"
tests/bench/campaign.sh "$lines" || failed=1
echo "memory"
"$out/bench_memory" --json "$lines" "$QEDCRASH" scenarios/*.scn || failed=1
echo "generation: from an empty start to each bug"
"$out/bench_gen" --json "$lines" || failed=1

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
{
    printf '{"cpu": "%s", "cores": %s, "load": "%s",\n "numbers": [\n' "$cpu" "$(nproc)" "$(cut -d ' ' -f 1 /proc/loadavg)"
    sed '$!s/$/,/; s/^/  /' "$lines"
    printf ' ]}\n'
} >"$out/bench.json"
rm -f "$lines"

if have gnuplot; then
    gnuplot <<PLOT || failed=1
set terminal svg size 720,480 background rgb 'white'
set key left top
set grid
set logscale xy 2
set format y '%g'
set ylabel 'milliseconds for a complete verdict'
set output '$out/writes.svg'
set title 'pending data writes, entries in one table sector'
set xlabel 'n writes of a sector (more than 2^n states)'
first = real(system("awk 'NR == 1 { print \$2 }' $out/writes.dat")) * 1000
plot '$out/writes.dat' using 1:(\$2*1000) with linespoints title 'v2, in place', \\
     '' using 1:(\$3*1000) with linespoints title 'upstream (scans), in place', \\
     '' using 1:(\$4*1000) with linespoints title 'v2, every eighth allocates', \\
     '' using 1:(\$5*1000) with linespoints title 'upstream, every eighth allocates', \\
     first * x * log(x) / (8 * log(8)) with lines dashtype 2 title 'n log n, from v2 at n=8'
set output '$out/sectors.svg'
set title 'table sectors with five versions each'
set xlabel 'k table sectors'
set yrange [:10000]
plot '$out/sectors.dat' using 1:(\$2*1000) with linespoints title 'v2', \\
     '' using 1:(\$3*1000) with linespoints title 'upstream (scans)', \\
     '' using 1:(\$4*1000) with lines dashtype 2 title 'the product'
PLOT
else
    echo "skipped: the plots: gnuplot is missing"
fi
echo "$out/bench.json"
[ -e "$out/writes.svg" ] && echo "$out/writes.svg $out/sectors.svg"
[ "${1:-}" = --json ] && cat "$out/bench.json" >&3
exit $failed
