/* E, the end of the last allocation in the header: what is written, and what an open makes of it. docs/format.md 1.8. */
#include "engine/design_box.h"
#include "tests/unit/test_engine_kit.h"

#define C     0x10000u
#define IMAGE (64u << 20)

/* The first allocation of an image takes a cluster and a table. */
#define START 0x50000u
#define FIRST 0xa0000u

static void begin(struct kit *k, enum qed_phys_size phys_size, enum qed_size_check size_check)
{
    kit_begin(k, "upstream");
    k->design.need_check = QED_NEED_CHECK_FLUSHED;
    k->design.clear_on = QED_CLEAR_ON_CLOSE;
    k->design.phys_size = (uint8_t)phys_size;
    k->design.size_check = (uint8_t)size_check;
    kit_create(k, IMAGE, 0, 0, NULL);
}

static uint64_t end_on_disk(const struct kit *k)
{
    return test_dev_peek64(k->file, QED_PHYS_SIZE_OFFSET);
}

static bool by_field(const struct kit *k)
{
    return test_dev_peek64(k->file, 24) & QED_COMPAT_PHYS_SIZE;
}

static bool by_bit(const struct kit *k)
{
    return test_dev_peek64(k->file, 32) & QED_AUTOCLEAR_PHYS_SIZE;
}

static bool open_scans(struct kit *k)
{
    kit_open(k);
    return qed_opened(k->q)->scanned;
}

/* Another program, that knows nothing of E and has no mark, writes to the image and closes it. */
static void old_program_writes(struct kit *k, uint64_t pos, uint8_t byte)
{
    struct qed_design design = k->design;

    k->design = *qed_design_find("v2");
    kit_open(k);
    ok(kit_write(k, pos, C, byte));
    kit_close(k);
    k->design = design;
}

/* ---- what is written ---- */

/* Not a write and not a flush more than without the field. */
static void test_field_costs_nothing(void **state)
{
    (void)state;
    for (unsigned field = 0; field < 2; field++) {
        struct kit k;

        begin(&k, field ? QED_PHYS_SIZE_HEADER_FIELD : QED_PHYS_SIZE_NONE, QED_SIZE_CHECK_NEVER);
        assert_false(open_scans(&k));
        kit_log(&k, "");
        ok(kit_write(&k, 0, C, 0x11));
        kit_log(&k, "w 0+200; F; w 50000+10000; w 60000+40000; F; w 10000+200");
        assert_int_equal(end_on_disk(&k), field ? START : 0);
        assert_int_equal(by_field(&k), field);
        kit_close(&k);
        kit_log(&k, "F; w 0+200; F");
        assert_int_equal(end_on_disk(&k), field ? FIRST : 0);
        assert_false(kit_marked(&k) || by_bit(&k));
        kit_end(&k);
    }
}

/* An image without the bit counts as marked: scanned once, and then the bit comes and goes where the mark would. */
static void test_bit_stands_for_the_mark(void **state)
{
    struct kit k;

    (void)state;
    begin(&k, QED_PHYS_SIZE_AUTOCLEAR_BIT, QED_SIZE_CHECK_NEVER);
    k.file->logged = true;
    assert_true(open_scans(&k));
    kit_log(&k, "w 0+200"); /* the repair's flush is upstream's, left out when nothing was written */
    assert_true(by_bit(&k));
    assert_int_equal(end_on_disk(&k), START);
    ok(kit_write(&k, 0, C, 0x11));
    kit_log(&k, "w 0+200; F; w 50000+10000; w 60000+40000; F; w 10000+200");
    assert_false(by_bit(&k));
    kit_close(&k);
    kit_log(&k, "F; w 0+200; F");
    assert_true(by_bit(&k));
    assert_false(kit_marked(&k) || by_field(&k));
    assert_int_equal(end_on_disk(&k), FIRST);
    assert_false(open_scans(&k));
    kit_log(&k, "");
    ok(kit_write(&k, C, C, 0x22));
    kit_abandon(&k);
    assert_false(by_bit(&k) || kit_marked(&k));
    assert_true(open_scans(&k));
    assert_true(by_bit(&k));
    assert_int_equal(end_on_disk(&k), FIRST + C);
    kit_end(&k);
}

/* Without a mark, E is still written where the mark would be cleared. */
static void test_without_a_mark(void **state)
{
    struct kit k;

    (void)state;
    begin(&k, QED_PHYS_SIZE_HEADER_FIELD, QED_SIZE_CHECK_NEVER);
    k.design.need_check = QED_NEED_CHECK_OFF;
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    kit_log(&k, "w 50000+10000; w 60000+40000; F; w 10000+200");
    assert_false(by_field(&k));
    kit_close(&k);
    kit_log(&k, "F; w 0+200; F");
    assert_true(by_field(&k));
    assert_int_equal(end_on_disk(&k), FIRST);
    kit_end(&k);
}

static void test_header_write_that_fails_is_undone(void **state)
{
    (void)state;
    for (unsigned way = QED_PHYS_SIZE_HEADER_FIELD; way <= QED_PHYS_SIZE_AUTOCLEAR_BIT; way++) {
        struct kit k;

        begin(&k, (enum qed_phys_size)way, QED_SIZE_CHECK_NEVER);
        k.design.failed_table = QED_FAILED_TABLE_ROLL_BACK;
        kit_open(&k);
        test_world_fail(k.world, BLK_EVENT_HEADER_UPDATE, 1, EIO);
        assert_int_equal(kit_write(&k, 0, C, 0x11), -EIO);
        test_world_no_errors(k.world);
        kit_log_clear(&k);
        ok(qed_truncate(k.q, 2 * IMAGE, NULL)); /* writes the header, as it was */
        assert_int_equal(by_bit(&k), way == QED_PHYS_SIZE_AUTOCLEAR_BIT);
        assert_false(by_field(&k) || kit_marked(&k));
        ok(kit_write(&k, 0, C, 0x11));
        assert_int_equal(kit_marked(&k), way == QED_PHYS_SIZE_HEADER_FIELD);
        assert_false(by_bit(&k));
        kit_end(&k);
    }
}

/* ---- devices of fixed length ---- */

/* E says where allocation goes on, unless the image is marked: then a scan does. */
static void test_fixed_device_is_not_scanned(void **state)
{
    (void)state;
    for (unsigned way = 0; way <= QED_PHYS_SIZE_AUTOCLEAR_BIT; way++) {
        struct kit k;

        begin(&k, (enum qed_phys_size)way, QED_SIZE_CHECK_NEVER);
        kit_open(&k);
        ok(kit_write(&k, 0, C, 0x11));
        kit_close(&k);
        test_dev_fix(k.file, 1u << 20);
        assert_int_equal(open_scans(&k), way == QED_PHYS_SIZE_NONE);
        kit_log_clear(&k);
        ok(kit_write(&k, C, C, 0x22));
        kit_log(&k, "w 0+200; F; w a0000+10000; w 60000+200");
        kit_close(&k);
        kit_open_read_only(&k);
        assert_int_equal(qed_opened(k.q)->scanned, way == QED_PHYS_SIZE_NONE);
        kit_expect(&k, 0, C, 0x11);
        kit_expect(&k, C, C, 0x22);
        kit_close(&k);
        kit_open(&k);
        ok(kit_write(&k, 2 * C, C, 0x33));
        kit_abandon(&k);
        assert_true(open_scans(&k));
        kit_log_clear(&k);
        ok(kit_write(&k, 3 * C, C, 0x44));
        kit_log(&k, "w 0+200; F; w c0000+10000; w 60000+200");
        kit_end(&k);
    }
}

/* What cannot be an end of the last allocation is none. */
static void test_fixed_device_with_a_bad_end(void **state)
{
    static const uint64_t bad[] = {0, 1, START - C, FIRST + 512, (1u << 20) + C, UINT64_MAX - C + 1};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct kit k;

        begin(&k, QED_PHYS_SIZE_HEADER_FIELD, QED_SIZE_CHECK_NEVER);
        kit_open(&k);
        ok(kit_write(&k, 0, C, 0x11));
        kit_close(&k);
        test_dev_fix(k.file, 1u << 20);
        test_dev_poke64(k.file, QED_PHYS_SIZE_OFFSET, bad[i]);
        assert_true(open_scans(&k));
        kit_expect(&k, 0, C, 0x11);
        kit_end(&k);
    }
}

/* ---- other programs ---- */

/* It clears the bit, and the image is scanned. The field it leaves as it is, and wrong. */
static void test_old_program(void **state)
{
    (void)state;
    for (unsigned way = QED_PHYS_SIZE_HEADER_FIELD; way <= QED_PHYS_SIZE_AUTOCLEAR_BIT; way++) {
        bool bit = way == QED_PHYS_SIZE_AUTOCLEAR_BIT;
        uint8_t byte[512];
        struct kit k;

        begin(&k, (enum qed_phys_size)way, QED_SIZE_CHECK_NEVER);
        kit_open(&k);
        ok(kit_write(&k, 0, C, 0x11));
        kit_close(&k);
        test_dev_fix(k.file, 1u << 20);
        old_program_writes(&k, C, 0x22);
        assert_false(by_bit(&k));
        assert_int_equal(by_field(&k), !bit);
        assert_int_equal(open_scans(&k), bit);
        if (bit)
            kit_expect(&k, C, C, 0x22);
        else
            assert_int_equal(kit_read(&k, C, 512, byte), -EINVAL); /* behind what E calls the end */
        kit_end(&k);
    }
}

/* Each of the two designs takes the other's word for nothing. */
static void test_field_and_bit_do_not_mix(void **state)
{
    struct kit k;

    (void)state;
    begin(&k, QED_PHYS_SIZE_AUTOCLEAR_BIT, QED_SIZE_CHECK_NEVER);
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    kit_close(&k);
    k.design.phys_size = QED_PHYS_SIZE_HEADER_FIELD;
    assert_false(open_scans(&k));
    assert_false(by_bit(&k)); /* an unknown autoclear bit to this design */
    ok(kit_write(&k, C, C, 0x11));
    kit_close(&k);
    assert_true(by_field(&k));
    k.design.phys_size = QED_PHYS_SIZE_AUTOCLEAR_BIT;
    assert_true(open_scans(&k));
    assert_true(by_bit(&k));
    assert_false(by_field(&k)); /* from here on that field would be wrong */
    kit_end(&k);
}

/* ---- length against E ---- */

/* A marked image that has not grown is believed to be whole, as claim A18 has it; one that has is scanned. */
static void test_size_check_of_a_marked_image(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        enum qed_phys_size way = i % 2 ? QED_PHYS_SIZE_AUTOCLEAR_BIT : QED_PHYS_SIZE_HEADER_FIELD;
        bool grown = i & 2, checked = i & 4;
        struct kit k;

        begin(&k, way, checked ? QED_SIZE_CHECK_MARKED : QED_SIZE_CHECK_NEVER);
        kit_open(&k);
        ok(kit_write(&k, 0, C, 0x11));
        kit_close(&k);
        kit_open(&k);
        if (grown)
            ok(kit_write(&k, C, C, 0x22));
        else
            ok(kit_zero(&k, C, C)); /* a table changes, no cluster is needed */
        kit_abandon(&k);
        assert_int_equal(open_scans(&k), grown || !checked);
        ok(kit_write(&k, 2 * C, C, 0x33));
        assert_true(way == QED_PHYS_SIZE_AUTOCLEAR_BIT ? !by_bit(&k) : kit_marked(&k));
        kit_close(&k);
        assert_true(way == QED_PHYS_SIZE_AUTOCLEAR_BIT ? by_bit(&k) : by_field(&k) && !kit_marked(&k));
        assert_false(open_scans(&k));
        kit_end(&k);
    }
}

/* An image that is not marked and whose length is not E was written by somebody who knows nothing of E. */
static void test_size_check_of_any_image(void **state)
{
    (void)state;
    for (unsigned always = 0; always < 2; always++) {
        struct kit k;

        begin(&k, QED_PHYS_SIZE_HEADER_FIELD, always ? QED_SIZE_CHECK_ALWAYS : QED_SIZE_CHECK_NEVER);
        assert_false(open_scans(&k)); /* no E yet: nothing to compare with */
        ok(kit_write(&k, 0, C, 0x11));
        kit_close(&k);
        assert_false(open_scans(&k));
        kit_close(&k);
        old_program_writes(&k, C, 0x22);
        assert_int_equal(open_scans(&k), always);
        assert_int_equal(end_on_disk(&k), always ? FIRST + C : FIRST);
        kit_expect(&k, C, C, 0x22);
        kit_close(&k);
        test_dev_set_length(k.file, k.file->length + 512); /* half a cluster is a difference too */
        assert_int_equal(open_scans(&k), always);
        kit_end(&k);
    }
}

/* What such a scan cannot mend leaves an image that the first allocation marks, as any other. */
static void test_size_check_finds_what_it_cannot_mend(void **state)
{
    struct kit k;

    (void)state;
    begin(&k, QED_PHYS_SIZE_HEADER_FIELD, QED_SIZE_CHECK_ALWAYS);
    kit_open(&k);
    ok(kit_write(&k, 0, 2 * C, 0x11));
    kit_close(&k);
    test_dev_poke64(k.file, 0x70000 + 8, test_dev_peek64(k.file, 0x70000)); /* one cluster, named twice */
    test_dev_set_length(k.file, k.file->length + C);
    assert_true(open_scans(&k));
    assert_int_equal(qed_opened(k.q)->check.corruptions, 1);
    assert_false(kit_marked(&k));
    ok(kit_write(&k, 4 * C, C, 0x22));
    assert_true(kit_marked(&k));
    kit_end(&k);
}

/* ---- the backing file's name ---- */

/* Where the name lies, E cannot: the design does without, with the mark. */
static void test_a_long_name_leaves_no_room(void **state)
{
    (void)state;
    for (unsigned way = QED_PHYS_SIZE_HEADER_FIELD; way <= QED_PHYS_SIZE_AUTOCLEAR_BIT; way++) {
        char name[460];
        struct kit k;

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        begin(&k, (enum qed_phys_size)way, QED_SIZE_CHECK_ALWAYS);
        k.design.need_check_with_backing = true;
        kit_backing(&k, name, IMAGE, 0xbb);
        kit_create(&k, IMAGE, 0, 0, name);
        assert_false(open_scans(&k));
        ok(kit_write(&k, 0, C, 0x11));
        assert_true(kit_marked(&k));
        assert_int_equal(test_dev_peek64(k.file, QED_PHYS_SIZE_OFFSET), 0x7878787878787878);
        kit_close(&k);
        assert_false(kit_marked(&k) || by_field(&k) || by_bit(&k));
        assert_int_equal(test_dev_peek64(k.file, QED_PHYS_SIZE_OFFSET), 0x7878787878787878);
        kit_end(&k);
    }
}

static void test_a_new_name_leaves_room(void **state)
{
    (void)state;
    for (unsigned way = 0; way <= QED_PHYS_SIZE_AUTOCLEAR_BIT; way++) {
        char name[442];
        struct kit k;

        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        begin(&k, (enum qed_phys_size)way, QED_SIZE_CHECK_NEVER);
        kit_open(&k);
        ok(kit_write(&k, 0, C, 0x11));
        kit_reopen(&k);
        assert_int_equal(qed_change_backing(k.q, name, true, &k.err), way ? -ENOSPC : 0);
        name[440] = 0;
        ok(qed_change_backing(k.q, name, true, &k.err));
        if (way)
            assert_int_equal(end_on_disk(&k), FIRST);
        kit_end(&k);
    }
}

/* ---- what is asked ---- */

/* On images without E, size_check is nobody's business, and the field's designs do as those without. */
static void test_little_is_asked_without_an_end(void **state)
{
    struct qed_design_asked asked;
    struct kit k;

    (void)state;
    begin(&k, QED_PHYS_SIZE_NONE, QED_SIZE_CHECK_NEVER);
    qed_asked_begin(&asked);
    k.design.asked = &asked;
    kit_open_read_only(&k);
    kit_expect(&k, 0, C, 0);
    kit_close(&k);
    assert_true(asked.box.allowed[QED_FIELD_phys_size] == qed_box_all().allowed[QED_FIELD_phys_size]);
    kit_open(&k);
    kit_expect(&k, 0, C, 0);
    kit_close(&k);
    assert_int_equal(asked.box.allowed[QED_FIELD_phys_size],
                     QED_VALUE(QED_PHYS_SIZE_NONE) | QED_VALUE(QED_PHYS_SIZE_HEADER_FIELD));
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    kit_abandon(&k);
    kit_open(&k);
    assert_int_equal(asked.box.allowed[QED_FIELD_phys_size], QED_VALUE(QED_PHYS_SIZE_NONE));
    assert_true(asked.box.allowed[QED_FIELD_size_check] == qed_box_all().allowed[QED_FIELD_size_check]);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_costs_nothing),
        cmocka_unit_test(test_bit_stands_for_the_mark),
        cmocka_unit_test(test_without_a_mark),
        cmocka_unit_test(test_header_write_that_fails_is_undone),
        cmocka_unit_test(test_fixed_device_is_not_scanned),
        cmocka_unit_test(test_fixed_device_with_a_bad_end),
        cmocka_unit_test(test_old_program),
        cmocka_unit_test(test_field_and_bit_do_not_mix),
        cmocka_unit_test(test_size_check_of_a_marked_image),
        cmocka_unit_test(test_size_check_of_any_image),
        cmocka_unit_test(test_size_check_finds_what_it_cannot_mend),
        cmocka_unit_test(test_a_long_name_leaves_no_room),
        cmocka_unit_test(test_a_new_name_leaves_room),
        cmocka_unit_test(test_little_is_asked_without_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
