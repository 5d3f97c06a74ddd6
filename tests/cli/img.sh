#!/bin/bash
# `qedcrash img`: what each command does when all is well, its exit codes, its help and its typos.
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
img=("$QEDCRASH" img)

# ---- create and info ----
ran 0 "" "${img[@]}" create a.qed 8M --cluster 4K --table 2
ran 0 "image size:      8388608 bytes" "${img[@]}" info a.qed
ran 0 "cluster size:    4096 bytes" "${img[@]}" info a.qed
ran 0 "marked:          no" "${img[@]}" info a.qed
ran 0 '"image_bytes": 8388608, "file_bytes": 12288, "cluster_bytes": 4096, "table_clusters": 2' \
    "${img[@]}" info --json a.qed
ran 0 '"backing": null, "backing_format": null}' "${img[@]}" info --json a.qed
[ "$(stat -c %s a.qed)" = 12288 ] || complain "an empty image of this geometry is 12288 bytes long"
ran 0 "" "${img[@]}" create default.qed 1G
ran 0 '"cluster_bytes": 65536, "table_clusters": 4' "${img[@]}" info --json default.qed
ran 0 "" "${img[@]}" create odd.qed 1000
ran 0 '"image_bytes": 1024' "${img[@]}" info --json odd.qed
ran 0 "" "${img[@]}" create zero.qed 0
ran 0 "clean" "${img[@]}" check zero.qed
ran 0 "" "${img[@]}" map zero.qed

# An existing file is only overwritten when told so; an empty one holds nothing to lose.
before=$(cksum <a.qed)
fails 2 "--force overwrites it" "${img[@]}" create a.qed 8M
[ "$(cksum <a.qed)" = "$before" ] || complain "create without --force changed the file"
: >empty.qed
ran 0 "" "${img[@]}" create empty.qed 64K
cp a.qed forced.qed
ran 0 "" "${img[@]}" create -f forced.qed 1M
ran 0 '"image_bytes": 1048576' "${img[@]}" info --json forced.qed

# ---- io ----
ran 0 "" "${img[@]}" io a.qed -q -c 'write -P 0x11 4k 4k' -c 'read -P 0x11 4k 4k' -c flush -c 'write -z 8k 4k' \
    -c 'read -P 0 8k 4k' -c 'discard 0 4k' -c 'truncate 9M' -c length
ran 0 $'wrote 4096 bytes at offset 16384\nread 512 bytes at offset 0\nflushed\n9437184' \
    "${img[@]}" io a.qed -c 'write 16k 4k' -c 'read 0 512' -c flush -c length
ran 0 "" "${img[@]}" io a.qed -q -c 'read -P 0xcd 16k 4k' # the pattern when none is given
ran 0 "00001ffe:  11 11 00" "${img[@]}" io -r a.qed -c 'read -v 8190 4'
# Odd ranges: what surrounds them stays.
ran 0 "" "${img[@]}" io a.qed -q -c 'write -P 0x22 5000 3' -c 'read -P 0x22 5000 3' -c 'read -P 0x11 4096 904' \
    -c 'read -P 0x11 5003 3189' -c 'write -z 4100 1000' -c 'read -P 0x11 4096 4' -c 'read -P 0 4100 1000' \
    -c 'read -P 0x11 5100 100'
says 1 "byte 5100 is 0x11, expected 0x33; 10 of 10 bytes differ" "${img[@]}" io a.qed -c 'read -P 0x33 5100 10' -c length
[ "$out" = $'read 10 bytes at offset 5100\n9437184' ] || complain "after a mismatch the rest still runs: $out"
ran 0 "" "${img[@]}" io a.qed --design upstream -q -c 'write -P 0x44 1M 64k' -c 'read -P 0x44 1M 64k'

# A bad command: nothing is executed, not even the good ones before it.
before=$(cksum <a.qed)
fails 2 "unknown command 'wriet'; did you mean 'write'?" "${img[@]}" io a.qed -c 'write 0 4k' -c 'wriet 0 4k'
fails 2 "unknown command 'frobnicate'; expected write, read," "${img[@]}" io a.qed -c 'frobnicate'
fails 2 "something is missing; expected: write [-P" "${img[@]}" io a.qed -c 'write 0'
fails 2 "not a number: '4x'" "${img[@]}" io a.qed -c 'write 0 4k' -c 'write 0 4x'
fails 2 "one word too many: '9'" "${img[@]}" io a.qed -c 'flush 9'
fails 2 "a pattern is a number from 0 to 255, not '256'" "${img[@]}" io a.qed -c 'write -P 256 0 1'
fails 2 "unknown option '-x'" "${img[@]}" io a.qed -c 'write -x 0 1'
fails 2 "-z and -P together" "${img[@]}" io a.qed -c 'write -z -P 1 0 1'
fails 2 "empty" "${img[@]}" io a.qed -c '  '
fails 2 "beyond the image's end; expected a range below 9437184" "${img[@]}" io a.qed -c 'write 0 4k' -c 'read 9M 1'
fails 2 "beyond the image's end" "${img[@]}" io a.qed -c 'write 0 4k' -c 'read 18446744073709551615 2'
fails 2 "can only grow" "${img[@]}" io a.qed -c 'write 0 4k' -c 'truncate 1M'
fails 2 "a multiple of 512" "${img[@]}" io a.qed -c 'write 0 4k' -c 'truncate 9437185'
fails 2 "a multiple of 512" "${img[@]}" io a.qed -c 'write 0 4k' -c 'truncate 8T'
fails 2 "-r asks for read-only" "${img[@]}" io -r a.qed -c 'write 0 4k'
fails 2 "no command given" "${img[@]}" io a.qed
[ "$(cksum <a.qed)" = "$before" ] || complain "a command that was refused changed the file"

# ---- map, check, convert ----
ran 0 "" "${img[@]}" create m.qed 64K --cluster 4K --table 2
ran 0 "" "${img[@]}" io m.qed -q -c 'write -P 1 4k 8k' -c 'write -z 16k 4k'
ran 0 "" "${img[@]}" map m.qed
[ "$(tail -n +2 <<<"$out" | awk '{ print $1, $2, $3, $4 }')" = $'0 4096 unallocated -
4096 8192 data 12288
12288 4096 unallocated -
16384 4096 zero -
20480 45056 unallocated -' ] || complain "map: $out"
ran 0 '{"start": 4096, "length": 8192, "kind": "data", "offset": 12288}' "${img[@]}" map --json m.qed
ran 0 $'clean\n2 of 16 clusters allocated, 0 fragmented' "${img[@]}" check m.qed
ran 0 '"result": "clean", "corruptions": 0, "corruptions_fixed": 0, "leaks": 0' "${img[@]}" check --json m.qed
before=$(cksum <m.qed)
ran 0 "clean" "${img[@]}" check --repair m.qed
[ "$(cksum <m.qed)" = "$before" ] || complain "repairing a clean image changed it"
ran 0 "" "${img[@]}" convert m.qed m.raw
[ "$(stat -c %s m.raw)" = 65536 ] || complain "m.raw has another length"
cmp -n 8192 m.raw <(head -c 4096 /dev/zero; head -c 4096 /dev/zero | tr '\0' '\1') || complain "m.raw has other bytes"
fails 2 "m.raw: exists and holds 65536 bytes" "${img[@]}" convert m.qed m.raw
ran 0 "" "${img[@]}" convert --force m.qed m.raw
fails 2 "is the image or one of its backing files" "${img[@]}" convert --force m.qed m.qed

# check's exit codes, and its --repair
cp m.qed leak.qed
truncate -s +8192 leak.qed
ran 3 "2 leaked clusters" "${img[@]}" check leak.qed
ran 3 '"result": "leaks"' "${img[@]}" check --json leak.qed
cp m.qed bad.qed
patch bad.qed $((20480 + 3 * 8)) "$(le64 $((0x7ffff000)))"
before=$(cksum <bad.qed)
ran 2 "1 corruptions" "${img[@]}" check bad.qed
ran 2 '"result": "corrupt", "corruptions": 1' "${img[@]}" check --json bad.qed
[ "$(cksum <bad.qed)" = "$before" ] || complain "check without --repair changed the file"
ran 0 "1 corruptions fixed" "${img[@]}" check -r bad.qed
ran 0 "clean" "${img[@]}" check bad.qed
# Named twice: nobody knows whose it is. The mark stays.
cp m.qed twice.qed
patch twice.qed $((20480 + 9 * 8)) "$(le64 12288)"
patch twice.qed 16 02
ran 2 "marked" "${img[@]}" check -r twice.qed
ran 2 '"corruptions": 1, "corruptions_fixed": 0' "${img[@]}" check -r --json twice.qed
ran 0 '"marked": true' "${img[@]}" info --json twice.qed
# Marked and sound: shown as it is, repaired when told so or when opened for writing.
cp m.qed marked.qed
patch marked.qed 16 02
before=$(cksum <marked.qed)
ran 0 "marked:          yes" "${img[@]}" info marked.qed
ran 0 "marked" "${img[@]}" check marked.qed
ran 0 "" "${img[@]}" map marked.qed
ran 0 "" "${img[@]}" io -r -q marked.qed -c 'read -P 1 4k 8k'
[ "$(cksum <marked.qed)" = "$before" ] || complain "a read-only use changed a marked image"
cp marked.qed marked2.qed
ran 0 "clean" "${img[@]}" check -r marked.qed
cmp marked.qed m.qed || complain "repair did not only clear the mark"
ran 0 "" "${img[@]}" io -q marked2.qed -c 'read -P 1 4k 8k'
cmp marked2.qed m.qed || complain "opening for writing did not only clear the mark"
fails 1 "no such file" "${img[@]}" check nowhere.qed

# ---- backing files ----
mkdir dir
head -c 6000 /dev/zero | tr '\0' 'B' >dir/base.raw
ran 0 "" "${img[@]}" create dir/over.qed --backing base.raw # relative to the image, not to here
ran 0 '"image_bytes": 6144' "${img[@]}" info --json dir/over.qed
ran 0 '"backing": "base.raw", "backing_format": "raw"' "${img[@]}" info --json dir/over.qed
ran 0 "" "${img[@]}" io -q dir/over.qed -c 'read -P 0x42 0 6000' -c 'read -P 0 6000 144' -c 'write -P 1 1000 10'
ran 0 "" "${img[@]}" create top.qed 1M --backing dir/over.qed --backing-format qed
ran 0 '"backing": "dir/over.qed", "backing_format": "probed"' "${img[@]}" info --json top.qed
ran 0 "" "${img[@]}" io -q top.qed -c 'read -P 0x42 0 1000' -c 'read -P 1 1000 10' -c 'read -P 0x42 1010 4990' \
    -c 'read -P 0 6000 100000' -c 'write -P 2 0 1' -c 'read -P 0x42 1 999'
ran 0 "" "${img[@]}" convert top.qed top.raw
[ "$(head -c 1011 top.raw | tail -c 12 | od -An -tx1 | tr -d ' \n')" = 420101010101010101010142 ] ||
    complain "convert does not see through the chain"
ran 0 "" "${img[@]}" create raw.qed -b dir/over.qed --backing-format raw # read as it is, QED or not
ran 0 "" "${img[@]}" io -q raw.qed -c 'read -P 0x51 0 1'
# Growing over a longer backing file would show more of it.
head -c 64K /dev/zero >dir/long.raw
ran 0 "" "${img[@]}" create dir/grow.qed 4K -b long.raw
before=$(cksum <dir/grow.qed)
fails 2 "growing would show the guest more of the backing file" "${img[@]}" io dir/grow.qed -c 'write 0 1' -c 'truncate 8K'
[ "$(cksum <dir/grow.qed)" = "$before" ] || complain "a truncate that was refused changed the file"
ran 0 "" "${img[@]}" io -q dir/over.qed -c 'truncate 64K' -c 'read -P 0 6144 4k'
# info, check and map do without it
rm dir/base.raw
ran 0 "base.raw" "${img[@]}" info dir/over.qed
ran 0 "clean" "${img[@]}" check dir/over.qed
ran 0 "data" "${img[@]}" map dir/over.qed
fails 2 "backing file 'base.raw': no such file" "${img[@]}" io dir/over.qed -c 'read 0 1'

# ---- help and typos ----
says 0 "Examples:" "${img[@]}" --help
for verb in create info check map io convert; do
    says 0 "Usage: qedcrash img $verb" "${img[@]}" $verb --help
    [ "$(head -n 1 <<<"$out")" = Examples: ] || complain "$verb --help: examples first"
    [ "$(sed -n '2,4p' <<<"$out" | grep -c "^  qedcrash img $verb ")" -eq 3 ] || complain "$verb --help: three examples"
    [ -z "$err" ] || complain "$verb --help: stderr is not empty"
    fails 2 "too few operands" "${img[@]}" $verb
    fails 2 "too many operands" "${img[@]}" $verb a b c
    fails 2 "unknown option '--hepl'; did you mean '--help'?" "${img[@]}" $verb a --hepl
done
fails 2 "no command given" "${img[@]}"
fails 2 "unknown command 'chekc'; did you mean 'check'?" "${img[@]}" chekc a.qed
fails 2 "unknown command 'xyzzy'; \`qedcrash img --help\` lists them" "${img[@]}" xyzzy
fails 2 "unknown option '-z'" "${img[@]}" check -z a.qed
fails 2 "used wrongly" "${img[@]}" io a.qed -c
fails 2 "used wrongly" "${img[@]}" check a.qed --repair=yes
fails 2 "unknown design 'carefull'; did you mean 'careful'?" "${img[@]}" check --design carefull a.qed
fails 2 "an empty file name" "${img[@]}" check ""
fails 2 "no size given" "${img[@]}" create new.qed
fails 2 "'1X' is no size" "${img[@]}" create new.qed 1X
fails 2 "--cluster '0' is no size" "${img[@]}" create new.qed 1M --cluster 0
fails 2 "from 4096 to 67108864, not 5000" "${img[@]}" create new.qed 1M --cluster 5000
fails 2 "from 1 to 16, not 3" "${img[@]}" create new.qed 1M --table 3
fails 2 "at most 4294967296" "${img[@]}" create new.qed 5G --cluster 4K --table 2
fails 2 "--backing-format without --backing" "${img[@]}" create new.qed 1M --backing-format raw
fails 2 "unknown backing format 'qcow2'; expected raw or qed" "${img[@]}" create new.qed -b a.qed --backing-format qcow2
fails 2 "an empty backing file name" "${img[@]}" create new.qed 1M -b ""
fails 2 "backing file 'none': no such file" "${img[@]}" create new.qed 1M -b none
[ ! -e new.qed ] || complain "a create that was refused left a file"
finish
