/* id.h: one line that reproduces a finding.
 *
 *     scenario:design:disk[:sN|:xHEX|:sall][:seed=N]:@point[+survivors][/picks]
 *     cow-partial:v2:ssd:@14+L2+C#2.6
 *
 * Behind the slash: how the power failed again while recovery was writing (judge.h, judge_nested): for each time 1, the
 * epoch of what recovery wrote, and how many changes of each piece of it survived; "/1.0.1.0".
 *
 * No spaces. The scenario is a library name, or a path (with a slash, or ending in .scn); the design is a name, a name with
 * fields changed (v2,l1_flush=off), or a path; in both '%', ':' and white space are written %XX. Without ":@..." it names a whole cell.
 *
 * The schedule: sN is a numbered one; xHEX a script of choices, two digits each, those at the end that are 0 left out
 * (x0102: 1, then 2, then always 0; without any it is schedule 1); sall stands for all there are, and names no state.
 */
#ifndef HARNESS_ID_H
#define HARNESS_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/design_text.h"
#include "simdisk/sim_loop.h"

#define ID_ALL_SCHEDULES 0 /* as a schedule's number */

struct finding_id {
    char *scenario; /* decoded */
    char design[QED_DESIGN_TEXT_MAX], disk[64];
    uint64_t schedule; /* 1 unless named; ID_ALL_SCHEDULES */
    uint8_t *script;   /* NULL unless the schedule is a script */
    size_t script_len;
    uint64_t seed; /* 1 unless named */
    bool has_point;
    uint32_t point;
    char *survivors; /* "+L2+C#2.6" or "" */
};

/* The caller frees. A schedule with a script is named by that. */
char *id_format_schedule(const char *scenario, const char *design, const char *disk,
                         const struct sim_schedule *schedule, bool has_point, uint32_t point, const char *survivors);
char *id_format(const char *scenario, const char *design, const char *disk, uint64_t schedule, uint64_t seed,
                bool has_point, uint32_t point, const char *survivors);
/* False with one sentence in why (of at least 200 bytes) if text is no id. */
bool id_parse(const char *text, struct finding_id *id, char *why, size_t why_size);
void id_free(struct finding_id *id);

#endif
