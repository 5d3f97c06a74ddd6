#!/bin/bash
# replay --demonstrate: a finding's crash state on QEMU itself, and what the guest sees when it goes on. The sentences ("=>")
# rest on what QEMU answered: of a safe recording there are none, and of each defect the one it is known for.
set -u
# shellcheck source=tests/interop/lib.sh
. tests/interop/lib.sh
needs qemu-img qemu-io qed blklogwrites
library=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
mkdir scratch
export TMPDIR=$PWD/scratch

# shows RC WORDS... CMD: with these words, in any order, in stdout
shows()
{
    local want=$1 n=$2 words=("${@:3:$2}") w
    lib_run "${@:3+n}"
    [[ $rc -eq $want ]] || lib_wanted "exit $want" "${@:3+n}"
    for w in "${words[@]}"; do
        [[ $out == *"$w"* ]] || lib_wanted "\"$w\"" "${@:3+n}"
    done
}

for s in cow-partial-nobacking write-zeroes cow-partial; do
    "$QEDCRASH" record -q "$library/$s.scn" "$s" || complain "$s: not recorded"
done
shows 1 5 "on QEMU: ./cow-partial-nobacking:upstream:ssd:@10+L2" "qemu-img check crashed      (exit status 2)" \
    "read failed: Invalid argument" "=> A write to sector 2041 changed sector 8: before the guest read there an error, now it reads zero." \
    "=> A write to sector 9 changed sector 2041: the guest reads there what it wrote to sector 9 just now." \
    "$QEDCRASH" replay ./cow-partial-nobacking --demonstrate
[ "$(grep -c '^on QEMU' <<<"$out")" -eq 1 ] || complain "two findings of one state are shown twice"
shows 1 2 "on QEMU: ./write-zeroes:qemu:ssd:@17" \
    "=> A write to sector 17 changed sector 16: before the guest read there zero, now it reads backing sector 16." \
    "$QEDCRASH" replay ./write-zeroes --judge qemu --sample 30 --demonstrate
shows 0 1 "safe" "$QEDCRASH" replay ./cow-partial --demonstrate
[[ $out != *"on QEMU"* ]] || complain "a safe recording is demonstrated:" "$out"

lib_run "$QEDCRASH" replay ./cow-partial --demonstrate --json
[[ $rc -eq 2 && -z $out && $err == *"leave out --json"* ]] || lib_wanted "exit 2" --json
lib_run env PATH=/nowhere "$QEDCRASH" replay ./cow-partial-nobacking --demonstrate
[[ $rc -eq 3 && -z $out && $err == *"no qemu-img"* ]] || lib_wanted "exit 3" PATH=/nowhere
[ -z "$(ls scratch)" ] || complain "left behind: $(ls scratch)"
finish
