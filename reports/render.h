/* render.h: what a person or a script sees, drawn from the store and from nothing else. */
#ifndef REPORTS_RENDER_H
#define REPORTS_RENDER_H

#include "reports/store.h"

struct render_options {
    bool color;
    bool quiet;     /* findings and the summary line only */
    bool verbose;   /* every cell with its numbers, every finding with its whole story */
    unsigned width; /* columns of the terminal; 0: 100 */
};

/* `qedcrash run`: each cell a line, each finding its story and its repro line. */
int render_run(struct store *s, FILE *out, const struct render_options *o, struct store_error *err);
/* `qedcrash matrix`: a table scenario x design (one block per disk model), then the findings, shortest repro each, then
 * the summary. */
int render_matrix(struct store *s, FILE *out, const struct render_options *o, struct store_error *err);
/* The object of CLI.md; one line, built by SQLite's JSON functions, in a fixed order. */
int render_json(struct store *s, FILE *out, struct store_error *err);

#endif
