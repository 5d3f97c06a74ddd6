/* finding.h: from violations to findings.
 *
 * A space of crash states holds one bug thousands of times. A *finding* is one per (class, guest cluster, missing order);
 * it keeps the smallest crash state seen that shows it (its witness), in a total order, so that the result does not depend
 * on the order in which states were judged. Then everything is taken from it that is not needed (minimal.h).
 *
 * The *missing order* is read off the state: the update that survived without what it depends on ("cow_write before
 * l2_update").
 */
#ifndef HARNESS_FINDING_H
#define HARNESS_FINDING_H

#include "harness/judge.h"
#include "reports/store.h"
#include "simdisk/crash_state.h"

#define FINDING_NO_CLUSTER UINT64_MAX

struct finding_key {
    enum verdict_class class;
    uint64_t cluster;        /* guest cluster, or FINDING_NO_CLUSTER */
    enum blk_event lost;     /* what should have been durable */
    enum blk_event survivor; /* what survived without it; BLK_EVENT_FLUSH_TO_DISK: the guest's own flush promised it */
};

struct finding {
    struct finding_key key;
    uint64_t states;     /* crash states that show it */
    uint64_t last_state; /* the one counted last */
    /* The witness. */
    uint32_t when;
    uint32_t survivors;
    bool second_life;
    uint32_t picks[JUDGE_MAX_PICKS]; /* how the power failed again during recovery */
    unsigned pick_count;
    uint64_t guest_sector;
    uint64_t run; /* set->run then */
    char *text;   /* crash_state_text */
    struct promise_explanation words;
    char what[320];
    char *story; /* lines: what was written, survived, lost, seen */
    char recovery[700];
    uint32_t lost_op, survivor_op; /* the ends of the missing order in the history, or HIST_NEVER */
    struct timeline timeline;
    /* While its space is at hand: the state itself. */
    struct crash_state state;
    bool fresh; /* state belongs to the space being explored; text and story are out of date */
};

struct finding_set {
    struct finding *items;
    size_t count, cap;
    uint64_t state_number; /* of the state being judged: set by whoever judges */
    uint64_t run;          /* of the recording being judged, where there are several: set by whoever judges */
};

/* The survivors, and after a slash the answers that made the power fail again, as ids have them. The caller's. */
char *finding_survivors(const struct crash_space *space, const struct crash_state *state, const uint32_t *picks,
                        unsigned pick_count);

void finding_set_free(struct finding_set *set);
/* Takes note of a violation shown by this state. */
void finding_add(struct finding_set *set, const struct crash_space *space, const struct crash_state *state,
                 uint32_t cluster_sectors, const struct violation *v);
/* The space is about to go: takes from the witnesses that lie in it what they do not need (if minimal), reads the missing
 * order off what is left, joins findings that are equal now (states: of the larger), and makes texts. What this takes
 * does not count among the judge's executions. The disk may be loaded with another space afterwards. */
void finding_settle(struct finding_set *set, const struct crash_space *space, struct crash_disk *disk,
                    struct judge *judge, const struct recording *recording, bool minimal);
/* "+L2/1.0.2" -> the length of "+L2", and the picks behind the slash. False if they are none. */
bool finding_parse_picks(const char *survivors, size_t *survivors_length, uint32_t picks[JUDGE_MAX_PICKS],
                         unsigned *count);
/* By class, cluster (none last), missing order. */
void finding_sort(struct finding_set *set);
/* "cow_write before l2_update"; "" when nothing is known. */
void finding_order_text(const struct finding_key *key, char *buf, size_t size);
/* One sentence: what happened. */
void finding_why(const struct finding *f, char *buf, size_t size);
/* One sentence: why it could. */
void finding_because(const struct finding *f, const struct qed_design *design, const struct sim_disk_model *disk,
                     char *buf, size_t size);

#endif
