/* test_search.c: is what the search leaves exactly what running every design leaves? And do boxes, lists of them and decision
 * trees hold the designs that they should? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/design_text.h"
#include "harness/search.h"
#include "simdisk/xalloc.h"

static uint64_t rng_state = 1;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (rng_state >> 33) % below;
}

static struct qed_design_box random_box(void)
{
    struct qed_design_box b = qed_box_all();
    for (int i = 0; i < 6; i++) {
        unsigned f = (unsigned)rng(QED_FIELD_COUNT), count = qed_design_field_values((enum qed_design_field)f);
        uint64_t some = 1 + rng((UINT64_C(1) << count) - 1);
        b.allowed[f] &= some;
        if (!b.allowed[f])
            b.allowed[f] = some;
    }
    return b;
}

static struct qed_design random_design(void)
{
    struct qed_design d = *qed_design_find("careful");
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        d.value[f] = (uint8_t)rng(qed_design_field_values((enum qed_design_field)f));
    return d;
}

/* A design of the box. */
static struct qed_design random_member(const struct qed_design_box *b)
{
    struct qed_design d = random_design();
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        while (!(b->allowed[f] >> d.value[f] & 1))
            d.value[f] = (uint8_t)rng(qed_design_field_values((enum qed_design_field)f));
    return d;
}

/* --- boxes --------------------------------------------------------------------------------------------------------- */

static void test_minus_is_a_partition(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct qed_design_box a = random_box(), b = random_box(), rest[QED_FIELD_COUNT];
        struct qed_design_box both = qed_box_and(&a, &b);
        unsigned count = qed_box_minus(&a, &b, rest);
        double sum = qed_box_empty(&both) ? 0 : qed_box_count(&both);
        for (unsigned k = 0; k < count; k++) {
            sum += qed_box_count(&rest[k]);
            assert_true(qed_box_within(&rest[k], &a));
            assert_false(qed_box_meets(&rest[k], &b));
            for (unsigned m = 0; m < k; m++)
                assert_false(qed_box_meets(&rest[k], &rest[m]));
        }
        assert_true(sum == qed_box_count(&a));
    }
}

static void test_merging_keeps_the_set(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct box_list l = {0}, merged = {0};
        struct qed_design_box rest[QED_FIELD_COUNT], a = random_box(), b = random_box();
        unsigned count = qed_box_minus(&a, &b, rest);
        for (unsigned k = 0; k < count; k++) {
            box_list_add(&l, &rest[k]);
            box_list_add(&merged, &rest[k]);
        }
        box_list_merge(&merged);
        assert_true(merged.count <= l.count);
        assert_true(box_list_count(&merged) == box_list_count(&l));
        for (int k = 0; k < 50; k++) {
            struct qed_design d = k % 2 ? random_member(&a) : random_design();
            assert_int_equal(box_list_has(&merged, &d), qed_box_has(&a, &d) && !qed_box_has(&b, &d));
        }
        box_list_free(&l);
        box_list_free(&merged);
    }
}

static void test_the_weakest_is_a_member(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        struct qed_design_box b = random_box();
        struct qed_design d = random_member(&b), weakest = d;
        qed_box_weakest(&b, &weakest);
        assert_true(qed_box_has(&b, &weakest));
        for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
            assert_false(qed_design_weaker((enum qed_design_field)f, d.value[f], weakest.value[f]));
    }
}

/* --- the search against every design ------------------------------------------------------------------------------- */

static const char *const workloads[] = {
    "image size=1M cluster=4K table=2\nbacking size=64K\nprepare write 0 4K\nwrite 4608 512\nflush\n",
    "image size=1M cluster=4K table=2\nwrite 0 4K\nwrite 8K 512\nflush\n",
    "image size=1M cluster=4K table=2\nprepare write 0 4K\nwrite 8K 4K\ncrash\nwrite 16896 512\nflush\n",
    "image size=1M cluster=4K table=2\nprepare write 0 8K\ndiscard 0 4K\nwrite 64K 512\nflush\n",
    ("image size=1M cluster=4K table=2\nprepare write 0 4K\nschedules all\naio a write 8K 512\naio b write 9K 512\n"
     "wait b\naio f flush\nwait all\n"),
};

static void fill_bound(struct bound *b)
{
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        struct scenario *s;
        struct scn_error err;
        if (scenario_parse("test.scn", workloads[i], strlen(workloads[i]), &s, &err))
            fail_msg("%s", err.text);
        bound_add(b, s, xalloc_check(strdup("test")));
        b->workloads[i].shallow = i % 2;
    }
}

static const struct cell_options options = {
    .explore = EXPLORE_COMPLETE, .limit = 1000000, .nested = 1, .schedule = 1, .seed = 1, .id_scenario = "test"};

/* The fields that vary; all others are those of `base`. */
static struct qed_design_box space_of(const char *base, const enum qed_design_field *vary, size_t count)
{
    struct qed_design_box b = qed_box_of(qed_design_find(base)), all = qed_box_all();
    for (size_t i = 0; i < count; i++)
        b.allowed[vary[i]] = all.allowed[vary[i]];
    return b;
}

static bool passes(const struct bound *b, const struct sim_disk_model *disk, const struct qed_design *d)
{
    struct scn_error err;
    for (size_t i = 0; i < b->count; i++) {
        struct bound_result r;
        if (bound_test(&b->workloads[i], disk, d, &options, NULL, &r, &err))
            fail_msg("%s", err.text);
        if (r.probe.unsafe)
            return false;
    }
    return true;
}

static bool next_design(const struct qed_design_box *space, struct qed_design *d)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        unsigned count = qed_design_field_values((enum qed_design_field)f);
        do
            d->value[f]++;
        while (d->value[f] < count && !(space->allowed[f] >> d->value[f] & 1));
        if (d->value[f] < count)
            return true;
        d->value[f] = 0;
        while (!(space->allowed[f] >> d->value[f] & 1))
            d->value[f]++;
    }
    return false;
}

static void compare(const char *base, const char *disk, const enum qed_design_field *vary, size_t count)
{
    struct bound b = {0};
    struct scn_error err;
    struct search_result r;
    const struct sim_disk_model *model = sim_disk_model_find(disk);
    fill_bound(&b);
    struct search_options o = {.bound = &b, .cost = &b, .space = space_of(base, vary, count), .cell = options};
    if (search_disk(&o, model, &r, &err))
        fail_msg("%s", err.text);
    struct qed_design d = *qed_design_find(base);
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) { /* the first of all */
        d.value[f] = 0;
        while (!(o.space.allowed[f] >> d.value[f] & 1))
            d.value[f]++;
    }
    unsigned safe = 0, all = 0;
    do {
        bool passed = passes(&b, model, &d), left = box_list_has(&r.left, &d);
        char spec[QED_DESIGN_TEXT_MAX];
        qed_design_format(&d, spec);
        if (passed != left)
            fail_msg("%s on %s: %s by itself, %s says the search", spec, disk, passed ? "safe" : "unsafe",
                     left ? "safe" : "unsafe");
        safe += passed;
        all++;
    } while (next_design(&o.space, &d));
    assert_true(r.safe == safe && r.designs == all);
    assert_int_equal(r.point_count > 0, safe > 0);
    assert_true(safe < all);
    for (size_t i = 0; i < r.point_count; i++) {
        assert_true(box_list_has(&r.left, &r.points[i].design));
        for (size_t k = 0; k < i; k++) /* one price, one point */
            assert_true(memcmp(&r.points[k].cost, &r.points[i].cost, sizeof(r.points[i].cost)) != 0);
    }
    search_result_free(&r);
    bound_free(&b);
}

static void test_equals_running_every_design(void **state)
{
    static const enum qed_design_field order[] = {QED_FIELD_data_flush, QED_FIELD_need_check, QED_FIELD_tail},
                                       mark[] = {QED_FIELD_need_check, QED_FIELD_clear_order, QED_FIELD_clear_on},
                                       others[] = {QED_FIELD_publish, QED_FIELD_lock, QED_FIELD_reuse,
                                                   QED_FIELD_zero_fill, QED_FIELD_l1_flush},
                                       size[] = {QED_FIELD_phys_size, QED_FIELD_size_check, QED_FIELD_need_check,
                                                 QED_FIELD_data_flush},
                                       tails[] = {QED_FIELD_tail, QED_FIELD_zero_fill, QED_FIELD_data_flush,
                                                  QED_FIELD_need_check};
    (void)state;
    compare("careful", "ssd", order, 3);
    compare("v2", "own-length", order, 3);
    compare("upstream", "ssd", mark, 2);
    compare("careful", "ssd", others, 5);
    compare("v2", "hostdev", others, 5);
    compare("careful", "hostdev", size, 4);
    compare("careful", "ordered", tails, 4); /* different counts there are the same price */
}

/* Asked late, of the frontier alone, a test leaves the frontier that it leaves when it is asked of every design. */
static void same_frontier(const char *base, const char *disk, const enum qed_design_field *vary, size_t count)
{
    struct bound b = {0};
    struct scn_error err;
    struct search_result early, late;
    const struct sim_disk_model *model = sim_disk_model_find(disk);
    fill_bound(&b);
    const struct bound cost = {.workloads = &b.workloads[1], .count = 1};
    struct search_options o = {.bound = &b, .cost = &cost, .space = space_of(base, vary, count), .cell = options};
    if (search_disk(&o, model, &early, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < b.count; i++)
        b.workloads[i].late = i != 1;
    if (search_disk(&o, model, &late, &err))
        fail_msg("%s", err.text);
    assert_true(late.safe > early.safe); /* or the late tests have nothing to say */
    assert_int_equal(late.point_count, early.point_count);
    for (size_t i = 0; i < late.point_count; i++) {
        assert_memory_equal(&late.points[i].cost, &early.points[i].cost, sizeof(late.points[i].cost));
        assert_true(late.points[i].designs == early.points[i].designs);
        assert_true(box_list_has(&early.left, &late.points[i].design));
    }
    search_result_free(&early);
    search_result_free(&late);
    bound_free(&b);
}

static void test_late_tests_leave_the_same_frontier(void **state)
{
    static const enum qed_design_field fields[] = {QED_FIELD_data_flush, QED_FIELD_need_check, QED_FIELD_l1_flush};
    (void)state;
    same_frontier("careful", "ssd", fields, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minus_is_a_partition),
        cmocka_unit_test(test_merging_keeps_the_set),
        cmocka_unit_test(test_the_weakest_is_a_member),
        cmocka_unit_test(test_equals_running_every_design),
        cmocka_unit_test(test_late_tests_leave_the_same_frontier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
