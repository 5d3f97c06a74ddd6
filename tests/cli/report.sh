#!/bin/bash
# `report`: the same files for the same store, well-formed, with everything escaped, numbers that are the store's; with and
# without gnuplot; annotations where GitHub runs it; and one line for what cannot be.
export QEDCRASH_SCENARIOS=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH
command -v sqlite3 >/dev/null || { echo 'there is no sqlite3'; exit 77; }

mkdir lib
cp "$QEDCRASH_SCENARIOS"/{cow-partial,overwrite-in-place}.scn lib/
weird="<b>&amp; \"it's\""
grep -v '^expect' lib/cow-partial.scn >"lib/$weird.scn"
"$q" matrix lib --disk ssd --disk hostdev --store s.db >/dev/null 2>&1
cp s.db before.db

ran 0 'out/index.html' "$q" report s.db -o out
cmp -s s.db before.db || complain 'report changed the store'
"$q" report s.db -o again >/dev/null
diff -r out again || complain 'two reports of one store differ'
[[ $(ls out) == $'index.html\njunit.xml\nsummary.md' ]] || complain "files: $(ls out)"

# The page needs nothing from elsewhere, and what a name holds is no markup.
grep -oE '(src|href)="[^"#]*"' out/index.html | grep -v 'href="data:,"' && complain 'the page refers to something else'
grep -q '<b>' out/index.html out/junit.xml && complain 'a name became markup'
grep -q '&lt;b&gt;&amp;amp; &quot;it&#39;s&quot;' out/index.html || complain 'the weird name is not in the page'
[[ $(grep -c '<article' out/index.html) -eq $(sqlite3 s.db 'SELECT count(*) FROM v_bugs') ]] ||
    complain 'not an article for each bug'
if command -v xmllint >/dev/null; then
    xmllint --noout out/junit.xml || complain 'junit.xml is not well-formed'
fi

# Where the work went: each of the three tables accounts for all of it, and no table is longer than eleven rows.
ran_all=$(sqlite3 s.db 'SELECT executions FROM v_campaigns')
sed -n '/id="utilisation"/,/<\/section>/p' out/index.html >section
sums=$(awk '/<table>/ { sum = 0; rows = 0 } /<tr><th scope="row">/ { split($0, cell, /<td class="number">/); sum += cell[3]; rows++ }
    /<\/table>/ { print sum, (rows > 11 ? "long" : "short") }' section | sort -u)
[[ $(grep -c '<table>' section) -eq 3 && $sums == "$ran_all short" ]] || complain "utilisation: $sums, wanted $ran_all" "$(cat section)"
grep -q '<th scope="row">the other [0-9]*</th>' section || complain 'utilisation: what is left of the designs is not summed up'

# JUnit: a case for each cell and one for the canaries, a failure for each that was not expected.
cells=$(sqlite3 s.db 'SELECT cells FROM v_campaigns') unexpected=$(sqlite3 s.db 'SELECT unexpected FROM v_campaigns')
[[ $(grep -c '<testcase' out/junit.xml) -eq $((cells + 1)) && $unexpected -gt 0 &&
    $(grep -c '<failure' out/junit.xml) -eq $unexpected ]] || complain "junit: not $cells cells, $unexpected failures"
grep -q "<testsuites name=\"qedcrash\" tests=\"$((cells + 1))\" failures=\"$unexpected\" errors=\"0\"" out/junit.xml ||
    complain 'junit: the sums are wrong' "$(sed -n 2p out/junit.xml)"
grep -q "nobody expected" out/summary.md || complain 'summary.md has no headline' "$(cat out/summary.md)"
grep -q "qedcrash repro 'lib/" out/summary.md || complain 'summary.md has no line to paste' "$(cat out/summary.md)"

# Annotations only under GitHub, one line each, no bare newline or colon of ours in a property.
[[ $("$q" report s.db -o out -q) == '' ]] || complain 'report -q prints'
GITHUB_ACTIONS=true "$q" report s.db -o out -q >notes
grep -q '^::error title=lost-cow under v2.*::.*%0Aqedcrash repro ' notes || complain 'no annotation' "$(cat notes)"
grep -qv '^::' notes && complain 'a line that is no annotation' "$(cat notes)"

# Without gnuplot: a note with the reason, and the same numbers. With it and one campaign: a scatter, no trend.
mkdir bin
PATH=$PWD/bin "$q" report s.db -o plain >/dev/null || complain "without gnuplot: exit $?"
grep -q 'No plot: gnuplot is not installed' plain/index.html || complain 'without gnuplot: no reason'
if command -v gnuplot >/dev/null; then
    grep -q 'No plot: there is only one campaign' out/index.html || complain 'one campaign: no note'
    [[ $(grep -c '<figure>' out/index.html) -eq 1 ]] || complain 'no scatter'
    "$q" run overwrite-in-place --design v2 --store s.db >/dev/null
    "$q" report s.db -o two >/dev/null
    [[ $(grep -c '<figure>' two/index.html) -eq 2 ]] || complain 'two campaigns: no trend'
    grep -q 'all 1 cells are safe\|No power failure hurt' two/index.html || complain 'not of the newest campaign'
fi

# What cannot be.
for bad in "report" "report s.db" "report s.db x -o out" "report missing.db -o out2" "report lib/cow-partial.scn -o out2"; do
    # shellcheck disable=SC2086
    lib_run "$q" $bad
    [[ $rc -eq 2 && -z $out && $err == qedcrash* && $err != *$'\n'* && ! -e out2 ]] || lib_wanted 'exit 2 and one line' "$bad"
done
says 3 'cannot make the directory' "$q" report s.db -o /nonexistent/dir
if [ -e /dev/full ]; then
    mkdir full && ln -s /dev/full full/index.html.new
    says 3 'could not be written' "$q" report s.db -o full
    [[ ! -e full/index.html ]] || complain 'half a page was left'
fi
ran 0 'Examples:' "$q" report --help
finish
