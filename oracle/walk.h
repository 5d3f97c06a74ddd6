/* walk.h: the oracle's own structural walk of a QED image. Shares no code with the engine's check; the two must agree.
 *
 * It reads the image only through blockdev.h, from a device that completes inline, and never writes. What it counts:
 *
 *   dangling     an L1 or L2 entry that points beyond the file's end (rounded down to a cluster) or into the header
 *   misaligned   an entry that is no multiple of the cluster size (L1 entry 1 included)
 *   cross_linked a cluster named more than once (by data, table or header), counted per surplus reference
 *   leaked       an allocated cluster that nothing names; benign
 *
 * The order is the specification's (section 10): the L1 table names its own clusters, then each L1 entry in turn names
 * its table's clusters and the table's entries name theirs. A table offset that is invalid, or names a cluster named
 * before, is counted and not followed: what only it names is leaked. An entry that is both misaligned and out of bounds
 * counts as misaligned. So walk_faults() is what check calls corruptions, and
 *
 *   header + L1 + l2_tables (times the table size) + data_clusters + leaked = all clusters of the file
 *
 * wherever no table is cross-linked in part. Tables are read in pieces, sparse stretches are skipped with next_data(),
 * and memory is one bit per cluster of the file, whatever the header claims.
 */
#ifndef ORACLE_WALK_H
#define ORACLE_WALK_H

#include "engine/blockdev.h"

struct walk_result {
    bool marked; /* the needs-check bit is set on disk */
    uint64_t dangling, misaligned, cross_linked, leaked;
    uint64_t data_clusters; /* distinct clusters that L2 entries name */
    uint64_t l2_tables;     /* tables walked */
    char first_fault[160];  /* the first thing wrong, in words; empty if nothing */
};

struct walk; /* scratch memory, reused from image to image: no allocation once warm */
struct walk *walk_create(void);
void walk_destroy(struct walk *w);
/* Leaves first_fault empty: for who walks many broken images and asks for words only in the end. Default: off. */
void walk_silent(struct walk *w, bool on);

/* 0; -EINVAL if the header cannot be made sense of as specified in section 3 of the specification (first_fault says
 * why);
 * -ENOMEM (likewise); or the device's error. All counts are 0 unless 0 is returned. */
int walk_image(struct walk *w, struct blockdev *dev, struct walk_result *result);

static inline uint64_t walk_faults(const struct walk_result *r)
{
    return r->dangling + r->misaligned + r->cross_linked;
}

#endif
