#!/bin/bash
# import: fio's logs as scenarios; what is none gets one line that names the place.
set -u
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

# refused WORDS: log on stdin
refused()
{
    cat >bad.log
    lib_run "$QEDCRASH" import bad.log
    [[ $rc -eq 2 && -z $out && $err == "qedcrash import: bad.log"*"$1"* && $err != *$'\n'* ]] ||
        lib_wanted "exit 2 and one line with \"$1\"" "$QEDCRASH" import bad.log
}

cat >v2.log <<LOG
fio version 2 iolog
/dev/vdb add
/dev/vdb open
/dev/vdb write 0 4096
/dev/vdb sync 0 0
/dev/vdb wait 1000
/dev/vdb write 1048576 512
/dev/vdb trim 0 4096
/dev/vdb datasync
/dev/vdb read 0 4096
/dev/vdb close
LOG
cat >want <<SCN
# imported from a log of fio's, of /dev/vdb
image size=2M cluster=4K table=2
write 0 4096
flush
write 1048576 512
discard 0 4096
flush
read 0 4096
SCN
"$QEDCRASH" import v2.log >got.scn
cmp -s want got.scn || complain "version 2:" "$(diff want got.scn)"
{ echo 'fio version 3 iolog'; sed '1d; s/^/17 /' v2.log; } >v3.log
"$QEDCRASH" import v3.log >got3.scn
cmp -s want got3.scn || complain "version 3:" "$(diff want got3.scn)"
ran 0 "safe" "$QEDCRASH" run ./got.scn --design careful

v2='fio version 2 iolog'
refused "empty" </dev/null
refused "no log of fio's" <<<"hello"
refused "no log of fio's" <<<"fio version 4 iolog"
refused "no request" <<<"$v2"
refused ":2: a file and an action" <<<"$v2"$'\nx'
refused ":2: unknown action" <<<"$v2"$'\nx fly 0 512'
refused ":2: an offset and a length" <<<"$v2"$'\nx write 0'
refused ":2: an offset and a length" <<<"$v2"$'\nx write -1 512'
refused ":2: an offset and a length" <<<"$v2"$'\nx write 99999999999999999999 512'
refused ":2: an offset and a length" <<<"$v2"$'\nx write 0 512 7'
refused ":2: offset and length must be whole" <<<"$v2"$'\nx write 1 512'
refused ":2: offset and length must be whole" <<<"$v2"$'\nx write 0 0'
refused ":2: this lies beyond" <<<"$v2"$'\nx write 18446744073709551104 512'
refused ":3: a second file" <<<"$v2"$'\nx write 0 512\ny write 0 512'
refused ":2: a time was expected" <<<$'fio version 3 iolog\nx write 0 512'
refused ":2: the line is too long" <<<"$v2"$'\n'"$(head -c 9000 /dev/zero | tr '\0' x)"
refused "more requests than" < <(echo "$v2"; yes 'x write 0 512' | head -n 10001)
lib_run "$QEDCRASH" import nothing
[[ $rc -eq 2 && $err == "qedcrash import: nothing: "* ]] || lib_wanted "exit 2" "$QEDCRASH" import nothing
finish
