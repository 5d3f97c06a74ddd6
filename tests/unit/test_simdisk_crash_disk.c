/* The disk after the power has failed: it asks only when it must, and remembers what it said. */
#include "tests/unit/test_simdisk_crash_kit.h"

/* Answers from a list; then 0. Keeps what was asked. */
struct scripted {
    struct crash_chooser chooser; /* first */
    const char *answers;          /* digits */
    char asked[64];               /* "u2 l3": kind and number of alternatives */
};

static uint32_t answer(struct crash_chooser *chooser, enum crash_choice kind, size_t index,
                       const uint32_t *alternatives, uint32_t n)
{
    struct scripted *s = (struct scripted *)chooser;
    char *at = s->asked + strlen(s->asked);

    (void)index;
    (void)alternatives;
    snprintf(at, sizeof(s->asked) - (size_t)(at - s->asked), "%s%c%u", at == s->asked ? "" : " ", "ulc"[kind], n);
    return *s->answers ? (uint32_t)(*s->answers++ - '0') : 0;
}

struct fixture {
    struct history *h;
    struct crash_walk *walk;
    struct crash_space *space;
    struct crash_disk *disk;
    struct scripted script;
};

/* The last space of the history. */
static void begin(struct fixture *f, struct history *h, const char *disk, const char *answers)
{
    struct crash_space *next;

    *f = (struct fixture){.h = h, .script = {.chooser = {.choose = answer}, .answers = answers}};
    f->walk = crash_walk_create(h, sim_disk_model_find(disk), false);
    while ((next = crash_walk_next(f->walk))) {
        crash_space_free(f->space);
        f->space = next;
    }
    f->disk = crash_disk_create();
    crash_disk_load(f->disk, f->space, &f->script.chooser);
}

static void end(struct fixture *f)
{
    crash_disk_destroy(f->disk);
    crash_space_free(f->space);
    crash_walk_destroy(f->walk);
    history_destroy(f->h);
}

static void asked(struct fixture *f, const char *expected)
{
    assert_string_equal(f->script.asked, expected);
    f->script.asked[0] = 0;
}

static void take_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static int write_sectors(struct crash_disk *disk, uint32_t sector, const char *bytes)
{
    uint8_t buf[KIT_SECTORS * BLK_SECTOR_BYTES];
    struct blockdev *blk = crash_disk_blk(disk);
    struct iovec iov = {buf, strlen(bytes) * BLK_SECTOR_BYTES};
    int ret = 1;

    for (size_t i = 0; bytes[i]; i++)
        memset(buf + i * BLK_SECTOR_BYTES, bytes[i], BLK_SECTOR_BYTES);
    blk->ops->writev(blk, (uint64_t)sector * BLK_SECTOR_BYTES, &iov, 1, take_ret, &ret);
    return ret;
}

static void reads(struct fixture *f, uint32_t sector, const char *bytes)
{
    for (; *bytes; bytes++, sector++)
        assert_int_equal(tiny_read_sector(f->disk, sector), *bytes == '.' ? 0 : *bytes);
}

/* ---- asking ---- */

static void test_asks_only_for_what_is_read(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 0, "AB");
    tiny_write_done(h, 1, "C");
    begin(&f, h, "ssd", "12");
    reads(&f, 2, "cd");
    asked(&f, "");
    assert_int_equal(crash_disk_unit(f.disk, 0), CRASH_OPEN);
    reads(&f, 0, "A");
    asked(&f, "u2");
    assert_int_equal(crash_disk_unit(f.disk, 0), 1);
    assert_int_equal(crash_disk_when(f.disk), 1);
    reads(&f, 1, "C");
    asked(&f, "u3");
    assert_int_equal(crash_disk_when(f.disk), 3);
    reads(&f, 0, "ACcd"); /* known now */
    assert_int_equal(tiny_length(f.disk, 0), 4);
    asked(&f, "");
    end(&f);
}

static void test_rewind(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;
    size_t mark;

    (void)state;
    tiny_write_done(h, 0, "AB");
    tiny_write_done(h, 6, "X");
    begin(&f, h, "ssd", "1111100");
    reads(&f, 0, "A");
    mark = crash_disk_mark(f.disk);
    reads(&f, 1, "B");
    assert_int_equal(tiny_length(f.disk, 0), 7);
    assert_int_equal(write_sectors(f.disk, 0, "QRSTUVWX"), 0);
    assert_int_equal(tiny_length(f.disk, 0), 8);
    assert_int_equal(crash_disk_writes(f.disk), 1);
    reads(&f, 0, "QRSTUVWX");
    asked(&f, "u2 u2 l2");
    crash_disk_rewind(f.disk, mark);
    assert_int_equal(crash_disk_mark(f.disk), mark);
    reads(&f, 0, "A");
    reads(&f, 2, "cd.");
    asked(&f, "");
    assert_int_equal(crash_disk_unit(f.disk, 1), CRASH_OPEN);
    assert_int_equal(crash_disk_when(f.disk), 1);
    crash_disk_rewind(f.disk, 0);
    assert_int_equal(crash_disk_writes(f.disk), 0);
    assert_int_equal(crash_disk_unit(f.disk, 0), CRASH_OPEN);
    assert_int_equal(crash_disk_when(f.disk), 0);
    f.script.answers = "00";
    assert_int_equal(tiny_length(f.disk, 0), 4);
    reads(&f, 0, "abcd..."); /* the seventh did not persist: nothing to ask */
    asked(&f, "l2 u2 u2");
    end(&f);
}

static void test_one_load_serves_many_states_without_allocating(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;
    uint64_t allocations = 0;

    (void)state;
    tiny_write_done(h, 0, "ABCDEF");
    begin(&f, h, "ssd", "");
    for (unsigned i = 0; i < 50; i++) {
        tiny_length(f.disk, 8);
        reads(&f, 0, "abcd");
        assert_int_equal(write_sectors(f.disk, 3, "XYZ"), 0);
        reads(&f, 3, "XYZ");
        crash_disk_rewind(f.disk, 0);
        if (!i)
            allocations = crash_disk_allocations(f.disk);
    }
    assert_int_equal(crash_disk_allocations(f.disk), allocations);
    end(&f);
}

/* ---- length ---- */

static void test_length_no_finer_than_asked(void **state)
{
    struct history *h = tiny_history(2, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 2, "ABC");
    tiny_write_done(h, 8, "DE");
    begin(&f, h, "ssd", "1000");
    assert_int_equal(tiny_length(f.disk, 8), 8);
    asked(&f, "l2"); /* below 8, or 8 */
    assert_int_equal(tiny_length(f.disk, 8), 8);
    asked(&f, "");
    assert_int_equal(tiny_length(f.disk, 0),
                     9); /* both ends are sectors of one write: they exist from the same point */
    asked(&f, "l2");
    reads(&f, 8, "D."); /* nothing left to ask: one must, one cannot */
    asked(&f, "");
    end(&f);
}

/* The last that could have made the file as long as it is, must. */
static void test_witness(void **state)
{
    struct history *h = tiny_history(2, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 9, "A");
    tiny_write_done(h, 12, "B");
    begin(&f, h, "ssd", "10");
    assert_int_equal(tiny_length(f.disk, 8), 8);
    asked(&f, "l2");
    assert_int_equal(crash_disk_when(f.disk), 1); /* A alone would do */
    reads(&f, 9, ".");
    asked(&f, "u2");
    assert_int_equal(crash_disk_when(f.disk), 3); /* now it must have been B */
    assert_false(crash_disk_allows(f.disk, 1, 0));
    assert_true(crash_disk_allows(f.disk, 1, 1));
    reads(&f, 12, "B");
    assert_int_equal(tiny_length(f.disk, 0), 13);
    asked(&f, "");
    end(&f);
}

/* Known in round numbers, the file still has a tail. */
static void test_tail_of_a_rounded_length(void **state)
{
    struct history *h = tiny_history(8, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 9, "A");
    begin(&f, h, "ssd", "1");
    assert_int_equal(tiny_length(f.disk, 8), 8);
    asked(&f, "");
    reads(&f, 9, "A");
    asked(&f, "u2");
    assert_int_equal(tiny_length(f.disk, 0), 10);
    asked(&f, "");
    end(&f);
}

/* Asked for in round numbers, then the file grew: asked for exactly, it is what it grew to, not what was left. */
static void test_growth_outlasts_a_finer_question(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 6, "X");
    begin(&f, h, "ssd", "1");
    assert_int_equal(tiny_length(f.disk, 8), 0);
    assert_int_equal(write_sectors(f.disk, 8, "YZ"), 0);
    assert_int_equal(tiny_length(f.disk, 8), 8);
    assert_int_equal(tiny_length(f.disk, 0), 10);
    reads(&f, 8, "YZ.");
    crash_disk_rewind(f.disk, 0);
    asked(&f, "l2");
    f.script.answers = "1";
    assert_int_equal(tiny_length(f.disk, 8), 0);
    assert_int_equal(write_sectors(f.disk, 5, "Y"), 0);
    assert_int_equal(tiny_length(f.disk, 0), 7); /* X is longer than Y */
    crash_disk_rewind(f.disk, 0);
    assert_int_equal(tiny_length(f.disk, 8), 0);
    assert_int_equal(write_sectors(f.disk, 5, "Y"), 0);
    assert_int_equal(tiny_length(f.disk, 0), 6);
    end(&f);
}

static void test_own_length_hides(void **state)
{
    struct history *h = tiny_history(2, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 1, "ABC");
    begin(&f, h, "own-length", "01");
    reads(&f, 3, "."); /* beyond the durable length: how long is the file? */
    asked(&f, "l2");
    assert_int_equal(tiny_length(f.disk, 0), 2);
    assert_int_equal(crash_disk_length_choice(f.disk), 0);
    reads(&f, 0, "aA..");
    asked(&f, "u2");
    assert_int_equal(write_sectors(f.disk, 5, "Z"), 0);
    reads(&f, 0, "aA...Z"); /* what was lost stays lost when the file grows again */
    asked(&f, "");
    end(&f);
}

/* A cut of its own length may hide what was durable: the length comes first. */
static void test_own_length_cut(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;

    (void)state;
    tiny_resize(h, 2);
    begin(&f, h, "own-length", "1");
    assert_int_equal(f.space->lengths[0].bytes, 4 * BLK_SECTOR_BYTES); /* [0] is the durable one */
    assert_int_equal(f.space->length_count, 2);
    reads(&f, 0, "ab");
    asked(&f, "");
    reads(&f, 3, ".");
    asked(&f, "l2");
    assert_int_equal(tiny_length(f.disk, 0), 2);
    end(&f);
}

static void test_fixed_size(void **state)
{
    struct history *h = tiny_history(4, true);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 3, "A");
    begin(&f, h, "hostdev", "1");
    assert_int_equal(tiny_length(f.disk, 0), 4);
    asked(&f, "");
    assert_null(crash_disk_blk(f.disk)->ops->resize);
    assert_int_equal(write_sectors(f.disk, 3, "XY"), -28); /* ENOSPC */
    assert_int_equal(write_sectors(f.disk, 3, "X"), 0);
    reads(&f, 0, "abcX.");
    end(&f);
}

/* ---- atoms ---- */

static void test_atoms(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 0, "ABC");
    tiny_write_done(h, 1, "X");
    begin(&f, h, "atomic-writes", "1");
    reads(&f, 1, "B"); /* so the first write persisted, the second did not */
    asked(&f, "u3");
    assert_true(crash_disk_atom_in(f.disk, 0));
    assert_false(crash_disk_atom_in(f.disk, 1));
    reads(&f, 0, "ABCd");
    asked(&f, "");
    end(&f);
}

static void test_later_atom_leaves_earlier_open(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 0, "AB");
    tiny_write_done(h, 1, "X");
    begin(&f, h, "atomic-writes", "20");
    reads(&f, 1, "X");
    reads(&f, 0, "a");
    asked(&f, "u3 u2");
    end(&f);
}

/* ---- writing ---- */

static void test_overwritten_unread(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 1, "A");
    begin(&f, h, "ssd", "1");
    assert_int_equal(write_sectors(f.disk, 1, "Z"), 0);
    reads(&f, 0, "aZcd");
    asked(&f, ""); /* nobody will ever know */
    assert_int_equal(crash_disk_unit(f.disk, 0), CRASH_OPEN);
    crash_disk_rewind(f.disk, 0);
    reads(&f, 1, "A");
    asked(&f, "u2");
    end(&f);
}

static void test_writing_part_of_a_block_asks(void **state)
{
    struct history *h = tiny_history(8, false);
    struct fixture f;

    (void)state;
    tiny_write_done(h, 1, "A");
    begin(&f, h, "atom-4k", "1");
    assert_int_equal(write_sectors(f.disk, 2, "Z"), 0);
    asked(&f, "u2");
    reads(&f, 0, "aAZdefgh");
    asked(&f, "");
    end(&f);
}

static void test_resize(void **state)
{
    struct history *h = tiny_history(4, false);
    struct fixture f;
    struct blockdev *blk;

    (void)state;
    tiny_write_done(h, 5, "A");
    begin(&f, h, "ssd", "1");
    blk = crash_disk_blk(f.disk);
    assert_int_equal(blk->ops->resize(blk, 2 * BLK_SECTOR_BYTES), 0);
    asked(&f, "l2");
    assert_int_equal(tiny_length(f.disk, 0), 2);
    assert_int_equal(blk->ops->resize(blk, 6 * BLK_SECTOR_BYTES), 0);
    assert_int_equal(tiny_length(f.disk, 0), 6);
    reads(&f, 0, "ab....");
    crash_disk_rewind(f.disk, 0);
    f.script.answers = "";
    assert_int_equal(tiny_length(f.disk, 0), 4);
    reads(&f, 0, "abcd..");
    end(&f);
}

static void test_next_data(void **state)
{
    struct history *h = tiny_history(1, false);
    struct fixture f;
    struct blockdev *blk;

    (void)state;
    tiny_write_done(h, 10, "A.");
    tiny_write_done(h, 13, ".");
    begin(&f, h, "ssd", "3");
    blk = crash_disk_blk(f.disk);
    assert_int_equal(blk->ops->next_data(blk, 0, 8192), 0);
    assert_int_equal(blk->ops->next_data(blk, 4096, 8192), 10 * 512); /* open: may hold data */
    assert_int_equal(blk->ops->next_data(blk, 11 * 512, 8192), 8192); /* zeros in every version */
    assert_int_equal(blk->ops->next_data(blk, 100 * 4096, 101 * 4096), 101 * 4096);
    asked(&f, "");
    f.script.answers = "0";
    reads(&f, 10, ".");
    assert_int_equal(blk->ops->next_data(blk, 4096, 8192), 8192);
    assert_int_equal(write_sectors(f.disk, 12, "Z"), 0);
    assert_int_equal(blk->ops->next_data(blk, 4096, 8192), 12 * 512);
    end(&f);
}

/* ---- settling ---- */

/* Whatever was read: a settled disk is a state of the space that shows the same, and none such is earlier. */
static void settles(struct history *h, const char *disk)
{
    const struct sim_disk_model *m = sim_disk_model_find(disk);
    struct crash_walk *walk = crash_walk_create(h, m, false);
    struct crash_disk *d = crash_disk_create(), *plain = crash_disk_create();
    struct crash_space *space;

    for (; (space = crash_walk_next(walk)); crash_space_free(space)) {
        struct tiny_dfs dfs;

        tiny_dfs_start(&dfs);
        crash_disk_load(d, space, &dfs.chooser);
        crash_disk_load(plain, space, NULL);
        for (bool first = true; tiny_dfs_next(&dfs, first); first = false) {
            struct crash_state st;
            struct image image;
            uint32_t length, when;
            uint8_t a, b;

            crash_disk_rewind(d, 0);
            length = tiny_length(d, 8);
            a = tiny_read_sector(d, 9);
            b = tiny_read_sector(d, 1);
            when = crash_disk_when(d);
            crash_disk_settle(d);
            crash_state_init(&st, space);
            crash_state_from_disk(&st, space, d);
            assert_int_equal(crash_state_when(space, &st), when);
            crash_disk_rewind(plain, 0);
            crash_state_apply(space, &st, plain);
            tiny_read(plain, &image);
            assert_int_equal(image.length / 8 * 8, length);
            assert_int_equal(image.sector[9], a);
            assert_int_equal(image.sector[1], b);
            crash_state_free(&st);
        }
    }
    crash_disk_destroy(d);
    crash_disk_destroy(plain);
    crash_walk_destroy(walk);
}

static void test_settle(void **state)
{
    (void)state;
    for (size_t m = 0; m < sim_disk_model_count; m++) {
        bool fixed = sim_disk_models[m].size == SIM_SIZE_FIXED;
        struct history *h = tiny_history(fixed ? KIT_SECTORS : 6, fixed);

        tiny_write(h, BLK_EVENT_NONE, 5, "ABC");
        tiny_write_done(h, 0, "XYZ");
        tiny_write_done(h, 9, "DEF");
        tiny_write_done(h, 1, "GH");
        tiny_flush_done(h, -5);
        tiny_write(h, BLK_EVENT_NONE, 8, "IJ");
        settles(h, sim_disk_models[m].name);
        history_destroy(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asks_only_for_what_is_read),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_one_load_serves_many_states_without_allocating),
        cmocka_unit_test(test_length_no_finer_than_asked),
        cmocka_unit_test(test_witness),
        cmocka_unit_test(test_tail_of_a_rounded_length),
        cmocka_unit_test(test_growth_outlasts_a_finer_question),
        cmocka_unit_test(test_own_length_hides),
        cmocka_unit_test(test_own_length_cut),
        cmocka_unit_test(test_fixed_size),
        cmocka_unit_test(test_atoms),
        cmocka_unit_test(test_later_atom_leaves_earlier_open),
        cmocka_unit_test(test_overwritten_unread),
        cmocka_unit_test(test_writing_part_of_a_block_asks),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_next_data),
        cmocka_unit_test(test_settle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
