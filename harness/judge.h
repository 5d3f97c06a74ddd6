/* judge.h: the oracle's bench: what a crash state does to the guest.
 *
 *   structure   crashed disk ─▶ the engine opens it (and repairs)    unopenable, bad-repair
 *                            ─▶ two judges of the tables             corrupt
 *                            ─▶ if that is fine, a second life: the guest writes to a cluster nobody has touched, closes,
 *                               opens again; the tables must still be right
 *   cluster     crashed disk ─▶ the engine opens it
 *                            ─▶ every sector of one guest cluster    lost-cow, lost-flushed, disclosure, torn
 *                            ─▶ a second life: the guest writes over one sector of it and beside it, closes, opens again.
 *                               What was right must be as it was, and what was written must be where it was written
 *
 * Both are *scripts*. On a disk that is set to one state each runs once (judge_state); on a disk that leaves its choices
 * open an explorer runs them for every set of answers that matters (judge_space), the second one sector by sector. So
 * both ways judge by the same rules, and must find the same. A second life is lived only where the first shows nothing
 * wrong.
 *
 * The real engine does all the reading. Nothing is allocated per state once warm.
 */
#ifndef HARNESS_JUDGE_H
#define HARNESS_JUDGE_H

#include "engine/qed.h"
#include "scenarios/runner.h"
#include "simdisk/explore.h"

#define JUDGE_NO_SECTOR UINT64_MAX

/* One thing wrong in one state. */
struct violation {
    enum verdict_class class;
    uint64_t guest_sector; /* JUDGE_NO_SECTOR: the image as a whole */
    uint64_t image_sector; /* where the guest sector's bytes came from; JUDGE_NO_SECTOR: nowhere, or unknown */
    bool second_life;
    const struct promise_explanation *words; /* NULL unless the judge explains */
    const char *what;                        /* one clause, always */
    const uint32_t *picks; /* the answers that made the power fail again during recovery; see judge_nested */
    unsigned pick_count;
};

#define JUDGE_MAX_PICKS 96

typedef void violation_fn(void *opaque, const struct violation *v);
/* Asked between executions: false stops. */
typedef bool judge_go_on(void *opaque);

struct judge_counts {
    uint64_t overflows; /* second failures with more to answer than can be told apart: not all were tried */
    uint64_t executions;
    uint64_t recoveries; /* opens after the power failed */
    uint64_t scanned;    /* of these, how many had to scan */
    uint64_t needless;   /* ... and found nothing to repair */
    uint64_t leaky;      /* recoveries that left clusters nothing names */
};

struct judge;

/* The recording and the design must outlive the judge. */
struct judge *judge_create(const struct recording *recording, const struct qed_design *design);
/* The same with the caller's memory pool, for who makes many judges, one after the other. */
struct judge *judge_create_with(const struct recording *recording, const struct qed_design *design,
                                struct qed_pool *pool);
void judge_destroy(struct judge *j);
/* With words: every violation carries an explanation; slow. */
void judge_explain(struct judge *j, bool on);
/* Whether the guest gets a second life (default: yes). */
void judge_second_life(struct judge *j, bool on);
/* From so many touched clusters on, those that nothing pending reaches are judged in one run (sweep.c); 0: all are, always,
 * which is for tests. What is found is the same. */
void judge_sweeps_from(struct judge *j, uint64_t clusters);
/* How often the power may fail again while recovery is writing (default: 1). Each time is a few answers, the *picks*: 0 it
 * does not, or 1, in which epoch of what recovery wrote, and for each piece of that epoch how many of its changes survive.
 */
void judge_nested(struct judge *j, unsigned levels);
/* From now on the installed QEMU recovers and reads (qemu_bench.h), in `jobs` processes at the same time: the recording must
 * be a replay's, and a state must be set (judge_state). The power does not fail again. 0, or -1 with a sentence. After
 * judge_second_life(). */
int judge_use_qemu(struct judge *j, unsigned jobs, volatile const int *stop, char *why, size_t why_size);
bool judge_asks_qemu(const struct judge *j);
/* The state the disk is set to will be judged: its image is taken up, to be looked at beside others. */
void judge_ahead(struct judge *j, struct crash_disk *disk);
void judge_ahead_done(struct judge *j);
/* "" or why QEMU could not be asked; nothing judged since then counts. */
const char *judge_qemu_error(const struct judge *j);
/* One or two sentences: what QEMU makes of the state the disk is set to. */
void judge_qemu_tell(struct judge *j, struct crash_disk *disk, char *buf, size_t size);
/* From now on judge_state() runs only what can report on the cluster of this sector; JUDGE_NO_SECTOR: back to all. */
void judge_focus(struct judge *j, uint64_t sector);
/* From now on these answers are given, and no others tried; NULL: back to trying all. */
void judge_force(struct judge *j, const uint32_t *picks, unsigned count);
/* Judges the state the disk is set to, by the promise at crash point `when`; leaves the disk rewound. */
void judge_state(struct judge *j, struct crash_disk *disk, uint32_t when, violation_fn *report, void *opaque);
/* In part: the structure and, in the same life, all contents; a life of its own only for the touched cluster of that number
 * (or none: they are counted round, with one more). Finds nothing that judge_state would not. */
void judge_state_in_part(struct judge *j, struct crash_disk *disk, uint32_t when, uint64_t number, violation_fn *report,
                         void *opaque);
/* Judges all states of the space that is loaded on the disk with the explorer's chooser. When a violation is reported,
 * the disk knows what it depends on, and nothing else. False if go_on stopped it. */
bool judge_space(struct judge *j, struct explorer *x, struct crash_disk *disk, violation_fn *report, judge_go_on *go_on,
                 void *opaque);
/* Open, check, every touched sector, without second life: what a benchmark of bare states measures. */
void judge_state_once(struct judge *j, struct crash_disk *disk, uint32_t when, violation_fn *report, void *opaque);
const struct judge_counts *judge_count(const struct judge *j);
/* What was judged since then does not count. */
void judge_count_back(struct judge *j, const struct judge_counts *counts);
uint32_t judge_cluster_sectors(const struct judge *j);
const struct qed_design *judge_design(const struct judge *j);
/* Times the judge's memory had to come from malloc. */
uint64_t judge_allocations(const struct judge *j);

#endif
