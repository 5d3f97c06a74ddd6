#!/bin/bash
# A campaign, or one of its workers, is killed (SIGKILL) at a random moment; what is left is resumed, and must come to the
# store of an undisturbed run, row for row. Some rounds are killed again while they resume.
#     ROUNDS (50)   SEED (the time)   QEDCRASH
set -u
export LC_ALL=C
QEDCRASH=${QEDCRASH:-$PWD/build/qedcrash}
library=$PWD/scenarios
command -v sqlite3 >/dev/null || { echo 'sqlite3 is missing'; exit 77; }
rounds=${ROUNDS:-50} seed=${SEED:-$(date +%s)}
RANDOM=$((seed % 32768))
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir lib
cp "$library"/{cow-partial,overwrite-in-place,race-cluster,tail,write-zeroes}.scn lib/
args=(matrix lib --design v2 --design cow-flush --disk ssd --disk ordered -q)

rows()
{
    [ ! -e "$1-wal" ] || { echo "a log is left beside $1"; return; }
    cp "$1" rows.db && sqlite3 rows.db "UPDATE campaign SET command = ''" .dump
}

now_ms()
{
    echo $(($(date +%s%N) / 1000000))
}

began=$(now_ms)
"$QEDCRASH" "${args[@]}" --store want.db >/dev/null
code=$?
length=$(($(now_ms) - began))
[ $code -le 1 ] || { echo "the undisturbed campaign exits $code"; exit 1; }
rows want.db >want.sql
echo "seed $seed: $rounds rounds of a campaign of $(sqlite3 want.db 'SELECT count(*) FROM cell') cells and $length ms"

# nap MAX_MS: of random length
nap()
{
    sleep "$(printf '%d.%03d' $(($1 * RANDOM / 32768 / 1000)) $(($1 * RANDOM / 32768 % 1000)))"
}

# disturb ARG...: one start of it, and the kill; sets $hit
disturb()
{
    "$QEDCRASH" "${args[@]}" --store s.db "$@" >out 2>err </dev/null &
    local pid=$! target
    nap "$length"
    target=$pid
    [ "$what" = campaign ] || target=$(pgrep -P $pid | shuf -n 1 --random-source=want.db)
    hit=no
    [ -n "$target" ] && kill -KILL "$target" 2>/dev/null && hit=yes
    wait $pid 2>/dev/null
}

failed=0 hits=0 died=0
for ((round = 1; round <= rounds; round++)); do
    rm -f s.db*
    what=campaign
    [ $((round % 2)) -eq 0 ] || what=worker
    disturb -j $((1 + RANDOM % 3))
    [ $hit = no ] || hits=$((hits + 1))
    grep -q 'was killed by signal 9' err && died=$((died + 1))
    [ $((round % 5)) -ne 0 ] || disturb --resume
    "$QEDCRASH" "${args[@]}" --store s.db --resume >out 2>err
    rc=$?
    rows s.db >got.sql
    if [ $rc -ne $code ] || ! cmp -s want.sql got.sql; then
        echo "round $round, $what killed: resumed with exit $rc: $(head -n 1 err) $(diff want.sql got.sql | head -n 4)"
        failed=$((failed + 1))
    fi
done
echo "$((rounds - failed)) of $rounds resumed to the same store, row for row ($hits killed at work, $died workers' cells judged again)"
[ $failed -eq 0 ] && [ $hits -gt $((rounds / 2)) ]
