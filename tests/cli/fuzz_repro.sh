#!/bin/bash
# A finding of fuzz_crash: does the replayer abort on it, and does the id it prints, of a generated workload or of the
# scenario file it writes, show the same class to `qedcrash repro`?
replay=$PWD/${BUILD:-build}/fuzz/replay/fuzz_crash
inputs=$PWD/tests/fuzz/corpus/fuzz_crash
here=$(dirname "$0")
# shellcheck source=lib.sh
. "$here/lib.sh"

shown=0
for input in "$inputs"/bad-on-v2-*; do
    for folder in "" out; do
        mkdir -p out
        # A shell of its own: it would tell of the abort.
        if env QEDCRASH_FUZZ_DESIGN=v2 ${folder:+"QEDCRASH_FUZZ_OUT=$folder"} \
            bash -c 'timeout 60 "$0" "$1" >replay.out 2>replay.err || exit 1' "$replay" "$input" 2>/dev/null; then
            continue
        fi
        class=$(head -n 1 replay.err | cut -d : -f 1)
        id=$(sed -n "s/^repro: qedcrash repro '\(.*\)'$/\1/p" replay.err)
        ran 1 "$class" "$QEDCRASH" repro "$id"
        case $folder$id in
        outout/*.scn:v2:* | gen/*:v2:*) shown=$((shown + 1)) ;;
        esac
    done
done
[ $shown -eq 6 ] || complain "wanted the replayer to abort on v2 and to name a generated workload and a file, three times: $shown did"

# The same inputs on the safe designs; and a design that is none.
timeout 60 "$replay" "$inputs" >replay.out 2>replay.err || complain "a safe design failed:" "$(cat replay.err)"
QEDCRASH_FUZZ_DESIGN=nonsense "$replay" "$inputs" >replay.out 2>replay.err && complain "an unknown design was accepted"
finish
