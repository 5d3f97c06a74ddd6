/* recovery.h: what the engine makes of a crashed disk, and what both judges count before and after. */
#ifndef HARNESS_RECOVERY_H
#define HARNESS_RECOVERY_H

#include "engine/qed.h"
#include "oracle/walk.h"
#include "scenarios/runner.h"
#include "simdisk/crash_disk.h"

/* One look at the image by both judges. */
struct recovery_check {
    int walk_ret, check_ret;       /* 0, or why there are no counts: -errno */
    struct walk_result walk;       /* the oracle's */
    struct qed_check_result check; /* the engine's; of an image that does not open there is none */
};

struct recovery {
    struct recovery_check before, after;
    int open_ret;
    struct qed_error error; /* why it did not open */
    bool scanned;
    struct qed_check_result repaired; /* what the repair at open did, if scanned */
    uint64_t writes, flushes;         /* by recovery, close not included */
};

/* The disk is set to one state and stays so. The recording and the design must be those the state is of. */
void recovery_watch(struct crash_disk *disk, const struct recording *recording, const struct qed_design *design,
                    struct recovery *out);
/* One or two sentences. */
void recovery_tell(const struct recovery *r, char *buf, size_t size);

#endif
