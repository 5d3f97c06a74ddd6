/* render.h: what a person or a script sees, drawn from the store and from nothing else. */
#ifndef REPORTS_RENDER_H
#define REPORTS_RENDER_H

#include "reports/store.h"

struct render_options {
    bool color;
    bool unicode;   /* the terminal shows more than ASCII */
    bool quiet;     /* findings and the summary line only */
    bool verbose;   /* every cell with its numbers, every finding with its whole story */
    unsigned width; /* columns of the terminal; 0: 100 */
};

/* `qedcrash run`: each cell a line, each finding its repro line, and its story where it is the first of its class and
 * missing order in the cell (all of them when verbose). Ends with a line to paste where there was a finding. */
int render_run(struct store *s, FILE *out, const struct render_options *o, struct store_error *err);
/* `qedcrash matrix`: a table scenario x design (one block per disk model), then the findings, shortest repro each, then
 * the summary; and with a line to paste where something was unexpected. */
int render_matrix(struct store *s, FILE *out, const struct render_options *o, struct store_error *err);
/* `qedcrash explain`: the campaign's first finding as a story with its timeline, the others in a line each (all of them
 * told when verbose), and what to type next. */
int render_explain(struct store *s, FILE *out, const struct render_options *o, struct store_error *err);
int render_explain_json(struct store *s, FILE *out, struct store_error *err);
/* The object of docs/cli.md; one line, built by SQLite's JSON functions, in a fixed order. Skipped cells are
 * not among "cells", whose verdict is safe or unsafe, but in a list "skipped" at the end. */
int render_json(struct store *s, FILE *out, struct store_error *err);

#endif
