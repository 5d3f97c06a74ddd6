/* schedules.h: one cell under every schedule (`--schedules all`).
 *
 *     walk ─▶ script ─▶ the run is recorded ─▶ its crash spaces ─▶ seen in an earlier run? ─▶ else judged
 *
 * This keeps what outlives a single run: the walk over the schedules, the crash spaces seen so far, the scripts (a finding
 * names its run), what live guests found, and the figures.
 */
#ifndef HARNESS_SCHEDULES_H
#define HARNESS_SCHEDULES_H

#include "reports/store.h"
#include "scenarios/runner.h"
#include "simdisk/crash_space.h"
#include "simdisk/schedule_walk.h"

#define SCHEDULES_LIMIT 100000 /* runs per cell, unless told otherwise */

struct schedules;
struct schedules *schedules_create(uint64_t limit);
void schedules_destroy(struct schedules *s);

/* The next schedule to run; false when there is none. Its script stays valid as long as s. */
bool schedules_next(struct schedules *s, struct sim_schedule *schedule);
/* It was recorded; the recording must outlive the questions about its spaces. -ENOTRECOVERABLE with err if it did not
 * follow its script. */
int schedules_begin(struct schedules *s, const struct recording *recording, const struct sim_disk_model *model,
                    struct scn_error *err);
/* Is this space of the run the first of its kind? */
bool schedules_first(struct schedules *s, const struct crash_space *space);
/* All spaces of the run have been asked about. */
void schedules_end(struct schedules *s);

/* The number of the run under way, from 0, and the schedule of any run so far. */
uint64_t schedules_run(const struct schedules *s);
struct sim_schedule schedules_of_run(const struct schedules *s, uint64_t run);

/* What live guests found, one per (class, guest sector), with the run that showed it first. */
struct schedules_live {
    struct run_live_finding finding;
    uint64_t run;
    struct timeline timeline; /* the schedules' own */
};
const struct schedules_live *schedules_live(const struct schedules *s, size_t *count);

struct schedules_figures {
    struct schedule_figures walk;
    uint64_t distinct; /* runs that differ in what a power failure can show */
    /* Over the distinct ones; costs are those of the dearest run. */
    uint64_t crash_points, guest_writes, image_writes, flushes, scans;
    bool dirty_after_clean;
};
struct schedules_figures schedules_figures(const struct schedules *s);

#endif
