/* Does the promise allow what the guest was promised, refuse the rest, and say what is wrong with it? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oracle/promise.h"

enum { IMAGE_SECTORS = 64, BACKING_SECTORS = 32, END = 1000 };

static struct promise *create(uint64_t backing_sectors)
{
    struct promise *p = promise_create(IMAGE_SECTORS * TAG_SECTOR_BYTES);

    promise_backing(p, backing_sectors, false);
    return p;
}

static const uint8_t *sector_of(enum tag_kind kind, uint64_t sector, uint32_t write_id)
{
    static uint8_t bytes[TAG_SECTOR_BYTES];

    tag_fill(bytes, &(struct tag){.kind = kind, .sector = sector, .write_id = write_id});
    return bytes;
}

static const uint8_t *zero(void)
{
    return sector_of(TAG_ZERO, 0, 0);
}

static const uint8_t *backing(uint64_t sector)
{
    return sector_of(TAG_BACKING, sector, 0);
}

static const uint8_t *guest(uint64_t sector, uint32_t write_id)
{
    return sector_of(TAG_GUEST, sector, write_id);
}

static uint32_t begin(struct promise *p, uint64_t when, enum promise_op op, uint64_t sector, uint32_t write_id)
{
    return promise_begin(p, when, op, sector, 1, write_id, 0);
}

/* A write that begins and ends. */
static void op(struct promise *p, uint64_t from, uint64_t to, enum promise_op kind, uint64_t sector, uint32_t write_id)
{
    promise_end(p, to, begin(p, from, kind, sector, write_id), true);
}

static void flush(struct promise *p, uint64_t from, uint64_t to, bool ok)
{
    promise_flush_end(p, to, promise_flush_begin(p, from), ok);
}

static void assert_judged(const struct promise *p, uint64_t when, uint64_t sector, const uint8_t *bytes,
                          enum verdict_class class, const char *expected, const char *found)
{
    struct promise_explanation why = {.expected = "untouched", .found = "untouched"};

    assert_string_equal(verdict_class_name(promise_judge(p, when, sector, bytes, &why)), verdict_class_name(class));
    assert_int_equal(promise_judge(p, when, sector, bytes, NULL), class);
    assert_string_equal(why.expected, expected);
    assert_string_equal(why.found, found);
}

static void assert_ok(const struct promise *p, uint64_t when, uint64_t sector, const uint8_t *bytes)
{
    assert_judged(p, when, sector, bytes, VERDICT_OK, "untouched", "untouched");
}

/* What does a sector hold that nobody touched? */
static void test_untouched(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    assert_ok(p, 0, 12, backing(12));
    assert_ok(p, 0, BACKING_SECTORS, zero());
    assert_ok(p, UINT64_MAX, UINT64_MAX, zero());
    assert_judged(p, 0, 12, zero(), VERDICT_LOST_COW, "backing 12", "zero");
    assert_judged(p, 0, 12, backing(13), VERDICT_DISCLOSURE, "backing 12", "backing 13");
    assert_judged(p, 0, 40, backing(40), VERDICT_LOST_COW, "zero", "backing 40");
    promise_destroy(p);

    p = promise_create(IMAGE_SECTORS * TAG_SECTOR_BYTES);
    promise_backing(p, BACKING_SECTORS, true);
    assert_ok(p, 0, 12, zero());
    promise_destroy(p);
    promise_destroy(NULL);
}

/* From when on may a write be seen, and from when on must it? */
static void test_write_and_flush(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 3, 5, PROMISE_WRITE, 12, 1);
    flush(p, 6, 8, true);
    assert_judged(p, 2, 12, guest(12, 1), VERDICT_DISCLOSURE, "backing 12", "guest write 1 (not begun yet)");
    for (uint64_t when = 3; when < 8; when++) {
        assert_ok(p, when, 12, guest(12, 1));
        assert_ok(p, when, 12, backing(12));
        assert_judged(p, when, 12, zero(), VERDICT_LOST_COW, "backing 12 or guest write 1", "zero");
    }
    assert_ok(p, 8, 12, guest(12, 1));
    assert_ok(p, UINT64_MAX, 12, guest(12, 1));
    assert_judged(p, 8, 12, backing(12), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "backing 12");
    assert_judged(p, 8, 12, zero(), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "zero");
    assert_judged(p, 8, 12, guest(12, 7), VERDICT_DISCLOSURE, "guest write 1 (flushed)",
                  "guest write 7 (no such write here)");
    assert_ok(p, 8, 11, backing(11));
    assert_ok(p, 8, 13, backing(13));
    promise_destroy(p);
}

/* Does a flush leave alone what completed only after it was submitted, even at the same position? */
static void test_flush_covers_only_completed(void **state)
{
    struct promise *p = create(0);

    (void)state;
    uint32_t w = begin(p, 0, PROMISE_WRITE, 1, 1);
    uint32_t f = promise_flush_begin(p, 2);
    promise_end(p, 2, w, true);
    promise_flush_end(p, 4, f, true);
    assert_ok(p, END, 1, zero());
    flush(p, 4, 4, true);
    assert_judged(p, END, 1, zero(), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "zero");
    assert_judged(p, 4, 1, zero(), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "zero");
    promise_destroy(p);
}

/* A failed flush promises nothing; a failed write may have happened or not, and hides nothing. */
static void test_failures(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 0, 1, PROMISE_WRITE, 1, 1);
    flush(p, 1, 2, false);
    assert_ok(p, END, 1, backing(1));
    promise_end(p, 4, begin(p, 3, PROMISE_WRITE, 2, 2), false);
    flush(p, 4, 5, true);
    assert_ok(p, END, 2, backing(2));
    assert_ok(p, END, 2, guest(2, 2));
    /* A later write that is flushed ends the doubt. */
    op(p, 6, 7, PROMISE_WRITE, 2, 3);
    flush(p, 7, 8, true);
    assert_judged(p, END, 2, guest(2, 2), VERDICT_LOST_FLUSHED, "guest write 3 (flushed)", "guest write 2");
    promise_destroy(p);
}

/* Of two writes, when is the older one gone for good? */
static void test_overwrite(void **state)
{
    struct promise *p = create(0);

    (void)state;
    op(p, 0, 1, PROMISE_WRITE, 1, 1);
    flush(p, 1, 2, true);
    op(p, 3, 4, PROMISE_WRITE, 1, 2);
    assert_ok(p, 4, 1, guest(1, 1));
    assert_judged(p, 4, 1, zero(), VERDICT_LOST_FLUSHED, "guest write 1 (flushed) or guest write 2", "zero");
    flush(p, 5, 6, true);
    assert_judged(p, 6, 1, guest(1, 1), VERDICT_LOST_FLUSHED, "guest write 2 (flushed)", "guest write 1");
    assert_ok(p, 5, 1, guest(1, 1));
    promise_destroy(p);
}

/* Writes in flight together: may either be last, even if one is flushed? */
static void test_overlap(void **state)
{
    struct promise *p = create(0);

    (void)state;
    uint32_t a = begin(p, 0, PROMISE_WRITE, 1, 1);
    uint32_t b = begin(p, 1, PROMISE_WRITE, 1, 2);
    promise_end(p, 2, a, true);
    flush(p, 3, 4, true);
    assert_ok(p, 4, 1, guest(1, 1));
    assert_ok(p, 4, 1, guest(1, 2));
    assert_judged(p, 4, 1, zero(), VERDICT_LOST_FLUSHED, "guest write 1 (flushed) or guest write 2", "zero");
    promise_end(p, 5, b, true);
    flush(p, 6, 7, true);
    assert_ok(p, 7, 1, guest(1, 1));
    promise_destroy(p);
}

/* Requests that do no I/O begin and end at one position: does the order of the calls count there? */
static void test_one_position(void **state)
{
    struct promise *p = create(0);

    (void)state;
    op(p, 5, 5, PROMISE_WRITE, 1, 1);
    op(p, 5, 5, PROMISE_WRITE, 1, 2);
    flush(p, 5, 5, true);
    assert_ok(p, 5, 1, guest(1, 2));
    assert_judged(p, 5, 1, guest(1, 1), VERDICT_LOST_FLUSHED, "guest write 2 (flushed)", "guest write 1");
    promise_destroy(p);
}

/* Zeroes are a write; a discard is zeros or what was. */
static void test_zero_and_discard(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 0, 1, PROMISE_ZERO, 1, 0);
    assert_ok(p, 1, 1, zero());
    assert_ok(p, 1, 1, backing(1));
    flush(p, 1, 2, true);
    assert_judged(p, 2, 1, backing(1), VERDICT_LOST_FLUSHED, "zero (flushed)", "backing 1");

    op(p, 3, 4, PROMISE_WRITE, 2, 1);
    flush(p, 4, 5, true);
    op(p, 6, 7, PROMISE_DISCARD, 2, 0);
    flush(p, 7, 8, true);
    assert_ok(p, 8, 2, guest(2, 1));
    assert_ok(p, 8, 2, zero());
    assert_judged(p, 5, 2, zero(), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "zero");
    assert_judged(p, 8, 2, backing(2), VERDICT_LOST_FLUSHED, "guest write 1 (flushed) or zero", "backing 2");
    op(p, 9, 10, PROMISE_WRITE, 2, 2);
    flush(p, 10, 11, true);
    assert_judged(p, 11, 2, zero(), VERDICT_LOST_FLUSHED, "guest write 2 (flushed)", "zero");

    op(p, 12, 13, PROMISE_DISCARD, 3, 0);
    flush(p, 13, 14, true);
    assert_ok(p, 14, 3, zero());
    assert_ok(p, 14, 3, backing(3));
    op(p, 15, 16, PROMISE_DISCARD, 3, 0);
    assert_judged(p, 16, 3, guest(4, 1), VERDICT_DISCLOSURE, "backing 3 or zero", "guest write 1 of sector 4");
    promise_destroy(p);
}

/* Whose bytes are they? Every other place is a disclosure. */
static void test_disclosure(void **state)
{
    struct promise *p = create(BACKING_SECTORS);
    uint8_t garbage[TAG_SECTOR_BYTES];

    (void)state;
    memset(garbage, 0x81, sizeof(garbage));
    op(p, 0, 1, PROMISE_WRITE, 40, 5);
    assert_judged(p, 1, 12, guest(40, 5), VERDICT_DISCLOSURE, "backing 12", "guest write 5 of sector 40");
    assert_judged(p, 1, 12, sector_of(TAG_STALE, 88, 0), VERDICT_DISCLOSURE, "backing 12", "stale image sector 88");
    assert_judged(p, 1, 12, sector_of(TAG_STALE, 12, 0), VERDICT_DISCLOSURE, "backing 12", "stale image sector 12");
    assert_judged(p, 1, 12, garbage, VERDICT_DISCLOSURE, "backing 12", "foreign bytes");
    /* The right write id of another life is another write. */
    uint8_t other_life[TAG_SECTOR_BYTES];
    tag_fill(other_life, &(struct tag){.kind = TAG_GUEST, .sector = 40, .write_id = 5, .generation = 2});
    assert_judged(p, 1, 40, other_life, VERDICT_DISCLOSURE, "zero or guest write 5",
                  "guest write 5 (no such write here)");
    promise_destroy(p);
}

static const uint8_t *mix_of(const struct tag *head, const struct tag *tail)
{
    static uint8_t mix[TAG_SECTOR_BYTES];
    uint8_t bytes[TAG_SECTOR_BYTES];

    tag_fill(mix, head);
    tag_fill(bytes, tail);
    memcpy(mix + 128, bytes + 128, sizeof(mix) - 128);
    return mix;
}

/* Is a mix of own contents torn, and a mix with anybody else's a disclosure? */
static void test_torn(void **state)
{
    static const struct tag none = {.kind = TAG_ZERO}, base = {.kind = TAG_BACKING, .sector = 12};
    static const struct tag own = {.kind = TAG_GUEST, .sector = 12, .write_id = 1};
    static const struct tag other = {.kind = TAG_GUEST, .sector = 13, .write_id = 1};
    static const struct tag stale = {.kind = TAG_STALE, .sector = 5};
    static const char expected[] = "backing 12 or guest write 1";
    struct promise *p = create(BACKING_SECTORS);
    uint8_t mix[TAG_SECTOR_BYTES];

    (void)state;
    promise_begin(p, 0, PROMISE_WRITE, 12, 2, 1, 0);
    assert_judged(p, 1, 12, mix_of(&own, &base), VERDICT_TORN, expected, "mix of guest write 1 and backing 12");
    assert_judged(p, 1, 12, mix_of(&base, &own), VERDICT_TORN, expected, "mix of backing 12 and guest write 1");
    assert_judged(p, 1, 12, mix_of(&own, &none), VERDICT_TORN, expected, "mix of guest write 1 and zero");
    assert_judged(p, 1, 12, mix_of(&none, &own), VERDICT_TORN, expected, "mix of zero and guest write 1");
    assert_judged(p, 1, 12, mix_of(&own, &other), VERDICT_DISCLOSURE, expected,
                  "mix of guest write 1 and guest write 1 of sector 13");
    assert_judged(p, 1, 12, mix_of(&stale, &own), VERDICT_DISCLOSURE, expected,
                  "mix of stale image sector 5 and guest write 1");
    memcpy(mix, mix_of(&own, &own), sizeof(mix));
    mix[511] ^= 1;
    assert_judged(p, 1, 12, mix, VERDICT_DISCLOSURE, expected, "mix of guest write 1 and foreign bytes");
    for (unsigned cell = 0; cell < TAG_CELLS; cell++)
        memcpy(mix + cell * TAG_CELL_BYTES, guest(12, 1), TAG_CELL_BYTES);
    assert_judged(p, 1, 12, mix, VERDICT_TORN, expected, "mix of guest write 1 and itself, shifted");
    promise_destroy(p);
}

/* Is the sentence cut at a word when too much is allowed, and is the verdict still right? */
static void test_many_alternatives(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 0, 0, PROMISE_WRITE, 12, 1);
    flush(p, 0, 0, true);
    for (uint32_t id = 2; id <= 30; id++)
        op(p, id, id, PROMISE_WRITE, 12, id * 1000000);
    for (uint32_t id = 2; id <= 30; id++)
        assert_ok(p, END, 12, guest(12, id * 1000000));
    assert_ok(p, END, 12, guest(12, 1));
    assert_judged(p, END, 12, zero(), VERDICT_LOST_FLUSHED,
                  "guest write 15000000 or guest write 16000000 or guest write 17000000 ...", "zero");
    assert_judged(p, 3, 12, zero(), VERDICT_LOST_FLUSHED,
                  "guest write 1 (flushed) or guest write 2000000 or guest write 3000000", "zero");
    promise_destroy(p);
}

/* May the image have only sizes that were set, and does a flush settle them? */
static void test_resize(void **state)
{
    struct promise *p = create(IMAGE_SECTORS * 4); /* the backing file is longer than the image */
    const uint64_t small = IMAGE_SECTORS * TAG_SECTOR_BYTES;

    (void)state;
    uint32_t r = promise_resize_begin(p, 3, small * 2);
    promise_resize_end(p, 4, r, true);
    assert_true(promise_size_allowed(p, 2, small));
    assert_false(promise_size_allowed(p, 2, small * 2));
    assert_true(promise_size_allowed(p, 3, small));
    assert_true(promise_size_allowed(p, 3, small * 2));
    assert_false(promise_size_allowed(p, 3, small + TAG_SECTOR_BYTES));
    flush(p, 5, 6, true);
    assert_false(promise_size_allowed(p, 6, small));
    assert_true(promise_size_allowed(p, 6, small * 2));
    promise_resize_end(p, 8, promise_resize_begin(p, 7, small * 3), false);
    flush(p, 9, 10, true);
    assert_true(promise_size_allowed(p, 10, small * 2));
    assert_true(promise_size_allowed(p, 10, small * 3));
    /* What growing adds reads zeros, whatever the backing file has there. */
    assert_ok(p, 6, IMAGE_SECTORS - 1, backing(IMAGE_SECTORS - 1));
    assert_ok(p, 6, IMAGE_SECTORS, zero());
    assert_judged(p, 6, IMAGE_SECTORS, backing(IMAGE_SECTORS), VERDICT_LOST_COW, "zero", "backing 64");
    promise_destroy(p);
}

/* After the backing file is taken away, what do sectors read that nobody wrote? */
static void test_rebase(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 0, 1, PROMISE_WRITE, 2, 1);
    promise_end(p, 1, begin(p, 1, PROMISE_WRITE, 3, 2), false);
    uint32_t r = promise_rebase_begin(p, 4);
    assert_judged(p, 3, 1, zero(), VERDICT_LOST_COW, "backing 1", "zero");
    assert_ok(p, 4, 1, zero());
    assert_ok(p, 4, 1, backing(1));
    assert_judged(p, 4, 1, backing(2), VERDICT_DISCLOSURE, "backing 1 or zero", "backing 2");
    promise_end(p, 5, r, true);
    flush(p, 6, 7, true);
    assert_ok(p, 7, 1, zero());
    assert_judged(p, 7, 1, backing(1), VERDICT_LOST_COW, "zero", "backing 1");
    assert_judged(p, 7, 2, zero(), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "zero");
    /* The failed write may have happened; the backing bytes are gone either way. */
    assert_ok(p, 7, 3, zero());
    assert_ok(p, 7, 3, guest(3, 2));
    assert_judged(p, 7, 3, backing(3), VERDICT_LOST_COW, "zero or guest write 2", "backing 3");
    assert_ok(p, 7, 50, zero());
    assert_false(promise_written(p, 1));
    promise_destroy(p);
}

/* What may a read return while the machine runs? */
static void test_live(void **state)
{
    struct promise *p = create(BACKING_SECTORS);
    struct promise_explanation why;

    (void)state;
    uint32_t w = begin(p, 3, PROMISE_WRITE, 1, 1);
    promise_end(p, 6, w, true);
    assert_int_equal(promise_judge_live(p, 0, 2, 1, backing(1), NULL), VERDICT_OK);
    assert_int_equal(promise_judge_live(p, 0, 2, 1, guest(1, 1), &why), VERDICT_WRONG_READ);
    assert_string_equal(why.found, "guest write 1 (not begun yet)");
    assert_int_equal(promise_judge_live(p, 0, 3, 1, guest(1, 1), NULL), VERDICT_OK);
    assert_int_equal(promise_judge_live(p, 5, 9, 1, backing(1), NULL), VERDICT_OK);
    assert_int_equal(promise_judge_live(p, 6, 9, 1, backing(1), &why), VERDICT_WRONG_READ);
    assert_string_equal(why.expected, "guest write 1");
    assert_string_equal(why.found, "backing 1");
    assert_int_equal(promise_judge_live(p, 6, UINT64_MAX, 1, guest(1, 1), NULL), VERDICT_OK);
    /* A failed write leaves both, a discard zeros or what was. */
    promise_end(p, 11, begin(p, 10, PROMISE_WRITE, 1, 2), false);
    assert_int_equal(promise_judge_live(p, 12, 12, 1, guest(1, 1), NULL), VERDICT_OK);
    assert_int_equal(promise_judge_live(p, 12, 12, 1, guest(1, 2), NULL), VERDICT_OK);
    assert_int_equal(promise_judge_live(p, 12, 12, 1, zero(), NULL), VERDICT_WRONG_READ);
    op(p, 13, 14, PROMISE_DISCARD, 1, 0);
    assert_int_equal(promise_judge_live(p, 14, 15, 1, zero(), NULL), VERDICT_OK);
    assert_int_equal(promise_judge_live(p, 14, 15, 1, guest(1, 1), NULL), VERDICT_OK);
    promise_end(p, 16, promise_rebase_begin(p, 16), true);
    assert_int_equal(promise_judge_live(p, 16, 17, 5, zero(), NULL), VERDICT_OK);
    assert_int_equal(promise_judge_live(p, 16, 17, 5, backing(5), NULL), VERDICT_WRONG_READ);
    assert_int_equal(promise_judge_live(p, 15, 17, 5, backing(5), NULL), VERDICT_OK);
    promise_destroy(p);
}

static void assert_touched(const struct promise *p, uint64_t unit, size_t count, const struct promise_range *expected)
{
    struct promise_range *ranges;

    assert_int_equal(promise_touched(p, unit, &ranges), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ranges[i].first_sector, expected[i].first_sector);
        assert_int_equal(ranges[i].count, expected[i].count);
    }
    free(ranges);
}

/* Which clusters must be looked at? */
static void test_touched(void **state)
{
    struct promise *p = create(0);

    (void)state;
    assert_touched(p, 8, 0, NULL);
    promise_begin(p, 0, PROMISE_WRITE, 20, 0, 1, 0); /* nothing */
    assert_touched(p, 8, 0, NULL);
    promise_begin(p, 0, PROMISE_WRITE, 9, 1, 1, 0);
    promise_begin(p, 1, PROMISE_DISCARD, 14, 2, 0, 0);
    promise_begin(p, 2, PROMISE_ZERO, 40, 9, 0, 0);
    promise_begin(p, 3, PROMISE_WRITE, 15, 1, 2, 0);
    promise_rebase_begin(p, 3);
    assert_touched(p, 8, 2, (struct promise_range[]){{8, 8}, {40, 16}});
    assert_touched(p, 1, 3, (struct promise_range[]){{9, 1}, {14, 2}, {40, 9}});
    /* Up to the largest size, and the last unit may be cut. */
    promise_begin(p, 4, PROMISE_WRITE, 60, 100, 3, 0);
    assert_touched(p, 8, 2, (struct promise_range[]){{8, 8}, {40, 24}});
    assert_touched(p, 128, 1, (struct promise_range[]){{0, 64}});
    promise_resize_begin(p, 5, 70 * TAG_SECTOR_BYTES);
    promise_resize_begin(p, 5, 66 * TAG_SECTOR_BYTES);
    assert_touched(p, 8, 2, (struct promise_range[]){{8, 8}, {40, 30}});
    assert_true(promise_written(p, 9));
    assert_true(promise_written(p, 14));
    assert_false(promise_written(p, 10));
    assert_false(promise_written(p, 20));
    promise_destroy(p);
}

/* Does a terabyte-sized request cost no more than a small one, and hit its edges exactly? */
static void test_huge(void **state)
{
    const uint64_t huge = UINT64_C(64) << 40;
    struct promise *p = promise_create(huge);

    (void)state;
    promise_backing(p, UINT64_MAX, false);
    promise_end(p, 1, promise_begin(p, 0, PROMISE_ZERO, 1, huge / TAG_SECTOR_BYTES - 2, 0, 0), true);
    flush(p, 1, 2, true);
    assert_ok(p, 2, 0, backing(0));
    assert_ok(p, 2, 1, zero());
    assert_ok(p, 2, huge / 1024, zero());
    assert_ok(p, 2, huge / TAG_SECTOR_BYTES - 2, zero());
    assert_ok(p, 2, huge / TAG_SECTOR_BYTES - 1, backing(huge / TAG_SECTOR_BYTES - 1));
    assert_judged(p, 2, 1, backing(1), VERDICT_LOST_FLUSHED, "zero (flushed)", "backing 1");
    promise_destroy(p);
}

/* Does a copy live its own life, and does resetting bring back the original? */
static void test_copies(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    struct promise *empty = promise_clone(p);
    op(p, 0, 1, PROMISE_WRITE, 12, 1);
    struct promise *copy = promise_clone(p);
    flush(copy, 2, 3, true);
    for (uint32_t i = 0; i < 100; i++)
        op(copy, 3, 3, PROMISE_WRITE, i, 2 + i);
    assert_ok(p, END, 12, backing(12));
    assert_judged(copy, END, 12, backing(12), VERDICT_LOST_FLUSHED, "guest write 1 (flushed) or guest write 14",
                  "backing 12");
    promise_reset_to(copy, p);
    assert_ok(copy, END, 12, backing(12));
    assert_ok(copy, END, 12, guest(12, 1));
    assert_false(promise_written(copy, 13));
    promise_reset_to(p, empty);
    assert_false(promise_written(p, 12));
    promise_reset_to(p, copy);
    assert_true(promise_written(p, 12));
    promise_destroy(empty);
    promise_destroy(copy);
    promise_destroy(p);
}

/* A flush fails, and the session ends: is what was not firm then open for ever, whatever a later session flushes? */
static void test_given_up(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 0, 1, PROMISE_WRITE, 1, 1);
    flush(p, 1, 2, true);
    op(p, 3, 4, PROMISE_WRITE, 2, 2);
    flush(p, 5, 6, false);
    op(p, 7, 8, PROMISE_WRITE, 3, 3); /* stands on what the failed flush left open */
    promise_resize_end(p, 9, promise_resize_begin(p, 8, 2 * IMAGE_SECTORS * TAG_SECTOR_BYTES), true);
    promise_session_end(p, 10);
    flush(p, 11, 12, true);
    assert_judged(p, END, 1, backing(1), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "backing 1");
    for (uint32_t i = 2; i <= 3; i++) {
        assert_ok(p, END, i, backing(i));
        assert_ok(p, END, i, guest(i, i));
        assert_int_equal(promise_judge_live(p, 13, 14, i, backing(i), NULL), VERDICT_WRONG_READ); /* still there */
    }
    assert_true(promise_size_allowed(p, END, IMAGE_SECTORS * TAG_SECTOR_BYTES));
    assert_true(promise_size_allowed(p, END, 2 * IMAGE_SECTORS * TAG_SECTOR_BYTES));

    /* Written in the new session, it is promised again; the end of a session in which no flush failed gives up nothing. */
    op(p, 13, 13, PROMISE_WRITE, 2, 4);
    op(p, 14, 14, PROMISE_WRITE, 4, 5);
    promise_session_end(p, 15);
    flush(p, 16, 17, true);
    assert_judged(p, END, 2, guest(2, 2), VERDICT_LOST_FLUSHED, "guest write 4 (flushed)", "guest write 2");
    assert_judged(p, END, 4, backing(4), VERDICT_LOST_FLUSHED, "guest write 5 (flushed)", "backing 4");
    assert_ok(p, END, 3, backing(3));
    promise_destroy(p);
}

/* Within the session, does a flush that succeeds after one that failed promise everything, and for good? */
static void test_flushed_again(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 0, 1, PROMISE_WRITE, 1, 1);
    uint32_t across = begin(p, 1, PROMISE_WRITE, 2, 2);
    uint32_t beside = promise_flush_begin(p, 1);
    flush(p, 1, 2, false);
    promise_flush_end(p, 3, beside, true); /* it was submitted before the failure: it vouches for write 1 only */
    uint32_t since = begin(p, 4, PROMISE_WRITE, 3, 3);
    flush(p, 4, 5, true);
    promise_end(p, 6, across, true);
    promise_end(p, 6, since, true);
    promise_session_end(p, 7);
    flush(p, 8, 9, true);
    assert_judged(p, END, 1, backing(1), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "backing 1");
    assert_ok(p, END, 2, backing(2));
    assert_judged(p, END, 3, backing(3), VERDICT_LOST_FLUSHED, "guest write 3 (flushed)", "backing 3");
    promise_destroy(p);

    p = create(BACKING_SECTORS);
    beside = promise_flush_begin(p, 0);
    op(p, 0, 1, PROMISE_WRITE, 1, 1);
    flush(p, 2, 3, false);
    promise_flush_end(p, 4, beside, true); /* vouches for nothing */
    promise_session_end(p, 5);
    flush(p, 6, 7, true);
    assert_ok(p, END, 1, backing(1));
    promise_destroy(p);
}

/* Is a request that a flush made fail as good as a flush that failed; and does a power failure end a session too? */
static void test_told_of_failed_flush(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 0, 1, PROMISE_WRITE, 1, 1);
    uint32_t fails = begin(p, 2, PROMISE_WRITE, 2, 2);
    promise_flush_failed(p, 3);
    promise_end(p, 3, fails, false);
    promise_session_end(p, 4);
    flush(p, 5, 6, true);
    assert_ok(p, END, 1, backing(1));
    assert_ok(p, END, 1, guest(1, 1));

    flush(p, 7, 8, false);
    promise_cut(p, 9);
    op(p, 10, 11, PROMISE_WRITE, 3, 3);
    promise_session_end(p, 12);
    flush(p, 13, 14, true);
    assert_judged(p, END, 3, backing(3), VERDICT_LOST_FLUSHED, "guest write 3 (flushed)", "backing 3");
    promise_destroy(p);
}

/* After the power failed: is what was not firm never promised again, and what was still? */
static void test_cut(void **state)
{
    struct promise *p = create(BACKING_SECTORS);

    (void)state;
    op(p, 0, 1, PROMISE_WRITE, 1, 1);
    flush(p, 1, 2, true);
    op(p, 3, 4, PROMISE_WRITE, 2, 2); /* completed, not flushed */
    uint32_t in_flight = begin(p, 4, PROMISE_WRITE, 3, 3);
    uint32_t f = promise_flush_begin(p, 4);
    promise_resize_begin(p, 5, 2 * IMAGE_SECTORS * TAG_SECTOR_BYTES);
    promise_rebase_begin(p, 5);
    promise_end(p, 6, in_flight, true);
    promise_flush_end(p, 7, f, true);
    promise_begin(p, 8, PROMISE_WRITE, 0, 10, 4, 0);

    promise_cut(p, 4);
    flush(p, 4, 6, true); /* the second life's flush saves nothing of the first */
    assert_judged(p, END, 1, backing(1), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "backing 1");
    assert_ok(p, END, 2, backing(2));
    assert_ok(p, END, 2, guest(2, 2));
    assert_ok(p, END, 3, backing(3));
    assert_ok(p, END, 3, guest(3, 3));
    assert_judged(p, END, 4, guest(4, 4), VERDICT_DISCLOSURE, "backing 4", "guest write 4 (no such write here)");
    assert_judged(p, END, 5, zero(), VERDICT_LOST_COW, "backing 5", "zero");
    assert_false(promise_written(p, 4));
    assert_false(promise_size_allowed(p, END, 2 * IMAGE_SECTORS * TAG_SECTOR_BYTES));
    assert_int_equal(promise_judge_live(p, 6, 7, 2, backing(2), NULL), VERDICT_OK);
    /* What was in flight cannot happen any more once a flushed write of the second life is over it. */
    promise_end(p, 8, promise_begin(p, 7, PROMISE_WRITE, 2, 2, 1, 1), true);
    flush(p, 9, 10, true);
    uint8_t bytes[TAG_SECTOR_BYTES];
    tag_fill(bytes, &(struct tag){.kind = TAG_GUEST, .sector = 3, .write_id = 1, .generation = 1});
    assert_ok(p, 10, 3, bytes);
    assert_judged(p, 10, 3, guest(3, 3), VERDICT_LOST_FLUSHED, "guest write 1 (flushed)", "guest write 3");
    promise_destroy(p);
}

/* What recovery has shown does not change by itself. */
static void test_observe(void **state)
{
    struct promise *p = create(BACKING_SECTORS);
    uint8_t garbage[TAG_SECTOR_BYTES];

    (void)state;
    promise_begin(p, 0, PROMISE_WRITE, 1, 4, 1, 0);
    promise_cut(p, 3);
    assert_true(promise_observe(p, 3, 1, backing(1)));
    assert_true(promise_observe(p, 3, 2, guest(2, 1)));
    assert_true(promise_observe(p, 3, 40, zero()));
    memset(garbage, 1, sizeof(garbage));
    assert_false(promise_observe(p, 3, 3, garbage));
    assert_false(promise_observe(p, 3, 3, guest(4, 1)));
    assert_false(promise_observe(p, 3, 3, sector_of(TAG_STALE, 3, 0)));

    assert_ok(p, END, 1, backing(1));
    assert_judged(p, END, 1, guest(1, 1), VERDICT_LOST_COW, "backing 1 (shown before)", "guest write 1");
    assert_judged(p, END, 1, zero(), VERDICT_LOST_COW, "backing 1 (shown before)", "zero");
    assert_judged(p, END, 2, backing(2), VERDICT_LOST_FLUSHED, "guest write 1 (shown before)", "backing 2");
    assert_ok(p, END, 3, guest(3, 1));
    assert_ok(p, END, 3, backing(3));
    assert_false(promise_written(p, 40));
    /* The second life writes over it as over anything. */
    op(p, 4, 5, PROMISE_WRITE, 1, 9);
    assert_ok(p, END, 1, backing(1));
    assert_ok(p, END, 1, guest(1, 9));
    flush(p, 5, 6, true);
    assert_judged(p, END, 1, backing(1), VERDICT_LOST_FLUSHED, "guest write 9 (flushed)", "backing 1");
    promise_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_write_and_flush),
        cmocka_unit_test(test_flush_covers_only_completed),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_overwrite),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_one_position),
        cmocka_unit_test(test_zero_and_discard),
        cmocka_unit_test(test_disclosure),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_many_alternatives),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_rebase),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_touched),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_flushed_again),
        cmocka_unit_test(test_told_of_failed_flush),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_observe),
    };
    return cmocka_run_group_tests_name("oracle: the promise", tests, NULL, NULL);
}
