/* svg_timeline.h: a timeline as an SVG element for the page: time runs to the right, a lane each for guest, header, L1, L2,
 * data and the file; flushes are bars across; what survived is solid, what was lost hollow; an arrow joins the ends of the
 * missing order. Colors are the page's (reports/page.css). */
#ifndef REPORTS_SVG_TIMELINE_H
#define REPORTS_SVG_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "reports/timeline.h"

/* end: where the power failed, or, without a crash, where the guest saw it. number: makes the ids inside it this picture's own. */
void svg_timeline(FILE *out, const struct timeline *t, uint32_t end, bool crash, const char *missing, unsigned number);

#endif
