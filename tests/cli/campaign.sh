#!/bin/bash
# Campaigns: whatever happens on the way (signals, dead and hung workers, a time limit, a full disk, other numbers of
# workers, shards), the finished store is the same, row for row; and what cannot be has one clear line.
library=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH
command -v sqlite3 >/dev/null || { echo 'sqlite3 is missing'; exit 77; }
unset SLURM_ARRAY_TASK_ID JOB_COMPLETION_INDEX

# 16 cells of some tenths of a second at the most, all as expected.
mkdir lib
cp "$library"/{cow-partial,overwrite-in-place,race-cluster,tail}.scn lib/
args=(matrix lib --design v2 --design cow-flush --disk ssd --disk ordered -q)

# rows FILE: everything in the store but how the command was typed
rows()
{
    cp "$1" rows.db && sqlite3 rows.db "UPDATE campaign SET command = ''" .dump
}

same()
{
    [ -s "$1" ] || { complain "$2: there is no store $1"; return; }
    [ ! -e "$1-wal" ] || complain "$2: a log is left beside $1"
    rows "$1" >got.sql
    cmp -s want.sql got.sql || complain "$2: $1 is not the store of an undisturbed run" "$(diff want.sql got.sql | head -n 6)"
}

one()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == qedcrash* && $err == *"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

# start STORE ARG...: in the background; $pid
start()
{
    "$q" "${args[@]}" --store "$@" >start.out 2>start.err </dev/null &
    pid=$!
}

# ended RC WORDS: what became of it
ended()
{
    wait "$pid"
    rc=$? out=$(cat start.out) err=$(cat start.err)
    [[ $rc -eq $1 && $err == *"$2"* ]] || lib_wanted "exit $1 and \"$2\"" "$3"
}

# until_some FILE: some cells are in the log, and some are not judged
until_some()
{
    local i
    for ((i = 0; i < 3000; i++)); do
        [ "$(stat -c %s "$1-wal" 2>/dev/null || echo 0)" -lt 300000 ] || return
        sleep 0.01
    done
    complain "nothing is written to $1"
}

# a_worker: the id of one, once there is one
a_worker()
{
    local i
    for ((i = 0; i < 100; i++)); do
        pgrep -P "$pid" | head -n 1 | grep . && return
        sleep 0.02
    done
    complain 'there is no worker'
}

resumed()
{
    says 0 '' "$q" "${args[@]}" --store "$1" --resume
    same "$1" "$2, resumed"
}

says 0 'canaries 4 of 4' "$q" "${args[@]}" --store want.db -j 1
rows want.db >want.sql
[ "$(sqlite3 want.db 'SELECT count(*) = max(id) AND count(*) = (SELECT planned FROM campaign) FROM cell')" = 1 ] ||
    complain 'cells are not numbered by their place'

says 0 '' "$q" "${args[@]}" --store five.db -j 5
same five.db 'five workers'
says 0 '' "$q" "${args[@]}" --store five.db --resume # there is nothing left to do
same five.db 'a finished one, resumed'

# signals
for signal in INT TERM; do
    start $signal.db -j 1
    until_some $signal.db
    kill -$signal "$pid"
    ended 130 "--resume" "SIG$signal"
    [[ $err == *'interrupted; '*' of 16 cells are judged; go on with: qedcrash matrix lib '* ]] ||
        lib_wanted 'how to go on' "SIG$signal"
    resumed $signal.db "SIG$signal"
done
start kill.db -j 2
worker=$(a_worker)
until_some kill.db
kill -KILL "$pid"
wait "$pid" 2>/dev/null
for ((i = 0; i < 100; i++)); do kill -0 "$worker" 2>/dev/null || break; sleep 0.02; done
kill -0 "$worker" 2>/dev/null && complain 'a worker outlives its killed parent'
resumed kill.db 'kill -9'

# a worker dies; another one hangs. One that has no job yet is replaced without a word, and one that is at a planted bug leaves
# it uncaught: then again.
for ((try = 0; try < 10; try++)); do
    rm -f died.db*
    start died.db -j 2
    until_some died.db
    kill -ABRT "$(a_worker)"
    wait "$pid"
    rc=$?
    [ $rc -eq 0 ] || grep -q 'planted bugs were NOT caught' start.err || break
done
out=$(cat start.out) err=$(cat start.err)
[[ $rc -eq 1 && $err == *'was killed by signal 6 (Aborted); the others go on'* ]] ||
    lib_wanted 'exit 1, and that it was killed by signal 6' 'a worker that died'
[ "$(sqlite3 died.db "SELECT group_concat(class || unexpected) FROM v_findings WHERE class = 'died'")" = died1 ] ||
    complain 'a worker that died is no unexpected finding'
start hung.db -j 2 --cell-timeout 3s
kill -STOP "$(a_worker)"
ended 1 'gave no sign of life for 3 s and was killed; the others go on' 'a worker that hangs'
[ "$(sqlite3 hung.db "SELECT why FROM v_findings WHERE class = 'died'")" = \
    'The process that judged this cell gave no sign of life for 3 s and was killed.' ] || complain 'a hang is not told of'
resumed died.db 'a worker died'
resumed hung.db 'a worker hung'

# the time limit: a worker that stands still for so long makes it certain
start limit.db -j 1 --time-limit 1s
worker=$(a_worker)
kill -STOP "$worker"
sleep 1.2
kill -CONT "$worker"
ended 130 'the time limit is reached; ' 'a time limit'
[[ $err == *' of 16 cells are judged; go on with: qedcrash matrix lib '*--resume && -z $out ]] ||
    lib_wanted 'how to go on, and nothing on stdout' 'a time limit'
resumed limit.db 'a time limit'

# what differs is said, and nothing is changed
cp want.db other.db
one 2 "cannot resume: the seed is '1' in the store, '2' here" "$q" "${args[@]}" --store other.db --resume --seed 2
one 2 'cannot resume: the options are' "$q" "${args[@]}" --store other.db --resume --limit 9
one 2 'cannot resume: the store is of other scenarios' "$q" matrix lib --store other.db --resume
one 2 "cannot resume: the shard is '1/1' in the store, '1/2' here" "$q" "${args[@]}" --store other.db --resume --shard 1/2
one 2 '--resume goes on with a store' "$q" "${args[@]}" --resume
same other.db 'a refusal'

# shards
for k in 1 2 3; do says 0 '' "$q" "${args[@]}" --store part$k.db --shard $k/3; done
[ "$(for k in 1 2 3; do "$q" "${args[@]}" --dry-run --shard $k/3; done | sort)" = "$("$q" "${args[@]}" --dry-run | sort)" ] ||
    complain 'the shards together are not all cells, once'
ran 0 '' "$q" merge merged.db part3.db part1.db part2.db
same merged.db 'merged shards'
one 2 'not all shards are there: of 3, missing: 2' "$q" merge no.db part1.db part3.db
cp part1.db copy.db
one 2 'shard 1/3 is there twice: part1.db and copy.db' "$q" merge no.db part1.db copy.db part2.db
one 2 'is one of the stores to merge' "$q" merge part1.db part1.db part2.db part3.db
says 0 '' "$q" "${args[@]}" --store seed.db --shard 3/3 --seed 2
one 2 "the seed is '1' in part1.db, '2' in seed.db" "$q" merge no.db part1.db part2.db seed.db
start late.db --shard 3/3 -j 1
a_worker >/dev/null
kill -INT "$pid"
ended 130 '' 'an early SIGINT'
one 2 'late.db: shard 3/3 is not finished; go on with it by --resume' "$q" merge no.db part1.db part2.db late.db
[ ! -e no.db ] || complain 'a merge that was refused left a store'
export SLURM_ARRAY_TASK_ID=12 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_MAX=14 SLURM_ARRAY_TASK_STEP=2
says 0 'shard 2/3, by SLURM_ARRAY_TASK_ID' "$q" "${args[@]}" --dry-run
[ "$out" = "$("$q" "${args[@]}" --dry-run --shard 2/3)" ] || complain 'the array task is another shard'
SLURM_ARRAY_TASK_COUNT=2 one 2 'say which part this is with --shard' "$q" "${args[@]}" --dry-run
unset "${!SLURM_@}"
JOB_COMPLETION_INDEX=0 JOB_COMPLETION_COUNT=3 says 0 'shard 1/3, by JOB_COMPLETION_INDEX' "$q" "${args[@]}" --dry-run
JOB_COMPLETION_INDEX=0 one 2 'JOB_COMPLETION_COUNT' "$q" "${args[@]}" --dry-run
for bad in 0/3 4/3 3 1/0 a/b 1/3x; do one 2 '--shard takes K/N' "$q" "${args[@]}" --shard $bad; done

# what is new
ran 0 '0 new (0 unexpected), 0 fixed' "$q" diff want.db merged.db
says 0 '' "$q" "${args[@]}" --store less.db --design v2 --disk ssd # more of them: given twice is once
same less.db 'names given twice'
says 0 '' "$q" matrix lib --design v2 --disk ssd -q --store less1.db
ran 1 'new: lib/tail.scn cow-flush' "$q" diff less1.db want.db
ran 1 '"counts":{"new":' "$q" diff less1.db want.db --json
ran 0 'not judged now' "$q" diff want.db less1.db
one 2 'no such store' "$q" diff nowhere.db want.db
sed 's/^expect.*/expect safe/' "$library/cow-partial.scn" >wrong.scn
says 1 '' "$q" matrix wrong.scn --design v2 --disk ssd -q --store wrong.db
says 0 '0 new (0 unexpected)' "$q" matrix wrong.scn --design v2 --disk ssd -q --baseline wrong.db
says 1 'new: ./wrong.scn v2,lock=none ssd' "$q" matrix wrong.scn --design v2,lock=none --disk ssd -q --baseline wrong.db
sed -i '/^write/d' wrong.scn
says 0 '0 new (0 unexpected), 4 fixed' "$q" matrix wrong.scn --design v2 --disk ssd -q --baseline wrong.db
one 2 'no such store' "$q" matrix lib --baseline nowhere.db

# stores that cannot be written
sqlite3 other.db 'PRAGMA user_version = 99'
one 3 'made by a newer qedcrash' "$q" "${args[@]}" --store other.db --resume
one 3 'made by a newer qedcrash' "$q" merge other.db part1.db part2.db part3.db
lib_run bash -c 'ulimit -f 60; exec "$0" "$@"' "$q" "${args[@]}" --store full.db -j 2
[[ $rc -eq 3 && -z $out && $err == 'qedcrash matrix: full.db: the disk is full, or the file may not grow; '* && $err != *$'\n'* ]] ||
    lib_wanted 'exit 3 and one line on the full disk' 'ulimit -f'
resumed full.db 'a full disk'
chmod 755 . && cp want.db readonly.db && chmod 444 readonly.db && mkdir closed && chmod 555 closed
nobody=()
[ "$(id -u)" -ne 0 ] || nobody=(setpriv --reuid=65534 --clear-groups)
if [ ${#nobody[@]} -eq 0 ] || command -v setpriv >/dev/null; then
    one 3 'read-only' "${nobody[@]}" "$q" "${args[@]}" --store readonly.db
    one 3 'ermission denied' "${nobody[@]}" "$q" "${args[@]}" --store closed/new.db
fi

finish
