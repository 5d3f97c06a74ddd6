#!/bin/bash
# `qedcrash run`: exit codes, --json, stores, bad scenarios, a full disk, a Ctrl-C.
lib=$PWD/scenarios
export QEDCRASH_SCENARIOS=$lib
unset NO_COLOR
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH

one()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == qedcrash* && $err == *"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

json()
{
    printf '%s' "$out" >out.json
    if command -v python3 >/dev/null; then
        python3 -m json.tool out.json >/dev/null 2>&1
    else
        [ "$(sqlite3 :memory: "SELECT json_valid(CAST(readfile('out.json') AS TEXT))")" = 1 ]
    fi || complain "$1: not JSON: $out"
}

# field PATH WANTED: of out.json, by SQLite's JSON
field()
{
    local got
    got=$(sqlite3 :memory: "SELECT json_extract(CAST(readfile('out.json') AS TEXT), '\$.$1')")
    [[ $got == $2 ]] || complain "$1 is '$got', wanted '$2'"
}

# --- what comes of it ---
life=$'image size=1M cluster=4K table=2\nprepare write 0 4K\nwrite 8K 512\nflush\ncrash\nopen rw%s\nwrite 16K 512\nflush\ncrash\n'
# shellcheck disable=SC2059
printf "$life" '' >life.scn
# shellcheck disable=SC2059
printf "$life" ' as=v2' >other.scn
ran 0 'life.scn  careful' "$q" run life.scn --design careful --disk atomic-writes
ran 1 'open rw as=v2' "$q" run other.scn --design careful --disk atomic-writes # another program writes in the later life
ran 1 'UNSAFE  lost-cow' "$q" run cow-partial --design v2
[[ $out == *'guest sector 8'* ]] || complain 'sector 8, which the guest never wrote, is not named'
[[ $out == *$'\n'"repro: qedcrash repro 'cow-partial:v2:ssd:@"* ]] || complain 'no line to paste at the end'
[[ $out != *$'\e'* ]] || complain 'colour, and not on a terminal'
ran 0 'cow-partial  cow-flush  ssd' "$q" run cow-partial --design cow-flush
ran 0 '' "$q" run "$lib/cow-partial.scn" --design careful --disk all
ran 1 $'\e[' "$q" run cow-partial --design v2 --color always
ran 1 '' env NO_COLOR=1 "$q" run cow-partial --design v2 --color never
[[ $out != *$'\e'* ]] || complain 'colour, and asked not to'
ran 0 'cow-partial:v2:ssd' "$q" run cow-partial --design v2 --dry-run

# --- --json ---
ran 1 '' "$q" run cow-partial --design v2 --json
first=$out
json 'run --json'
if command -v sqlite3 >/dev/null; then
    field qedcrash '[0-9]*'
    field seed 1
    field 'cells[0].scenario' cow-partial
    field 'cells[0].design' v2
    field 'cells[0].disk' ssd
    field 'cells[0].schedule' 1
    field 'cells[0].verdict' unsafe
    field 'cells[0].expected' unsafe
    field 'cells[0].complete' 1
    field 'cells[0].crash_points' '[1-9]*'
    field 'cells[0].states.total' 514
    field 'cells[0].states.log2' '9.01*'
    field 'cells[0].states.executions' '[1-9]*'
    field 'cells[0].findings[0].id' 'cow-partial:v2:ssd:@*'
    field 'cells[0].findings[0].crash_point' '[1-9]*'
    field 'cells[0].findings[0].why' '?*.'
    for key in class guest_sector expected found; do
        sql="SELECT count(*) FROM json_tree(CAST(readfile('out.json') AS TEXT)) WHERE key = '$key'"
        [ "$(sqlite3 :memory: "$sql")" -ge 2 ] || complain "findings have no $key"
    done
    field 'cells[0].cost.guest_writes' 1
    field 'cells[0].cost.image_writes' '[1-9]*'
    field 'cells[0].cost.flushes' '[0-9]*'
    field 'cells[0].cost.scans' '[0-9]*'
fi
ran 1 '' "$q" run cow-partial --design v2 --json
[ "$out" = "$first" ] || complain 'a second run says something else'
ran 0 '"verdict":"safe"' "$q" run cow-partial --design cow-flush --json

# --- scenarios that are none ---
# bad WORDS TEXT: one line file:line:col, exit 2
bad()
{
    printf "$2" >bad.scn
    one 2 "$1" "$q" run ./bad.scn --design v2
    [[ $err =~ bad\.scn:[0-9]+:[0-9]+:\  ]] || complain "no file:line:col in: $err"
}
bad '' 'write 0 512\n'
bad '' 'image size=1M cluster=4K table=2\nwrit 0 512\n'
bad 'write' 'image size=1M cluster=4K table=2\nwrit 0 512\n'
bad '' 'image size=1M cluster=5K table=2\n'
bad '' 'image size=1M cluster=4K table=3\n'
bad '' 'image size=1M cluster=4K table=2 table=2\n'
bad '' 'image size=99999999999999999999 cluster=4K table=2\n'
bad '' 'image size=1M cluster=4K table=2\nwrite 1M 512\n'
bad '' 'image size=1M cluster=4K table=2\nwrite 1 512\n'
bad '' 'image size=1M cluster=4K table=2\nwrite 0\n'
bad '' 'image size=1M cluster=4K table=2\nwrite 0 512 7\n'
bad '' 'image size=1M cluster=4K table=2\nwait a\n'
bad '' 'image size=1M cluster=4K table=2\naio a write 0 512\naio a write 512 512\n'
bad '' 'image size=1M cluster=4K table=2\ninject l2_updat EIO once\n'
bad '' 'image size=1M cluster=4K table=2\nexpect design=v2 unsafe lost-cov\n'
bad '' 'image size=1M cluster=4K table=2\nexpect disk=sdd safe\n'
bad '' 'image size=1M cluster=4K table=2\nimage size=1M cluster=4K table=2\n'
bad '' '\177ELF\001\n'
printf '' >bad.scn
one 2 'bad.scn' "$q" run ./bad.scn
one 2 'directory' "$q" run ./
one 2 'directory' "$q" run "$lib/"
printf 'image size=1M cluster=4K table=2\nwrite 0 512 \0 x\n' >bad.scn
one 2 'bad.scn' "$q" run ./bad.scn

# --- the store ---
ran 1 lost-cow "$q" run cow-partial --design v2 --store a.db
[ -s a.db ] || complain '--store left no file'
printf 'not a database, by any means, not even with some more words in it\n%.0s' {1..99} >junk.db
cp junk.db junk.kept
one 3 junk.db "$q" run cow-partial --design v2 --store junk.db
cmp -s junk.db junk.kept || complain 'a file that is no store was changed'
one 3 nowhere "$q" run cow-partial --design v2 --store nowhere/a.db
mkdir dir.db
one 3 dir.db "$q" run cow-partial --design v2 --store dir.db
if command -v sqlite3 >/dev/null; then
    cp a.db newer.db
    sqlite3 newer.db 'PRAGMA user_version = 9999'
    one 3 newer.db "$q" run cow-partial --design v2 --store newer.db
    sqlite3 other.db 'CREATE TABLE t (a); INSERT INTO t VALUES (1)'
    cp other.db other.kept
    one 3 other.db "$q" run cow-partial --design v2 --store other.db
    cmp -s other.db other.kept || complain "somebody else's database was changed"
fi
if [ "$(id -u)" -ne 0 ]; then
    cp a.db ro.db
    chmod 444 ro.db
    one 3 ro.db "$q" run cow-partial --design v2 --store ro.db
fi
ln -s /dev/full full.db
lib_run "$q" run cow-partial --design v2 --store full.db
[[ $rc -eq 3 && $err == qedcrash*full.db* && $err != *$'\n'* ]] || lib_wanted 'exit 3 and one line' 'a store on a full disk'

# --- no room for the result ---
lib_run bash -c '"$0" run cow-partial --design v2 >/dev/full' "$q"
[[ $rc -eq 3 && $err == qedcrash*written* && $err != *$'\n'* ]] || lib_wanted 'exit 3' 'stdout full'
lib_run bash -c '"$0" run cow-partial --design v2 --json >/dev/full' "$q"
[[ $rc -eq 3 && $err == qedcrash* ]] || lib_wanted 'exit 3' 'stdout full, --json'
lib_run bash -c '"$0" run cow-partial --design v2 >&-' "$q"
[[ $rc -eq 3 && $err == qedcrash* ]] || lib_wanted 'exit 3' 'stdout closed'

# --- Ctrl-C: a run that would take for ever ---
printf 'image size=1M cluster=4K table=2\nwrite 0 64K\nwrite 128K 64K\nflush\n' >long.scn
# shellcheck disable=SC2016
lib_run bash -c '"$0" run ./long.scn --design v2 --explore enumerate --limit 1000000000000 --store long.db & p=$!
    sleep 0.7; kill -INT $p; wait $p' "$q"
[[ $rc -eq 130 && $err == qedcrash*interrupted* && $err == *store* ]] || lib_wanted 'exit 130 and how to go on' 'SIGINT'

finish
