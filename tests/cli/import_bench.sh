#!/bin/bash
# `import --store`: the fuzzers' benchmark beside a store's campaign. Is each line a row, are the sums the view's and the
# page's, is a store of the schema before given what it lacks, and is a bad line refused without a trace?
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH
command -v sqlite3 >/dev/null || { echo 'there is no sqlite3'; exit 77; }

"$q" run cow-partial --design v2 --store s.db >/dev/null 2>&1
cp s.db clean.db
lines()
{
    tr ' ' '\t' <<'END'
v2 lib 1 1 3.00 300
v2 lib 2 1 1.00 100
v2 lib 3 1 2.00 500
v2 lib 4 1 4.00 200
v2 afl 1 1 0.50 50
v2 afl 2 0 60.10 999999
v2 afl 3 0 60.20 999999
v2 gen 1 1 0.25 70 7
naive lib 1 1 0.125 3
END
}
lines >bench.tsv

ran 0 '' "$q" import --store s.db bench.tsv
row()
{
    local got
    got=$(sqlite3 s.db "SELECT runs, found, median_seconds, least_seconds, most_seconds, median_executions, workloads FROM v_fuzzers
        WHERE design = '$1' AND tool = '$2'")
    [[ $got == "$3" ]] || complain "$1 $2: $got, wanted $3"
}
row v2 libFuzzer '4|4|2.5|1.0|4.0|250.0|'    # even: the mean of the two in the middle
row v2 AFL++ '3|1||0.5|||'                   # most runs found nothing
row v2 generator '1|1|0.25|0.25|0.25|70.0|7'
row naive libFuzzer '1|1|0.125|0.125|0.125|3.0|'

# Again: the same runs take the place of the old ones. What was judged stays.
ran 0 '' "$q" import --store s.db bench.tsv
[[ $(sqlite3 s.db 'SELECT count(*), count(DISTINCT campaign) FROM v_fuzz_runs') == '9|1' ]] || complain 'twice the same runs'
"$q" diff clean.db s.db >diff.out || complain "import changed findings: $(cat diff.out)"

"$q" report s.db -o out >/dev/null
sed -n '/id="fuzzers"/,/<\/section>/p' out/index.html >section
grep -q '<th scope="row">v2</th><td class="number">2.50 (1.00 to 4.00)</td><td class="number">250</td>' section ||
    complain 'the page has not the median of libFuzzer' "$(cat section)"
grep -q '<td class="number">not found (0.50 to not found)</td><td class="number">-</td>' section ||
    complain 'the page does not say what was not found' "$(cat section)"
[[ $(grep -c '<tr><th scope="row">' section) -eq 2 ]] || complain 'the page has not one line a design' "$(cat section)"

# Of schema 3: read as it is, and given the table when it is written to.
old()
{
    cp clean.db old.db
    sqlite3 old.db 'DROP VIEW v_fuzzers; DROP VIEW v_fuzz_runs; DROP TABLE fuzz_run; PRAGMA user_version = 3'
}
old
cp old.db before.db
ran 0 '' "$q" report old.db -o out -q
cmp -s old.db before.db || complain 'report changed a store of schema 3'
grep -q 'Not measured here' out/index.html || complain 'the page of schema 3 has no note'
ran 0 '' "$q" import --store old.db bench.tsv
[[ $(sqlite3 old.db 'SELECT count(*) FROM v_fuzz_runs; PRAGMA user_version') == $'9\n4' ]] || complain 'schema 3 was not upgraded'
old
"$q" run cow-partial --design v2 --store old.db >/dev/null 2>&1
diff <(sqlite3 old.db .schema) <(sqlite3 clean.db .schema) || complain 'an upgraded store has another schema than a new one'

# What is refused, with its line, and leaves the store as it was.
cp clean.db s.db
# shellcheck disable=SC2154 # rc, out, err: of lib.sh
not_taken()
{
    lib_run "$q" import --store "$2" "$3"
    [[ $rc -eq 2 && -z $out && $err == "qedcrash import: "*"$1"* && $err != *$'\n'* ]] ||
        lib_wanted "exit 2 and one line with \"$1\"" import --store "$2" "$3"
}
refused()
{
    tr ' ' '\t' <<<"$2" >bad.tsv
    not_taken "$1" s.db bad.tsv
}
refused 'bad.tsv:1: expected: design' 'v2 lib 1 1'
refused 'bad.tsv:1: the tool is none' 'v2 x 1 1 1.0 5'
refused 'bad.tsv:2: seed, found' $'v2 lib 1 1 1.0 5\nv2 lib 2 2 1.0 5'
refused 'bad.tsv:1: seed, found' 'v2 lib 1 1 nan 5'
refused 'bad.tsv:1: seed, found' 'v2 lib 1 1 -1 5'
refused 'bad.tsv:1: only the generator' 'v2 lib 1 1 1.0 5 7'
refused 'bad.tsv:1: the line is too long' "$(head -c 3000 /dev/zero | tr '\0' x)"
: >empty.tsv
not_taken 'no runs in it' s.db empty.tsv
not_taken 'nothing.db: no such store' nothing.db bench.tsv
[[ ! -e nothing.db ]] || complain 'import made a store'
[[ $(sqlite3 s.db 'SELECT count(*) FROM v_fuzz_runs') -eq 0 ]] || complain 'a refused file left rows'
finish
