/* render_timeline.h: a timeline in characters, time running down, one column a lane.
 *
 *     event    guest    L2      data
 *      2       + write 4608 512
 *      3-4     |                o C         0x6000 +512    lost         <-.  missing:
 *      5-6     |                % C#2       0x6400 +3072   1 of 6 ...     |  cow_write before l2_update
 *      9-      |        # L2                0x4000 +512    survived     --'
 *     @10  ====== the power fails ======
 */
#ifndef REPORTS_RENDER_TIMELINE_H
#define REPORTS_RENDER_TIMELINE_H

#include "reports/render_db.h"

/* end: where the power failed, or, without a crash, where the guest saw it. missing: the missing order in words, or "". */
void render_timeline(FILE *out, const struct render_options *o, const struct timeline *t, uint32_t end, bool crash,
                     const char *missing);

#endif
