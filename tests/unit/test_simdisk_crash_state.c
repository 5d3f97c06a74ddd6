/* Crash states as data: text there and back, the enumeration, the order; over every disk model and a few histories. */
#include "tests/unit/test_simdisk_crash_kit.h"

/* ---- a few histories ---- */

static struct history *plain(bool fixed)
{
    struct history *h = tiny_history(fixed ? KIT_SECTORS : 6, fixed);

    tiny_write(h, BLK_EVENT_COW_WRITE, 5, "ABC");
    tiny_write(h, BLK_EVENT_COW_WRITE, 0, "XYZ");
    history_done(h, 0, 0);
    tiny_flush(h);
    tiny_write(h, BLK_EVENT_L2_UPDATE, 1, "PQ");
    history_done(h, 1, 0);
    return h;
}

static struct history *same_sector_often(bool fixed)
{
    struct history *h = tiny_history(fixed ? KIT_SECTORS : 3, fixed);

    tiny_write_done(h, 2, "AB");
    tiny_write_done(h, 2, "CB"); /* B again */
    tiny_write_done(h, 2, "cD"); /* the third sector is as it was at first */
    tiny_flush_done(h, -5);
    tiny_write(h, BLK_EVENT_WRITE_AIO, 2, "E");
    return h;
}

static struct history *with_cut(bool fixed)
{
    struct history *h = tiny_history(fixed ? KIT_SECTORS : 12, fixed);

    tiny_write_done(h, 7, "AB");
    if (!fixed)
        tiny_resize(h, 8);
    tiny_write(h, BLK_EVENT_WRITE_AIO, 8, "CD");
    tiny_write(h, BLK_EVENT_L1_UPDATE, 0, "EF");
    return h;
}

static struct history *growing(bool fixed)
{
    struct history *h = tiny_history(fixed ? KIT_SECTORS : 2, fixed);

    tiny_write_done(h, 2, "A");
    if (!fixed)
        tiny_resize(h, 8);
    tiny_write(h, BLK_EVENT_L2_UPDATE, 0, "E");
    return h;
}

static struct history *(*const histories[])(bool fixed) = {plain, same_sector_often, with_cut, growing};

/* ---- each space of each ---- */

typedef void space_fn(const struct crash_space *space, struct crash_disk *disk);

static void each_space(space_fn *fn)
{
    struct crash_disk *disk = crash_disk_create();

    for (size_t i = 0; i < sizeof(histories) / sizeof(histories[0]); i++) {
        for (size_t m = 0; m < sim_disk_model_count; m++) {
            struct history *h = histories[i](sim_disk_models[m].size == SIM_SIZE_FIXED);
            struct crash_walk *walk = crash_walk_create(h, &sim_disk_models[m], false);
            struct crash_space *space;

            while ((space = crash_walk_next(walk))) {
                fn(space, disk);
                crash_space_free(space);
            }
            crash_walk_destroy(walk);
            history_destroy(h);
        }
    }
    crash_disk_destroy(disk);
}

static bool same_state(const struct crash_space *space, const struct crash_state *a, const struct crash_state *b)
{
    for (size_t u = 0; u < a->unit_count; u++) {
        if (a->own[u] != b->own[u])
            return false;
    }
    return !memcmp(a->atom, b->atom, a->atom_count) && (!space->lengths || a->length == b->length);
}

struct states {
    struct crash_state *items;
    size_t count;
};

static struct states all_states(const struct crash_space *space, struct crash_disk *disk)
{
    struct states all = {0};
    struct crash_enum *e;

    crash_disk_load(disk, space, NULL);
    e = crash_enum_create(space, disk);
    do {
        all.items = realloc(all.items, (all.count + 1) * sizeof(*all.items));
        crash_state_init(&all.items[all.count], space);
        crash_state_copy(&all.items[all.count++], crash_enum_state(e));
    } while (crash_enum_next(e));
    crash_enum_destroy(e);
    return all;
}

static void free_states(struct states *all)
{
    for (size_t i = 0; i < all->count; i++)
        crash_state_free(&all->items[i]);
    free(all->items);
}

/* ---- enumeration ---- */

static unsigned differences(const struct crash_state *a, const struct crash_state *b)
{
    unsigned n = a->length != b->length;

    for (size_t u = 0; u < a->unit_count; u++)
        n += a->own[u] != b->own[u];
    for (size_t i = 0; i < a->atom_count; i++)
        n += a->atom[i] != b->atom[i];
    return n;
}

static void enumerates(const struct crash_space *space, struct crash_disk *disk)
{
    struct states all = all_states(space, disk);
    struct bignum count;

    crash_space_count(space, &count);
    assert_true(bignum_clamp(&count) == all.count);
    bignum_free(&count);
    assert_int_equal(crash_state_survivors(space, &all.items[0]), space->prefix_ops);
    for (size_t i = 0; i < all.count; i++) {
        if (i)
            assert_int_equal(differences(&all.items[i - 1], &all.items[i]), 1);
        for (size_t k = 0; k < i; k++)
            assert_false(same_state(space, &all.items[i], &all.items[k]));
    }
    free_states(&all);
}

static void test_enumeration_visits_each_once(void **state)
{
    (void)state;
    each_space(enumerates);
}

/* The disk stepped to a state is the disk set to it at once. */
static void steps(const struct crash_space *space, struct crash_disk *disk)
{
    struct crash_disk *other = crash_disk_create();
    struct crash_enum *e;
    struct image a = {.length = 0}, b = {.length = 0};

    crash_disk_load(disk, space, NULL);
    crash_disk_load(other, space, NULL);
    e = crash_enum_create(space, disk);
    do {
        tiny_read(disk, &a);
        crash_disk_rewind(other, 0);
        crash_state_apply(space, crash_enum_state(e), other);
        tiny_read(other, &b);
        assert_memory_equal(&a, &b, sizeof(a));
    } while (crash_enum_next(e));
    crash_enum_destroy(e);
    crash_disk_destroy(other);
}

static void test_stepping_is_setting(void **state)
{
    (void)state;
    each_space(steps);
}

/* ---- text ---- */

/* The same image; where an atom hides what is under it, the state need not be the same to the bit. */
static void same_image(const struct crash_space *space, const struct crash_state *a, const struct crash_state *b)
{
    for (size_t u = 0; u < a->unit_count; u++)
        assert_int_equal(crash_state_version(space, a, u), crash_state_version(space, b, u));
    assert_memory_equal(a->atom, b->atom, a->atom_count);
    if (space->lengths)
        assert_int_equal(a->length, b->length);
}

static void round_trips(const struct crash_space *space, struct crash_disk *disk)
{
    struct states all = all_states(space, disk);

    for (size_t i = 0; i < all.count; i++) {
        char *text = crash_state_text(space, &all.items[i]), *again;
        struct crash_state parsed;

        assert_null(strpbrk(text, " \t:/"));
        assert_true(!*text || *text == '+');
        assert_true(crash_state_parse(space, text, strlen(text), &parsed));
        same_image(space, &all.items[i], &parsed);
        again = crash_state_text(space, &parsed);
        assert_string_equal(text, again);
        free(text);
        free(again);
        crash_state_free(&parsed);
    }
    free_states(&all);
}

static void test_text_round_trip(void **state)
{
    (void)state;
    each_space(round_trips);
}

static void test_text(void **state)
{
    static const char *const bad[] = {"L2",       "+",    "+L2.2",    "+C.",    "+C.0-",
                                      "+C.a",     "+D",   "+C#2.3",   "+len=5", "+C.1,",
                                      "+C.0 +L2", "++L2", "+C#02",    "+F",     "+C.99999999999999999999",
                                      "+L2+",     "+R",   "+C.0-1-2", "+C+C",   "+C.0+C.2",
                                      "+C+L2.1+C"};
    struct history *h = plain(false);
    struct crash_walk *walk = crash_walk_create(h, sim_disk_model_find("ssd"), false);
    struct crash_space *space = crash_walk_next(walk);
    struct crash_state st;
    char *text;

    (void)state;
    /* Sectors are counted within the operation. C#2 covers 0 to 2, L2 1 and 2, C 5 to 7. */
    assert_true(crash_state_parse(space, "+L2.1+C#2.0-1+C.2", 17, &st));
    text = crash_state_text(space, &st);
    assert_string_equal(text, "+C.2+C#2.0-1+L2.1");
    assert_int_equal(crash_state_survivors(space, &st), 4);
    free(text);
    crash_state_free(&st);
    assert_true(crash_state_parse(space, "+C", 2, &st));
    assert_int_equal(crash_state_survivors(space, &st), 3);
    crash_state_free(&st);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (crash_state_parse(space, bad[i], strlen(bad[i]), &st))
            fail_msg("'%s' was taken for a state", bad[i]);
    }
    crash_space_free(space);
    crash_walk_destroy(walk);
    history_destroy(h);
}

/* On an ordered disk the first of the finished writes survive: a text names all of them, and each once. */
static void test_text_of_a_prefix(void **state)
{
    struct history *h = tiny_history(KIT_SECTORS, false);
    struct crash_state st;
    size_t largest = 0;

    (void)state;
    tiny_write_done(h, 5, "AB");
    tiny_write_done(h, 1, "PQ");
    struct crash_walk *walk = crash_walk_create(h, sim_disk_model_find("ordered"), false);
    struct crash_space *space;
    while ((space = crash_walk_next(walk))) {
        if (space->prefix_ops > largest)
            largest = space->prefix_ops;
        if (space->prefix_ops == 2) {
            char both[64], first_twice[64], name[2][24];
            for (int i = 0; i < 2; i++)
                history_op_name(h, space->prefix[i], name[i], sizeof(name[i]));
            snprintf(both, sizeof(both), "+%s+%s", name[0], name[1]);
            snprintf(first_twice, sizeof(first_twice), "+%s+%s", name[0], name[0]);
            assert_true(crash_state_parse(space, both, strlen(both), &st));
            crash_state_free(&st);
            assert_false(crash_state_parse(space, first_twice, strlen(first_twice), &st));
            assert_int_equal(crash_state_named_twice(h, both, strlen(both)), strlen(both));
            assert_int_equal(crash_state_named_twice(h, first_twice, strlen(first_twice)), 1 + strlen(name[0]));
        }
        crash_space_free(space);
    }
    assert_int_equal(largest, 2);
    crash_walk_destroy(walk);
    history_destroy(h);
}

/* ---- order ---- */

static int sign(int n)
{
    return n < 0 ? -1 : n > 0;
}

static void is_ordered(const struct crash_space *space, struct crash_disk *disk)
{
    struct states all = all_states(space, disk);
    size_t n = all.count < 48 ? all.count : 48;

    for (size_t i = 0; i < n; i++) {
        const struct crash_state *a = &all.items[i];

        for (size_t k = 0; k < n; k++) {
            const struct crash_state *b = &all.items[k];
            int order = sign(crash_state_compare(space, a, b));

            assert_int_equal(order, -sign(crash_state_compare(space, b, a)));
            assert_int_equal(order == 0, i == k);
            if (crash_state_survivors(space, a) < crash_state_survivors(space, b))
                assert_int_equal(order, -1);
            for (size_t m = 0; m < n && order < 0; m++) {
                if (crash_state_compare(space, b, &all.items[m]) < 0)
                    assert_true(crash_state_compare(space, a, &all.items[m]) < 0);
            }
        }
    }
    free_states(&all);
}

static void test_order(void **state)
{
    (void)state;
    each_space(is_ordered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enumeration_visits_each_once),
        cmocka_unit_test(test_stepping_is_setting),
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_of_a_prefix),
        cmocka_unit_test(test_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
