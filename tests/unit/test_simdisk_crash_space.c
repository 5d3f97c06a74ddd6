/* Crash spaces of histories made by hand: what is pending when, the epochs, each axis of the disk models. */
#include "tests/unit/test_simdisk_crash_kit.h"

static const struct sim_disk_model *model(const char *name)
{
    const struct sim_disk_model *m = sim_disk_model_find(name);

    assert_non_null(m);
    return m;
}

/* Every image of the point, each as its sectors and a bar where the file ends: "abc|". Sorted, one blank between. */
static void expect_images(const struct history *h, const struct sim_disk_model *m, uint32_t point, const char *expected)
{
    struct crash_walk *walk = crash_walk_create(h, m, true);
    struct crash_disk *disk = crash_disk_create();
    struct crash_space *space;
    struct image_set set = {0};
    char text[4096] = "";

    for (; (space = crash_walk_next(walk)); crash_space_free(space)) {
        if (space->first_point == point)
            tiny_enumerate(space, disk, &set);
    }
    image_set_finish(&set);
    for (size_t i = 0; i < set.count; i++) {
        char *at = text + strlen(text);

        if (i)
            *at++ = ' ';
        for (unsigned s = 0; s < set.items[i].length; s++)
            *at++ = (char)(set.items[i].sector[s] ? set.items[i].sector[s] : '.');
        strcpy(at, "|");
    }
    assert_string_equal(text, expected);
    image_set_free(&set);
    crash_disk_destroy(disk);
    crash_walk_destroy(walk);
}

/* The epochs as "0-3 4-9". */
static void expect_epochs(const struct history *h, const struct sim_disk_model *m, const char *expected)
{
    struct crash_walk *walk = crash_walk_create(h, m, false);
    struct crash_space *space;
    char text[256] = "";

    for (; (space = crash_walk_next(walk)); crash_space_free(space))
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u-%u", *text ? " " : "", space->first_point,
                 space->last_point);
    assert_string_equal(text, expected);
    crash_walk_destroy(walk);
}

/* ---- what a flush covers ---- */

static void test_nothing_pending(void **state)
{
    struct history *h = tiny_history(3, false);

    (void)state;
    expect_images(h, model("ssd"), 0, "abc|");
    expect_epochs(h, model("ssd"), "0-0");
    history_destroy(h);
}

static void test_flush_covers_what_had_completed_before_it_was_submitted(void **state)
{
    struct history *h = tiny_history(3, false);
    uint32_t early, late, flush;

    (void)state;
    early = tiny_write(h, BLK_EVENT_NONE, 0, "A");
    late = tiny_write(h, BLK_EVENT_NONE, 1, "B");
    history_done(h, early, 0);
    flush = tiny_flush(h);
    history_done(h, late, 0); /* complete before the flush is, but not before it was submitted */
    expect_images(h, model("ssd"), 5, "ABc| Abc| aBc| abc|");
    history_done(h, flush, 0);
    expect_images(h, model("ssd"), 6, "ABc| Abc|");
    tiny_flush_done(h, 0);
    expect_images(h, model("ssd"), 8, "ABc|");
    expect_epochs(h, model("ssd"), "0-5 6-7 8-8");
    history_destroy(h);
}

static void test_in_flight_is_pending(void **state)
{
    struct history *h = tiny_history(1, false);

    (void)state;
    tiny_write(h, BLK_EVENT_NONE, 0, "A");
    tiny_flush_done(h, 0);
    expect_images(h, model("ssd"), 0, "a|");
    expect_images(h, model("ssd"), 1, "A| a|");
    expect_images(h, model("ssd"), 3, "A| a|");
    history_destroy(h);
}

static void test_never_reached_the_disk(void **state)
{
    struct history *h = tiny_history(1, false);
    uint32_t op = tiny_write(h, BLK_EVENT_NONE, 0, "A");

    (void)state;
    h->ops[op].reached_disk = false;
    history_done(h, op, -5);
    expect_images(h, model("ssd"), 2, "a|");
    history_destroy(h);
}

static void test_boundaries(void **state)
{
    struct history *h = tiny_history(1, false);

    (void)state;
    tiny_write_done(h, 0, "A"); /* 0 1 */
    history_mark(h, false, "read acknowledged");
    history_mark(h, true, "flush acknowledged");
    tiny_flush_done(h, -5); /* 4 5: no promise, no boundary */
    tiny_flush_done(h, 0);  /* 6 7 */
    expect_epochs(h, model("ssd"), "0-3 4-7 8-8");
    expect_epochs(h, model("liar"), "0-3 4-8");
    expect_epochs(h, model("writethrough"), "0-1 2-3 4-7 8-8");
    history_destroy(h);
}

/* ---- versions of a sector ---- */

static void test_versions_in_order(void **state)
{
    struct history *h = tiny_history(1, false);

    (void)state;
    tiny_write_done(h, 0, "A");
    tiny_flush_done(h, 0);
    tiny_write_done(h, 0, "B");
    tiny_write_done(h, 0, "C");
    expect_images(h, model("ssd"), 8, "A| B| C|");
    tiny_flush_done(h, 0);
    expect_images(h, model("ssd"), 10, "C|");
    history_destroy(h);
}

static void test_equal_contents_collapse(void **state)
{
    struct history *h = tiny_history(2, false);
    struct crash_walk *walk;
    struct crash_space *space;

    (void)state;
    tiny_write_done(h, 0, "Ab"); /* the second sector as it was */
    tiny_write_done(h, 0, "B");
    tiny_write_done(h, 0, "A");
    walk = crash_walk_create(h, model("ssd"), false);
    space = crash_walk_next(walk);
    assert_int_equal(space->unit_count, 1);
    assert_int_equal(space->units[0].version_count, 3);
    assert_int_equal(crash_unit_version(space, 0, 1)->when, 1); /* "A" can exist from the first write on */
    assert_int_equal(crash_space_unit_of(space, 0), 0);
    assert_true(crash_space_unit_of(space, 1) == SIZE_MAX);
    crash_space_free(space);
    assert_null(crash_walk_next(walk));
    crash_walk_destroy(walk);
    history_destroy(h);
}

static void test_zeros_beyond_the_end_still_lengthen(void **state)
{
    struct history *h = tiny_history(1, false);

    (void)state;
    tiny_write_done(h, 2, ".");
    expect_images(h, model("ssd"), 2, "a| a..|");
    history_destroy(h);
}

/* ---- atoms ---- */

static void test_atoms(void **state)
{
    struct history *h = tiny_history(9, false);

    (void)state;
    tiny_write_done(h, 7, "AB");
    expect_images(h, model("ssd"), 2, "abcdefgAB| abcdefgAi| abcdefghB| abcdefghi|");
    expect_images(h, model("atom-4k"), 2, "abcdefgAB| abcdefgAi| abcdefghB| abcdefghi|");
    expect_images(h, model("atomic-writes"), 2, "abcdefgAB| abcdefghi|");
    tiny_write_done(h, 0, "C");
    expect_images(h, model("atom-4k"), 4, /* C stands on A: the block is written over as a whole */
                  "CbcdefgAB| CbcdefgAi| abcdefgAB| abcdefgAi| abcdefghB| abcdefghi|");
    history_destroy(h);
}

static void test_whole_writes_overlap(void **state)
{
    struct history *h = tiny_history(3, false);

    (void)state;
    tiny_write_done(h, 0, "AB");
    tiny_write_done(h, 1, "CD");
    expect_images(h, model("atomic-writes"), 4, "ABc| ACD| aCD| abc|");
    history_destroy(h);
}

/* What a 4 KiB version shows of an earlier write cannot exist before that write. */
static void test_when_of_a_block(void **state)
{
    struct history *h = tiny_history(2, false);
    struct crash_walk *walk;
    struct crash_space *space;
    uint32_t first, second;

    (void)state;
    first = tiny_write(h, BLK_EVENT_NONE, 0, "A");
    second = tiny_write(h, BLK_EVENT_NONE, 1, "B");
    history_done(h, second, 0);
    history_done(h, first, 0); /* changes the disk last, so its block holds B too */
    walk = crash_walk_create(h, model("atom-4k"), false);
    space = crash_walk_next(walk);
    assert_int_equal(space->units[0].version_count, 3);
    assert_int_equal(crash_unit_version(space, 0, 1)->op, second);
    assert_int_equal(crash_unit_version(space, 0, 1)->when, 2);
    assert_int_equal(crash_unit_version(space, 0, 2)->op, first);
    assert_int_equal(crash_unit_version(space, 0, 2)->when, 2);
    crash_space_free(space);
    crash_walk_destroy(walk);
    history_destroy(h);
}

/* ---- caches ---- */

static void test_ordered(void **state)
{
    struct history *h = tiny_history(4, false);

    (void)state;
    tiny_write_done(h, 0, "A");
    tiny_write_done(h, 1, "BC");
    tiny_write(h, BLK_EVENT_NONE, 3, "D");
    expect_images(h, model("ordered"), 5, "ABCD| ABCd| ABcd| AbCd| Abcd| abcd|");
    history_destroy(h);
}

static void test_write_through(void **state)
{
    struct history *h = tiny_history(3, false);

    (void)state;
    tiny_write_done(h, 0, "A");
    tiny_write(h, BLK_EVENT_NONE, 1, "BC");
    expect_images(h, model("writethrough"), 1, "Abc| abc|");
    expect_images(h, model("writethrough"), 2, "Abc|");
    expect_images(h, model("writethrough"), 3, "ABC| ABc| AbC| Abc|");
    history_destroy(h);
}

static void test_liar(void **state)
{
    struct history *h = tiny_history(2, false);

    (void)state;
    tiny_write_done(h, 0, "A");
    tiny_flush_done(h, 0);
    tiny_write_done(h, 1, "B");
    expect_images(h, model("liar"), 6, "AB| Ab| aB| ab|");
    expect_images(h, model("ssd"), 6, "AB| Ab|");
    history_destroy(h);
}

/* ---- length ---- */

static void test_length_follows_data(void **state)
{
    struct history *h = tiny_history(1, false);

    (void)state;
    tiny_write_done(h, 1, "A");
    tiny_write_done(h, 3, "B");
    expect_images(h, model("ssd"), 4, "a| a..B| aA| aA.B|");
    history_destroy(h);
}

static void test_length_of_its_own(void **state)
{
    struct history *h = tiny_history(1, false);

    (void)state;
    tiny_write_done(h, 1, "A");
    tiny_write_done(h, 3, "B");
    expect_images(h, model("own-length"), 4, "a| a.| a...| a..B| aA| aA..| aA.B|");
    tiny_write_done(h, 2, "C"); /* the file was longer already: three sectors it never had */
    expect_images(h, model("own-length"), 6, "a| a.| a...| a..B| a.C.| a.CB| aA| aA..| aA.B| aAC.| aACB|");
    history_destroy(h);
}

static void test_fixed_size(void **state)
{
    struct history *h = tiny_history(4, true);

    (void)state;
    tiny_write_done(h, 3, "A");
    expect_images(h, model("hostdev"), 2, "abcA| abcd|");
    history_destroy(h);
}

static void test_cut(void **state)
{
    struct history *h = tiny_history(4, false);

    (void)state;
    tiny_resize(h, 2);
    expect_images(h, model("ssd"), 2, "ab| abcd|");
    expect_images(h, model("own-length"), 2, "ab| ab..| abcd|");
    expect_images(h, model("writethrough"), 2, "ab|");
    tiny_write_done(h, 3, "D"); /* over what was cut */
    expect_images(h, model("ssd"), 4, "ab| ab.D| abcD| abcd|");
    tiny_flush_done(h, 0);
    expect_images(h, model("ssd"), 6, "ab.D|");
    history_destroy(h);
}

static void test_cut_takes_what_was_written(void **state)
{
    struct history *h = tiny_history(1, false);

    (void)state;
    tiny_write_done(h, 1, "AB");
    tiny_resize(h, 2);
    expect_images(h, model("ssd"), 4, "a| a.| a.B| aA| aAB|");
    expect_images(h, model("atomic-writes"), 4, "a| a.| aA| aAB|");
    history_destroy(h);
}

static void test_growth(void **state)
{
    struct history *h = tiny_history(1, false);

    (void)state;
    tiny_resize(h, 3);
    expect_images(h, model("ssd"), 2, "a| a..|");
    expect_images(h, model("own-length"), 2, "a| a..|");
    expect_images(h, model("ordered"), 2, "a| a..|");
    expect_images(h, model("writethrough"), 2, "a..|");
    tiny_flush_done(h, 0);
    expect_images(h, model("ssd"), 4, "a..|");
    history_destroy(h);
}

/* ---- failed flushes ---- */

static void test_failed_flush(void **state)
{
    struct history *h = tiny_history(2, false);

    (void)state;
    tiny_write_done(h, 0, "AB");
    tiny_flush_done(h, -5);
    tiny_flush_done(h, 0);
    expect_images(h, model("ssd"), 6, "AB|");
    expect_images(h, model("fsync-drop"), 6, "AB| Ab| aB| ab|");
    tiny_write_done(h, 1, "C"); /* hides what was dropped, once it is covered */
    expect_images(h, model("fsync-drop"), 8, "AB| AC| Ab| aB| aC| ab|");
    tiny_flush_done(h, 0);
    expect_images(h, model("fsync-drop"), 10, "AC| aC|");
    history_destroy(h);
}

static void test_failed_flush_drops_what_had_completed(void **state)
{
    struct history *h = tiny_history(2, false);
    uint32_t late, flush;

    (void)state;
    tiny_write_done(h, 0, "A");
    late = tiny_write(h, BLK_EVENT_NONE, 1, "B");
    flush = tiny_flush(h);
    history_done(h, late, 0);
    history_done(h, flush, -5);
    tiny_flush_done(h, 0);
    expect_images(h, model("fsync-drop"), 8, "AB| aB|");
    history_destroy(h);
}

static void test_failed_flush_keeps_the_length(void **state)
{
    struct history *h = tiny_history(3, false);

    (void)state;
    tiny_write_done(h, 2, "A");
    tiny_resize(h, 1);
    tiny_flush_done(h, -5);
    tiny_flush_done(h, 0); /* the cut is covered, and the dropped write lies beyond it */
    expect_images(h, model("fsync-drop"), 8, "a|");
    history_destroy(h);
}

/* ---- numbers ---- */

static void test_count(void **state)
{
    struct history *h = tiny_history(0, false);
    struct crash_walk *walk;
    struct crash_space *space;
    struct bignum n;
    char sectors[201];
    char *text;

    (void)state;
    memset(sectors, 'A', 200);
    sectors[200] = 0;
    tiny_write_done(h, 0, sectors);
    walk = crash_walk_create(h, model("ssd"), false);
    space = crash_walk_next(walk);
    crash_space_count(space, &n);
    text = bignum_string(&n);
    assert_string_equal(text, "1606938044258990275541962092341162602522202993782792835301376");
    free(text);
    bignum_free(&n);
    crash_space_free(space);
    crash_walk_destroy(walk);
    history_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_pending),
        cmocka_unit_test(test_flush_covers_what_had_completed_before_it_was_submitted),
        cmocka_unit_test(test_in_flight_is_pending),
        cmocka_unit_test(test_never_reached_the_disk),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_versions_in_order),
        cmocka_unit_test(test_equal_contents_collapse),
        cmocka_unit_test(test_zeros_beyond_the_end_still_lengthen),
        cmocka_unit_test(test_atoms),
        cmocka_unit_test(test_whole_writes_overlap),
        cmocka_unit_test(test_when_of_a_block),
        cmocka_unit_test(test_ordered),
        cmocka_unit_test(test_write_through),
        cmocka_unit_test(test_liar),
        cmocka_unit_test(test_length_follows_data),
        cmocka_unit_test(test_length_of_its_own),
        cmocka_unit_test(test_fixed_size),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_takes_what_was_written),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_failed_flush),
        cmocka_unit_test(test_failed_flush_drops_what_had_completed),
        cmocka_unit_test(test_failed_flush_keeps_the_length),
        cmocka_unit_test(test_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
