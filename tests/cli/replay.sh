#!/bin/bash
# Recordings that are none: one line and exit status 2 for each, and no verdict. The good one is made by export.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

# refused RC WORDS CMD...: nothing on stdout, one line of stderr with WORDS in it
refused()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == "qedcrash "*"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

"$QEDCRASH" export 'cow-partial:v2:ssd:@10+L2' bug >/dev/null || complain "no bundle to take a log from"
mkdir good
cp bug/base.qed bug/backing.raw bug/writes.log good

with() # NAME: a copy of the good one, to be spoilt
{
    rm -rf "$1"
    cp -r good "$1"
}
guest() # LINE...: what the guest of ./case did
{
    with case
    printf '%s\n' "$@" >case/guest.jsonl
}

# The export's log, read back: without the guest's side there are tables to be judged. Design v2 sets no mark, so an entry
# that survives alone is broken and nothing says so.
says 1 "only structure was judged" "$QEDCRASH" replay good
ran 1 '"complete":false' sh -c "$QEDCRASH replay good --json 2>/dev/null"

refused 2 "which recording" "$QEDCRASH" replay
refused 2 "no directory" "$QEDCRASH" replay nothing
refused 2 "no directory" "$QEDCRASH" replay good/base.qed
mkdir empty
refused 2 "has no base.qed" "$QEDCRASH" replay empty
with case && rm case/writes.log
refused 2 "has no writes.log" "$QEDCRASH" replay case
with case && rm case/backing.raw
refused 2 "names a backing file" "$QEDCRASH" replay case
with case && printf 'hello' >case/base.qed
refused 2 "no QED image" "$QEDCRASH" replay case
with case && printf 'hello' >case/writes.log
refused 2 "too few" "$QEDCRASH" replay case
with case && cp good/base.qed case/writes.log
refused 2 "no dm-log-writes log" "$QEDCRASH" replay case
with case && truncate -s -1 case/writes.log
refused 2 "cut off" "$QEDCRASH" replay case
with case && printf '\4' | dd of=case/writes.log bs=1 seek=528 conv=notrunc status=none
refused 2 "entry 0 of the log is a discard" "$QEDCRASH" replay case
with case && printf '\377' | dd of=case/writes.log bs=1 seek=528 conv=notrunc status=none
refused 2 "unknown flags" "$QEDCRASH" replay case

write='{"op":"write","offset":4608,"length":512,"byte":17,"log_start":0,"log_end":4}'
guest "$write"
says 1 "1 sectors were written with bytes that no operation of guest.jsonl has" "$QEDCRASH" replay case # the log has tags, not 17
guest 'hello'
refused 2 "guest.jsonl:1: a JSON object was expected" "$QEDCRASH" replay case
guest "$write" "$write extra"
refused 2 "guest.jsonl:2: something stands behind the object" "$QEDCRASH" replay case
guest "${write/write/wriet}"
refused 2 "unknown op 'wriet'" "$QEDCRASH" replay case
guest "${write/,\"byte\":17/}"
refused 2 'a write needs a "byte"' "$QEDCRASH" replay case
guest "${write/17/256}"
refused 2 "beyond 255" "$QEDCRASH" replay case
guest "${write/512/500}"
refused 2 "whole sectors" "$QEDCRASH" replay case
guest "${write/:4\}/:4000\}}"
refused 2 "ends at entry 4000" "$QEDCRASH" replay case
guest "${write/:4\}/:99999999999999999999\}}"
refused 2 "too large" "$QEDCRASH" replay case
guest "${write/4608/18446744073709551104}"
refused 2 "beyond any image" "$QEDCRASH" replay case
guest "${write/\"log_start\":0/\"log_start\":4,\"log_start\":4}"
refused 2 "stands twice" "$QEDCRASH" replay case
guest "${write/\"byte\":17/\"byte\":17,\"who\":\{\}}"
refused 2 "a value was expected" "$QEDCRASH" replay case

# Two readings. The first write is said to be flushed and no flush stands behind it: lost under both. The second is entered
# while a flush is in flight, which says on returning that it is safe: lost only if the flush does not cover it.
entry() # OFFSET LENGTH FLAGS BYTE: of a log
{
    local head
    # shellcheck disable=SC2046
    head=$(le64 $(($1 / 512)); le64 $(($2 / 512)); le64 "$3"; le64 "$2")
    # shellcheck disable=SC2086
    printf '%b' "$(printf '\\x%s' $head)"
    head -c 480 /dev/zero
    head -c "$2" /dev/zero | tr '\0' "$4"
}
mkdir two
"$QEDCRASH" img create two/base.qed 1M --cluster 4K --table 1 >/dev/null
"$QEDCRASH" img io two/base.qed -c 'write -P 0x50 0 8K' >/dev/null
data=$(($(stat -c %s two/base.qed) - 3 * 4096)) # the two clusters; behind them their table
{
    # shellcheck disable=SC2046
    printf '%b' "$(printf '\\x%s' $(le64 $((0x6a736677736872)); le64 1; le64 3; le32 512))"
    head -c 484 /dev/zero
    entry "$data" 512 0 '\1'
    entry $((data + 4096)) 512 0 '\2'
    entry 0 0 1 '\0'
} >two/writes.log
printf '%s\n' '{"op":"write","offset":0,"length":512,"byte":1,"log_start":0,"log_end":1}' \
    '{"op":"flush","log_start":1,"log_end":1}' \
    '{"op":"flush","log_start":1,"log_end":3}' \
    '{"op":"write","offset":4096,"length":512,"byte":2,"log_start":1,"log_end":2}' \
    '{"op":"flush","log_start":3,"log_end":3}' >two/guest.jsonl
says 1 './two: findings under both readings 1, under this one only 0, under +uncovered only 1' "$QEDCRASH" replay two
says 1 '"reading":"covered"' sh -c "$QEDCRASH replay two --json | grep -o '\"./two\",.*\"./two+' | cut -c1-160; exit 1"
says 1 '"reading":"uncovered"' sh -c "$QEDCRASH replay two --json | grep -o '\"./two+uncovered\",.*' | cut -c1-160; exit 1"
says 1 '"reading":null' sh -c "$QEDCRASH replay good --json"
finish
