#!/bin/bash
# What is typed wrongly: one line on stderr that names it and the nearest word, exit 2, nothing on stdout.
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH

# one RC WORDS CMD...: exit RC, stdout empty, stderr one line that begins with qedcrash and holds WORDS
one()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == qedcrash* && $err == *"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

ran 0 'qedcrash matrix' "$q" --help
ran 0 'qedcrash ' "$q" --version
says 2 'Usage:' "$q"
for verb in run matrix repro; do
    ran 0 '  qedcrash '$verb "$q" $verb --help
    [[ $out == *Examples:*--design* ]] || complain "$verb --help: the examples do not come first"
done

one 2 "'rnu'; did you mean 'run'?" "$q" rnu
one 2 "'matrx'; did you mean 'matrix'?" "$q" matrx
one 2 "'xyzzy'" "$q" xyzzy
for verb in run matrix repro; do
    one 2 "'--desing'; did you mean '--design'?" "$q" $verb --desing v2
    one 2 "'--bogus'" "$q" $verb --bogus
    one 2 "'-Z'" "$q" $verb -Z
    one 2 "'cow-flsh'; did you mean 'cow-flush'?" "$q" $verb --design cow-flsh
    one 2 "'orderd'; did you mean 'ordered'?" "$q" $verb --disk orderd
    one 2 "'enumerat'; did you mean 'enumerate'?" "$q" $verb --explore enumerat
    one 2 "'alway'; did you mean 'always'?" "$q" $verb --color alway
    one 2 "--limit" "$q" $verb --limit
    one 2 "--limit" "$q" $verb --limit 0
    one 2 "--limit" "$q" $verb --limit=-1
    one 2 "--limit" "$q" $verb --limit 1x
    one 2 "--limit" "$q" $verb --limit 99999999999999999999
    one 2 "--seed" "$q" $verb --seed ''
    one 2 "--json takes no value" "$q" $verb --json=1
done
one 2 'which scenario' "$q" run
one 2 'one directory' "$q" matrix a b
one 2 "'cow-partal'" "$q" run cow-partal
one 2 "./nothing.scn" "$q" run ./nothing.scn

# --help lists the options that a verb has, and an option it does not have is refused.
# has OPTIONS VERB...: these, by name, and no others
has()
{
    local listed
    listed=$("$q" "${@:2}" --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort | tr '\n' ' ')
    [[ $listed == "${1:+$1 }" ]] || complain "${*:2} --help lists other options than $1" "$listed"
}
has '' merge
has '--json --verbose' diff
has '--disk --events --jobs --json --limit --nested --ops --quiet --schedule-limit --seed' flushes
has '--disk --events --jobs --json --limit --nested --ops --quiet --schedule-limit --seed --verbose' designs search
has '--design --disk --events --explore --jobs --json --judge --limit --nested --only --ops --output --quiet --schedule-limit --schedules --seed --with' gen
one 2 "there is no option '--design'" "$q" merge a b --design v2
one 2 "there is no option '--store'" "$q" diff a b --store c
one 2 "there is no option '--store'" "$q" gen --store c
one 2 "there is no option '--design'" "$q" flushes v2 --design v2
one 2 "there is no option '--only'" "$q" designs search --only flush

for id in '' x cow-partial:v2 :v2:ssd:@1 cow-partial::ssd:@1 cow-partial:v2:ssd:@ cow-partial:v2:ssd:@x \
    cow-partial:v2:ssd:@-1 cow-partial:v2:ssd:@99999999999 cow-partial:v2:ssd:@10L2 cow-partial:v2:ssd:s \
    cow-partial:v2:ssd:seed=:@1 %zz:v2:ssd:@1 cow%00:v2:ssd:@1 cow-partial:v2:ssd:what:@1; do
    one 2 'is no id' "$q" repro "$id"
done
one 2 'one id' "$q" repro
one 2 'one id' "$q" repro a b

finish
