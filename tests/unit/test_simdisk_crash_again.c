/* The power fails again: what a later life wrote is pending like what was recorded.
 *
 * The same requests are written into a history, whose images naive_images() lists, and submitted to a crashed disk on which
 * the power then fails again in every way. Both must leave the same images.
 */
#include "simdisk/sim_loop.h"
#include "tests/unit/test_simdisk_crash_kit.h"

/* Where blocks of eight sectors are atomic, the file ends with one: what a resize within one does to it, the naive model
 * says too simply. */
static uint32_t rounded(const struct sim_disk_model *model, uint32_t sectors)
{
    return model->atom == SIM_ATOM_4096 ? sectors / 8 * 8 : sectors;
}

struct request {
    char kind; /* w, f, r */
    uint32_t sector;
    char bytes[5];
};

struct life {
    struct request requests[6];
    size_t count;
};

/* --- both ways ---- */

static void record(struct history *h, const struct life *life)
{
    for (size_t i = 0; i < life->count; i++) {
        const struct request *r = &life->requests[i];
        if (r->kind == 'w')
            tiny_write_done(h, r->sector, r->bytes);
        else if (r->kind == 'r')
            tiny_resize(h, r->sector);
        else
            tiny_flush_done(h, 0);
    }
}

static void take_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static void submit(struct crash_disk *disk, const struct request *r)
{
    struct blockdev *blk = crash_disk_blk(disk);
    uint8_t buf[KIT_SECTORS * BLK_SECTOR_BYTES];
    struct iovec iov = {buf, strlen(r->bytes) * BLK_SECTOR_BYTES};
    int ret = 0;

    for (size_t i = 0; r->bytes[i]; i++)
        memset(buf + i * BLK_SECTOR_BYTES, r->bytes[i], BLK_SECTOR_BYTES);
    if (r->kind == 'w')
        blk->ops->writev(blk, (uint64_t)r->sector * BLK_SECTOR_BYTES, &iov, 1, take_ret, &ret);
    else if (r->kind == 'r')
        ret = blk->ops->resize(blk, (uint64_t)r->sector * BLK_SECTOR_BYTES);
    else
        blk->ops->flush(blk, take_ret, &ret);
    assert_int_equal(ret, 0);
}

static uint32_t pick(void *opaque, uint32_t n)
{
    struct crash_chooser *c = opaque;
    uint32_t numbers[64];

    assert_true(n <= 64);
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = i;
    return n > 1 ? c->choose(c, CRASH_CHOICE_NESTED, 0, numbers, n) : 0;
}

/* Every image that a failure at any time of this life leaves. */
static void fail_again(struct crash_disk *disk, const struct life *life, struct image_set *set)
{
    struct tiny_dfs dfs;

    tiny_dfs_start(&dfs);
    for (bool first = true; tiny_dfs_next(&dfs, first); first = false) {
        struct image image = {.when = 0};
        crash_disk_rewind(disk, 0);
        crash_disk_log_start(disk);
        for (size_t i = 0; i < life->count; i++)
            submit(disk, &life->requests[i]);
        crash_disk_fail_again(disk, pick(&dfs, crash_disk_log_closed(disk) + 1), pick, &dfs);
        tiny_read(disk, &image);
        image_set_add(set, &image);
    }
    crash_disk_rewind(disk, 0);
    image_set_finish(set);
}

static void all_points(const struct history *h, const struct sim_disk_model *model, struct image_set *set)
{
    struct image_set one = {0};

    for (uint32_t p = 0; p <= h->event_count; p++)
        naive_images(h, model, p, &one);
    for (size_t i = 0; i < one.count; i++) {
        one.items[i].when = 0;
        image_set_add(set, &one.items[i]);
    }
    image_set_free(&one);
    image_set_finish(set);
}

static void compare(struct life life_given, const struct sim_disk_model *model)
{
    struct life *life = &life_given;
    bool fixed = model->size == SIM_SIZE_FIXED;
    uint32_t sectors = fixed ? KIT_SECTORS : rounded(model, 10);
    struct history *recorded = tiny_history(sectors, fixed), *empty = tiny_history(sectors, fixed);
    struct crash_walk *walk = crash_walk_create(empty, model, false);
    struct crash_space *space = crash_walk_next(walk);
    struct crash_disk *disk = crash_disk_create();
    struct image_set again = {0}, naive = {0};

    for (size_t i = 0; i < life->count; i++)
        if (life->requests[i].kind == 'r')
            life->requests[i].sector = rounded(model, life->requests[i].sector);
    record(recorded, life);
    all_points(recorded, model, &naive);
    crash_disk_load(disk, space, NULL);
    fail_again(disk, life, &again);
    if (!image_set_same(&again, &naive, false, "again", "naive")) {
        tiny_print(recorded);
        fail_msg("on %s, a later life leaves other images than the recorded one", model->name);
    }
    image_set_free(&again);
    image_set_free(&naive);
    crash_disk_destroy(disk);
    crash_space_free(space);
    crash_walk_destroy(walk);
    history_destroy(recorded);
    history_destroy(empty);
}

/* --- which lives ---- */

static void on_all_models(const struct life *life)
{
    for (size_t m = 0; m < sim_disk_model_count; m++) {
        bool resizes = false;
        for (size_t i = 0; i < life->count; i++)
            resizes |= life->requests[i].kind == 'r';
        if (!resizes || sim_disk_models[m].size != SIM_SIZE_FIXED)
            compare(*life, &sim_disk_models[m]);
    }
}

static void test_cut_is_pending(void **state)
{
    struct life life = {.requests = {{.kind = 'r', .sector = 8}, {.kind = 'w', .sector = 9, .bytes = "X"}}, .count = 2};

    (void)state;
    on_all_models(&life);
}

static void test_flushed_cut_is_not(void **state)
{
    struct life life = {
        .requests = {{.kind = 'r', .sector = 8}, {.kind = 'f'}, {.kind = 'w', .sector = 9, .bytes = "X"}}, .count = 3};

    (void)state;
    on_all_models(&life);
}

/* Of two whole writes, the earlier may be lost and the later not. */
static void test_writes_over_each_other(void **state)
{
    struct life life = {
        .requests = {{.kind = 'w', .sector = 1, .bytes = "ABC"}, {.kind = 'w', .sector = 2, .bytes = "XY"}},
        .count = 2};

    (void)state;
    on_all_models(&life);
}

static struct life random_life(uint64_t *rng)
{
    struct life life = {.count = 1 + sim_rng_next(rng) % 5};
    char next = 'A';

    for (size_t i = 0; i < life.count; i++) {
        struct request *r = &life.requests[i];
        uint64_t kind = sim_rng_next(rng) % 8;
        r->kind = kind < 5 ? 'w' : kind == 5 ? 'f' : 'r';
        r->sector = (uint32_t)(sim_rng_next(rng) % 13);
        if (r->kind != 'w')
            continue;
        size_t length = 1 + sim_rng_next(rng) % 3;
        for (size_t k = 0; k < length; k++)
            r->bytes[k] = next++;
    }
    return life;
}

static void test_random_lives(void **state)
{
    uint64_t rng = 1;

    (void)state;
    for (int i = 0; i < 400; i++) {
        struct life life = random_life(&rng);
        on_all_models(&life);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_is_pending),
        cmocka_unit_test(test_flushed_cut_is_not),
        cmocka_unit_test(test_writes_over_each_other),
        cmocka_unit_test(test_random_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
