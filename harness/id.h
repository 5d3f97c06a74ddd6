/* id.h: one line that reproduces a finding.
 *
 *     scenario:design:disk[:sN][:seed=N]:@point[+survivors][/picks]
 *     cow-partial:v2:ssd:@14+L2+C#2.6
 *
 * Behind the slash: how the power failed again while recovery was writing (judge.h, judge_nested): for each time 1, the
 * epoch of what recovery wrote, and how many changes of each piece of it survived; "/1.0.1.0".
 *
 * No spaces. The scenario is a library name, or a path (with a slash, or ending in .scn); in it '%', ':' and white space
 * are written %XX. Without ":@..." it names a whole cell.
 */
#ifndef HARNESS_ID_H
#define HARNESS_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct finding_id {
    char *scenario; /* decoded */
    char design[64], disk[64];
    uint64_t schedule; /* 1 unless named */
    uint64_t seed;     /* 1 unless named */
    bool has_point;
    uint32_t point;
    char *survivors; /* "+L2+C#2.6" or "" */
};

/* The caller frees. */
char *id_format(const char *scenario, const char *design, const char *disk, uint64_t schedule, uint64_t seed,
                bool has_point, uint32_t point, const char *survivors);
/* False with one sentence in why (of at least 200 bytes) if text is no id. */
bool id_parse(const char *text, struct finding_id *id, char *why, size_t why_size);
void id_free(struct finding_id *id);

#endif
