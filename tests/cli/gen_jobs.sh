#!/bin/bash
# `qedcrash gen slurm|k8s|parallel`: files that a shell and a YAML parser read; and a campaign run by one of them comes to
# the store of a single machine.
library=$PWD/scenarios
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH
unset SLURM_ARRAY_TASK_ID JOB_COMPLETION_INDEX

one()
{
    lib_run "${@:3}"
    [[ $rc -eq $1 && -z $out && $err == "qedcrash gen: "*"$2"* && $err != *$'\n'* ]] ||
        lib_wanted "exit $1 and one line with \"$2\"" "${@:3}"
}

mkdir lib
cp "$library"/{cow-partial,overwrite-in-place,race-cluster}.scn lib/
cells=(lib --design v2 --design cow-flush --disk ssd)

ran 0 'Examples:' "$q" gen slurm --help
for kind in slurm parallel; do
    ran 0 '#!/bin/bash' "$q" gen $kind 3 -- "${cells[@]}" --design "it's"
    [[ $out == *"--design 'it'\\''s'"* ]] || complain "$kind: a word with a quote is not quoted"
    bash -n <<<"$out" || complain "$kind: the shell cannot read it"
done
ran 0 'completions: 20' "$q" gen k8s 20 --image reg/q:1 -- "${cells[@]}" --design 'a"b'
if python3 -c 'import yaml' 2>/dev/null; then
    python3 -c 'import sys, yaml
shards, merge = yaml.safe_load_all(sys.stdin)
c = shards["spec"]["template"]["spec"]["containers"][0]
assert c["image"] == "reg/q:1" and c["env"][0]["value"] == "20" and "\x27a\"b\x27" in c["args"][0], c
assert shards["spec"]["completionMode"] == "Indexed"
assert "part20.db" in merge["spec"]["template"]["spec"]["containers"][0]["args"][0]' <<<"$out" ||
        complain 'k8s: not the YAML it should be'
fi
one 2 'is no number of shards' "$q" gen slurm many
one 2 'is no number of shards' "$q" gen slurm 0
one 2 'leave it out' "$q" gen slurm 3 -- --store x.db
one 3 'cannot write no/where' "$q" gen slurm -o no/where

"$q" matrix "${cells[@]}" --store one.db >/dev/null || complain "the campaign itself fails"
"$q" gen parallel 3 -o night.sh -- "${cells[@]}" || complain 'no job file'
for round in first again; do # a second time there is nothing left to judge
    rm -f night.db
    QEDCRASH=$q bash night.sh >night.log 2>&1 || complain "$round: night.sh fails: $(tail -n 3 night.log)"
    if command -v sqlite3 >/dev/null; then
        for s in one night; do
            cp $s.db rows.db && sqlite3 rows.db "UPDATE campaign SET command = ''" .dump >$s.sql
        done
        cmp -s one.sql night.sql || complain "$round: the merged store is another one"
    fi
done

finish
