/* The format: header bytes, geometry, and which offsets a table entry may hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/blockdev.h"
#include "engine/qed_format.h"

static void test_header_bytes_lie_where_the_format_says(void **state)
{
    struct qed_header h = {
        .magic = QED_MAGIC,
        .cluster_size = 0x10000,
        .table_size = 4,
        .header_size = 1,
        .features = 0x0102030405060708,
        .compat_features = 0x1112131415161718,
        .autoclear_features = 0x2122232425262728,
        .l1_table_offset = 0x3132333435363738,
        .image_size = 0x4142434445464748,
        .backing_filename_offset = 0x51525354,
        .backing_filename_size = 0x61626364,
    };
    static const uint8_t expected[QED_HEADER_BYTES] = {
        'Q',  'E',  'D',  0,    0,    0,    1,    0,    4,    0,    0,    0,    1,    0,    0,    0,
        0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
        0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
        0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41, 0x54, 0x53, 0x52, 0x51, 0x64, 0x63, 0x62, 0x61,
    };
    uint8_t bytes[QED_HEADER_BYTES];
    struct qed_header back;

    (void)state;
    qed_header_encode(&h, bytes);
    assert_memory_equal(bytes, expected, sizeof(bytes));
    qed_header_decode(expected, &back);
    assert_memory_equal(&back, &h, sizeof(h));
}

static void test_cluster_and_table_sizes(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 32; bits++) {
        uint32_t size = UINT32_C(1) << bits;

        assert_int_equal(qed_cluster_size_valid(size), bits >= 12 && bits <= 26);
        assert_int_equal(qed_table_size_valid(size), bits <= 4);
        if (bits > 1) {
            assert_false(qed_cluster_size_valid(size + 1));
            assert_false(qed_table_size_valid(size + 1));
        }
    }
    assert_false(qed_cluster_size_valid(0));
    assert_false(qed_table_size_valid(0));
    assert_false(qed_cluster_size_valid(UINT32_MAX));
    assert_false(qed_table_size_valid(3));
}

/* The table of spec 1.4. */
static void test_geometry_of_the_specification(void **state)
{
    static const struct {
        uint32_t cs, ts;
        uint64_t entries, covers, max, table;
    } rows[] = {
        {4096, 2, 1024, 4u << 20, UINT64_C(4) << 30, 8192},
        {4096, 16, 8192, 32u << 20, UINT64_C(256) << 30, 65536},
        {65536, 4, 32768, UINT64_C(2) << 30, UINT64_C(64) << 40, 262144},
        {65536, 16, 131072, UINT64_C(8) << 30, UINT64_C(1) << 50, 1u << 20},
        {2u << 20, 4, 1u << 20, UINT64_C(2) << 40, UINT64_C(1) << 61, 8u << 20},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct qed_geometry g;

        qed_geometry_init(&g, rows[i].cs, rows[i].ts, 1);
        assert_int_equal(g.table_entries, rows[i].entries);
        assert_int_equal(g.table_bytes, rows[i].table);
        assert_int_equal(g.max_image_bytes, rows[i].max);
        assert_int_equal(UINT64_C(1) << g.cluster_bits, rows[i].cs);
        assert_int_equal(UINT64_C(1) << g.table_bits, rows[i].entries);
        assert_int_equal(qed_l1_index(&g, rows[i].covers - 1), 0);
        assert_int_equal(qed_l1_index(&g, rows[i].covers), 1);
        assert_int_equal(qed_l2_index(&g, rows[i].covers - 1), rows[i].entries - 1);
        assert_int_equal(qed_l2_index(&g, rows[i].covers + rows[i].cs), 1);
        assert_int_equal(g.header_bytes, rows[i].cs);
    }
}

/* Spec 1.5: QEMU's product wraps to 0 here; ours stops at the largest sector multiple a signed offset holds. */
static void test_image_bound_saturates(void **state)
{
    struct qed_geometry g;

    (void)state;
    qed_geometry_init(&g, 4u << 20, 4, 1);
    assert_int_equal(g.max_image_bytes, (UINT64_C(1) << 63) - 512);
    qed_geometry_init(&g, 64u << 20, 16, 1);
    assert_int_equal(g.max_image_bytes, (UINT64_C(1) << 63) - 512);
    qed_geometry_init(&g, 2u << 20, 8, 1); /* bits = 21 + 2 * 21 = 63 */
    assert_int_equal(g.max_image_bytes, (UINT64_C(1) << 63) - 512);
    qed_geometry_init(&g, 4096, 1, 7);
    assert_int_equal(g.max_image_bytes, UINT64_C(1) << 30);
    assert_int_equal(g.header_bytes, 7 * 4096);
    qed_geometry_init(&g, 64u << 20, 1, UINT32_MAX);
    assert_int_equal(g.header_bytes, (UINT64_C(64) << 20) * UINT32_MAX);
}

static void test_data_offsets(void **state)
{
    struct qed_geometry g;

    (void)state;
    qed_geometry_init(&g, 65536, 4, 2);
    assert_false(qed_data_offset_valid(&g, 0x80000, 0));
    assert_false(qed_data_offset_valid(&g, 0x80000, 1));
    assert_false(qed_data_offset_valid(&g, 0x80000, 0x10000)); /* in the header area */
    assert_true(qed_data_offset_valid(&g, 0x80000, 0x20000));
    assert_true(qed_data_offset_valid(&g, 0x80000, 0x70000));
    assert_false(qed_data_offset_valid(&g, 0x80000, 0x80000));
    assert_false(qed_data_offset_valid(&g, 0x80000, 0x50001));
    assert_false(qed_data_offset_valid(&g, 0x80000, 0x50200));
    assert_false(qed_data_offset_valid(&g, 0x80000, UINT64_C(0xffffffffffff0000)));
    assert_false(qed_data_offset_valid(&g, 0, 0x20000));
}

static void test_table_offsets(void **state)
{
    struct qed_geometry g;

    (void)state;
    qed_geometry_init(&g, 65536, 4, 1);
    assert_true(qed_table_offset_valid(&g, 0x50000, 0x10000)); /* exactly fits */
    assert_false(qed_table_offset_valid(&g, 0x50000, 0x20000));
    assert_false(qed_table_offset_valid(&g, 0x40000, 0x10000));
    assert_false(qed_table_offset_valid(&g, 0x10000, 0x10000));
    assert_false(qed_table_offset_valid(&g, 0x90000, 0));
    assert_false(qed_table_offset_valid(&g, 0x90000, 1));
    /* the last cluster's offset would wrap round to a small, valid-looking one */
    assert_false(qed_table_offset_valid(&g, 0x90000, UINT64_C(0xffffffffffff0000)));
    assert_false(qed_table_offset_valid(&g, UINT64_C(0xffffffffffff0000), UINT64_C(0xfffffffffffe0000)));

    qed_geometry_init(&g, 65536, 1, 1); /* QEMU 7.2 refuses this geometry */
    assert_true(qed_table_offset_valid(&g, 0x20000, 0x10000));
    assert_false(qed_table_offset_valid(&g, 0x20000, 0x20000));
}

static void test_event_names_go_both_ways(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BLK_EVENT_COUNT; i++)
        assert_int_equal(blk_event_parse(blk_event_name((enum blk_event)i)), i);
    assert_string_equal(blk_event_name(BLK_EVENT_L2_ALLOC_WRITE), "l2_alloc_write");
    assert_string_equal(blk_event_name(BLK_EVENT_READ_BACKING_AIO), "read_backing_aio");
    assert_string_equal(blk_event_name(BLK_EVENT_FLUSH_TO_DISK), "flush_to_disk");
    assert_int_equal(blk_event_parse("read_backing"), BLK_EVENT_READ_BACKING_AIO);
    assert_int_equal(blk_event_parse("flush"), BLK_EVENT_FLUSH_TO_DISK);
    assert_int_equal(blk_event_parse(""), BLK_EVENT_COUNT);
    assert_int_equal(blk_event_parse("l3_update"), BLK_EVENT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_bytes_lie_where_the_format_says),
        cmocka_unit_test(test_cluster_and_table_sizes),
        cmocka_unit_test(test_geometry_of_the_specification),
        cmocka_unit_test(test_image_bound_saturates),
        cmocka_unit_test(test_data_offsets),
        cmocka_unit_test(test_table_offsets),
        cmocka_unit_test(test_event_names_go_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
