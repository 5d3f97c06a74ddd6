#!/bin/bash
# The scenario library on the installed QEMU, beside our design `upstream`: a line a cell, and how many agree. With "-v",
# every cell; else a scenario a line, and the cells that differ. What cannot be recorded is named with the reason. A
# recording has no reads, so wrong-read is left out of the comparison.
# Exit: 0 all agree in the verdict; 1 some do not; 77 no QEMU.
set -u
for tool in qemu-img qemu-io sqlite3; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
QEDCRASH=${QEDCRASH:-$PWD/build/qedcrash}
library=${LIBRARY:-$PWD/scenarios}
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 3

# cells JSON: "disk|verdict|classes|states" a line
cells()
{
    sqlite3 :memory: "SELECT json_extract(c.value, '\$.disk'), json_extract(c.value, '\$.verdict'),
        (SELECT group_concat(k, ',') FROM (SELECT DISTINCT json_extract(f.value, '\$.class') AS k
            FROM json_each(c.value, '\$.findings') AS f WHERE k <> 'wrong-read' ORDER BY 1)),
        json_extract(c.value, '\$.states.total') FROM json_each(readfile('$1'), '\$.cells') AS c"
}

agree=0 differ=0 refused=0
printf '%-24s %-14s %-8s %-28s %-8s %s\n' scenario disk QEMU classes upstream 'states (QEMU, upstream where others)'
for file in "$library"/*.scn; do
    s=$(basename "$file" .scn)
    sed 's/\(^image.*\)table=1/\1table=2/' "$file" >"$s.scn" # QEMU makes images with table=1 and does not open them
    if ! "$QEDCRASH" record -q "$s.scn" "$s" 2>err; then
        refused=$((refused + 1))
        printf '%-24s not recorded: %s\n' "$s" "$(sed "s/.*\('[^']*'\) cannot be.*/\1/" err)"
        continue
    fi
    "$QEDCRASH" replay "$s" --disk all --json >qemu.json 2>/dev/null
    "$QEDCRASH" run "$s.scn" --design upstream --disk all --json >ours.json 2>/dev/null
    cells qemu.json >qemu
    cells ours.json >ours
    while IFS='|' read -r disk verdict classes states; do
        IFS='|' read -r _ our our_classes our_states < <(grep "^$disk|" ours)
        same=yes
        [[ $verdict == "$our" && $classes == "$our_classes" ]] || same=
        if [[ $same ]]; then agree=$((agree + 1)); else differ=$((differ + 1)); fi
        [[ $states == "$our_states" ]] || states="$states, $our_states"
        if [[ ! $same || $disk == ssd || ${1-} == -v ]]; then
            printf '%-24s %-14s %-8s %-28s %-8s %s%s\n' "$s" "$disk" "$verdict" "${classes:--}" "$our" "$states" \
                "${same:+}$([[ $same ]] || echo "  DIFFERS: upstream has ${our_classes:--}")"
        fi
    done <qemu
done
echo "$agree cells agree in verdict and classes, $differ differ; $refused scenarios cannot be recorded"
[ "$differ" -eq 0 ]
