/* Does the structural walk count what is wrong with an image's tables, and survive whatever it is given? */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/qed_format.h"
#include "oracle/walk.h"

/* ---- an image in memory ---- */

enum { CLUSTER = 4096, CLUSTERS = 16, MOST_BYTES = CLUSTER * CLUSTERS };

struct mem_dev {
    struct blockdev dev;
    uint8_t bytes[MOST_BYTES];
    uint64_t length;     /* may be more than there are bytes: the rest is a hole */
    uint64_t bytes_read; /* by readv */
    uint64_t fail_at;    /* a read of this offset fails with EIO; 0: none */
    int length_error;    /* what length() returns */
    uint32_t unit_asked; /* by length() */
    uint64_t longest_read;
    unsigned calls_writing; /* writev, flush, ... */
};

static void mem_readv(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                      void *opaque)
{
    struct mem_dev *m = (struct mem_dev *)dev;

    assert_int_equal(offset % BLK_SECTOR_BYTES, 0);
    assert_int_equal(niov, 1);
    assert_int_equal(iov->iov_len % BLK_SECTOR_BYTES, 0);
    memset(iov->iov_base, 0, iov->iov_len);
    if (offset < MOST_BYTES) {
        size_t there = MOST_BYTES - offset < iov->iov_len ? MOST_BYTES - offset : iov->iov_len;
        memcpy(iov->iov_base, m->bytes + offset, there);
    }
    m->bytes_read += iov->iov_len;
    m->longest_read = iov->iov_len > m->longest_read ? iov->iov_len : m->longest_read;
    done(opaque, m->fail_at && m->fail_at >= offset && m->fail_at < offset + iov->iov_len ? -EIO : 0);
}

static int mem_length(struct blockdev *dev, uint64_t unit, uint64_t *length)
{
    struct mem_dev *m = (struct mem_dev *)dev;

    m->unit_asked = (uint32_t)unit;
    *length = m->length;
    return m->length_error;
}

static uint64_t mem_next_data(struct blockdev *dev, uint64_t offset, uint64_t end)
{
    struct mem_dev *m = (struct mem_dev *)dev;

    while (offset < end && offset < MOST_BYTES && m->bytes[offset] == 0)
        offset++;
    return offset < MOST_BYTES && offset < end ? offset : end;
}

/* The walk never writes: there is nothing to write with. */
static const struct blockdev_ops plain_ops = {.readv = mem_readv, .length = mem_length};
static const struct blockdev_ops sparse_ops = {.readv = mem_readv, .length = mem_length, .next_data = mem_next_data};

static void put32(struct mem_dev *m, uint64_t offset, uint32_t value)
{
    value = htole32(value);
    memcpy(m->bytes + offset, &value, sizeof(value));
}

static void put64(struct mem_dev *m, uint64_t offset, uint64_t value)
{
    value = htole64(value);
    memcpy(m->bytes + offset, &value, sizeof(value));
}

static uint64_t at(unsigned cluster)
{
    return (uint64_t)cluster * CLUSTER;
}

/* Table clusters: 2. Cluster 0 header, 1-2 L1, 3-4 an L2 table, 5 and 6 its data. */
static void make_image(struct mem_dev *m)
{
    *m = (struct mem_dev){.dev = {.ops = &plain_ops}, .length = at(7)};
    put32(m, 0, QED_MAGIC);
    put32(m, 4, CLUSTER);
    put32(m, 8, 2);
    put32(m, 12, 1);
    put64(m, 40, at(1));
    put64(m, 48, 1 << 20);
    put64(m, at(1), at(3));
    put64(m, at(3), at(5));
    put64(m, at(3) + 8 * 700, at(6));
    put64(m, at(3) + 8 * 3, QED_ENTRY_ZERO);
}

/* Walks with and without next_data(): both must say the same. */
static int walk_both(struct mem_dev *m, struct walk_result *result)
{
    static struct walk_result sparse;
    struct walk *w = walk_create();

    assert_non_null(w);
    m->dev.ops = &sparse_ops;
    memset(&sparse, 0x77, sizeof(sparse));
    int sparse_ret = walk_image(w, &m->dev, &sparse);
    m->dev.ops = &plain_ops;
    memset(result, 0x77, sizeof(*result));
    int ret = walk_image(w, &m->dev, result);
    walk_destroy(w);
    assert_int_equal(ret, sparse_ret);
    assert_int_equal(result->marked, sparse.marked);
    assert_int_equal(result->dangling, sparse.dangling);
    assert_int_equal(result->misaligned, sparse.misaligned);
    assert_int_equal(result->cross_linked, sparse.cross_linked);
    assert_int_equal(result->leaked, sparse.leaked);
    assert_int_equal(result->data_clusters, sparse.data_clusters);
    assert_int_equal(result->l2_tables, sparse.l2_tables);
    assert_string_equal(result->first_fault, sparse.first_fault);
    return ret;
}

static void assert_counts(struct mem_dev *m, uint64_t dangling, uint64_t misaligned, uint64_t cross_linked,
                          uint64_t leaked, const char *first_fault)
{
    struct walk_result r;

    assert_int_equal(walk_both(m, &r), 0);
    assert_string_equal(r.first_fault, first_fault);
    assert_int_equal(r.dangling, dangling);
    assert_int_equal(r.misaligned, misaligned);
    assert_int_equal(r.cross_linked, cross_linked);
    assert_int_equal(r.leaked, leaked);
    assert_int_equal(walk_faults(&r), dangling + misaligned + cross_linked);
}

/* Is a good image good, and are its clusters counted? */
static void test_clean(void **state)
{
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    make_image(&m);
    assert_counts(&m, 0, 0, 0, 0, "");
    assert_int_equal(walk_both(&m, &r), 0);
    assert_int_equal(r.data_clusters, 2);
    assert_int_equal(r.l2_tables, 1);
    assert_false(r.marked);
    assert_int_equal(m.unit_asked, CLUSTER); /* no more of the length than needed */
    put64(&m, 16, QED_F_NEED_CHECK);
    assert_int_equal(walk_both(&m, &r), 0);
    assert_true(r.marked);
}

/* Is an empty image clean: no L2 table, size 0, several header clusters? */
static void test_empty(void **state)
{
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    make_image(&m);
    put32(&m, 12, 3);
    put64(&m, 40, at(3));
    put64(&m, 48, 0);
    put64(&m, at(3), 0);
    memset(m.bytes + at(3), 0, at(2));
    m.length = at(5);
    assert_int_equal(walk_both(&m, &r), 0);
    assert_int_equal(walk_faults(&r) + r.leaked + r.data_clusters + r.l2_tables, 0);
}

/* Are clusters leaked that nothing names, and does a partial last cluster not exist? */
static void test_leak(void **state)
{
    struct mem_dev m;

    (void)state;
    make_image(&m);
    m.length = at(9) + 512;
    assert_counts(&m, 0, 0, 0, 2, "");
    put64(&m, at(3), at(9));
    assert_counts(&m, 1, 0, 0, 3, "L2 entry 0 of L1 entry 0 (0x9000) points beyond the end of the file");
    m.length = at(10);
    assert_counts(&m, 0, 0, 0, 3, "");
}

/* What is dangling? */
static void test_dangling(void **state)
{
    struct mem_dev m;

    (void)state;
    make_image(&m);
    put64(&m, at(3) + 8, at(7));
    put64(&m, at(3) + 16, UINT64_MAX - (CLUSTER - 1));
    assert_counts(&m, 2, 0, 0, 0, "L2 entry 1 of L1 entry 0 (0x7000) points beyond the end of the file");
    /* A table whose second cluster is beyond the end, one that wraps, and one far off. None is followed. */
    make_image(&m);
    put64(&m, at(1) + 8, at(6));
    put64(&m, at(1) + 8 * 1000, UINT64_MAX - (CLUSTER - 1));
    put64(&m, at(1) + 8 * 1023, UINT64_C(1) << 40);
    assert_counts(&m, 3, 0, 0, 0, "L1 entry 1 (0x6000) points beyond the end of the file");
    make_image(&m);
    put32(&m, 12, 2); /* the header grows over L1's first cluster */
    put64(&m, 40, at(2));
    put64(&m, at(2), at(1));
    put64(&m, at(2) + 8, at(3));
    memset(m.bytes + at(3), 0, at(1));
    assert_counts(&m, 1, 0, 1, 2, "L1 entry 0 (0x1000) points into the header");
}

/* What is misaligned? 1 is a zero cluster in L2, and nothing in L1. */
static void test_misaligned(void **state)
{
    struct mem_dev m;

    (void)state;
    make_image(&m);
    put64(&m, at(1) + 8, 1);
    put64(&m, at(3) + 8, 2);
    put64(&m, at(3) + 16, at(5) + 512);
    put64(&m, at(3) + 24, UINT64_MAX);
    assert_counts(&m, 0, 4, 0, 0, "L2 entry 1 of L1 entry 0 (0x2) is no multiple of the cluster size");
    make_image(&m);
    put64(&m, at(1), at(3) + 8);
    assert_counts(&m, 0, 1, 0, 4, "L1 entry 0 (0x3008) is no multiple of the cluster size");
}

/* Is every surplus reference counted: data named twice, data in tables, a table named twice or in part? */
static void test_cross_linked(void **state)
{
    struct mem_dev m;

    (void)state;
    make_image(&m);
    put64(&m, at(3) + 8, at(5));
    put64(&m, at(3) + 16, at(5));
    put64(&m, at(3) + 32, at(1));
    put64(&m, at(3) + 40, at(4));
    assert_counts(&m, 0, 0, 4, 0, "L2 entry 1 of L1 entry 0 (0x5000) names a cluster that is already in use");
    /* Both clusters of the table, but what it names is not named again. */
    make_image(&m);
    put64(&m, at(1) + 8 * 9, at(3));
    assert_counts(&m, 0, 0, 2, 0, "L1 entry 9 (0x3000) names a cluster that is already in use");
    /* A table over the second half of another: one surplus reference, one cluster newly named, not walked. */
    make_image(&m);
    m.length = at(8);
    put64(&m, at(3), at(7));
    put64(&m, at(1) + 8, at(4));
    assert_counts(&m, 0, 0, 1, 0, "L1 entry 1 (0x4000) names a cluster that is already in use");
    /* The L1 table as its own L2 table. */
    make_image(&m);
    put64(&m, at(1), at(1));
    assert_counts(&m, 0, 0, 2, 4, "L1 entry 0 (0x1000) names a cluster that is already in use");
}

/* Is every nonsensical header refused, with the reason, and nothing counted? */
static void test_bad_header(void **state)
{
    static const struct {
        unsigned offset, bytes;
        uint64_t value;
        const char *fault;
    } cases[] = {
        {0, 4, 0x00444552, "header: the magic is not QED's"},
        {16, 8, 8, "header: unknown feature bits are set"},
        {16, 8, UINT64_C(1) << 63, "header: unknown feature bits are set"},
        {4, 4, 2048, "header: the cluster size is invalid"},
        {4, 4, 12288, "header: the cluster size is invalid"},
        {4, 4, 1u << 27, "header: the cluster size is invalid"},
        {8, 4, 0, "header: the table size is invalid"},
        {8, 4, 3, "header: the table size is invalid"},
        {8, 4, 32, "header: the table size is invalid"},
        {12, 4, 0, "header: the header size is invalid"},
        {12, 4, 1u << 20, "header: the header size is invalid"},
        {48, 8, 511, "header: the image size is invalid"},
        {48, 8, (UINT64_C(1) << 32) + 512, "header: the image size is invalid"},
        {40, 8, 0, "header: the L1 table's offset (0x0) is invalid"},
        {40, 8, CLUSTER + 8, "header: the L1 table's offset (0x1008) is invalid"},
        {40, 8, 6 * CLUSTER, "header: the L1 table's offset (0x6000) is invalid"},
        {40, 8, UINT64_MAX - (CLUSTER - 1), "header: the L1 table's offset (0xfffffffffffff000) is invalid"},
        {12, 4, 2, "header: the L1 table's offset (0x1000) is invalid"},
        {12, 4, 1u << 19, "header: the L1 table's offset (0x1000) is invalid"},
    };
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_image(&m);
        m.length = at(8);
        put64(&m, at(3), 2);
        if (cases[i].value == 6 * CLUSTER)
            m.length = at(7);
        if (cases[i].bytes == 4)
            put32(&m, cases[i].offset, (uint32_t)cases[i].value);
        else
            put64(&m, cases[i].offset, cases[i].value);
        assert_int_equal(walk_both(&m, &r), -EINVAL);
        assert_string_equal(r.first_fault, cases[i].fault);
        assert_int_equal(walk_faults(&r) + r.leaked + r.data_clusters + r.l2_tables + r.marked, 0);
    }
    make_image(&m);
    m.length = 0;
    assert_int_equal(walk_both(&m, &r), -EINVAL);
    memset(m.bytes, 0, sizeof(m.bytes));
    assert_int_equal(walk_both(&m, &r), -EINVAL);
}

/* Is the backing name held against the header area, and only where there is one? */
static void test_backing_name(void **state)
{
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    make_image(&m);
    put32(&m, 56, 64);
    put32(&m, 60, CLUSTER - 63);
    assert_int_equal(walk_both(&m, &r), 0);
    put64(&m, 16, QED_F_BACKING_FILE);
    assert_int_equal(walk_both(&m, &r), -EINVAL);
    assert_string_equal(r.first_fault, "header: the backing file name is invalid");
    put32(&m, 60, CLUSTER - 64);
    assert_int_equal(walk_both(&m, &r), 0);
    put32(&m, 56, UINT32_MAX);
    assert_int_equal(walk_both(&m, &r), -EINVAL);
    put32(&m, 56, 0);
    put32(&m, 60, 4096);
    assert_int_equal(walk_both(&m, &r), -EINVAL);
}

/* Is the largest image the tables can map allowed, and does the bound not wrap for large clusters? */
static void test_image_bound(void **state)
{
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    make_image(&m);
    put64(&m, 48, UINT64_C(1) << 32);
    assert_int_equal(walk_both(&m, &r), 0);
    make_image(&m);
    put32(&m, 4, QED_MAX_CLUSTER_BYTES);
    put32(&m, 8, 16);
    put64(&m, 40, QED_MAX_CLUSTER_BYTES);
    put64(&m, 48, INT64_MAX - 511);
    m.length = UINT64_C(17) * QED_MAX_CLUSTER_BYTES;
    struct walk *w = walk_create();
    m.dev.ops = &sparse_ops; /* a table of 1 GiB: sparse, or this takes its time */
    assert_int_equal(walk_image(w, &m.dev, &r), 0);
    put64(&m, 48, UINT64_C(1) << 63);
    assert_int_equal(walk_image(w, &m.dev, &r), -EINVAL);
    walk_destroy(w);
}

/* Does a read or length error come back, with nothing counted? */
static void test_errors(void **state)
{
    static const unsigned clusters[] = {1, 2, 3, 4};
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    for (size_t i = 0; i < sizeof(clusters) / sizeof(clusters[0]); i++) {
        make_image(&m);
        put64(&m, at(1) + 8, 1);
        put64(&m, at(2), 1);
        put64(&m, at(3), 2);
        put64(&m, at(4), 2);
        m.fail_at = at(clusters[i]);
        assert_int_equal(walk_image((struct walk *)*state, &m.dev, &r), -EIO);
        assert_int_equal(walk_faults(&r) + r.leaked + r.data_clusters + r.l2_tables, 0);
        assert_int_equal(walk_both(&m, &r), -EIO);
    }
    make_image(&m);
    m.fail_at = 1;
    assert_int_equal(walk_both(&m, &r), -EIO);
    m.fail_at = 0;
    m.length_error = -EBADF;
    assert_int_equal(walk_both(&m, &r), -EBADF);
}

/* Can a hostile header or length make it ask for more than the file justifies? */
static void test_hostile_size(void **state)
{
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    make_image(&m);
    put32(&m, 8, 16);
    memset(m.bytes + at(1), 0, MOST_BYTES - at(1));
    m.length = UINT64_C(1) << 36; /* a sparse file of 64 GiB, 16 Mi clusters: 2 MiB of bits */
    assert_int_equal(walk_image((struct walk *)*state, &m.dev, &r), 0);
    assert_int_equal(r.leaked, (UINT64_C(1) << 24) - 17);
    assert_true(m.longest_read <= 65536);
    m.length = UINT64_MAX; /* nobody has a bit for each of these */
    assert_int_equal(walk_image((struct walk *)*state, &m.dev, &r), -ENOMEM);
    assert_string_equal(r.first_fault, "no memory for a file of 18446744073709547520 bytes");
    m.length = at(17); /* and the walker still works */
    assert_int_equal(walk_image((struct walk *)*state, &m.dev, &r), 0);
}

/* Does one walker, used for image after image, forget the last one? */
static void test_reuse(void **state)
{
    struct walk *w = *state;
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    for (int i = 0; i < 3; i++) {
        make_image(&m);
        put64(&m, at(3) + 8, at(5));
        assert_int_equal(walk_image(w, &m.dev, &r), 0);
        assert_int_equal(r.cross_linked, 1);
        make_image(&m);
        m.length = at(CLUSTERS);
        assert_int_equal(walk_image(w, &m.dev, &r), 0);
        assert_int_equal(walk_faults(&r), 0);
        assert_int_equal(r.leaked, CLUSTERS - 7);
        assert_string_equal(r.first_fault, "");
    }
}

/* Where the device knows its holes, is only the data read? */
static void test_reads_little(void **state)
{
    struct walk_result r;
    struct mem_dev m;

    make_image(&m);
    m.dev.ops = &sparse_ops;
    assert_int_equal(walk_image(*state, &m.dev, &r), 0);
    assert_int_equal(r.data_clusters, 2);
    assert_true(m.bytes_read <= 4 * BLK_SECTOR_BYTES);
}

/* Random tables, dense and sparse, mostly wrong: do whole reads and pieces agree, and does every cluster of the file
 * end up named or leaked? */
static void test_random_tables(void **state)
{
    uint64_t seed = 42;
    struct walk_result r;
    struct mem_dev m;

    (void)state;
    for (int run = 0; run < 500; run++) {
        make_image(&m);
        m.length = at(CLUSTERS);
        for (int i = 0; i < (run % 50) * 8; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            uint64_t offset = at(1) + (seed >> 40) % (4 * CLUSTER) / 8 * 8;
            put64(&m, offset, at((seed >> 20) % (CLUSTERS + 2)) + ((seed >> 30) % 16 == 0));
        }
        assert_int_equal(walk_both(&m, &r), 0);
        assert_true(3 + r.leaked + r.data_clusters + 2 * r.l2_tables <= CLUSTERS);
        assert_int_equal(r.first_fault[0] == '\0', walk_faults(&r) == 0);
        /* A table that is cross-linked in part names clusters of its own too. */
        assert_true(r.cross_linked > 0 || 3 + r.leaked + r.data_clusters + 2 * r.l2_tables == CLUSTERS);
    }
}

static int setup(void **state)
{
    *state = walk_create();
    walk_destroy(NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    walk_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),        cmocka_unit_test(test_empty),         cmocka_unit_test(test_leak),
        cmocka_unit_test(test_dangling),     cmocka_unit_test(test_misaligned),    cmocka_unit_test(test_cross_linked),
        cmocka_unit_test(test_bad_header),   cmocka_unit_test(test_backing_name),  cmocka_unit_test(test_image_bound),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_hostile_size),  cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_reads_little), cmocka_unit_test(test_random_tables),
    };
    return cmocka_run_group_tests_name("oracle: the structural walk", tests, setup, teardown);
}
