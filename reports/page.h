/* page.h: the parts of the page of `qedcrash report` (render_html*.c). */
#ifndef REPORTS_PAGE_H
#define REPORTS_PAGE_H

#include "reports/markup.h"
#include "reports/render_db.h"
#include "reports/report.h"

/* reports/page.css and page.js, NUL-terminated. */
extern const char page_css[], page_js[];

struct page {
    struct store *s;
    FILE *out;
    struct store_error *err;
    unsigned pictures; /* drawn so far: each has ids of its own */
};

/* Numbers the squares of the matrix, disks folded; "cell-N" is the place of a square's findings. */
#define PAGE_SQUARES                                                                                                   \
    "(SELECT scenario, design, dense_rank() OVER (ORDER BY scenario, design) AS number"                                \
    " FROM v_matrix WHERE campaign = ?1 GROUP BY scenario, design)"

/* Runs a query over the campaign and hands each row to `take`; stops at the first error. 0 or -errno. */
int page_rows(struct page *p, const char *sql, int (*take)(struct page *p, sqlite3_stmt *row, void *opaque),
              void *opaque);
/* printf whose only arguments are texts ("%s"), each escaped. */
void page_text(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The sections. Each 0 or -errno with p->err. */
int page_matrix(struct page *p);
int page_ledger(struct page *p);
int page_bugs(struct page *p);
int page_cells(struct page *p);
int page_plots(struct page *p);
int page_utilisation(struct page *p);
int page_fuzzers(struct page *p);

#endif
