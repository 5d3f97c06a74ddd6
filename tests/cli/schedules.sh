#!/bin/bash
# --schedules all: one cell for every schedule, its figures, and ids that name a schedule by its script.
# shellcheck source=tests/cli/lib.sh
. "${0%/*}/lib.sh"

cat >race.scn <<'SCN'
image   size=1M cluster=4K table=2
prepare write 0 4K
aio     a write 8K 512
aio     b write 9K 512
wait    b
aio     f flush
wait    a f
SCN
run=("$QEDCRASH" run ./race.scn --disk writethrough)

# One after the other it is safe; among all schedules there is one in which the flush overtakes the link (A6).
ran 0 "safe" "${run[@]}" --design v2
ran 1 "lost-flushed" "${run[@]}" --design v2 --schedules all
ran 1 "all 33 schedules (19 distinct)" "${run[@]}" --design v2 --schedules all
ran 0 "all 46 schedules" "${run[@]}" --design careful --schedules all
ran 1 '"schedules":{"possible":"33","run":33,"distinct":19,"complete":true}' \
    "${run[@]}" --design v2 --schedules all --json
ran 1 '"schedule":0' "${run[@]}" --design v2 --schedules all --json
[ "$(grep -o '"schedules"' <<<"$out" | wc -l)" -eq 1 ] || complain "more than one cell, or none, has schedules"
first=$out
ran 1 "" "${run[@]}" --design v2 --schedules all --json
[ "$out" = "$first" ] || complain "the same command printed other bytes"

# The finding's id brings it back, alone and with its whole schedule.
id=$(grep -o '"id":"[^"]*"' <<<"$first" | head -n 1 | cut -d '"' -f 4)
[[ $id == ./race.scn:v2:writethrough:x*:@* ]] || complain "not an id with a script: $id"
ran 1 "lost-flushed" "$QEDCRASH" repro "$id"
ran 1 "lost-flushed" "$QEDCRASH" repro "${id%:@*}"
ran 1 "all 33 schedules" "$QEDCRASH" repro ./race.scn:v2:writethrough:sall

# A cut is never silent.
ran 0 "INCOMPLETE: 2 schedules run of at least" "${run[@]}" --design v2 --schedules all --schedule-limit 2
ran 0 '"run":2,"distinct":1,"complete":false' "${run[@]}" --design v2 --schedules all --schedule-limit 2 --json

# Without concurrency there is one schedule.
printf 'image size=1M cluster=4K table=2\nwrite 0 4K\nflush\n' >plain.scn
ran 0 "its only schedule" "$QEDCRASH" run ./plain.scn --design careful --schedules all

says 2 "--schedules" "$QEDCRASH" run ./race.scn --schedules some
says 2 "is no id" "$QEDCRASH" repro ./race.scn:v2:ssd:x012:@7
says 2 "is no id" "$QEDCRASH" repro ./race.scn:v2:ssd:sall:@7
finish
