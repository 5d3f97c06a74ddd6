# shellcheck shell=bash
# Sourced by the scripts here: a scratch directory to work in, and expectations that are counted. Ends with `finish`.
#   ran RC WORDS CMD...      it exits with RC and WORDS are in its stdout; stderr is empty
#   fails RC WORDS CMD...    it exits with RC, stdout is empty, stderr is one line "qedcrash: ...WORDS..."
#   says RC WORDS CMD...     it exits with RC and WORDS are on stdout or stderr
set -u
export LC_ALL=C
QEDCRASH=${QEDCRASH:-$PWD/build/qedcrash}
lib_work=$(mktemp -d) || exit 1
trap 'rm -rf "$lib_work"' EXIT
cd "$lib_work" || exit 1
lib_failed=0

complain()
{
    printf '%s\n' "$@"
    lib_failed=$((lib_failed + 1))
}

lib_run()
{
    timeout 60 "$@" >"$lib_work/.out" 2>"$lib_work/.err" </dev/null
    rc=$?
    out=$(cat "$lib_work/.out") err=$(cat "$lib_work/.err")
}

lib_wanted()
{
    complain "wanted $1, of: ${*:2}" "  got exit $rc" "  stdout: $out" "  stderr: $err"
}

ran()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && $out == *"$2"* && -z $err ]] || lib_wanted "exit $1 and \"$2\" on stdout" "${@:3}"
}

fails()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == "qedcrash: "*"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

says()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && $out$err == *"$2"* ]] || lib_wanted "exit $1 and \"$2\"" "${@:3}"
}

# patch FILE OFFSET HEX...: bytes in place; several may stand in one word, as le64 prints them
patch()
{
    # shellcheck disable=SC2048,SC2086
    printf '%b' "$(printf '\\x%s' ${*:3})" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# le32/le64 VALUE: its bytes in hex, for patch
le32()
{
    lib_le 4 "$1"
}

le64()
{
    lib_le 8 "$1"
}

lib_le()
{
    local i
    for ((i = 0; i < $1; i++)); do printf '%02x ' $((($2 >> (8 * i)) & 255)); done
}

finish()
{
    [ "$lib_failed" -eq 0 ] || echo "$lib_failed expectations failed"
    exit $((lib_failed > 0))
}
