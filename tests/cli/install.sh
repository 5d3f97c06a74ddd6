#!/bin/bash
# `make install`: everything below DESTDIR and PREFIX and nothing elsewhere; the installed program finds its library; the
# pages name what the program knows; completion offers what the program says.
root=$PWD build=$(cd "${BUILD:-build}" && pwd)
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
unset QEDCRASH_SCENARIOS

# -o all: what is built is tested as it is, with whatever flags it was built.
make -C "$root" -s -o all install BUILD="$build" DESTDIR="$PWD/dest" PREFIX=/opt/q >log 2>&1 ||
    complain 'make install failed' "$(cat log)"
share=dest/opt/q/share
for f in dest/opt/q/bin/qedcrash $share/qedcrash/scenarios/cow-partial.scn $share/man/man5/qedcrash-scenario.5 \
    $share/bash-completion/completions/qedcrash; do
    [[ -s $f ]] || complain "not installed: $f"
done
[[ $(ls dest) == opt && $(ls dest/opt) == q ]] || complain "installed outside PREFIX: $(ls dest dest/opt)"
[[ $(find "$share/qedcrash/scenarios" -name '*.scn' | wc -l) -eq $(ls "$root"/scenarios/*.scn | wc -l) ]] ||
    complain 'not all scenarios are installed'
installed=$PWD/dest/opt/q/bin/qedcrash
mkdir elsewhere
cd elsewhere || exit 1
ran 1 'lost-cow' "$installed" run cow-partial --design v2
cd .. || exit 1

# Each verb has its page, and each statement of the language stands in the other.
verbs=$("$installed" --help | sed -n '/^Verbs:/,$p' | sed -n 's/^  \([a-z][a-z]*\).*/\1/p')
[[ $verbs == *run* && $verbs == *report* ]] || complain "verbs: $verbs"
if command -v help2man >/dev/null; then
    for verb in $verbs; do
        [[ -s $share/man/man1/qedcrash-$verb.1 ]] || complain "no page for $verb"
        grep -q "$verb" $share/man/man1/qedcrash.1 || complain "qedcrash.1 does not name $verb"
    done
    grep -qF '\-\-design' $share/man/man1/qedcrash-run.1 || complain 'qedcrash-run.1 has no options'
else
    grep -q 'help2man is not installed' log || complain 'no pages, and no reason' "$(cat log)"
fi
for word in title image backing prepare schedules ledger write read zero discard flush aio wait cancel truncate sleep \
    rebase close open reopen kill inject crash expect; do
    grep -qE "^\.(BR?|BI) \"?$word\b" $share/man/man5/qedcrash-scenario.5 ||
        complain "qedcrash-scenario.5 says nothing about $word"
done
if command -v man >/dev/null && man -l /dev/null >/dev/null 2>&1; then
    for page in $share/man/man?/*; do
        LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$page" 2>warnings >/dev/null
        [[ -s warnings ]] && complain "$page: $(head -n 1 warnings)"
    done
fi

# offers WORD... -- LINE: completing LINE offers each of them
offers()
{
    local want=() w
    while [[ $1 != -- ]]; do want+=("$1"); shift; done
    shift
    w=$(
        # shellcheck disable=SC1090,SC1091
        . "$share/bash-completion/completions/qedcrash"
        COMP_WORDS=("$installed" "$@") COMP_CWORD=$#
        _qedcrash 2>/dev/null
        printf '%s\n' "${COMPREPLY[@]}"
    )
    local one
    for one in "${want[@]}"; do
        grep -qxF -- "$one" <<<"$w" || complain "completing '$*' does not offer $one" "$w"
    done
}
offers run matrix repro explain shrink export report designs img -- ''
offers report repro -- re
offers --design --disk --store --json --help -- run --
offers -o --output -- report -
offers careful upstream v2 all -- run --design ''
offers careful -- run --design = ca
offers ssd hostdev liar -- run --disk ''
offers complete enumerate -- run --explore ''
offers create check io -- img ''
QEDCRASH_SCENARIOS=$share/qedcrash/scenarios offers cow-partial tail -- run ''
finish
