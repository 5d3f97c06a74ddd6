/* gen_bugs.h: every bug that docs/ledger.md calls real, as something for the generator to find: a design that has it and
 * as little else as possible, a disk model, and the class of what it does.
 *
 * The bound is the default one where nothing else is said. Words beyond it are those that the default leaves out, for
 * they make it ten times as large; the few that a row needs are searched alone.
 */
#ifndef TESTS_BENCH_GEN_BUGS_H
#define TESTS_BENCH_GEN_BUGS_H

#include "harness/gen_hunt.h"
#include "harness/id.h"

#define GEN_BUG_WORDS 4u /* at the most: the target */

struct gen_bug {
    const char *claim, *what, *design, *disk;
    enum verdict_class class;
    unsigned classes; /* 0: the default bound's; else these, and ... */
    unsigned ops, events;
    const char *bound; /* ... these words for them */
    const char *with;  /* only workloads whose name has this in it, where another bug is of the same class; or NULL */
    bool dear;         /* takes seconds */
};

#define BUG(claim, what, design, disk, class)                                                                          \
    {                                                                                                                  \
        claim, what, design, disk, class, 0, 0, 0, NULL, NULL, false                                                   \
    }
#define DEAR(claim, what, design, disk, class)                                                                         \
    {                                                                                                                  \
        claim, what, design, disk, class, 0, 0, 0, NULL, NULL, true                                                    \
    }

static const struct gen_bug gen_bugs[] = {
    DEAR("A1", "a reused cluster shows what it held", "careful,reuse=after-flush,data_flush=never", "ssd",
         VERDICT_DISCLOSURE),
    BUG("A2", "an entry beyond the end, and no mark", "v2", "ssd", VERDICT_CORRUPT),
    DEAR("A3", "the tail is handed out again", "careful,zero_fill=skip-all-zero,tail=round-down", "ssd",
         VERDICT_DISCLOSURE),
    BUG("A3b", "reused before the discard is durable", "careful,reuse=at-once", "ssd", VERDICT_DISCLOSURE),
    DEAR("A5", "nobody waits for an allocation", "v2,lock=none", "writethrough", VERDICT_LOST_FLUSHED),
    DEAR("A6", "a flush overtakes the link", "v2", "writethrough", VERDICT_LOST_FLUSHED),
    BUG("A7", "copied bytes lost", "v2", "ssd", VERDICT_LOST_COW),
    BUG("A9", "a mark that is not durable", "upstream", "ssd", VERDICT_CORRUPT),
    DEAR("A10", "a dangling entry becomes valid", "upstream", "ssd", VERDICT_DISCLOSURE),
    BUG("A11", "new space that does not read zero", "careful,data_flush=never", "hostdev", VERDICT_DISCLOSURE),
    BUG("A12", "a zero fill left out, on a device", "zero-detect", "hostdev", VERDICT_DISCLOSURE),
    BUG("A15", "no flush without a backing file, on a device", "skip-no-backing", "hostdev", VERDICT_DISCLOSURE),
    BUG("A18", "a length that fits, and no scan", "size-check,data_flush=never", "ssd", VERDICT_CORRUPT),
    BUG("A22", "cleared before the flush, at close", "naive", "ssd", VERDICT_CORRUPT),
    BUG("A22 L1", "cleared before the flush, with an L1 update", "naive,clear_on=l1-update,l1_flush=off", "ssd",
        VERDICT_CORRUPT),
    BUG("A26", "a link before its table", "careful,need_check=off,l1_flush=off", "ssd", VERDICT_CORRUPT),
    DEAR("A29", "two entries of one sector at a time", "v2,lock=entry,publish=after-write", "writethrough",
         VERDICT_LOST_FLUSHED),
    {"B1", "a close that flushes nothing", "careful,close_flush=if-written", "ssd", VERDICT_LOST_FLUSHED,
     GEN_WRITE | GEN_KILL | GEN_CLOSE, 1, 2, "--only write,close,kill --ops 1 --events 2", NULL, false},
    {"B2", "the repair's flush left out", "careful,data_flush=never,repair_flush=off", "ssd", VERDICT_CORRUPT,
     GEN_BASIC | GEN_KILL, 2, 1, "--with kill", NULL, false},
    {"B3", "a failed mark counts as set", "mark-flushed,repair_flush=on", "ssd", VERDICT_CORRUPT,
     GEN_WRITE | GEN_FLUSH | GEN_INJECT, 2, 1, "--only write,flush,inject", NULL, false},
    {"B4", "an entry that could not be written stays", "upstream,zero_cluster_fill=zeros", "writethrough",
     VERDICT_LOST_FLUSHED, GEN_WRITE | GEN_FLUSH | GEN_INJECT, 2, 2, "--only write,flush,inject --events 2, il2_update",
     "il2_update", false},
    {"B5", "a table link that could not be written stays", "upstream,zero_cluster_fill=zeros", "writethrough",
     VERDICT_LOST_FLUSHED, GEN_WRITE | GEN_FLUSH | GEN_INJECT, 2, 2, "--only write,flush,inject --events 2, il1_update",
     "il1_update", false},
    {"B6", "a failed flush forgotten", "careful,failed_flush=go-on", "fsync-drop", VERDICT_LOST_FLUSHED,
     GEN_WRITE | GEN_FLUSH | GEN_INJECT, 1, 3, "--only write,flush,inject --ops 1 --events 3", NULL, true},
    {"B7", "a marked image writable without a check", "mark-flushed,repair_flush=on", "ssd", VERDICT_DISCLOSURE,
     GEN_WRITE | GEN_CRASH | GEN_REOPEN, 3, 1, "--only write,crash,reopen --ops 3, xr.ow", "xr.ow", false},
    DEAR("B8", "what a zero cluster had hidden", "upstream", "writethrough", VERDICT_LOST_FLUSHED),
};
#define GEN_BUG_COUNT (sizeof(gen_bugs) / sizeof(gen_bugs[0]))

/* The hunt for a bug; the design is the caller's to find. */
static inline struct gen_hunt gen_bug_hunt(const struct gen_bug *b, const struct qed_design *design)
{
    struct gen_hunt h = {
        .design = design, .disk = sim_disk_model_find(b->disk), .bound = GEN_DEFAULT, .class = b->class};
    if (b->classes)
        h.bound = (struct gen_bound){.ops = b->ops, .events = b->events, .classes = b->classes};
    h.with = b->with;
    h.options = (struct cell_options){
        .explore = EXPLORE_COMPLETE, .limit = 1000000, .nested = 1, .schedule_limit = 5000, .seed = 1};
    return h;
}

#endif
