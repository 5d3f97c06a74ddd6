#!/bin/sh
# The manual pages of section 1, by help2man from what the program itself says: qedcrash(1), and one for each verb.
# Usage: docs/man/make.sh QEDCRASH OUTDIR. Exit 77 where there is no help2man.
set -eu
program=$1 out=$2
here=${0%/*}
command -v help2man >/dev/null || { echo "no manual pages of section 1: help2man is not installed" >&2; exit 77; }
version=$("$program" --version)
version=${version#qedcrash }
# No clock: the date is that of the commit, or none.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH LC_ALL=C
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

page()
{
    help2man --no-info --no-discard-stderr --version-string="$version" --manual=qedcrash --source="qedcrash $version" "$@"
}
page --include="$here/qedcrash.h2m" --output="$out/qedcrash.1" "$program"

# What help2man would garble: a usage of many lines becomes one, and the examples stay as they are.
# split HELP: the rest to $work/help, the examples to $work/include
split()
{
    awk -v help="$work/help" -v include="$work/include" '
        /^Usage:/ { usage = 1 }
        usage && NF == 0 { usage = 0 }
        usage && /^[A-Z]/ && !/^Usage:/ { usage = 0 }
        usage { line = line " " $0; next }
        line != "" { gsub(/ +\[-[^]]*\]/, "", line); gsub(/^ +| +$/, "", line); sub(/qedcrash [a-z]+/, "& [OPTION...]", line)
                     gsub(/ +/, " ", line); print line "\n" >help; line = "" }
        /^Examples:/ { examples = 1; print "[examples]\n.nf" >include; next }
        examples && /^[^ ]/ { examples = 0 }
        examples && NF == 0 { examples = 0; print ".fi" >include; closed = 1; next }
        examples { gsub(/\\/, "\\e"); gsub(/-/, "\\-"); print >include; next }
        { print >help }
        END { if (line != "") print line >help; if (!closed) print ".fi" >include }' "$1"
}
"$program" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' | sed '/^qedcrash$/d' | sort -u >"$work/verbs"
while read -r verb; do
    rm -f "$work/help" "$work/include"
    "$program" "$verb" --help >"$work/all" </dev/null
    split "$work/all"
    printf '#!/bin/sh\ncat "%s"\n' "$work/help" >"$work/qedcrash-$verb"
    chmod +x "$work/qedcrash-$verb"
    what=$("$program" --help | awk -v v="$verb" '
        $1 == v { sub(/^  [^ ]+ +/, ""); n = split($0, part, /   *| \.\.\. +/); print part[n]; exit }')
    printf '\n[see also]\n.BR qedcrash (1),\n.BR qedcrash-scenario (5)\n' >>"$work/include"
    page --include="$work/include" --name="$what" --output="$out/qedcrash-$verb.1" "$work/qedcrash-$verb"
done <"$work/verbs"
