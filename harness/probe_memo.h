/* probe_memo.h: what was found out about crash spaces, for those who probe one workload with many designs. Designs that
 * write alike leave the same spaces (harness/space_digest.h); what a design then does in recovery is a decision tree.
 */
#ifndef HARNESS_PROBE_MEMO_H
#define HARNESS_PROBE_MEMO_H

#include "harness/box_tree.h"
#include "oracle/verdict.h"
#include "simdisk/digest.h"

/* How the states of one space came out. */
struct probe_leaf {
    bool unsafe;
    enum verdict_class class;
    bool incomplete;                      /* not all of it was judged, and nothing wrong was found */
    uint64_t recoveries, scans, needless; /* as in struct judge_counts */
};

/* For one workload and one disk model. */
struct probe_memo;
struct probe_memo *probe_memo_create(void);
void probe_memo_destroy(struct probe_memo *m);
/* The tree of a space, whose leaves are for probe_memo_leaf(); made if there is none. Valid until the memo ends. */
const struct box_tree *probe_memo_tree(struct probe_memo *m, struct digest space);
const struct probe_leaf *probe_memo_leaf(const struct probe_memo *m, uint32_t leaf);
/* True if it is known for this design; then what had been asked to find out is noted in asked. */
bool probe_memo_find(const struct probe_memo *m, struct digest space, const struct qed_design *d,
                     struct qed_design_asked *asked, struct probe_leaf *leaf);
/* asked is narrowed to what the memo's entry stands for. */
void probe_memo_add(struct probe_memo *m, struct digest space, const struct qed_design *d,
                    struct qed_design_asked *asked, struct probe_leaf leaf);

#endif
