/* The named designs: there, findable, and v2 one field away from its fix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/design_text.h"

static unsigned differences(const struct qed_design *a, const struct qed_design *b)
{
    unsigned n = a->clear_timer_ms != b->clear_timer_ms;

    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        n += a->value[f] != b->value[f];
    return n;
}

static void test_names_find_their_design(void **state)
{
    static const char *const names[] = {"v2", "cow-flush", "upstream", "careful"};

    (void)state;
    assert_true(qed_design_count >= 4);
    for (size_t i = 0; i < 4; i++) {
        const struct qed_design *d = qed_design_find(names[i]);

        assert_ptr_equal(d, &qed_designs[i]);
        assert_string_equal(d->name, names[i]);
        assert_true(strlen(d->summary) > 20);
        assert_int_equal(d->summary[strlen(d->summary) - 1], '.');
    }
    assert_null(qed_design_find("v3"));
    assert_null(qed_design_find(""));
}

/* Each name once, each policy once, each with a sentence about it. */
static void test_no_two_are_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < qed_design_count; i++) {
        const struct qed_design *a = &qed_designs[i];

        assert_ptr_equal(qed_design_find(a->name), a);
        assert_int_equal(a->summary[strlen(a->summary) - 1], '.');
        assert_null(a->asked);
        for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
            assert_true(a->value[f] < qed_design_field_values((enum qed_design_field)f));
        for (size_t k = 0; k < i; k++)
            if (!differences(a, &qed_designs[k]))
                fail_msg("%s is %s", a->name, qed_designs[k].name);
    }
}

/* A design that is another with some fields changed says so, and only they are. */
static void test_changed_fields(void **state)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"flush-always", "v2,data_flush=always"},
        {"zero-detect", "cow-flush,zero_fill=skip-all-zero"},
        {"skip-no-backing", "v2,data_flush=backing"},
        {"trim", "v2,reuse=at-once"},
        {"trim-flush", "v2,reuse=after-flush"},
        {"reuse-flush", "trim,data_flush=reuse"},
        {"mark-written", "upstream,clear_on=close"},
        {"mark-flushed", "mark-written,need_check=flushed"},
        {"mark-on-flush", "mark-flushed,clear_on=close+guest-flush+l1-update"},
        {"timer", "mark-flushed,clear_on=timer"},
        {"naive", "mark-flushed,clear_on=close+l1-update,clear_order=before-flush"},
        {"eight-step", "mark-flushed,clear_on=close+quiet"},
        {"seven-step", "mark-flushed,clear_on=close+guest-flush+timer"},
        {"phys-size", "careful,phys_size=header-field"},
        {"size-check", "phys-size,size_check=marked"},
        {"autoclear", "careful,phys_size=autoclear-bit"},
    };

    (void)state;
    assert_int_equal(qed_design_count, 4 + sizeof(cases) / sizeof(cases[0]));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct qed_design *d = qed_design_find(cases[i].name);
        struct qed_design_error err;
        struct qed_design other;

        assert_non_null(d);
        if (qed_design_parse(cases[i].text, &other, &err))
            fail_msg("%s", err.text);
        assert_int_equal(differences(d, &other), 0);
    }
}

static void test_the_cow_flush_is_the_only_difference(void **state)
{
    const struct qed_design *v2 = qed_design_find("v2");
    const struct qed_design *fixed = qed_design_find("cow-flush");

    (void)state;
    assert_int_equal(differences(v2, fixed), 1);
    assert_int_equal(v2->data_flush, QED_DATA_FLUSH_NEVER);
    assert_int_equal(fixed->data_flush, QED_DATA_FLUSH_COW);
}

static void test_milliseconds_are_digits(void **state)
{
    static const char *const wrong[] = {"",   "x",  "5x",         "-5",
                                        "+5", " 5", "1234567890", "zero_fill=skip-all-zero|title+..k-and-so-on"};
    struct qed_design d;
    char text[128];

    (void)state;
    assert_int_equal(qed_design_parse("careful,clear_timer_ms=123456789", &d, NULL), 0);
    assert_int_equal(d.clear_timer_ms, 123456789);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "careful,clear_timer_ms=%s", wrong[i]);
        assert_true(qed_design_parse(text, &d, NULL) < 0);
    }
}

static void test_upstream_is_qemu_7_2(void **state)
{
    const struct qed_design *d = qed_design_find("upstream");

    (void)state;
    assert_int_equal(d->data_flush, QED_DATA_FLUSH_BACKING);
    assert_int_equal(d->need_check, QED_NEED_CHECK_WRITTEN);
    assert_false(d->need_check_with_backing);
    assert_int_equal(d->clear_on, QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_TIMER);
    assert_int_equal(d->clear_timer_ms, 5000);
    assert_int_equal(d->lock, QED_LOCK_GATE);
    assert_true(d->l1_flush && d->backing_clip && d->native_zero);
    assert_false(d->repair_flush || d->check_on_reopen || d->evict_referenced);
}

static void test_careful_leaves_nothing_to_chance(void **state)
{
    const struct qed_design *d = qed_design_find("careful");

    (void)state;
    assert_int_equal(d->data_flush, QED_DATA_FLUSH_ALWAYS);
    assert_int_equal(d->need_check, QED_NEED_CHECK_FLUSHED);
    assert_true(d->need_check_with_backing && d->l1_flush && d->repair_flush && d->backing_name_flush);
    assert_int_equal(d->clear_order, QED_CLEAR_AFTER_FLUSH);
    assert_int_equal(d->publish, QED_PUBLISH_AFTER_WRITE);
    assert_int_equal(d->failed_table, QED_FAILED_TABLE_ROLL_BACK);
    assert_int_equal(d->tail, QED_TAIL_TRUNCATE);
    assert_int_equal(d->zero_cluster_fill, QED_ZERO_CLUSTER_FILL_ZEROS);
    assert_true(d->check_on_reopen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_find_their_design),
        cmocka_unit_test(test_no_two_are_the_same),
        cmocka_unit_test(test_changed_fields),
        cmocka_unit_test(test_the_cow_flush_is_the_only_difference),
        cmocka_unit_test(test_milliseconds_are_digits),
        cmocka_unit_test(test_upstream_is_qemu_7_2),
        cmocka_unit_test(test_careful_leaves_nothing_to_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
