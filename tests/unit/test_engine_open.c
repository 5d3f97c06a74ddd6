/* Create and open: the bytes of an empty image, each refusal of spec section 3 in its words, and hostile images. */
#include "tests/unit/test_engine_kit.h"

#define C     0x10000u
#define IMAGE (64u << 20)

static void fresh(struct kit *k, const char *design)
{
    kit_begin(k, design);
    kit_create(k, IMAGE, 0, 0, NULL);
}

/* ---- create ---- */

static void test_create_lays_out_the_default_image(void **state)
{
    static const uint8_t header[64] = {
        'Q', 'E', 'D', 0, 0, 0, 1, 0, 4, 0, 0, 0, 1, 0, 0, 0, [42] = 1, [51] = 4,
    };
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    test_dev_poke(k.file, 1u << 20, "old", 3);
    memset(k.file->bytes, 0xee, 1u << 20);
    k.file->logged = true;
    kit_create(&k, IMAGE, 0, 0, NULL);
    kit_log(&k, "T 0; w 0+200; w 10000+40000; F");
    assert_int_equal(k.file->length, 327680);
    assert_memory_equal(k.file->bytes, header, 64);
    assert_true(test_dev_all(k.file, 64, 327680 - 64, 0));
    kit_end(&k);
}

static void test_create_with_a_backing_file(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    kit_create(&k, 1000, 4096, 2, "base.raw"); /* rounded up to 1024 */
    assert_int_equal(k.file->length, 3 * 4096);
    assert_int_equal(test_dev_peek32(k.file, 4), 4096);
    assert_int_equal(test_dev_peek32(k.file, 8), 2);
    assert_int_equal(test_dev_peek64(k.file, 16), QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE);
    assert_int_equal(test_dev_peek64(k.file, 40), 4096);
    assert_int_equal(test_dev_peek64(k.file, 48), 1024);
    assert_int_equal(test_dev_peek32(k.file, 56), 64);
    assert_int_equal(test_dev_peek32(k.file, 60), 8);
    assert_memory_equal(k.file->bytes + 64, "base.raw", 9);
    kit_end(&k);
}

static int try_create(struct kit *k, uint64_t bytes, uint32_t cs, uint32_t ts, const char *backing)
{
    struct qed_create_options o = {
        .image_bytes = bytes, .cluster_bytes = cs, .table_clusters = ts, .backing_name = backing};

    return qed_create(&k->file->dev, &o, &k->err);
}

static void test_create_refuses_what_the_format_cannot_hold(void **state)
{
    struct kit k;
    char name[5000];

    (void)state;
    kit_begin(&k, "upstream");
    assert_int_equal(try_create(&k, IMAGE, 5000, 4, NULL), -EINVAL);
    assert_true(strlen(k.err.text) > 0);
    assert_int_equal(try_create(&k, IMAGE, 2048, 4, NULL), -EINVAL);
    assert_int_equal(try_create(&k, IMAGE, 1u << 27, 4, NULL), -EINVAL);
    assert_int_equal(try_create(&k, IMAGE, 4096, 3, NULL), -EINVAL);
    assert_int_equal(try_create(&k, IMAGE, 4096, 32, NULL), -EINVAL);
    assert_int_equal(try_create(&k, (1u << 30) + 1, 4096, 1, NULL), -EINVAL);
    assert_int_equal(try_create(&k, UINT64_MAX, 65536, 4, NULL), -EINVAL);
    memset(name, 'x', sizeof(name));
    name[4095] = 0;
    assert_true(try_create(&k, IMAGE, 4096, 4, name) < 0); /* does not fit behind the header */
    name[4095] = 'x';
    name[4999] = 0;
    assert_true(try_create(&k, IMAGE, 65536, 4, name) < 0); /* could never be opened */
    assert_int_equal(k.file->length, 0);                    /* refused before anything was destroyed */
    ok(try_create(&k, 1u << 30, 4096, 1, NULL));
    ok(try_create(&k, 0, 0, 0, NULL));
    ok(kit_try_open(&k));
    assert_int_equal(qed_image_bytes(k.q), 0);
    assert_int_equal(kit_write(&k, 0, 512, 1), -EIO);
    kit_end(&k);
}

static void test_create_passes_errors_on(void **state)
{
    struct kit k;

    (void)state;
    for (unsigned nth = 1; nth < 10; nth++) {
        int ret;

        kit_begin(&k, "upstream");
        test_world_fail(k.world, BLK_EVENT_COUNT, nth, EIO);
        ret = try_create(&k, IMAGE, 0, 0, "base.raw");
        assert_int_equal(ret, k.world->plans[0].fired ? -EIO : 0);
        if (ret)
            assert_true(strlen(k.err.text) > 0);
        kit_end(&k);
        if (!ret) {
            assert_true(nth >= 5);
            return;
        }
    }
    fail();
}

static void test_probe(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    assert_int_equal(qed_probe(k.file->bytes, 512), 100);
    assert_int_equal(qed_probe(k.file->bytes, 64), 100);
    assert_int_equal(qed_probe(k.file->bytes, 3), 0);
    assert_int_equal(
        qed_probe((const uint8_t *)"QFI\xfb ................................................................", 64), 0);
    kit_end(&k);
}

/* ---- refusals ---- */

static void refused(struct kit *k, int error, const char *message)
{
    struct qed_error empty = {.text = ""};

    k->err = empty;
    assert_int_equal(kit_try_open(k), -error);
    assert_null(k->q);
    if (strncmp(k->err.text, message, strlen(message)) != 0) {
        print_error("says \"%s\", not \"%s\"\n", k->err.text, message);
        fail();
    }
}

static const struct refusal {
    uint32_t at;
    unsigned bytes;
    uint64_t value;
    int error;
    const char *message;
} refusals[] = {
    {0, 4, 0x00444552, EINVAL, "Image not in QED format"},
    {16, 8, 8, ENOTSUP, "Unsupported QED features: 8"},
    {16, 8, UINT64_C(0x8000000000000002), ENOTSUP, "Unsupported QED features: 8000000000000000"},
    {4, 4, 0, EINVAL, "QED cluster size is invalid"},
    {4, 4, 2048, EINVAL, "QED cluster size is invalid"},
    {4, 4, 65537, EINVAL, "QED cluster size is invalid"},
    {4, 4, 1u << 27, EINVAL, "QED cluster size is invalid"},
    {8, 4, 0, EINVAL, "QED table size is invalid"},
    {8, 4, 3, EINVAL, "QED table size is invalid"},
    {8, 4, 32, EINVAL, "QED table size is invalid"},
    {48, 8, 513, EINVAL, "QED image size is invalid"},
    {48, 8, (UINT64_C(64) << 40) + 512, EINVAL, "QED image size is invalid"},
    {48, 8, UINT64_MAX - 511, EINVAL, "QED image size is invalid"},
    {40, 8, 0, EINVAL, "QED table offset is invalid"},
    {40, 8, 0x10200, EINVAL, "QED table offset is invalid"},
    {40, 8, 0x20000, EINVAL, "QED table offset is invalid"}, /* its last cluster lies beyond the end */
    {40, 8, UINT64_C(0xffffffffffff0000), EINVAL, "QED table offset is invalid"},
    {12, 4, 2, EINVAL, "QED table offset is invalid"}, /* the L1 would lie in the header area */
    {12, 4, 0xffffffff, EINVAL, "QED"},
    {12, 4, 0x10000, EINVAL, "QED"}, /* the product is 2^32 */
    {12, 4, 0, EINVAL, "QED header size"},
};

static void test_each_invalid_field_is_refused_in_its_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        struct kit k;

        for (int read_only = 0; read_only < 2; read_only++) {
            fresh(&k, "upstream");
            k.options.read_only = read_only;
            k.file->logged = true;
            if (r->bytes == 4)
                test_dev_poke32(k.file, r->at, (uint32_t)r->value);
            else
                test_dev_poke64(k.file, r->at, r->value);
            refused(&k, r->error, r->message);
            kit_log(&k, "");
            kit_end(&k);
        }
    }
}

/* Several things wrong: the first in the order of spec 3 is reported. */
static void test_the_order_of_refusals(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    for (size_t i = sizeof(refusals) / sizeof(refusals[0]) - 3; i-- > 0;) {
        const struct refusal *r = &refusals[i];

        if (r->bytes == 4)
            test_dev_poke32(k.file, r->at, (uint32_t)r->value);
        else
            test_dev_poke64(k.file, r->at, r->value);
        if (r->at != 12)
            refused(&k, r->error, r->message);
    }
    kit_end(&k);
}

static void test_short_files(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    test_dev_set_length(k.file, 0x4ffff); /* the L1's last cluster is not whole */
    refused(&k, EINVAL, "QED table offset is invalid");
    test_dev_set_length(k.file, 512);
    refused(&k, EINVAL, "QED table offset is invalid");
    test_dev_set_length(k.file, 40);
    refused(&k, EINVAL, "QED table offset is invalid"); /* the rest of the header reads as zeros */
    test_dev_set_length(k.file, 8);
    refused(&k, EINVAL, "QED table size is invalid");
    test_dev_set_length(k.file, 0);
    refused(&k, EINVAL, "Image not in QED format");
    kit_end(&k);
}

static void test_io_errors_at_open(void **state)
{
    static const struct {
        enum blk_event event;
        const char *message;
    } steps[] = {
        {BLK_EVENT_HEADER_READ, "Failed to read QED header"},
        {BLK_EVENT_L1_LOAD, "Failed to read L1 table"},
        {BLK_EVENT_HEADER_UPDATE, "Failed to update header"},
        {BLK_EVENT_FLUSH_TO_DISK, "Failed to update header"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct kit k;

        fresh(&k, "upstream");
        ok(kit_try_open(&k));
        ok(kit_write(&k, 0, 512, 1)); /* L1 has something to read */
        kit_close(&k);
        test_dev_poke64(k.file, 32, 1); /* autoclear */
        test_world_fail(k.world, steps[i].event, 1, EIO);
        refused(&k, EIO, steps[i].message);
        assert_true(k.world->plans[0].fired);
        ok(kit_try_open(&k));
        kit_expect(&k, 0, 512, 1);
        kit_end(&k);
    }
}

/* ---- backing names ---- */

static void with_name(struct kit *k, uint32_t offset, uint32_t size)
{
    fresh(k, "upstream");
    test_dev_poke64(k->file, 16, QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE);
    test_dev_poke32(k->file, 56, offset);
    test_dev_poke32(k->file, 60, size);
}

static void test_backing_name_outside_the_header_area(void **state)
{
    static const uint32_t places[][2] = {
        {0x10000, 1}, {0xffff, 2}, {64, 0x10000}, {0xffffffff, 0xffffffff}, {64, 0xffffffff}, {0xffffffff, 1},
    };
    struct kit k;

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        with_name(&k, places[i][0], places[i][1]);
        refused(&k, EINVAL, "QED backing filename offset is invalid");
        kit_end(&k);
    }
}

static void test_backing_name_of_any_length_that_fits(void **state)
{
    static char name[4096];
    struct kit k;

    (void)state;
    with_name(&k, 64, 4096);
    refused(&k, EINVAL, "Failed to read backing filename");
    kit_end(&k);

    memset(name, 'n', 4095);
    with_name(&k, 0x10000 - 4095, 4095); /* up to the area's last byte, at an odd place */
    test_dev_poke(k.file, 0x10000 - 4095, name, 4095);
    kit_backing(&k, name, C, 0xbb);
    kit_open(&k);
    assert_string_equal(qed_backing_name(k.q), name);
    kit_expect(&k, 0, C, 0xbb);
    kit_end(&k);

    with_name(&k, 64, 0); /* the bit, but no name: no backing file */
    kit_open(&k);
    assert_int_equal(k.host.opens, 0);
    kit_expect(&k, 0, C, 0);
    kit_end(&k);

    fresh(&k, "upstream"); /* bit 2 alone means nothing */
    test_dev_poke64(k.file, 16, QED_F_BACKING_FORMAT_NO_PROBE);
    kit_open(&k);
    kit_expect(&k, 0, C, 0);
    kit_end(&k);
}

static void test_backing_file_that_cannot_be_opened(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    kit_create(&k, IMAGE, 0, 0, "gone.raw");
    assert_int_equal(kit_try_open(&k), -ENOENT);
    assert_true(strlen(k.err.text) > 0);
    kit_backing(&k, "gone.raw", C, 0xbb);
    k.host.files[0].error = ELOOP; /* the host noticed that the name leads back into the chain */
    assert_int_equal(kit_try_open(&k), -ELOOP);
    k.options.backing_host = NULL;
    assert_true(kit_try_open(&k) < 0);
    assert_true(strlen(k.err.text) > 0);
    k.options.no_backing = true;
    ok(kit_try_open(&k));
    kit_expect(&k, 0, C, 0);
    assert_string_equal(qed_backing_name(k.q), "gone.raw");
    kit_end(&k);
}

static struct test_dev *chained(struct kit *k, const char *name, const char *next)
{
    struct qed_create_options o = {.image_bytes = IMAGE, .backing_name = next};
    struct test_dev *dev = kit_backing(k, name, 0, 0);

    ok(qed_create(&dev->dev, &o, &k->err));
    return dev;
}

static void test_endless_chain_ends(void **state)
{
    struct kit k;
    struct qed_create_options o = {.image_bytes = IMAGE, .backing_name = "a.qed"};

    (void)state;
    kit_begin(&k, "upstream");
    chained(&k, "a.qed", "b.qed");
    chained(&k, "b.qed", "a.qed");
    ok(qed_create(&k.file->dev, &o, &k.err));
    assert_true(kit_try_open(&k) < 0); /* a host that does not notice */
    assert_true(strlen(k.err.text) > 0);
    assert_true(k.host.opens < 1000);
    kit_end(&k);
}

static void test_chain_of_qed_images(void **state)
{
    struct qed_create_options o = {.image_bytes = IMAGE, .backing_name = "a.qed"};
    struct kit k, base;

    (void)state;
    kit_begin(&base, "upstream");
    kit_create(&base, 4 * C, 0, 0, NULL);
    kit_open(&base);
    ok(kit_write(&base, C, 512, 0x77));
    kit_close(&base);

    kit_begin(&k, "upstream");
    test_dev_poke(kit_backing(&k, "a.qed", 0, 0), 0, base.file->bytes, base.file->length);
    kit_end(&base);
    ok(qed_create(&k.file->dev, &o, &k.err));
    k.world->delayed = true;
    kit_open(&k);
    kit_expect(&k, 0, C, 0);
    kit_expect(&k, C, 512, 0x77);
    kit_expect(&k, C + 512, 8 * C, 0); /* on beyond the shorter image's end */
    ok(kit_write(&k, C + 1024, 512, 0x78));
    kit_expect(&k, C, 512, 0x77);
    kit_expect(&k, C + 512, 512, 0);
    kit_expect(&k, C + 1024, 512, 0x78);
    kit_expect(&k, C + 1536, C, 0);
    kit_start_read(&k, 0, 8 * C); /* abandoned with a read under way in the image below */
    kit_abandon(&k);

    test_dev_poke64(k.file, 16, QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE); /* raw, whatever it looks like */
    kit_open(&k);
    {
        uint8_t sector[512];

        ok(kit_read(&k, 0, 512, sector));
        assert_memory_equal(sector, "QED", 4);
    }
    kit_end(&k);
}

/* ---- what opening changes ---- */

static void test_clean_open_writes_nothing(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    test_dev_poke64(k.file, 24, UINT64_MAX); /* unknown compat bits are ignored */
    k.file->logged = true;
    kit_open(&k);
    assert_false(qed_opened(k.q)->scanned);
    assert_int_equal(k.file->flushes, 1); /* the one of create */
    kit_close(&k);
    kit_log(&k, "");
    kit_end(&k);
}

/* What an earlier process left in the disk's cache is covered by who says that all is well, whoever wrote it. */
static void test_close_flush(void **state)
{
    (void)state;
    for (unsigned always = 0; always < 2; always++) {
        struct kit k;

        kit_begin(&k, "upstream");
        k.design.close_flush = always ? QED_CLOSE_FLUSH_ALWAYS : QED_CLOSE_FLUSH_IF_WRITTEN;
        kit_create(&k, 1u << 20, 4096, 1, NULL);
        kit_log_clear(&k);
        kit_open(&k);
        kit_close(&k);
        kit_log(&k, always ? "F" : "");
        kit_open_read_only(&k);
        ok(kit_flush(&k));
        kit_log(&k, always ? "F" : "");
        kit_close(&k);
        kit_log(&k, always ? "F" : "");
        kit_open(&k);
        ok(qed_reopen(k.q, true, NULL));
        kit_log(&k, always ? "F" : "");
        ok(qed_reopen(k.q, false, NULL));
        ok(kit_write(&k, 0, 512, 0x11));
        ok(kit_flush(&k));
        kit_log_clear(&k);
        kit_close(&k); /* the last flush of its own covers the header; no third one */
        kit_log(&k, "F; w 0+200; F");
        kit_end(&k);
    }
}

static void test_read_only_open_leaves_the_disk_alone(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    kit_close(&k);
    test_dev_poke64(k.file, 16, QED_F_NEED_CHECK);
    test_dev_poke64(k.file, 32, 0xff);
    test_dev_poke64(k.file, 0x60008, 0x7770000);
    kit_log_clear(&k);
    kit_open_read_only(&k);
    assert_false(qed_opened(k.q)->scanned);
    kit_expect(&k, 0, C, 0x11);
    assert_int_equal(kit_wait(kit_start_read(&k, C, 512)), -EINVAL);
    assert_int_equal(kit_write(&k, 0, 512, 1), -EACCES);
    assert_int_equal(kit_zero(&k, 0, 512), -EACCES);
    ok(kit_flush(&k));
    assert_true(qed_truncate(k.q, 2 * IMAGE, &k.err) < 0);
    assert_true(qed_change_backing(k.q, "x", true, &k.err) < 0);
    kit_close(&k);
    kit_log(&k, "");
    assert_true(kit_marked(&k));
    kit_end(&k);
}

static void test_marked_open_repairs(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    kit_close(&k);
    test_dev_poke64(k.file, 16, QED_F_NEED_CHECK);
    test_dev_poke64(k.file, 0x60008, 0x50200); /* not aligned */
    kit_open(&k);
    assert_true(qed_opened(k.q)->scanned);
    assert_int_equal(qed_opened(k.q)->check.corruptions_fixed, 1);
    assert_int_equal(qed_opened(k.q)->check.corruptions, 0);
    assert_false(qed_need_check(k.q));
    assert_false(kit_marked(&k));
    kit_expect(&k, C, C, 0);
    kit_end(&k);
}

static void test_marked_open_in_check_mode_does_not(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    test_dev_poke64(k.file, 16, QED_F_NEED_CHECK);
    k.options.check_mode = true;
    k.file->logged = true;
    kit_open(&k);
    assert_false(qed_opened(k.q)->scanned);
    assert_true(qed_need_check(k.q));
    kit_log(&k, "");
    kit_end(&k);
}

/* What repair cannot mend does not refuse the open; the mark stays on disk. */
static void test_marked_open_with_double_references(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    kit_close(&k);
    test_dev_poke64(k.file, 16, QED_F_NEED_CHECK);
    test_dev_poke64(k.file, 0x60008, 0x50000);
    kit_open(&k);
    assert_int_equal(qed_opened(k.q)->check.corruptions, 1);
    assert_true(kit_marked(&k));
    kit_expect(&k, C, C, 0x11);
    kit_abandon(&k);
    kit_end(&k);
}

static void test_marked_open_whose_scan_cannot_read(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    kit_close(&k);
    test_dev_poke64(k.file, 16, QED_F_NEED_CHECK);
    test_world_fail(k.world, BLK_EVENT_L2_LOAD, 1, EIO);
    refused(&k, EIO, "Image corrupted");
    assert_true(kit_marked(&k));
    kit_end(&k);
}

static void test_reopen_read_write(void **state)
{
    static const char *const designs[] = {"upstream", "careful"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct kit k;

        fresh(&k, designs[i]);
        test_dev_poke64(k.file, 16, QED_F_NEED_CHECK);
        kit_open_read_only(&k);
        assert_int_equal(kit_write(&k, 0, C, 0x22), -EACCES);
        ok(qed_reopen(k.q, false, &k.err));
        assert_int_equal(kit_marked(&k), !k.design.check_on_reopen);
        ok(kit_write(&k, 0, C, 0x22));
        ok(qed_reopen(k.q, true, &k.err));
        assert_int_equal(kit_write(&k, 0, C, 0x33), -EACCES);
        kit_expect(&k, 0, C, 0x22);
        kit_end(&k);
    }
}

/* Spec 1.7: a partial last cluster does not exist; an entry that points at it is invalid. */
static void test_partial_tail(void **state)
{
    static const enum qed_tail tails[] = {QED_TAIL_ROUND_DOWN, QED_TAIL_TRUNCATE, QED_TAIL_ROUND_UP};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct kit k;

        fresh(&k, "v2");
        k.design.tail = tails[i];
        test_dev_poke(k.file, 0x50000, "stale", 5);
        kit_open(&k);
        assert_int_equal(k.file->length, tails[i] == QED_TAIL_TRUNCATE ? 0x50000 : 0x50005);
        ok(kit_write(&k, 0x1000, 512, 0x11));
        assert_int_equal(test_dev_peek64(k.file, 0x10000), tails[i] == QED_TAIL_ROUND_UP ? 0x70000 : 0x60000);
        kit_expect(&k, 0, 0x1000, 0);
        kit_end(&k);
    }
}

/* Turning read-write again does not set another cluster aside. */
static void test_partial_tail_after_reopen(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "v2");
    k.design.tail = QED_TAIL_ROUND_UP;
    test_dev_poke(k.file, 0x50000, "stale", 5);
    kit_open_read_only(&k);
    for (unsigned i = 0; i < 3; i++) {
        ok(qed_reopen(k.q, false, &k.err));
        ok(qed_reopen(k.q, true, &k.err));
    }
    ok(qed_reopen(k.q, false, &k.err));
    ok(kit_write(&k, 0, C, 0x11));
    assert_int_equal(test_dev_peek64(k.file, 0x10000), 0x70000);
    kit_end(&k);
}

/* ---- hostile ---- */

/* Any header behind a valid magic: opened or refused, never worse. */
static void test_garbage_headers(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    kit_open(&k);
    ok(kit_write(&k, 0, 2 * C, 0x11));
    kit_close(&k);
    for (unsigned i = 0; i < 3000; i++) {
        struct test_dev *whole = k.file;
        unsigned changes = 1 + (unsigned)(test_world_random(k.world) % 3);

        k.file = test_dev_clone(k.world, whole);
        k.options.read_only = test_world_random(k.world) % 2;
        while (changes--) {
            uint64_t r = test_world_random(k.world);
            uint32_t at = 4 + 4 * (uint32_t)(r % 15);

            test_dev_poke32(k.file, at, (r >> 8) % 4 ? UINT32_C(1) << ((r >> 16) % 32) : (uint32_t)(r >> 32));
        }
        if (!kit_try_open(&k)) {
            uint8_t buf[1024];

            if (qed_image_bytes(k.q) >= 1024)
                kit_read(&k, 0, 1024, buf);
            qed_close(k.q);
            k.q = NULL;
        } else {
            assert_true(strlen(k.err.text) > 0);
        }
        test_dev_destroy(k.file);
        k.file = whole;
    }
    kit_end(&k);
}

/* Any tables: reads answer or fail, writes land somewhere, the scan ends. */
static void test_garbage_tables(void **state)
{
    static const uint64_t evil[] = {
        1,      2,      0x200,      0x1000,           0x1001,   0x3000,   0x4000,     0x5000,
        0x6000, 0x7000, UINT64_MAX, UINT64_MAX << 12, 1u << 31, 1u << 20, 0xfffff000, 0x8000000000000000};

    (void)state;
    for (unsigned i = 0; i < 400; i++) {
        struct qed_check_result r;
        struct kit k;

        kit_begin(&k, i % 2 ? "careful" : "upstream");
        kit_create(&k, IMAGE, 4096, 1, NULL);
        k.world->random += i;
        kit_open(&k);
        ok(kit_write(&k, 0, 3 * 4096, 0x11));
        ok(kit_write(&k, 4u << 20, 3 * 4096, 0x11));
        kit_close(&k);
        for (unsigned n = 0; n < 1 + i % 4; n++) {
            uint64_t x = test_world_random(k.world);
            uint64_t at = 0x1000 * (1 + x % (k.file->length / 0x1000 - 1)) + 8 * ((x >> 16) % 6);

            test_dev_poke64(k.file, at, evil[(x >> 32) % (sizeof(evil) / sizeof(evil[0]))]);
        }
        if (i % 3 == 0)
            test_dev_poke64(k.file, 16, QED_F_NEED_CHECK);
        ok(kit_try_open(&k));
        for (uint64_t pos = 0; pos < 8u << 20; pos += 2048 * 512) {
            kit_wait(kit_start_read(&k, pos, 8192));
            kit_wait(kit_start_write(&k, pos + 512, 1024, 0x22));
        }
        ok(qed_check(k.q, false, &r));
        ok(qed_check(k.q, true, &r));
        qed_close(k.q);
        k.q = NULL;
        kit_end(&k);
    }
}

/* Spec 1.6: an entry may point at a table; lookup does not mind, check does. */
static void test_entry_that_points_at_the_l1(void **state)
{
    struct qed_check_result r;
    struct kit k;
    uint8_t sector[512];

    (void)state;
    fresh(&k, "upstream");
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    kit_close(&k);
    test_dev_poke64(k.file, 0x60008, 0x10000);
    kit_open(&k);
    ok(kit_read(&k, C, 512, sector));
    assert_memory_equal(sector, k.file->bytes + 0x10000, 512);
    ok(qed_check(k.q, false, &r));
    assert_int_equal(r.corruptions, 1);
    kit_end(&k);
}

static void test_requests_outside_the_image(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    kit_create(&k, 3 * C + 512, 0, 0, NULL);
    kit_open(&k);
    assert_int_equal(kit_write(&k, 3 * C + 512, 512, 1), -EIO);
    assert_int_equal(kit_write(&k, 3 * C, 1024, 1), -EIO);
    assert_int_equal(kit_wait(kit_start_read(&k, UINT64_MAX - 511, 512)), -EIO);
    assert_int_equal(kit_wait(kit_start_read(&k, UINT64_MAX - 511, 1024)), -EIO);
    assert_int_equal(kit_zero(&k, 512, UINT64_MAX - 511), -EIO);
    assert_int_equal(kit_discard(&k, 4 * C, C), -EIO);
    assert_int_equal(kit_write(&k, 100, 512, 1), -EINVAL);
    assert_int_equal(kit_wait(kit_start_read(&k, 0, 100)), -EINVAL);
    assert_int_equal(kit_zero(&k, 0, 1), -EINVAL);
    kit_log(&k, "");
    ok(kit_write(&k, 0, 0, 1)); /* nothing to do, done at once */
    ok(kit_zero(&k, 0, 0));
    kit_log(&k, "");
    ok(kit_write(&k, 3 * C, 512, 0x44));
    kit_expect(&k, 3 * C, 512, 0x44);
    kit_end(&k);
}

static void test_map(void **state)
{
    enum qed_map_kind kind;
    uint64_t offset, run;
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    kit_open(&k);
    ok(qed_map(k.q, 0, IMAGE, &kind, &offset, &run));
    assert_int_equal(kind, QED_MAP_UNALLOCATED);
    assert_int_equal(run, IMAGE);
    ok(kit_write(&k, C, 2 * C, 0x11));
    ok(kit_zero(&k, 3 * C, C));
    ok(qed_map(k.q, C + 512, IMAGE - C - 512, &kind, &offset, &run));
    assert_int_equal(kind, QED_MAP_DATA);
    assert_int_equal(offset, 0x50200);
    assert_int_equal(run, 2 * C - 512);
    ok(qed_map(k.q, 3 * C, C, &kind, &offset, &run));
    assert_int_equal(kind, QED_MAP_ZERO);
    assert_int_equal(run, C);
    ok(qed_map(k.q, 0, IMAGE, &kind, &offset, &run));
    assert_int_equal(kind, QED_MAP_UNALLOCATED);
    assert_int_equal(run, C);
    kit_end(&k);
}

static void test_truncate(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    kit_open(&k);
    assert_int_equal(qed_truncate(k.q, IMAGE - 512, &k.err), -ENOTSUP);
    assert_int_equal(qed_truncate(k.q, IMAGE + 100, &k.err), -EINVAL);
    assert_int_equal(qed_truncate(k.q, (UINT64_C(64) << 40) + 512, &k.err), -EINVAL);
    test_world_fail(k.world, BLK_EVENT_HEADER_UPDATE, 1, EIO);
    assert_int_equal(qed_truncate(k.q, 2 * IMAGE, &k.err), -EIO);
    assert_int_equal(qed_image_bytes(k.q), IMAGE); /* restored */
    assert_int_equal(kit_write(&k, IMAGE, 512, 1), -EIO);
    ok(qed_truncate(k.q, 2 * IMAGE, &k.err));
    ok(kit_write(&k, 2 * IMAGE - 512, 512, 0x55));
    kit_reopen(&k);
    kit_expect(&k, 2 * IMAGE - 512, 512, 0x55);
    kit_end(&k);
}

static void test_change_backing_name(void **state)
{
    static char name[4200];
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    kit_backing(&k, "new.raw", C, 0xcc);
    kit_open(&k);
    ok(qed_change_backing(k.q, "new.raw", true, &k.err));
    kit_log(&k, "w 0+200; F");
    kit_reopen(&k);
    assert_string_equal(qed_backing_name(k.q), "new.raw");
    kit_expect(&k, 0, C, 0xcc);
    kit_close(&k);
    test_dev_poke64(k.file, 24, 4); /* an unknown compat bit: what follows the header is unknown */
    kit_open(&k);
    kit_log_clear(&k);
    assert_int_equal(qed_change_backing(k.q, "other", true, &k.err), -ENOTSUP);
    kit_log(&k, "");
    ok(qed_change_backing(k.q, NULL, false, &k.err)); /* removing needs no room */
    assert_int_equal(test_dev_peek64(k.file, 24), 4);
    kit_end(&k);

    kit_begin(&k, "upstream");
    kit_create(&k, IMAGE, 4096, 2, NULL);
    kit_open(&k);
    memset(name, 'n', 4033);
    assert_int_equal(qed_change_backing(k.q, name, true, &k.err), -ENOSPC);
    name[4032] = 0; /* exactly fills the header cluster */
    ok(qed_change_backing(k.q, name, true, &k.err));
    assert_string_equal(qed_backing_name(k.q), name);
    assert_int_equal(test_dev_peek32(k.file, 60), 4032);
    assert_int_equal(k.file->bytes[4095], 'n');
    test_world_fail(k.world, BLK_EVENT_HEADER_UPDATE, 1, EIO);
    assert_int_equal(qed_change_backing(k.q, NULL, false, &k.err), -EIO);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_lays_out_the_default_image),
        cmocka_unit_test(test_create_with_a_backing_file),
        cmocka_unit_test(test_create_refuses_what_the_format_cannot_hold),
        cmocka_unit_test(test_create_passes_errors_on),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_each_invalid_field_is_refused_in_its_words),
        cmocka_unit_test(test_the_order_of_refusals),
        cmocka_unit_test(test_short_files),
        cmocka_unit_test(test_io_errors_at_open),
        cmocka_unit_test(test_backing_name_outside_the_header_area),
        cmocka_unit_test(test_backing_name_of_any_length_that_fits),
        cmocka_unit_test(test_backing_file_that_cannot_be_opened),
        cmocka_unit_test(test_endless_chain_ends),
        cmocka_unit_test(test_chain_of_qed_images),
        cmocka_unit_test(test_clean_open_writes_nothing),
        cmocka_unit_test(test_close_flush),
        cmocka_unit_test(test_read_only_open_leaves_the_disk_alone),
        cmocka_unit_test(test_marked_open_repairs),
        cmocka_unit_test(test_marked_open_in_check_mode_does_not),
        cmocka_unit_test(test_marked_open_with_double_references),
        cmocka_unit_test(test_marked_open_whose_scan_cannot_read),
        cmocka_unit_test(test_reopen_read_write),
        cmocka_unit_test(test_partial_tail),
        cmocka_unit_test(test_partial_tail_after_reopen),
        cmocka_unit_test(test_garbage_headers),
        cmocka_unit_test(test_garbage_tables),
        cmocka_unit_test(test_entry_that_points_at_the_l1),
        cmocka_unit_test(test_requests_outside_the_image),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_change_backing_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
