#!/bin/bash
# The page of `qedcrash report` in a browser: does a square of the matrix lead to its findings, do the timelines show the
# survivors that the ids name, is the console silent, the network untouched, axe content? Screenshots stay in
# $BUILD/page/shots, to be looked at. Exit 77 with a reason where a tool is missing.
set -u
export LC_ALL=C.UTF-8
build=$(cd "${BUILD:-build}" && pwd) || exit 1
here=$(cd "${0%/*}" && pwd)
q=${QEDCRASH:-$build/qedcrash}
skip() { echo "skipped: $*"; exit 77; }

CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser)} || skip "there is no chromium"
command -v node >/dev/null || skip "there is no node"
command -v sqlite3 >/dev/null || skip "there is no sqlite3"
work=$build/page
mkdir -p "$work"
cp "$here/package.json" "$work/"
if [ ! -d "$work/node_modules/axe-core" ] || [ ! -d "$work/node_modules/playwright-core" ]; then
    command -v npm >/dev/null || skip "there is no npm to install playwright-core and axe-core with"
    (cd "$work" && npm install --no-audit --no-fund --silent) >"$work/npm.log" 2>&1 ||
        skip "npm cannot install playwright-core and axe-core: $(tail -n 1 "$work/npm.log")"
fi
export CHROMIUM PAGE_MODULES=$work/node_modules

# Two campaigns: known findings, what nobody expected, a workload with no finding, and a name that is all markup.
rm -rf "$work/lib" "$work/out" "$work/shots" "$work/s.db"
mkdir -p "$work/lib"
for s in cow-partial race-l2 race-tables tail sequential-fill overwrite-in-place; do
    cp "$here/../../scenarios/$s.scn" "$work/lib/"
done
grep -v '^expect' "$here/../../scenarios/cow-partial.scn" >"$work/lib/<b>&amp; \"it's\".scn"
cd "$work" || exit 1
for _ in 1 2; do
    "$q" matrix lib --disk ssd --disk hostdev --disk ordered --store s.db >matrix.txt 2>&1
    rc=$?
    [ $rc -eq 1 ] || { echo "matrix: exit $rc, wanted 1 (one scenario expects nothing and has findings)"; cat matrix.txt; exit 1; }
done
"$q" report s.db -o out >/dev/null || { echo "report: exit $?"; exit 1; }
sqlite3 s.db "SELECT json_object('headline', 'nobody expected',
    'squares', (SELECT count(*) FROM (SELECT DISTINCT scenario, design FROM v_findings WHERE campaign = 2)),
    'bugs', (SELECT count(*) FROM v_bugs WHERE campaign = 2))" >facts.json
timeout 240 node "$here/page.mjs" out/index.html shots facts.json
