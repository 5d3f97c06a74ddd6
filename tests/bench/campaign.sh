#!/bin/bash
# A campaign's two numbers: how much faster two workers are than one, and the part of the time that the store takes.
#     campaign.sh NUMBERS     (the file that gets one JSON object a line)
# The library without `tail`, whose largest cell is longer than all others together: a campaign cannot end before its
# longest cell does, and that is not what is measured here. Best of three rounds, in turns.
set -u
export LC_ALL=C
numbers=$1
QEDCRASH=$(realpath "$QEDCRASH")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/lib"
cp scenarios/*.scn "$work/lib/"
rm -f "$work/lib/tail.scn"

# once J: "seconds store-percent"
once()
{
    rm -f "$work/s.db"
    "$QEDCRASH" matrix "$work/lib" --store "$work/s.db" -q -v -j "$1" 2>&1 >/dev/null |
        sed -n 's/^qedcrash matrix: \([0-9.]*\) s, of which .*(\([0-9.]*\) %).*/\1 \2/p'
}

number() # NAME VALUE UNIT TARGET MET HOW
{
    printf '  %-34s %8s %-6s %s\n' "$1" "$2" "$3" "${4:+(target $4)}"
    printf '{"name": "%s", "value": %s, "unit": "%s", "target": "%s", "met": %s, "how": "%s"}\n' "$@" >>"$numbers"
}

one=1e9 two=1e9 share=100
for round in 1 2 3; do
    read -r t _ < <(once 1)
    [ -n "${t:-}" ] || { echo "the campaign does not run (round $round)"; exit 1; }
    one=$(echo "$one $t" | awk '{ print ($1 < $2 ? $1 : $2) }')
    read -r t2 s2 < <(once 2)
    two=$(echo "$two $t2" | awk '{ print ($1 < $2 ? $1 : $2) }')
    share=$(echo "$share $s2" | awk '{ print ($1 < $2 ? $1 : $2) }')
done
ratio=$(echo "$one $two" | awk '{ printf "%.2f", $1 / $2 }')
scaled=$(echo "$ratio" | awk '{ print ($1 >= 1.8 ? "true" : "false") }')
cheap=$(echo "$share" | awk '{ print ($1 <= 5 ? "true" : "false") }')
if [ "$(nproc)" -lt 2 ]; then
    echo "skipped: two workers against one: there is one processor"
    scaled=true
else
    number "two workers against one" "$ratio" "times" 1.8 "$scaled" "wall time of matrix -j 1 ($one s) by -j 2 ($two s), best of three"
fi
number "the store's part of the time" "$share" "%" "at most 5" "$cheap" "wall time in store_put_cell by all, of matrix -j 2, best of three"
[ "$scaled$cheap" = truetrue ]
