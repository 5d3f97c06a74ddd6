#!/bin/bash
# Every id that `run` prints shows the same again: same class, same guest sector, exit 1.
lib=$PWD/scenarios
export QEDCRASH_SCENARIOS=$lib
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"
q=$QEDCRASH
command -v sqlite3 >/dev/null || { echo 'sqlite3 is not installed'; exit 77; }

# findings FILE: id|class|guest sector, of a --json
findings()
{
    sqlite3 -separator ' ' :memory: "SELECT json_extract(f.value, '\$.id'), json_extract(f.value, '\$.class'),
        coalesce(json_extract(f.value, '\$.guest_sector'), '-')
        FROM json_each(json_extract(CAST(readfile('$1') AS TEXT), '\$.cells')) AS c,
             json_each(json_extract(c.value, '\$.findings')) AS f"
}

# again OPTION...: each finding of this run, by its id
again()
{
    local id class sector n=0
    "$q" run "$@" --json >run.json 2>run.err || [ $? -eq 1 ] || complain "run $*: $(cat run.err)"
    findings run.json >run.list
    while read -r id class sector; do
        n=$((n + 1))
        [ $n -le 12 ] || break
        "$q" repro "$id" --json >one.json 2>one.err
        rc=$?
        findings one.json >one.list
        [ $rc -eq 1 ] && grep -qF " $class $sector" one.list ||
            complain "repro $id: exit $rc, wanted $class at $sector, got:" "$(cat one.list one.err)"
    done <run.list
    [ $n -gt 0 ] || complain "run $*: no finding to try"
}
for disk in ssd atomic-writes atom-4k own-length hostdev fsync-drop; do
    again cow-partial --design v2 --disk $disk
done
again overwrite-in-place --design v2 --disk liar
again race-cluster --design v2 --schedules 3 --seed 7

# A path with a blank, a colon and a percent sign in it.
mkdir 'a b:c%d'
cp "$lib/cow-partial.scn" 'a b:c%d/my scn.scn'
again './a b:c%d/my scn.scn' --design v2
read -r id _ <run.list
[[ $id == './a%20b%3Ac%25d/my%20scn.scn:v2:ssd:@'* ]] || complain "the id of a hostile path: $id"

# A bare file name is a path all the same.
cp "$lib/cow-partial.scn" here.scn
again here.scn --design v2

# A whole cell; a state in which all is well; ids that name nothing.
ran 1 lost-cow "$q" repro cow-partial:v2:ssd
ran 0 '' "$q" repro cow-partial:v2:ssd:@0
for id in cow-partial:v3:ssd:@1 cow-partial:v2:sdd:@1 cow-partal:v2:ssd:@1 cow-partial:v2:ssd:@999 \
    cow-partial:v2:ssd:@10+Q cow-partial:v2:ssd:@1+L2 cow-partial:v2:ssd:@10+C.99; do
    lib_run "$q" repro "$id"
    [[ $rc -eq 2 && -z $out && $err == qedcrash* && $err != *$'\n'* ]] || lib_wanted 'exit 2 and one line' repro "$id"
done

lib_run "$q" repro cow-partial:v2:ssd:@10+L2+L2
[[ $rc -eq 2 && $err == *"name 'L2' a second time"* ]] || lib_wanted 'exit 2: a name twice' repro 'cow-partial:v2:ssd:@10+L2+L2'

finish
