#!/bin/bash
# flushes.sh: `qedcrash flushes` of every named design, as one Markdown table: a row for each field, a column for each design.
# A cell says what the design's value is needed against: N, needed (all weaker values fail a test that the design passes, or
# add to what it fails); n, some of them; -, none within the bound; blank, it has no weaker value. A design that fails tests
# itself has their number in the head.
set -u
build=${BUILD:-build}
designs=$("$build/qedcrash" designs | sed -n '/^designs:/,/^disk models:/s/^  \([^ ]*\) .*/\1/p')
for d in $designs; do
    "$build/qedcrash" flushes "$d" -q --json "$@" >"$build/flushes-$d.json" 2>"$build/flushes.err"
    r=$?
    [ $r -le 1 ] || { cat "$build/flushes.err" >&2; exit $r; }
done
sql="CREATE TABLE o (design, failed, tests, field, needed);"
for d in $designs; do
    sql+="INSERT INTO o SELECT json_extract(j, '\$.design'), json_extract(j, '\$.failed'), json_extract(j, '\$.bound.tests'),
        json_extract(value, '\$.field'), json_extract(value, '\$.needed')
        FROM (SELECT CAST(readfile('$build/flushes-$d.json') AS TEXT) AS j), json_each(j, '\$.orderings');"
done
head='| |' rule='|---|'
for d in $designs; do
    failed=$(sqlite3 :memory: "SELECT coalesce(nullif(' (' || json_extract(CAST(readfile('$build/flushes-$d.json') AS TEXT), '\$.failed') || ')', ' (0)'), '')")
    head+=" $d$failed |" rule+='---|'
done
echo "$head"
echo "$rule"
sqlite3 :memory: "$sql SELECT DISTINCT field FROM o ORDER BY min(rowid) OVER (PARTITION BY field)" | while read -r field; do
    row="| \`$field\` |"
    for d in $designs; do
        cell=$(sqlite3 :memory: "$sql SELECT CASE WHEN count(*) = 0 THEN '' WHEN sum(needed) = count(*) THEN 'N'
            WHEN sum(needed) > 0 THEN 'n' ELSE '-' END FROM o WHERE field = '$field' AND design = '$d'")
        row+=" $cell |"
    done
    echo "$row"
done
