/* Random tiny histories: the crash spaces against the model said a second time (test_simdisk_crash_naive.c), the spaces of
 * epochs against those of their points, and the disk that chooses when asked against plain enumeration.
 *
 * QEDCRASH_TEST_SEED=n runs one history; QEDCRASH_TEST_HISTORIES=n that many.
 */
#include "tests/unit/test_simdisk_crash_kit.h"

#define MAX_STATES 256u

/* ---- random histories ---- */

struct random_shape {
    bool fixed, resizes;
    uint32_t align; /* resizes and the base length: multiples of this many sectors */
};

static uint64_t rng;

static uint32_t below(uint32_t n)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((rng >> 33) % n);
}

static uint32_t random_write(struct history *h, uint32_t limit)
{
    static const enum blk_event labels[] = {BLK_EVENT_WRITE_AIO, BLK_EVENT_COW_WRITE, BLK_EVENT_L2_UPDATE};
    static const uint8_t favourites[] = {0, 1, 2, 5, 6, 7, 8, 9};
    uint32_t count = 1 + below(3), sector = favourites[below(sizeof(favourites))];
    char bytes[4] = "";

    if (sector + count > limit)
        sector = limit - count;
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = "ABCDEFab."[below(9)]; /* few enough to be equal at times */
    return tiny_write(h, labels[below(3)], sector, bytes);
}

static void complete(struct history *h, uint32_t op)
{
    struct hist_op *o = &h->ops[op];
    bool fails = below(o->kind == HIST_FLUSH ? 3 : 12) == 0;

    if (fails)
        o->reached_disk = false;
    history_done(h, op, fails ? -5 : 0);
}

static struct history *random_history(const struct random_shape *shape)
{
    uint32_t length = shape->fixed ? KIT_SECTORS : below(13) / shape->align * shape->align;
    struct history *h = tiny_history(length, shape->fixed);
    uint32_t writes = 2 + below(3), flushes = below(3), resizes = shape->resizes ? 1 : 0;
    uint32_t flight[8], count = 0;

    for (unsigned step = 0; step < 24; step++) {
        uint32_t what = below(10);

        if (what < 3 && writes) {
            flight[count++] = random_write(h, shape->fixed ? length : 12);
            writes--;
        } else if (what == 3 && flushes) {
            flight[count++] = tiny_flush(h);
            flushes--;
        } else if (what < 8 && count) {
            uint32_t i = below(count);
            complete(h, flight[i]);
            flight[i] = flight[--count];
        } else if (what == 8 && resizes && below(2)) {
            tiny_resize(h, below(12) / shape->align * shape->align);
            resizes--;
        } else if (what == 9) {
            history_mark(h, below(2), "mark");
        }
    }
    return h;
}

/* ---- the three comparisons ---- */

struct comparison {
    const struct history *h;
    const struct sim_disk_model *model;
    struct crash_disk *disk;
    size_t states, runs;
    bool lazy;
};

static bool small_enough(const struct crash_space *space)
{
    struct bignum n;
    bool small;

    crash_space_count(space, &n);
    small = bignum_clamp(&n) <= MAX_STATES;
    bignum_free(&n);
    return small;
}

/* What a run of recovery looks at, and in which order. False: what it had seen changed by itself. */
static bool lazy_run(struct crash_disk *disk, unsigned way, struct image *image)
{
    struct image again;

    if (way == 1)
        tiny_length(disk, 8);
    for (uint32_t i = 0; i < KIT_SECTORS && way; i++) {
        uint32_t sector = way == 2 ? KIT_SECTORS - 1 - i : i;

        if (way == 3 && i == 5)
            tiny_length(disk, 8);
        image->sector[sector] = tiny_read_sector(disk, sector);
    }
    if (way == 2)
        tiny_length(disk, 8);
    tiny_read(disk, &again);
    if (!way)
        *image = again;
    image->length = again.length;
    image->when = crash_disk_when(disk);
    return !memcmp(image->sector, again.sector, KIT_SECTORS);
}

static bool compare_lazy(struct comparison *c, const struct crash_space *space, const struct image_set *all,
                         unsigned way)
{
    static const char *const names[] = {"lazy, length first", "lazy, length in between", "lazy, backwards",
                                        "lazy, length amid"};
    struct image_set seen = {0};
    struct tiny_dfs dfs;
    bool same = true;

    tiny_dfs_start(&dfs);
    crash_disk_load(c->disk, space, &dfs.chooser);
    for (bool first = true; tiny_dfs_next(&dfs, first); first = false) {
        struct image image = {.length = 0};

        crash_disk_rewind(c->disk, 0);
        same &= lazy_run(c->disk, way, &image);
        image_set_add(&seen, &image);
        c->runs++;
        assert_true(seen.count <= 8 * MAX_STATES);
    }
    if (!same)
        printf("%s: what had been read changed by itself\n", names[way]);
    image_set_finish(&seen);
    same &= image_set_same(&seen, all, true, names[way], "enumerated");
    image_set_free(&seen);
    return same;
}

static bool compare_all_lazy(struct comparison *c, const struct crash_space *space)
{
    struct image_set all = {0};
    bool same = true;

    tiny_enumerate(space, c->disk, &all);
    image_set_finish(&all);
    for (unsigned way = 0; way < 4 && same; way++)
        same = compare_lazy(c, space, &all, way);
    image_set_free(&all);
    if (!same)
        printf("the space of crash points %u to %u\n", space->first_point, space->last_point);
    return same;
}

/* one_order: the spaces may hold less, but nothing that cannot be, and nothing too early. */
static bool compare_sets(struct image_set *naive, struct image_set *spaces, bool one_order, const char *name)
{
    bool same;

    image_set_finish(naive);
    image_set_finish(spaces);
    if (one_order)
        image_set_restrict(naive, spaces);
    same = image_set_same(naive, spaces, true, "prose", name);
    image_set_free(naive);
    image_set_free(spaces);
    return same;
}

/* Goes through the spaces; hands over each stretch of crash points they stand for. 0: too many states; -1: differ. */
static int compare_walk(struct comparison *c, bool every_point)
{
    struct crash_walk *walk = crash_walk_create(c->h, c->model, every_point);
    struct crash_space *space = crash_walk_next(walk);
    int result = 1;

    for (uint32_t first = 0, last; first <= c->h->event_count && result > 0; first = last + 1) {
        struct image_set naive = {0}, spaces = {0};

        for (last = first; !every_point && last < c->h->event_count && !naive_boundary(c->h, c->model, last);)
            last++;
        for (uint32_t p = first; p <= last; p++)
            naive_images(c->h, c->model, p, &naive);
        for (; space && space->last_point <= last && result > 0; space = crash_walk_next(walk)) {
            assert_true(space->first_point >= first);
            if (!small_enough(space))
                result = 0;
            else
                c->states += tiny_enumerate(space, c->disk, &spaces);
            if (result && c->lazy && !compare_all_lazy(c, space))
                result = -1;
            crash_space_free(space);
        }
        if (result <= 0) {
            image_set_free(&naive);
            image_set_free(&spaces);
        } else if (!compare_sets(&naive, &spaces, naive_order_matters(c->h, c->model),
                                 every_point ? "spaces of points" : "spaces of epochs")) {
            printf("crash points %u to %u\n", first, last);
            result = -1;
        }
    }
    if (space) {
        assert_true(result <= 0);
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    return result;
}

/* ---- all models ---- */

/* Not here: a failed flush that drops, with units larger than a sector or an ordered cache. What such a disk then holds of
 * a dropped write under a later one, the prose does not say. */
static const struct sim_disk_model customs[] = {
    {.name = "4k-own", .atom = SIM_ATOM_4096, .length = SIM_LENGTH_OWN},
    {.name = "4k-writethrough", .atom = SIM_ATOM_4096, .cache = SIM_CACHE_WRITE_THROUGH},
    {.name = "4k-ordered", .atom = SIM_ATOM_4096, .cache = SIM_CACHE_ORDERED},
    {.name = "4k-fixed", .atom = SIM_ATOM_4096, .size = SIM_SIZE_FIXED},
    {.name = "whole-own", .atom = SIM_ATOM_WRITE, .length = SIM_LENGTH_OWN},
    {.name = "whole-ordered", .atom = SIM_ATOM_WRITE, .cache = SIM_CACHE_ORDERED},
    {.name = "whole-writethrough", .atom = SIM_ATOM_WRITE, .cache = SIM_CACHE_WRITE_THROUGH},
    {.name = "whole-fixed", .atom = SIM_ATOM_WRITE, .size = SIM_SIZE_FIXED},
    {.name = "own-ordered", .length = SIM_LENGTH_OWN, .cache = SIM_CACHE_ORDERED},
    {.name = "own-writethrough", .length = SIM_LENGTH_OWN, .cache = SIM_CACHE_WRITE_THROUGH},
    {.name = "own-drops", .length = SIM_LENGTH_OWN, .failed_flush = SIM_FAILED_FLUSH_DROPS},
    {.name = "4k-liar", .atom = SIM_ATOM_4096, .cache = SIM_CACHE_LYING},
};

static unsigned compare_model(const struct sim_disk_model *model, uint64_t seed, bool resizes, struct comparison *total)
{
    struct random_shape shape = {.fixed = model->size == SIM_SIZE_FIXED,
                                 .resizes = resizes && model->size != SIM_SIZE_FIXED,
                                 .align = model->atom == SIM_ATOM_4096 && resizes ? 8 : 1};
    struct comparison c = {.model = model, .disk = total->disk, .lazy = true};
    struct history *h;
    bool good;

    rng = seed * 7919 + 17;
    h = random_history(&shape);
    c.h = h;
    good = compare_walk(&c, true) >= 0 && compare_walk(&c, false) >= 0;
    total->states += c.states;
    total->runs += c.runs;
    if (!good) {
        printf("seed %u, disk %s%s\n", (unsigned)seed, model->name, resizes ? ", resizes" : "");
        tiny_print(h);
    }
    history_destroy(h);
    return !good;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_models(const struct sim_disk_model *models, size_t count, uint64_t histories, bool resizes)
{
    uint64_t only = number_of("QEDCRASH_TEST_SEED", 0);
    struct comparison total = {.disk = crash_disk_create()};
    unsigned bad = 0;

    histories = number_of("QEDCRASH_TEST_HISTORIES", histories);
    for (size_t i = 0; i < count; i++) {
        unsigned wrong = 0;

        for (uint64_t seed = only ? only : 1; seed <= (only ? only : histories) && wrong < 2; seed++)
            wrong += compare_model(&models[i], seed, resizes, &total);
        bad += wrong;
    }
    printf("%zu states enumerated, %zu lazy runs\n", total.states, total.runs);
    crash_disk_destroy(total.disk);
    assert_int_equal(bad, 0);
}

static void test_named_models(void **state)
{
    (void)state;
    run_models(sim_disk_models, sim_disk_model_count, 180, false);
}

static void test_named_models_with_resizes(void **state)
{
    (void)state;
    run_models(sim_disk_models, sim_disk_model_count, 70, true);
}

static void test_other_combinations(void **state)
{
    (void)state;
    run_models(customs, sizeof(customs) / sizeof(customs[0]), 70, false);
}

static void test_other_combinations_with_resizes(void **state)
{
    (void)state;
    run_models(customs, sizeof(customs) / sizeof(customs[0]), 50, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_models),
        cmocka_unit_test(test_named_models_with_resizes),
        cmocka_unit_test(test_other_combinations),
        cmocka_unit_test(test_other_combinations_with_resizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
