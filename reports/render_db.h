/* render_db.h: what the renderers share: text on a terminal, and the parts `run` and `matrix` both show. */
#ifndef REPORTS_RENDER_DB_H
#define REPORTS_RENDER_DB_H

#include "reports/render.h"
#include "reports/store_db.h"

#define RENDER_RED   "\033[31m"
#define RENDER_GREEN "\033[32m"
#define RENDER_BOLD  "\033[1m"

/* Everything reached the file? -EIO with err when not (a full disk, a closed pipe). */
int render_flush(FILE *out, struct store_error *err);
/* Columns of UTF-8 text, one per character. */
unsigned render_columns(const char *text);
/* `text` padded to `width` columns; in `color` when the options allow and color is not NULL. */
void render_padded(FILE *out, const struct render_options *o, const char *text, unsigned width, const char *color);
/* Column `column` of a row as text; "" for NULL. */
const char *render_text(sqlite3_stmt *stmt, int column);
/* "repro: qedcrash repro 'ID'" and a newline, quoted for the shell. */
void render_repro(FILE *out, const char *id);

/* The states of all cells of the campaign together: there are too many for a number, so as powers of two. */
struct render_coverage {
    double states_log2, covered_log2; /* covered: of the states, the part that was explored; -INFINITY: nothing */
    int64_t executions;
};
int render_coverage(struct store *s, struct render_coverage *out, struct store_error *err);

/* One line per cell of the campaign, each with its findings beneath. */
int render_cells(struct store *s, FILE *out, const struct render_options *o, struct store_error *err);
/* "132 cells: 97 safe, ..." */
int render_summary(struct store *s, FILE *out, const struct render_options *o, struct store_error *err);
/* The last line of a failing command: the shortest id among what was unexpected; when `any_finding`, also among
 * findings that were expected. Nothing when there is none. */
int render_closing_repro(struct store *s, FILE *out, bool any_finding, struct store_error *err);

#endif
