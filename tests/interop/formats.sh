#!/bin/bash
# record --format: recordings of QEMU's qcow2, which QEMU alone can judge. A log that lacks a flush that qcow2 needs must be
# found unsafe: else that a good one is safe would say nothing.
set -u
# shellcheck source=tests/interop/lib.sh
. tests/interop/lib.sh
needs qemu-img qemu-io blklogwrites
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

refused()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == "qedcrash "*"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

cat >cow.scn <<'END'
image   size=64K cluster=4K table=2
backing size=64K
prepare write 0 4K
write   8704 512
flush
END
ran 0 "entries in the log" "$QEDCRASH" record cow.scn cow --format qcow2
for f in base.qcow2 image.json before.raw guest.jsonl writes.log backing.raw; do
    [ -s "cow/$f" ] || complain "the recording has no $f"
done
ran 0 "safe" "$QEDCRASH" replay cow --judge qemu --sample 40
ran 0 ", complete" "$QEDCRASH" replay cow --judge qemu --disk ordered --disk atomic-writes
refused 2 "which QEMU alone can recover: --judge qemu" "$QEDCRASH" replay cow

# The first flush of the guest's flush stands between the data and the entry; the second is the guest's own.
drop_flush cow early 0
says 1 "lost-cow" "$QEDCRASH" replay early --judge qemu --sample 40
id=$(sed -n "s/.*repro: qedcrash repro '\(.*\)'/\1/p" <<<"$out" | head -1)
ran 1 "UNSAFE" "$QEDCRASH" repro "$id"
ran 1 "qemu-img check counts" "$QEDCRASH" explain "$id"
drop_flush cow late 1
says 1 "lost-flushed" "$QEDCRASH" replay late --judge qemu --sample 40

# Options of the format; another format.
sed '/backing/d' cow.scn >plain.scn
ran 0 "entries" "$QEDCRASH" record plain.scn lazy --format qcow2 --format-options lazy_refcounts=on
grep -aq . lazy/base.qcow2 && qemu-img info -f qcow2 lazy/base.qcow2 | grep -q 'lazy refcounts: true' ||
    complain "lazy_refcounts=on did not reach qemu-img"
ran 0 "entries" "$QEDCRASH" record plain.scn vdi --format vdi
ran 0 "complete" "$QEDCRASH" replay vdi --judge qemu

# Bad input.
refused 2 "--format takes a driver" "$QEDCRASH" record cow.scn never --format 'qcow2,x=y'
refused 3 "qemu-img failed" "$QEDCRASH" record cow.scn never --format nonesuch
rm -rf never bad
bad() # TEXT of image.json
{
    rm -rf bad
    cp -r cow bad
    printf '%s\n' "$1" >bad/image.json
}
bad '{"format":"qcow2"}'
refused 2 "wanted is" "$QEDCRASH" replay bad --judge qemu
bad '{"format":"../../etc","size":65536,"cluster":4096}'
refused 2 "wanted is" "$QEDCRASH" replay bad --judge qemu
bad '{"format":"qcow2","size":65536,"cluster":0}'
refused 2 "a cluster of at most" "$QEDCRASH" replay bad --judge qemu
bad '{"format":"qcow2","size":131072,"cluster":4096}'
refused 2 "image.json says 131072" "$QEDCRASH" replay bad --judge qemu
bad '{"format":"vmdk","size":65536,"cluster":4096}'
refused 2 "has no base.vmdk" "$QEDCRASH" replay bad --judge qemu
finish
