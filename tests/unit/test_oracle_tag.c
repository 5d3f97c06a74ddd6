/* Do tags say whose bytes a sector holds, and do they say it of nothing else? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oracle/tag.h"
#include "oracle/verdict.h"

static const struct tag contents[] = {
    {.kind = TAG_ZERO},
    {.kind = TAG_GUEST, .sector = 9, .write_id = 3, .generation = 1},
    {.kind = TAG_GUEST, .sector = 9, .write_id = 3, .generation = 2},
    {.kind = TAG_GUEST, .sector = 9, .write_id = 4, .generation = 1},
    {.kind = TAG_GUEST, .sector = 0, .write_id = 0, .generation = 0},
    {.kind = TAG_GUEST, .sector = UINT64_MAX, .write_id = UINT32_MAX, .generation = UINT32_MAX},
    {.kind = TAG_BACKING, .sector = 9},
    {.kind = TAG_BACKING, .sector = 10},
    {.kind = TAG_STALE, .sector = 9},
};
enum { CONTENTS = sizeof(contents) / sizeof(contents[0]) };

/* Is what was filled in what is read out, and nothing else? */
static void test_round_trip(void **state)
{
    uint8_t bytes[TAG_SECTOR_BYTES];
    struct tag tag;

    (void)state;
    for (int i = 0; i < CONTENTS; i++) {
        tag_fill(bytes, &contents[i]);
        tag_identify(bytes, &tag);
        assert_true(tag_equal(&tag, &contents[i]));
        for (int j = 0; j < CONTENTS; j++) {
            assert_int_equal(tag_is(bytes, &contents[j]), i == j);
            assert_int_equal(tag_equal(&contents[i], &contents[j]), i == j);
        }
    }
}

/* Is one changed bit anywhere noticed, and are the other cells still believed? */
static void test_every_bit_counts(void **state)
{
    uint8_t bytes[TAG_SECTOR_BYTES];
    struct tag tag;

    (void)state;
    for (int i = 0; i < CONTENTS; i++) {
        tag_fill(bytes, &contents[i]);
        for (unsigned bit = 0; bit < TAG_SECTOR_BYTES * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(tag_is(bytes, &contents[i]));
            tag_identify(bytes, &tag);
            assert_int_equal(tag.kind, contents[i].kind == TAG_ZERO ? TAG_FOREIGN : TAG_MIXED);
            if (tag.kind == TAG_MIXED)
                assert_int_equal(tag.sector, contents[i].sector);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* Is a sector cut at any cell between any two contents a mix that names the first tagged cell? */
static void test_mix(void **state)
{
    uint8_t head[TAG_SECTOR_BYTES], tail[TAG_SECTOR_BYTES], mix[TAG_SECTOR_BYTES];
    struct tag tag;

    (void)state;
    for (int i = 0; i < CONTENTS; i++) {
        for (int j = 0; j < CONTENTS; j++) {
            for (unsigned cut = TAG_CELL_BYTES; i != j && cut < TAG_SECTOR_BYTES; cut += TAG_CELL_BYTES) {
                tag_fill(head, &contents[i]);
                tag_fill(tail, &contents[j]);
                memcpy(mix, head, cut);
                memcpy(mix + cut, tail + cut, TAG_SECTOR_BYTES - cut);
                tag_identify(mix, &tag);
                assert_int_equal(tag.kind, TAG_MIXED);
                const struct tag *first = contents[i].kind == TAG_ZERO ? &contents[j] : &contents[i];
                assert_int_equal(tag.sector, first->sector);
                assert_int_equal(tag.write_id, first->write_id);
                assert_false(tag_is(mix, &tag));
            }
        }
    }
}

/* Do bytes shifted inside the sector still say whose they are, without passing for whole? */
static void test_shifted(void **state)
{
    uint8_t bytes[TAG_SECTOR_BYTES + TAG_CELL_BYTES] = {0};
    struct tag tag;

    (void)state;
    tag_fill(bytes + TAG_CELL_BYTES, &contents[1]);
    tag_identify(bytes, &tag);
    assert_int_equal(tag.kind, TAG_MIXED);
    assert_int_equal(tag_cell(bytes, 0, &tag), TAG_ZERO);
    assert_int_equal(tag_cell(bytes, 1, &tag), TAG_GUEST);
    assert_true(tag_equal(&tag, &contents[1]));
    memcpy(bytes, bytes + 2 * TAG_CELL_BYTES, TAG_CELL_BYTES); /* the second cell, first */
    assert_int_equal(tag_cell(bytes, 0, &tag), TAG_GUEST);
    tag_identify(bytes, &tag);
    assert_int_equal(tag.kind, TAG_MIXED);
}

/* Is anything else foreign: metadata, text, a cell number that cannot be? */
static void test_foreign(void **state)
{
    uint8_t bytes[TAG_SECTOR_BYTES] = {0};
    struct tag tag;

    (void)state;
    bytes[TAG_SECTOR_BYTES - 1] = 1;
    tag_identify(bytes, &tag);
    assert_int_equal(tag.kind, TAG_FOREIGN);
    assert_false(tag_is(bytes, &tag));
    memset(bytes, 0x5a, sizeof(bytes));
    tag_identify(bytes, &tag);
    assert_int_equal(tag.kind, TAG_FOREIGN);
    assert_true(tag_equal(&tag, &(struct tag){.kind = TAG_FOREIGN}));
    tag_fill(bytes, &contents[1]);
    bytes[4] = TAG_CELLS;
    assert_int_equal(tag_cell(bytes, 0, &tag), TAG_FOREIGN);
}

/* Is it true of unaligned sectors as well? */
static void test_unaligned(void **state)
{
    uint8_t bytes[TAG_SECTOR_BYTES + 1];
    struct tag tag;

    (void)state;
    tag_fill(bytes + 1, &contents[2]);
    tag_identify(bytes + 1, &tag);
    assert_true(tag_equal(&tag, &contents[2]));
}

/* Is a sector's content the same on every machine and in every version? (A recording outlives the program.) */
static void test_format_is_fixed(void **state)
{
    static const uint8_t second_cell[24] = {'t', 'a', 'g', 'G', 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1};
    uint8_t bytes[TAG_SECTOR_BYTES];
    uint64_t sum = 0;

    (void)state;
    tag_fill(bytes, &contents[1]);
    assert_memory_equal(bytes + TAG_CELL_BYTES, second_cell, sizeof(second_cell));
    for (unsigned i = 0; i < TAG_SECTOR_BYTES; i++)
        sum = sum * 31 + bytes[i];
    assert_int_equal(sum, UINT64_C(0x43ef1e8967faaa8c));
}

/* Does a person get the right words? */
static void test_words(void **state)
{
    static const struct {
        struct tag tag;
        const char *words;
    } cases[] = {
        {{.kind = TAG_ZERO}, "zero"},
        {{.kind = TAG_GUEST, .sector = 9, .write_id = 3}, "guest write 3 of sector 9"},
        {{.kind = TAG_BACKING, .sector = 12}, "backing sector 12"},
        {{.kind = TAG_STALE, .sector = 88}, "stale image sector 88"},
        {{.kind = TAG_MIXED, .sector = 7}, "a mix with bytes of sector 7"},
        {{.kind = TAG_FOREIGN}, "foreign bytes"},
    };
    char buf[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(tag_describe(&cases[i].tag, buf, sizeof(buf)), cases[i].words);
    assert_string_equal(tag_describe(&cases[1].tag, buf, 6), "guest");
}

/* Does every class have one name that is read back, and a meaning? */
static void test_verdict_names(void **state)
{
    (void)state;
    for (int c = 0; c < VERDICT_CLASS_COUNT; c++) {
        assert_int_equal(verdict_class_parse(verdict_class_name((enum verdict_class)c)), c);
        assert_true(strlen(verdict_class_meaning((enum verdict_class)c)) > 10);
    }
    assert_string_equal(verdict_class_name(VERDICT_LOST_COW), "lost-cow");
    assert_string_equal(verdict_class_name(VERDICT_OK), "ok");
    assert_int_equal(verdict_class_parse("lost"), VERDICT_CLASS_COUNT);
    assert_int_equal(verdict_class_parse(""), VERDICT_CLASS_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_mix),
        cmocka_unit_test(test_shifted),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_unaligned),
        cmocka_unit_test(test_format_is_fixed),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_verdict_names),
    };
    return cmocka_run_group_tests_name("oracle: tags and verdicts", tests, NULL, NULL);
}
