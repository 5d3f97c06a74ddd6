/* Images that somebody spoiled: small valid ones with a few bytes, entries, header fields or their length changed.
 *
 * Whatever the image: nothing crashes; opening says in words why it refuses; a read-only use changes nothing; check
 * agrees with the oracle's walk; repair is idempotent, and leaves an image whose check agrees again; and on an image
 * that check calls sound, what the guest writes is what it reads, and the image stays sound.
 * Seeded: case n is always the same. HOSTILE_CASES=N runs more or fewer, HOSTILE_FIRST=N begins elsewhere.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/qed.h"
#include "oracle/walk.h"

enum {
    CLUSTER = 4096,
    MOST_BYTES = 1 << 20, /* the device takes no more */
    BASES = 24,
    GUEST_BYTES = 48 * CLUSTER,
    CASES = 4000,
};

static uint64_t chance_state;

static uint64_t next_random(void)
{
    uint64_t z = (chance_state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
    return next_random() % n;
}

/* ---- a device in memory that grows, up to a point; its length may claim more than there is ---- */

struct image {
    struct blockdev dev;
    uint64_t length;
    uint8_t bytes[MOST_BYTES];
};

static void image_readv(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                        void *opaque)
{
    const struct image *m = (const struct image *)dev;

    for (int i = 0; i < niov; i++) {
        size_t there = offset >= MOST_BYTES ? 0 : MOST_BYTES - offset;

        there = there < iov[i].iov_len ? there : iov[i].iov_len;
        if (there)
            memcpy(iov[i].iov_base, m->bytes + offset, there);
        memset((uint8_t *)iov[i].iov_base + there, 0, iov[i].iov_len - there);
        offset += iov[i].iov_len;
    }
    done(opaque, 0);
}

static void image_writev(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                         void *opaque)
{
    struct image *m = (struct image *)dev;
    uint64_t end = offset;

    for (int i = 0; i < niov; i++)
        end += iov[i].iov_len;
    if (end > MOST_BYTES || end < offset) {
        done(opaque, -EFBIG);
        return;
    }
    for (int i = 0; i < niov; i++) {
        memcpy(m->bytes + offset, iov[i].iov_base, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
    m->length = end > m->length ? end : m->length;
    done(opaque, 0);
}

static void image_flush(struct blockdev *dev, blk_done *done, void *opaque)
{
    (void)dev;
    done(opaque, 0);
}

static int image_length(struct blockdev *dev, uint64_t unit, uint64_t *length)
{
    *length = ((struct image *)dev)->length & ~(unit - 1);
    return 0;
}

static int image_resize(struct blockdev *dev, uint64_t length)
{
    struct image *m = (struct image *)dev;

    if (length > MOST_BYTES && length > m->length)
        return -EFBIG;
    if (length < MOST_BYTES)
        memset(m->bytes + length, 0, MOST_BYTES - length);
    m->length = length;
    return 0;
}

static const struct blockdev_ops image_ops = {
    .readv = image_readv, .writev = image_writev, .flush = image_flush, .length = image_length, .resize = image_resize};

/* Below the length everything counts; beyond it there are zeros. */
static void image_copy(struct image *to, const struct image *from)
{
    memcpy(to, from, sizeof(*to));
}

static bool image_same(const struct image *a, const struct image *b)
{
    return a->length == b->length && !memcmp(a->bytes, b->bytes, MOST_BYTES);
}

/* ---- the guest ---- */

static void keep_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static int guest_write(struct qed *q, uint64_t pos, uint64_t length, uint8_t byte)
{
    static uint8_t buf[4 * CLUSTER];
    struct iovec iov = {.iov_base = buf, .iov_len = length};
    int ret = 1;

    memset(buf, byte, length);
    qed_writev(q, pos, &iov, 1, keep_ret, &ret);
    assert_int_not_equal(ret, 1);
    return ret;
}

static int guest_read(struct qed *q, uint64_t pos, uint64_t length, uint8_t *buf)
{
    struct iovec iov = {.iov_base = buf, .iov_len = length};
    int ret = 1;

    qed_readv(q, pos, &iov, 1, keep_ret, &ret);
    assert_int_not_equal(ret, 1);
    return ret;
}

static int guest_zero(struct qed *q, uint64_t pos, uint64_t length)
{
    int ret = 1;

    qed_write_zeroes(q, pos, length, keep_ret, &ret);
    assert_int_not_equal(ret, 1);
    return ret;
}

/* The first bytes of the guest's disk, cluster by cluster, and its last ones. Number of clusters that fail. */
static unsigned read_all(struct qed *q, uint8_t *into)
{
    static uint8_t scrap[CLUSTER];
    uint64_t size = qed_image_bytes(q);
    unsigned failed = 0;

    for (uint64_t pos = 0; pos < size && pos < GUEST_BYTES; pos += CLUSTER) {
        uint64_t part = size - pos < CLUSTER ? size - pos : CLUSTER;
        int ret = guest_read(q, pos, part, into ? into + pos : scrap);

        assert_true(ret == 0 || ret == -EINVAL);
        failed += ret != 0;
    }
    if (size > GUEST_BYTES)
        failed += guest_read(q, size - BLK_SECTOR_BYTES, BLK_SECTOR_BYTES, scrap) != 0;
    return failed;
}

/* ---- valid images to begin with ---- */

static struct image *base_images;

#define NO_CASE UINT64_MAX
static uint64_t current_case = NO_CASE; /* under way, for whoever repeats it */

static void make_base(struct image *m, unsigned n)
{
    struct qed_create_options create = {.image_bytes = GUEST_BYTES - below(8) * BLK_SECTOR_BYTES,
                                        .cluster_bytes = CLUSTER,
                                        .table_clusters = 1u << (n % 3)};
    struct qed_open_options open = {.design = qed_design_find("careful")};
    struct qed *q;

    *m = (struct image){.dev.ops = &image_ops};
    assert_int_equal(qed_create(&m->dev, &create, NULL), 0);
    assert_int_equal(qed_open(&m->dev, &open, &q, NULL), 0);
    for (uint64_t i = 0, count = n + 1; i < count; i++) {
        uint64_t pos = below(40) * CLUSTER + below(8) * BLK_SECTOR_BYTES;

        if (below(4) == 0)
            assert_int_equal(guest_zero(q, pos / CLUSTER * CLUSTER, CLUSTER), 0);
        else
            assert_int_equal(guest_write(q, pos, (1 + below(16)) * BLK_SECTOR_BYTES, (uint8_t)(1 + below(255))), 0);
    }
    assert_int_equal(qed_close(q), 0);
}

static int make_bases(void **state)
{
    (void)state;
    chance_state = 1;
    base_images = calloc(BASES, sizeof(*base_images));
    assert_non_null(base_images);
    for (unsigned n = 0; n < BASES; n++)
        make_base(&base_images[n], n);
    return 0;
}

static int free_bases(void **state)
{
    (void)state;
    free(base_images);
    if (current_case != NO_CASE)
        print_message("repro: HOSTILE_FIRST=%" PRIu64 " HOSTILE_CASES=1 (test_hostile)\n", current_case);
    return 0;
}

/* ---- spoiling ---- */

static void put_le(struct image *m, uint64_t offset, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes && offset + i < MOST_BYTES; i++)
        m->bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

/* A number that code gets wrong. */
static uint64_t tricky(const struct image *m)
{
    uint64_t cluster = below(m->length / CLUSTER + 2) * CLUSTER;

    switch (below(10)) {
    case 0:
        return below(4);
    case 1:
        return UINT64_C(1) << below(64);
    case 2:
        return (UINT64_C(1) << below(64)) - 1;
    case 3:
        return -(below(8) * CLUSTER);
    case 4:
        return cluster + below(CLUSTER);
    case 5:
        return next_random();
    default:
        return cluster;
    }
}

static void spoil_header(struct image *m)
{
    static const struct {
        unsigned offset, bytes;
    } fields[] = {{0, 4}, {4, 4}, {8, 4}, {12, 4}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}, {56, 4}, {60, 4}};
    size_t i = below(sizeof(fields) / sizeof(fields[0]));

    if (fields[i].offset == 16)
        put_le(m, 16, below(3) ? below(8) : tricky(m), 8);
    else
        put_le(m, fields[i].offset, tricky(m), fields[i].bytes);
}

/* An aligned word somewhere behind the header: tables are most of such a small file. */
static void spoil_entry(struct image *m)
{
    uint64_t at = CLUSTER + below(m->length / 8) * 8;

    if (below(3)) /* a word that is not zero: an entry in use, or data */
        for (unsigned tries = 0; tries < 64 && !m->bytes[(at + 1) % MOST_BYTES]; tries++)
            at = CLUSTER + below(m->length / 8) * 8;
    put_le(m, at, tricky(m), 8);
}

static void spoil_length(struct image *m)
{
    uint64_t length;

    if (below(50) == 0) {
        m->length = UINT64_C(1) << (30 + below(5)); /* sparse, and larger than it can grow */
        return;
    }
    length = below(2) ? below(m->length + 8 * CLUSTER) : below(m->length / CLUSTER + 8) * CLUSTER;
    length = length < MOST_BYTES ? length : MOST_BYTES;
    memset(m->bytes + length, 0, MOST_BYTES - length);
    m->length = length;
}

static void spoil(struct image *m)
{
    uint64_t times = 1 + below(5);

    for (uint64_t i = 0; i < times && m->length > CLUSTER && m->length <= MOST_BYTES; i++) {
        switch (below(8)) {
        case 0:
            spoil_header(m);
            break;
        case 1:
            spoil_length(m);
            break;
        case 2:
            m->bytes[below(m->length)] ^= (uint8_t)(1u << below(8));
            break;
        case 3:
            m->bytes[16] |= QED_F_NEED_CHECK;
            break;
        default:
            spoil_entry(m);
            break;
        }
    }
    if (m->length > MOST_BYTES) /* what an entry put beyond the end */
        return;
    memset(m->bytes + m->length, 0, MOST_BYTES - m->length);
}

/* ---- one case ---- */

struct hostile {
    struct walk *walk;
    struct qed_pool *pool;
    const struct qed_design *design;
    struct image spoiled, work, before;
};

static int open_image(struct hostile *h, bool read_only, bool check_mode, struct qed **q)
{
    struct qed_open_options options = {
        .design = h->design, .read_only = read_only, .check_mode = check_mode, .no_backing = true, .pool = h->pool};
    struct qed_error err = {.text = ""};
    int ret = qed_open(&h->work.dev, &options, q, &err);

    if (ret)
        assert_true(err.text[0] != '\0');
    return ret;
}

/* The check and the walk say the same. */
static void compare_judges(struct hostile *h, const struct qed_check_result *check)
{
    struct walk_result walked;

    assert_int_equal(walk_image(h->walk, &h->work.dev, &walked), 0);
    assert_int_equal(check->check_errors, 0);
    assert_int_equal(check->corruptions, walk_faults(&walked));
    assert_int_equal(check->leaks, walked.leaked);
}

/* False: it does not open. */
static bool look_only(struct hostile *h, bool *sound)
{
    struct walk_result walked;
    struct qed_check_result check;
    struct qed *q;
    unsigned failed;

    image_copy(&h->work, &h->spoiled);
    if (open_image(h, true, false, &q)) {
        assert_int_not_equal(walk_image(h->walk, &h->work.dev, &walked), 0);
        return false;
    }
    assert_int_equal(qed_check(q, false, &check), 0);
    compare_judges(h, &check);
    failed = read_all(q, NULL);
    *sound = check.corruptions == 0;
    if (*sound)
        assert_int_equal(failed, 0);
    assert_int_equal(qed_close(q), 0);
    assert_true(image_same(&h->work, &h->spoiled));
    return true;
}

/* Twice: the second time there is nothing to do, and nothing is done. */
static void repair(struct hostile *h)
{
    struct qed_check_result first, second;
    bool was_marked;
    struct qed *q;

    image_copy(&h->work, &h->spoiled);
    assert_int_equal(open_image(h, false, true, &q), 0);
    was_marked = qed_need_check(q);
    if (below(2))
        read_all(q, NULL); /* fills the cache with what is going to be repaired */
    assert_int_equal(qed_check(q, true, &first), 0);
    assert_int_equal(qed_check(q, false, &second), 0);
    assert_int_equal(first.corruptions, second.corruptions);
    compare_judges(h, &second);
    assert_int_equal(qed_need_check(q), was_marked && first.corruptions); /* it goes when all is well, and only then */
    image_copy(&h->before, &h->work);
    assert_int_equal(qed_check(q, true, &second), 0);
    assert_int_equal(second.corruptions_fixed, 0);
    assert_true(image_same(&h->before, &h->work));
    if (!first.corruptions)
        assert_int_equal(read_all(q, NULL), 0);
    qed_abandon(q);
}

/* A guest that does not know. Errors are fine; on a sound image nothing but lack of space is. */
static void use(struct hostile *h, bool sound)
{
    static uint8_t expected[GUEST_BYTES], found[GUEST_BYTES];
    struct qed_check_result check;
    uint64_t size;
    struct qed *q;

    image_copy(&h->work, &h->spoiled);
    memset(expected, 0, sizeof(expected));
    memset(found, 0, sizeof(found));
    if (open_image(h, false, false, &q))
        return;
    size = qed_image_bytes(q) < GUEST_BYTES ? qed_image_bytes(q) : GUEST_BYTES;
    read_all(q, expected);
    for (unsigned i = 0; i < 6 && size; i++) {
        uint64_t pos = below(size / BLK_SECTOR_BYTES) * BLK_SECTOR_BYTES;
        uint64_t length = (1 + below(20)) * BLK_SECTOR_BYTES;
        uint8_t byte = below(3) ? (uint8_t)below(256) : 0;
        int ret;

        length = length < size - pos ? length : size - pos;
        ret = byte ? guest_write(q, pos, length, byte) : guest_zero(q, pos, length);
        if (sound && ret)
            assert_int_equal(ret, -EFBIG);
        sound = sound && !ret;
        memset(expected + pos, byte, length);
    }
    read_all(q, found);
    if (sound)
        assert_memory_equal(found, expected, size);
    qed_close(q);
    if (!sound || open_image(h, true, false, &q))
        return;
    assert_int_equal(qed_check(q, false, &check), 0);
    assert_int_equal(check.corruptions, 0);
    compare_judges(h, &check);
    read_all(q, found);
    assert_memory_equal(found, expected, size);
    qed_close(q);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void test_hostile_images(void **state)
{
    uint64_t first = number_from("HOSTILE_FIRST", 0), count = number_from("HOSTILE_CASES", CASES);
    struct hostile *h = calloc(1, sizeof(*h));
    uint64_t opened = 0, found_sound = 0;

    (void)state;
    assert_non_null(h);
    h->walk = walk_create();
    h->pool = qed_pool_create();
    for (uint64_t n = first; n < first + count; n++) {
        bool sound = false;

        chance_state = n * UINT64_C(0xd1342543de82ef95);
        current_case = n;
        image_copy(&h->spoiled, &base_images[below(BASES)]);
        spoil(&h->spoiled);
        h->design = &qed_designs[below(qed_design_count)];
        if (!look_only(h, &sound))
            continue;
        opened++;
        found_sound += sound;
        repair(h);
        use(h, sound);
    }
    current_case = NO_CASE;
    print_message("%" PRIu64 " cases: %" PRIu64 " opened, %" PRIu64 " of them sound\n", count, opened, found_sound);
    /* It must not be all the same. */
    if (count >= CASES) {
        assert_true(opened > count / 2 && opened < count);
        assert_true(found_sound > count / 10 && found_sound < opened);
    }
    qed_pool_destroy(h->pool);
    walk_destroy(h->walk);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_hostile_images, make_bases, free_bases)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
