/* judge.h: the oracle's bench: what one crash state does to the guest.
 *
 *   crashed disk ─▶ the engine opens it (and repairs)     unopenable, bad-repair
 *                ─▶ two judges of the structure           corrupt
 *                ─▶ every guest sector the run touched    lost-cow, lost-flushed, disclosure, torn
 *                ─▶ a second life: the guest writes beside and over, closes, opens again; everything else must stay as
 *                   recovery has shown it, and what was written must be seen where it was written and nowhere else
 *
 * The real engine does all the reading. Nothing is allocated per state once warm.
 */
#ifndef HARNESS_JUDGE_H
#define HARNESS_JUDGE_H

#include "engine/qed.h"
#include "scenarios/runner.h"
#include "simdisk/crash_disk.h"

#define JUDGE_NO_SECTOR UINT64_MAX

/* One thing wrong in one state. */
struct violation {
    enum verdict_class class;
    uint64_t guest_sector;  /* JUDGE_NO_SECTOR: the image as a whole */
    uint64_t image_sector;  /* where the guest sector's bytes came from; JUDGE_NO_SECTOR: nowhere, or unknown */
    bool second_life;
    const struct promise_explanation *words; /* NULL unless the judge explains */
    const char *what;       /* one clause, always */
};

typedef void violation_fn(void *opaque, const struct violation *v);

struct judge_counts {
    uint64_t executions;
    uint64_t scanned;  /* recoveries that had to scan */
    uint64_t leaky;    /* recoveries that left clusters nothing names */
};

struct judge;

/* The recording and the design must outlive the judge. */
struct judge *judge_create(const struct recording *recording, const struct qed_design *design);
void judge_destroy(struct judge *j);
/* With words: every violation carries an explanation; slow. */
void judge_explain(struct judge *j, bool on);
/* Whether the guest gets a second life (default: yes). */
void judge_second_life(struct judge *j, bool on);
/* Judges the state the disk is set to, by the promise at crash point `when`. The disk is left as recovery left it. */
void judge_state(struct judge *j, struct crash_disk *disk, uint32_t when, violation_fn *report, void *opaque);
const struct judge_counts *judge_count(const struct judge *j);
uint32_t judge_cluster_sectors(const struct judge *j);
/* Times the judge's memory had to come from malloc. */
uint64_t judge_allocations(const struct judge *j);

#endif
