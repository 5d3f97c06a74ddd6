/* bundle.h: a finding as a directory that a stranger can look into and run again.
 *
 *     README.md        what it is, and what each file is
 *     repro.sh         shows the finding again
 *     scenario.scn     the workload
 *     policy.design    the engine's ordering policy, every field
 *     base.qed         the image before the workload
 *     backing.raw      its backing file, if it has one
 *     writes.log       what was written and flushed (dm_log.h)
 *     crashed.qed      the image as the power failure left it
 *     recovered.qed    the same after the engine opened it
 *     check.json       what both judges count in these two
 *     story.txt, story.json   the finding explained
 *
 * Every byte follows from the id and what it names: no clock, no name of this machine, nothing that another tool said.
 */
#ifndef HARNESS_BUNDLE_H
#define HARNESS_BUNDLE_H

#include "harness/cell.h"
#include "harness/id.h"
#include "harness/target.h"

#define BUNDLE_SCENARIO "./scenario.scn"
#define BUNDLE_DESIGN   "./policy.design"

struct bundle {
    const char *directory; /* exists, and is empty */
    const char *id;        /* as given */
    const struct finding_id *parsed;
    const struct target *target;
    const struct cell_options *options;
    const char *version;
    const char *story, *story_json; /* told with the names that the bundle's files have */
};

/* The id as it is inside the bundle. The caller frees. */
char *bundle_id(const struct finding_id *id);
/* 0, or -errno with one sentence; what was written until then stays. */
int bundle_write(const struct bundle *b, struct scn_error *err);
/* The run of a whole cell as a recording (scenarios/replay.h), with scenario and design: no crash, no story. The log has
 * every entry in the order of completion, so that any prefix of it on top of base.qed is the image at that moment. No
 * guest.jsonl: the data are tags, which no byte names. */
int bundle_write_run(const struct bundle *b, struct scn_error *err);

#endif
