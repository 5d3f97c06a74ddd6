#!/bin/bash
# The ledger: each claim of docs/ledger.md is spoken about by a scenario, and each claim a scenario names is in the store,
# in `matrix --json` and on the page. One cheap cell for each scenario.
root=$PWD
export QEDCRASH_SCENARIOS=$root/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH
command -v sqlite3 >/dev/null || { echo 'there is no sqlite3'; exit 77; }

# "| A16-A25 |" is ten claims.
sed -nE 's/^\| *([AB][0-9]+[a-z]?(-[AB][0-9]+)?) *\|.*/\1/p' "$root/docs/ledger.md" | while IFS=- read -r first last; do
    if [[ $last ]]; then
        for ((n = ${first#?}; n <= ${last#?}; n++)); do echo "${first%"${first#?}"}$n"; done
    else
        echo "$first"
    fi
done | sort -u >claimed
sed -n 's/^ledger //p' "$root"/scenarios/*.scn | tr -s ' ,' '\n' | grep . | sort -u >spoken
[[ $(wc -l <claimed) -ge 39 ]] || complain 'docs/ledger.md: its tables have too few claims' "$(tr '\n' ' ' <claimed)"
diff claimed spoken >differs || complain 'docs/ledger.md (<) and the ledger lines of the scenarios (>) differ' "$(cat differs)"

timeout 200 "$q" matrix --design careful --disk writethrough --json --store s.db >json 2>/dev/null ||
    complain "matrix: exit $?"
sqlite3 :memory: "SELECT DISTINCT claim.value FROM json_each(CAST(readfile('json') AS TEXT), '\$.cells') cell,
    json_each(cell.value, '\$.ledger') claim" | sort -u >json.claims
diff spoken json.claims >differs || complain 'the claims of the scenarios (<) and of the JSON (>) differ' "$(cat differs)"
sqlite3 s.db 'SELECT DISTINCT claim FROM v_ledger' | sort -u | diff spoken - || complain 'v_ledger has other claims'

# The page: a row for each, with all of its scenarios, in the order of the ledger.
"$q" report s.db -o out -q
sed -n '/id="ledger"/,/<\/section>/p' out/index.html >section
grep -oE '<th scope="row">[^<]*' section | sed 's/.*>//' >rows
diff spoken <(sort -u rows) || complain 'the page has other claims'
[[ $(head -n 1 rows) == A1 && $(tail -n 1 rows) == B* ]] || complain 'the rows are out of order' "$(tr '\n' ' ' <rows)"
grep -q '<th scope="row">A7</th><td class="plain">.*cow-partial' section || complain 'A7 without its scenario'

# Where a claim fails, the square leads to a finding.
"$q" run cow-partial --design v2 --disk ssd --store one.db >/dev/null
"$q" report one.db -o one -q
square=$(grep -oE '<a href="#cell-[0-9]+">unsafe in 1 of 1' one/index.html | grep -oE 'cell-[0-9]+' | head -n 1)
grep -q "id=\"${square:-none}\"" one/index.html || complain "the ledger leads nowhere: '$square'"
finish
