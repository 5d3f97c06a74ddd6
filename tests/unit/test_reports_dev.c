#include "tests/unit/test_reports_dev.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct store_cell test_cell(const char *scenario, const char *design, const char *disk)
{
    return (struct store_cell){.scenario = scenario,
                               .design = design,
                               .disk = disk,
                               .schedule = 1,
                               .verdict = "safe",
                               .expected_classes = "",
                               .as_expected = true,
                               .complete = true,
                               .crash_points = 14,
                               .states_total = "73728",
                               .states_log2 = 16.169925,
                               .executions = 311,
                               .guest_writes = 3,
                               .image_writes = 9,
                               .flushes = 2,
                               .repro = "whole:cell:id"};
}

struct store_cell test_unsafe_cell(const char *scenario, const char *design, const char *disk,
                                   const struct store_finding *findings, size_t count, bool as_expected)
{
    struct store_cell cell = test_cell(scenario, design, disk);
    cell.verdict = "unsafe";
    cell.expected = as_expected ? STORE_EXPECT_UNSAFE : STORE_EXPECT_SAFE;
    cell.as_expected = as_expected;
    cell.findings = findings;
    cell.finding_count = count;
    return cell;
}

struct store_finding test_finding(const char *id, enum verdict_class class, uint64_t guest_sector)
{
    return (struct store_finding){.id = id,
                                  .class = class,
                                  .crash_point = 7,
                                  .has_guest_sector = true,
                                  .guest_sector = guest_sector,
                                  .expected = "backing 12",
                                  .found = "zero",
                                  .why = "The L2 entry survived, the copied data did not.",
                                  .missing_order = "cow_write before l2_update",
                                  .story = "write 4608 512\nsurvived: L2 entry 0\n",
                                  .survivors = 1,
                                  .states = 40};
}

struct store *test_store(const char *path)
{
    struct store_campaign campaign = {.version = "0.1-test", .seed = 1, .command = "qedcrash matrix"};
    struct store *s = NULL;
    struct store_error err = {""};
    int ret = store_open(path, &campaign, &s, &err);
    if (ret)
        print_error("%s\n", err.text);
    assert_int_equal(ret, 0);
    return s;
}

void test_put(struct store *s, struct store_cell cell)
{
    struct store_error err = {""};
    int ret = store_put_cell(s, &cell, &err);
    if (ret)
        print_error("%s\n", err.text);
    assert_int_equal(ret, 0);
}

void test_close(struct store *s)
{
    struct store_error err = {""};
    assert_int_equal(store_close(s, &err), 0);
}

char *test_render(struct store *s, enum test_view view, struct render_options o)
{
    char *text = NULL;
    size_t length;
    struct store_error err = {""};
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    int ret = -1;
    switch (view) {
    case TEST_RUN:
        ret = render_run(s, out, &o, &err);
        break;
    case TEST_MATRIX:
        ret = render_matrix(s, out, &o, &err);
        break;
    case TEST_JSON:
        ret = render_json(s, out, &err);
        break;
    }
    if (ret)
        print_error("%s\n", err.text);
    assert_int_equal(ret, 0);
    fclose(out);
    return text;
}
