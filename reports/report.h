/* report.h: a store as files for people and machines: index.html (one page, nothing else needed), junit.xml, summary.md;
 * and as the lines that GitHub's runners turn into annotations. All are of the newest campaign, and a function of the
 * store. */
#ifndef REPORTS_REPORT_H
#define REPORTS_REPORT_H

#include "reports/store.h"

int report_html(struct store *s, FILE *out, struct store_error *err);
int report_junit(struct store *s, FILE *out, struct store_error *err);
int report_markdown(struct store *s, FILE *out, struct store_error *err);
int report_github(struct store *s, FILE *out, struct store_error *err);
/* The campaign in one or two sentences. */
int report_headline(struct store *s, char *buf, size_t size, struct store_error *err);

#endif
