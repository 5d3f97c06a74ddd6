#!/bin/bash
# Do our engine and the installed QEMU judge alike? N random scenarios (seeds SEED, SEED+1, ..), each recorded from QEMU; of
# each recording STATES crash states on one disk model, the same for both, judged with our engine as recovery and with QEMU.
# Their findings must be the same, ids and words included. A line for each recording in which they are not, with what one
# of them alone has; a line for every recording with -v. What is known to differ, and why, is told apart below.
# Exit: 0 all agree, or differ for a known reason; 1 some do not; 77 no QEMU.
# Usage: agree.sh [-v]; N=1000 SEED=1 STATES=24 QEDCRASH=build/qedcrash
set -u
for tool in qemu-img qemu-io sqlite3 awk; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
QEDCRASH=${QEDCRASH:-$PWD/build/qedcrash}
N=${N:-1000} SEED=${SEED:-1} STATES=${STATES:-24}
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
cd "$work" || exit 3
disks=(ssd ordered writethrough atomic-writes atom-4k own-length hostdev fsync-drop)

# scenario SEED: one to six changes of a small image, flushes and a clean close among them, so that some clusters are met
# again and some requests cross a boundary of clusters or of tables.
scenario()
{
    awk -v seed="$1" 'function r(n) { return int(rand() * n) }
        function place() { return (r(3) ? r(6) : 1016 + r(16)) * 8 }
        function change(word,   at, kind) {
            kind = r(10); at = place()
            if (kind < 6) printf "%swrite %d %d\n", word, (at + r(8)) * 512, (1 + (r(2) ? r(8) : r(20))) * 512
            else if (kind < 8) printf "%szero %d %d\n", word, (at + (r(2) ? 0 : r(8))) * 512, (r(2) ? 8 : 1 + r(16)) * 512
            else if (kind < 9) printf "%sdiscard %d %d\n", word, at * 512, 8 * (1 + r(2)) * 512
            else printf "%swrite %d 4096\n", word, at * 512
        }
        BEGIN {
            srand(seed); r(2)
            print "image   size=5M cluster=4K table=1"
            if (r(2)) printf "backing size=%dK\n", r(3) ? 5120 : 4 * (1 + r(1200))
            for (n = r(3); n > 0; n--) change("prepare ")
            for (n = 1 + r(6); n > 0; n--) {
                change("")
                if (!r(4)) print "flush"
                else if (!r(8)) print "close\nopen rw"
            }
            if (r(2)) print "flush"
        }' | sed 's/table=1/table=2/'
}

# findings JSON: a line each, who judged left out
findings()
{
    sqlite3 :memory: "SELECT replace(replace(json_extract(f.value, '\$.id'), ':qemu:', ':'), ':upstream:', ':'),
        json_extract(f.value, '\$.class'), json_extract(f.value, '\$.guest_sector'), json_extract(f.value, '\$.expected'),
        json_extract(f.value, '\$.found'), json_extract(f.value, '\$.missing_order')
        FROM json_each(readfile('$1'), '\$.cells') AS c, json_each(c.value, '\$.findings') AS f ORDER BY 1, 2, 3"
}

verdict() # JSON
{
    sqlite3 :memory: "SELECT json_extract(readfile('$1'), '\$.cells[0].verdict'), json_extract(readfile('$1'),
        '\$.cells[0].states.distinct')" | tr '|' ' '
}

# What is known to differ, and why: a reason, or nothing.
reason() # file of lines that one of them alone has
{
    :
}

agree=0 explained=0 differ=0 unsafe=0 images=0 start=$SECONDS
for ((seed = SEED; seed < SEED + N; seed++)); do
    scenario "$seed" >s.scn
    rm -rf rec
    if ! "$QEDCRASH" record -q s.scn rec 2>err; then
        echo "seed $seed: not recorded: $(cat err)"
        differ=$((differ + 1))
        continue
    fi
    disk=${disks[seed % ${#disks[@]}]}
    "$QEDCRASH" replay rec --disk "$disk" --explore sample --limit "$STATES" --nested 0 --json >ours.json 2>/dev/null
    "$QEDCRASH" replay rec --disk "$disk" --judge qemu --sample "$STATES" --json >qemu.json 2>err
    findings ours.json >ours
    findings qemu.json >qemu
    read -r our_verdict _ < <(verdict ours.json)
    read -r qemu_verdict count < <(verdict qemu.json)
    [[ $qemu_verdict == unsafe ]] && unsafe=$((unsafe + 1))
    images=$((images + ${count:-0}))
    if [[ -n $qemu_verdict && $our_verdict == "$qemu_verdict" ]] && cmp -s ours qemu; then
        agree=$((agree + 1))
        [[ ${1-} != -v ]] || echo "seed $seed, $disk: $qemu_verdict, $(wc -l <qemu) findings, $count images: the same"
        continue
    fi
    diff ours qemu >only
    why=$(reason only)
    if [[ $why ]]; then explained=$((explained + 1)); else differ=$((differ + 1)); fi
    echo "seed $seed, $disk: our engine (<) $our_verdict, QEMU (>) ${qemu_verdict:-no verdict}: ${why:-DIFFERS}"
    sed -n 's/^[<>]/    &/p' only
    sed 's/^/    /' err
done
echo "$N recordings, seeds $SEED to $((SEED + N - 1)): $agree agree in every finding, $explained differ for a known reason," \
    "$differ DIFFER; $unsafe unsafe; $images crash images shown to QEMU; $((SECONDS - start)) s"
[ "$differ" -eq 0 ]
