/* A cell as bytes: does everything arrive, is NULL still NULL, and is what was cut short refused? Compared in the store,
 * row for row: every column of two stores, one given the cell, the other what arrived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "harness/cell_wire.h"
#include "tests/unit/test_reports_dev.h"

static const struct store_event events[] = {
    {.lane = STORE_LANE_DATA,
     .name = "C#2",
     .begin = 3,
     .end = 5,
     .ended = true,
     .fate = STORE_FATE_PARTLY,
     .pending = 8,
     .survived = 2,
     .sectors = "0,5",
     .order = STORE_ORDER_LOST},
    {.lane = STORE_LANE_FLUSH, .name = "F", .begin = 6, .fate = STORE_FATE_IN_FLIGHT},
};
static const struct timeline timeline = {.events = (struct store_event *)events, .count = 2};
static const struct timeline no_events;

static struct store_cell full_cell(void)
{
    static struct store_finding f[3];
    static const struct store_epoch e[] = {{1, 4, "12", 3.58, "11", 3.46, 9}, {5, 9, "1", 0, "0", -1, 0}};
    static const struct store_schedules all = {.possible = "17", .run = 9, .distinct = 4, .complete = true};
    f[0] = test_finding("a", VERDICT_LOST_COW, 7);
    f[0].because = "nothing orders them";
    f[0].recovery = "looked at no table";
    f[0].timeline = &timeline;
    f[0].has_guest_cluster = true;
    f[0].guest_cluster = 3;
    f[1] = test_finding("b", VERDICT_CORRUPT, 0);
    f[1].has_guest_sector = false;
    f[1].timeline = &no_events;
    f[1].story = NULL;
    f[2] = test_finding("c", VERDICT_STUCK, 1);
    struct store_cell cell = test_unsafe_cell("one", "v2", "ssd", f, 3, false);
    cell.place = 12;
    cell.schedule = 0;
    cell.schedules = &all;
    cell.expected_classes = "lost-cow,torn";
    cell.complete = false;
    cell.cut = "at the limit";
    cell.explored = "512";
    cell.explored_log2 = 9;
    cell.has_distinct = cell.distinct_at_least = true;
    cell.distinct = 77;
    cell.epochs = e;
    cell.epoch_count = 2;
    cell.ledger = "A7,A10";
    cell.scans = 3;
    cell.leaks = 4;
    cell.dirty_after_clean = 5;
    return cell;
}

/* By their fields, one after the other: padding is nobody's. */
static void expect_equal(const struct store_cell *a, const struct store_cell *b)
{
    struct bytes x = {0}, y = {0};
    cell_wire_put(&x, a);
    cell_wire_put(&y, b);
    assert_int_equal(x.size, y.size); /* all texts and arrays are as long as they were */
    struct store *first = test_store(NULL), *second = test_store(NULL);
    test_put(first, *a);
    test_put(second, *b);
    char *one = test_render(first, TEST_JSON, (struct render_options){0});
    char *two = test_render(second, TEST_JSON, (struct render_options){0});
    assert_string_equal(one, two);
    free(one);
    free(two);
    one = test_render(first, TEST_RUN, (struct render_options){.verbose = true});
    two = test_render(second, TEST_RUN, (struct render_options){.verbose = true});
    assert_string_equal(one, two);
    free(one);
    free(two);
    test_close(first);
    test_close(second);
    bytes_free(&x);
    bytes_free(&y);
}

static void expect_findings(const struct store_cell *a, const struct store_cell *b)
{
    assert_int_equal(a->place, b->place);
    assert_int_equal(!a->ledger, !b->ledger);
    if (a->ledger)
        assert_string_equal(a->ledger, b->ledger);
    for (size_t i = 0; i < a->finding_count; i++) {
        const struct store_finding *f = &a->findings[i], *g = &b->findings[i];
        assert_int_equal(f->has_guest_cluster, g->has_guest_cluster);
        assert_int_equal(f->guest_cluster, g->guest_cluster);
        assert_int_equal(!f->because, !g->because);
        if (f->because)
            assert_string_equal(f->because, g->because);
        if (f->recovery)
            assert_string_equal(f->recovery, g->recovery);
        assert_int_equal(!f->timeline, !g->timeline);
        if (!f->timeline)
            continue;
        assert_int_equal(f->timeline->count, g->timeline->count);
        for (size_t k = 0; k < f->timeline->count; k++)
            assert_memory_equal(&f->timeline->events[k], &g->timeline->events[k], sizeof(struct store_event));
    }
}

static void what_is_put_arrives(void **state)
{
    (void)state;
    const struct store_cell cells[] = {full_cell(), test_cell("plain", "v2", "ssd")};
    for (size_t i = 0; i < 2; i++) {
        struct bytes b = {0};
        struct cell_wire w;
        cell_wire_put(&b, &cells[i]);
        struct bytes_reader r = {b.data, b.size, false};
        assert_true(cell_wire_take(&r, &w));
        assert_int_equal(r.left, 0);
        expect_equal(&cells[i], &w.cell);
        expect_findings(&cells[i], &w.cell);
        cell_wire_free(&w);
        bytes_free(&b);
    }
}

static void what_is_cut_short_is_refused(void **state)
{
    (void)state;
    struct store_cell cell = full_cell();
    struct bytes b = {0};
    cell_wire_put(&b, &cell);
    for (size_t size = 0; size < b.size; size++) {
        struct cell_wire w;
        uint8_t *part = xmalloc(size); /* of its own, so that a read behind it shows */
        memcpy(part, b.data, size);
        struct bytes_reader r = {part, size, false};
        assert_false(cell_wire_take(&r, &w));
        free(part);
    }
    bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_arrives),
        cmocka_unit_test(what_is_cut_short_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
