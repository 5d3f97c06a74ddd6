/* timeline.h: the rows of v_timeline, for those who draw them. */
#ifndef REPORTS_TIMELINE_H
#define REPORTS_TIMELINE_H

#include "reports/store_db.h"

/* As in the schema. */
const char *store_lane_word(enum store_lane lane);
const char *store_fate_word(enum store_fate fate);

/* The events that led to a finding (cell and seq of v_findings), by beginning; none is no error. 0 or -errno. The caller
 * frees out->events. */
int store_read_timeline(struct store *s, int64_t cell, int64_t finding, struct timeline *out, struct store_error *err);
/* Does this finding, by its id, begin with a power failure? Else its timeline ends where the guest saw it. */
bool timeline_has_crash(const char *id);
/* "survived", "1 of 6 survived (5)", ...: what became of one event, in words. */
void timeline_fate_text(const struct store_event *e, char *buf, size_t size);

#endif
