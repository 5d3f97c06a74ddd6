/* test_reports_dev.h: cells and findings to fill a store with, and a renderer's output as a string. */
#ifndef TESTS_UNIT_TEST_REPORTS_DEV_H
#define TESTS_UNIT_TEST_REPORTS_DEV_H

#include "reports/render.h"

/* A safe, complete cell with telling numbers. */
struct store_cell test_cell(const char *scenario, const char *design, const char *disk);
/* The same, unsafe with these findings; expected when `as_expected`, else safe was expected. */
struct store_cell test_unsafe_cell(const char *scenario, const char *design, const char *disk,
                                   const struct store_finding *findings, size_t count, bool as_expected);
struct store_finding test_finding(const char *id, enum verdict_class class, uint64_t guest_sector);
struct store *test_store(const char *path);
void test_put(struct store *s, struct store_cell cell);
void test_close(struct store *s);

enum test_view { TEST_RUN, TEST_MATRIX, TEST_JSON };
/* The caller frees. */
char *test_render(struct store *s, enum test_view view, struct render_options o);

#endif
