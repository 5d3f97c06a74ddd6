/* walk.h: the oracle's own structural walk of a QED image. Shares no code with the engine's check; the two must agree.
 *
 * It reads the image only through blockdev.h, from a device that completes inline, and never writes. What it counts:
 *
 *   dangling     an L1 or L2 entry that points beyond the file's end (rounded down to a cluster) or into the header
 *   misaligned   an entry that is no multiple of the cluster size (L1 entry 1 included)
 *   cross_linked a cluster named more than once (by data, table or header), counted per surplus reference
 *   leaked       an allocated cluster that nothing names; benign
 */
#ifndef ORACLE_WALK_H
#define ORACLE_WALK_H

#include "engine/blockdev.h"

struct walk_result {
    bool marked; /* the needs-check bit is set on disk */
    uint64_t dangling, misaligned, cross_linked, leaked;
    uint64_t data_clusters, l2_tables;
    char first_fault[160]; /* the first thing wrong, in words; empty if nothing */
};

struct walk; /* scratch memory, reused from image to image: no allocation once warm */
struct walk *walk_create(void);
void walk_destroy(struct walk *w);

/* 0, -EINVAL if the header cannot be made sense of (first_fault says why), or a read error. */
int walk_image(struct walk *w, struct blockdev *dev, struct walk_result *result);

static inline uint64_t walk_faults(const struct walk_result *r)
{
    return r->dangling + r->misaligned + r->cross_linked;
}

#endif
