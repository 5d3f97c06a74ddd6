/* timeline.h: what led to a crash state, as rows: the guest's requests, the writes of the image, the flushes, and for each
 * write what the power failure left of it. Pages and terminals draw it from the store.
 *
 *     event     0   1   2   3   4   5   6      @7
 *     guest     |--- write 4608 512 ----------  in flight
 *     data          |C--|   |D--|               lost
 *     L2                        |L2-            survived      arrow of the missing order: from C to L2
 */
#ifndef HARNESS_TIMELINE_H
#define HARNESS_TIMELINE_H

#include "harness/finding.h"

/* All that began before f->when; by beginning. Of a long run, what was over a thousand events before the first pending
 * write is left out. Nothing changed on disk by the crash: f->state may be of any minimality. */
void timeline_make(const struct finding *f, const struct crash_space *space, const struct recording *recording,
                   struct timeline *out);
/* For what a guest saw without any crash: all that began by then. Nothing was lost; a write is durable, done or in flight. */
void timeline_make_live(const struct run_live_finding *f, const struct recording *recording,
                        const struct sim_disk_model *model, struct timeline *out);
void timeline_free(struct timeline *t);

#endif
