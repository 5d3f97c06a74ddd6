#!/bin/bash
# `qedcrash img` on files that are not what they should be: one clear line, the right exit code, and not a byte changed.
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
img=("$QEDCRASH" img)

# same FILE WHY: it is what it was at `keep FILE`
keep()
{
    cp "$1" "$1.kept"
}

same()
{
    cmp -s "$1" "$1.kept" || complain "$1 was changed by: $2"
}

# refused FILE WORDS: no command opens it, and none changes it
refused()
{
    [ ! -f "$1" ] || [ ! -r "$1" ] || keep "$1"
    fails 2 "$2" "${img[@]}" info "$1"
    fails 2 "$2" "${img[@]}" map "$1"
    fails 1 "$2" "${img[@]}" check "$1"
    fails 1 "$2" "${img[@]}" check --repair "$1"
    fails 2 "$2" "${img[@]}" io "$1" -c 'write 0 4k'
    fails 2 "$2" "${img[@]}" io -r "$1" -c 'read 0 512'
    fails 2 "$2" "${img[@]}" convert "$1" out.raw
    [ ! -e out.raw ] || complain "convert left a file behind"
    [ ! -e "$1.kept" ] || same "$1" "$2"
}

# ---- not even an image ----
refused missing.qed "no such file; expected an existing one"
mkdir directory
refused directory "is a directory; expected a file"
refused missing/x.qed "no such file"
fails 2 "its directory does not exist" "${img[@]}" create missing/x.qed 1M
fails 2 "is a directory" "${img[@]}" create directory 1M
touch plain
refused plain/x.qed "not a directory"
mkfifo fifo
refused fifo "neither a regular file nor a block device"
fails 2 "neither a regular file nor a block device" "${img[@]}" create --force fifo 1M
refused /dev/zero "neither a regular file nor a block device"
ln -s loop loop
refused loop "symbolic links"
: >empty
refused empty "not in QED format"
printf 'QED\0' >short
refused short "cluster size is invalid: 0"
head -c 100000 /dev/urandom | sed 's/^/x/' >garbage
refused garbage "not in QED format"
printf 'QED\0' >garbled
head -c 300000 garbage >>garbled
says 1 "qedcrash: img check: garbled: " "${img[@]}" check garbled

# ---- a small image to spoil: L1 at 4096, data at 12288 and 16384, L2 at 20480 ----
"${img[@]}" create good.qed 64K --cluster 4K --table 2 || exit 1
"${img[@]}" io -q good.qed -c 'write -P 1 4k 8k' || exit 1
[ "$(stat -c %s good.qed)" = 28672 ] || complain "good.qed is not laid out as this test wants it"

# header OFFSET HEX WORDS: this header is refused
header()
{
    cp good.qed bad.qed
    patch bad.qed "$1" "$2"
    refused bad.qed "$3"
}
header 0 "51 45 44 01" "not in QED format"
header 4 "$(le32 0)" "cluster size is invalid: 0"
header 4 "$(le32 2048)" "cluster size is invalid: 2048"
header 4 "$(le32 4097)" "cluster size is invalid: 4097"
header 4 "$(le32 0x80000000)" "cluster size is invalid: 2147483648"
header 4 "$(le32 0x4000000)" "offset is invalid"
header 8 "$(le32 0)" "table size is invalid: 0"
header 8 "$(le32 3)" "table size is invalid: 3"
header 8 "$(le32 32)" "table size is invalid: 32"
header 8 "$(le32 16)" "offset is invalid"
header 12 "$(le32 0)" "header size is invalid: 0"
header 12 "$(le32 0xffffffff)" "header size is too large"
header 12 "$(le32 2)" "offset is invalid"
header 16 "$(le64 8)" "Unsupported QED features: 8"
header 16 "$(le64 0x8000000000000000)" "Unsupported QED features: 8000000000000000"
header 40 "$(le64 0)" "offset is invalid"
header 40 "$(le64 4097)" "offset is invalid"
header 40 "$(le64 24576)" "offset is invalid"
header 40 "$(le64 28672)" "offset is invalid"
header 40 "$(le64 0x7ffffffffffff000)" "offset is invalid"
header 40 "$(le64 -4096)" "offset is invalid"
header 48 "$(le64 65537)" "image size is invalid: 65537"
header 48 "$(le64 0x100000200)" "image size is invalid: 4294967808"
header 48 "$(le64 -512)" "image size is invalid: 18446744073709551104"

# name OFFSET SIZE WORDS: so is this place of a backing file name
name()
{
    cp good.qed bad.qed
    patch bad.qed 16 "$(le64 1)"
    patch bad.qed 56 "$(le32 "$1")" "$(le32 "$2")"
    refused bad.qed "$3"
}
name 64 4033 "filename offset is invalid: 64 + 4033"
name 4090 10 "filename offset is invalid: 4090 + 10"
name 0xffffffff 0xffffffff "filename offset is invalid: 4294967295 + 4294967295"
name 0 4096 "4096 bytes long; expected at most 4095"

# truncated
head -c 4096 good.qed >bad.qed
refused bad.qed "offset is invalid"
head -c 63 good.qed >bad.qed
refused bad.qed "offset is invalid"

# ---- tables that point where they must not ----
# spoiled CORRUPTIONS WORDS: check finds so many; reading guest byte 4096 fails with WORDS (empty: it reads something)
spoiled()
{
    keep bad.qed
    ran 2 "\"corruptions\": $1," "${img[@]}" check --json bad.qed
    if [ -n "$2" ]; then
        fails 2 "$2" "${img[@]}" io -r bad.qed -c 'read 4k 4k'
        fails 2 "$2" "${img[@]}" io bad.qed -q -c 'write 4k 512'
        says 2 "guest byte 4096 cannot be used" "${img[@]}" map bad.qed
        fails 2 "guest byte 4096 cannot be used" "${img[@]}" convert bad.qed out.raw
        [ ! -e out.raw ] || complain "convert left a file behind"
    else
        ran 0 "" "${img[@]}" io -r bad.qed -q -c 'read 4k 4k'
        says 0 "data" "${img[@]}" map bad.qed
    fi
    same bad.qed "$2"
}

# entry VALUE CORRUPTIONS WORDS: the L2 entry of guest byte 4096
entry()
{
    cp good.qed bad.qed
    patch bad.qed 20488 "$(le64 "$1")"
    spoiled "$2" "$3"
}
broken="points to no cluster of this file"
entry 28672 1 "$broken"              # just beyond the end
entry 0x7ffffffffffff000 1 "$broken" # far beyond it
entry -4096 1 "$broken"
entry -1 1 "$broken"
entry 4095 1 "$broken" # not aligned
entry 2 1 "$broken"
entry 16385 1 "$broken"
entry 512 1 "$broken"
entry 16384 1 ""  # its neighbour's cluster
entry 4096 1 ""   # the L1 table
entry 20480 1 ""  # its own table
entry 24576 1 ""

# table VALUE CORRUPTIONS: the only L1 entry
table()
{
    cp good.qed bad.qed
    patch bad.qed 4096 "$(le64 "$1")"
    keep bad.qed
    ran 2 "\"corruptions\": $2," "${img[@]}" check --json bad.qed
    says "$3" "$4" "${img[@]}" io -r bad.qed -c 'read 4k 4k'
    same bad.qed "reading"
}
invalid="points to no cluster of this file"
table 1 1 2 "$invalid"
table 28672 1 2 "$invalid"
table 24576 1 2 "$invalid" # begins in the file and ends beyond it
table -8192 1 2 "$invalid"
table 20481 1 2 "$invalid"
table 4096 2 0 "read 4096 bytes" # the L1 table itself: all its clusters twice
cp good.qed bad.qed
patch bad.qed 4104 "$(le64 20480)" # one table for two L1 entries
spoiled 2 ""

# A table that is really data, and a file cut short: nothing that can be reached is left, and repair says so.
cp good.qed bad.qed
patch bad.qed 4096 00 30
keep bad.qed
ran 2 '"corruptions": 1024,' "${img[@]}" check --json bad.qed
same bad.qed check
ran 3 "1024 corruptions fixed" "${img[@]}" check --repair bad.qed
ran 3 "leaked" "${img[@]}" check bad.qed
head -c 20480 good.qed >bad.qed
keep bad.qed
ran 2 '"corruptions": 1,' "${img[@]}" check --json bad.qed
same bad.qed check
ran 3 "1 corruptions fixed" "${img[@]}" check --repair bad.qed

# ---- backing files ----
over()
{
    "${img[@]}" create -f "$@" 64K --cluster 4K --table 2 || complain "create $*"
}
# rename FILE NAME: another backing file name, behind create's back
rename()
{
    patch "$1" 56 "$(le32 64)" "$(le32 ${#2})"
    printf '%s' "$2" | dd of="$1" bs=1 seek=64 conv=notrunc status=none
}
: >x
truncate -s 64K base.raw
over a.qed -b base.raw --backing-format raw
patch a.qed 16 01 # to be looked at
# loops FILE: reading and writing are refused; what needs no backing file works
loops()
{
    keep "$1"
    fails 2 "leads back into its own chain" "${img[@]}" io -r "$1" -c 'read 0 1'
    fails 2 "leads back into its own chain" "${img[@]}" io "$1" -c 'write 0 1'
    fails 2 "leads back into its own chain" "${img[@]}" convert "$1" out.raw
    ran 0 "backing file:" "${img[@]}" info "$1"
    ran 0 "clean" "${img[@]}" check "$1"
    same "$1" loop
}
rename a.qed a.qed
loops a.qed
rename a.qed ./a.qed
loops a.qed
ln a.qed hard.qed # another name, the same file
rename a.qed hard.qed
loops a.qed
rename a.qed base.raw
over b.qed -b a.qed
rename a.qed b.qed
loops a.qed
loops b.qed
over c.qed -b base.raw && patch c.qed 16 01
rename c.qed b.qed
loops c.qed # leads into a loop that it is not part of
rename a.qed base.raw
fails 2 "leads back into its own chain" "${img[@]}" create --force a.qed -b b.qed
fails 2 "leads back into its own chain" "${img[@]}" create --force a.qed -b a.qed

cp a.qed deep0.qed
for ((i = 1; i <= 70; i++)); do
    cp a.qed "deep$i.qed"
    rename "deep$i.qed" "deep$((i - 1)).qed"
done
ran 0 "" "${img[@]}" io -q -r deep50.qed -c 'read 0 1'
fails 2 "deeper than 64 images" "${img[@]}" io -r deep70.qed -c 'read 0 1'

rename a.qed nowhere
fails 2 "backing file 'nowhere': no such file" "${img[@]}" io -r a.qed -c 'read 0 1'
rename a.qed directory
fails 2 "backing file 'directory': is a directory" "${img[@]}" io -r a.qed -c 'read 0 1'
rename a.qed fifo
fails 2 "backing file 'fifo': is neither" "${img[@]}" io -r a.qed -c 'read 0 1'
rename a.qed $'no\nsuch\e[31mfile'
fails 2 "backing file 'no?such?[31mfile': no such file" "${img[@]}" io -r a.qed -c 'read 0 1'
ran 0 'no?such?[31mfile' "${img[@]}" info a.qed
ran 0 '"no\u000asuch\u001b[31mfile"' "${img[@]}" info --json a.qed
rename a.qed $'\xff"\\\xc3\xa9'
ran 0 $'"backing": "\xef\xbf\xbd\\"\\\\\xc3\xa9"' "${img[@]}" info --json a.qed
long=$(head -c 4000 /dev/zero | tr '\0' n)
rename a.qed "$long"
fails 2 "backing file 'nnnnnnnnnn" "${img[@]}" io -r a.qed -c 'read 0 1'
fails 2 "File name too long" "${img[@]}" create new.qed 1M -b "$long"
mkdir -p "d/${long:0:200}/${long:0:200}"
touch "d/${long:0:200}/${long:0:200}/f"
fails 2 "the header has room for 4032" "${img[@]}" create new.qed 1M --cluster 4K \
    -b "d/${long:0:200}/${long:0:200}/$(printf './%.0s' {1..1820})f"
[ ! -e new.qed ] || complain "create left a file behind"
printf 'QFI\373' >foreign.qcow2
truncate -s 64K foreign.qcow2
rename a.qed foreign.qcow2
fails 2 "looks like a qcow image; expected raw or QED" "${img[@]}" io -r a.qed -c 'read 0 1'
patch a.qed 16 05 # "raw": then it is not looked at
ran 0 "read 1 bytes" "${img[@]}" io -r a.qed -c 'read -P 0x51 0 1'
fails 2 "looks like a qcow image" "${img[@]}" create new.qed -b foreign.qcow2
cp good.qed broken.qed
patch broken.qed 4 00 00
fails 2 "backing file 'broken.qed': QED cluster size is invalid" "${img[@]}" create new.qed -b broken.qed
fails 2 "backing file 'base.raw': Image not in QED format" "${img[@]}" create new.qed -b base.raw --backing-format qed
patch a.qed 16 01
rename a.qed broken.qed
fails 2 "QED cluster size is invalid" "${img[@]}" io -r a.qed -c 'read 0 1'

# ---- somebody else's, or not ours to read ----
cp good.qed busy.qed
exec 9<busy.qed
flock -s 9
fails 2 "in use by another process" "${img[@]}" io busy.qed -c 'write 0 4k'
fails 2 "in use by another process" "${img[@]}" create --force busy.qed 1M
fails 1 "in use by another process" "${img[@]}" check -r busy.qed
ran 0 "clean" "${img[@]}" check busy.qed
exec 9<&-
cmp -s busy.qed good.qed || complain "a file in use was changed"
as=()
[ "$(id -u)" -ne 0 ] || as=(setpriv --reuid=65534 --clear-groups)
cp good.qed locked.qed
chmod 000 locked.qed
chmod 755 .
if "${as[@]}" "$QEDCRASH" img info good.qed >/dev/null 2>&1; then
    fails 2 "permission denied" "${as[@]}" "$QEDCRASH" img info locked.qed
    fails 1 "permission denied" "${as[@]}" "$QEDCRASH" img check locked.qed
    fails 2 "permission denied" "${as[@]}" "$QEDCRASH" img io locked.qed -c 'write 0 4k'
fi
chmod 444 good.qed
if "${as[@]}" "$QEDCRASH" img info good.qed >/dev/null 2>&1; then
    fails 2 "permission denied" "${as[@]}" "$QEDCRASH" img io good.qed -c 'write 0 4k'
    fails 1 "permission denied" "${as[@]}" "$QEDCRASH" img check -r good.qed
fi
finish
