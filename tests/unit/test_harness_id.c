/* Ids: what is written is read back, whatever a path looks like; what is no id is refused with one sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/id.h"

static void round_trip(const char *scenario, uint64_t schedule, uint64_t seed, bool has_point, uint32_t point,
                       const char *survivors)
{
    char *text = id_format(scenario, "v2", "ssd", schedule, seed, has_point, point, survivors);
    struct finding_id id;
    char why[200] = "";

    assert_null(strpbrk(text, " \t\n\v\f\r"));
    if (!id_parse(text, &id, why, sizeof(why)))
        fail_msg("%s", why);
    assert_string_equal(id.scenario, scenario);
    assert_string_equal(id.design, "v2");
    assert_string_equal(id.disk, "ssd");
    assert_true(id.schedule == schedule && id.seed == seed);
    assert_null(id.script);
    assert_int_equal(id.has_point, has_point);
    if (has_point)
        assert_int_equal(id.point, point);
    assert_string_equal(id.survivors, has_point ? survivors : "");
    id_free(&id);
    free(text);
}

static void test_round_trip(void **state)
{
    static const char *const names[] = {"cow-partial",
                                        "./my scn.scn",
                                        "/a:b/c%d/%41.scn",
                                        "./tab\there.scn",
                                        "./line\nbreak",
                                        "./\001\037\177.scn",
                                        "./\xc3\xa4\xff.scn",
                                        "./@+s1:seed=3",
                                        "%",
                                        ":",
                                        "-"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        round_trip(names[i], 1, 1, true, 14, "+L2+C#2.6");
        round_trip(names[i], 1, 1, false, 0, "");
        round_trip(names[i], 7, 1, true, 0, "");
        round_trip(names[i], 1, 0, true, UINT32_MAX, "+D+len=12288");
        round_trip(names[i], UINT64_MAX, UINT64_MAX, true, 3, "+R");
    }
}

static void test_every_byte_in_a_name(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        const char name[] = {'.', '/', (char)c, 0};

        round_trip(name, 1, 1, true, 1, "");
    }
}

static void test_text(void **state)
{
    char *text = id_format("cow-partial", "v2", "ssd", 1, 1, true, 14, "+L2+C#2.6");

    (void)state;
    assert_string_equal(text, "cow-partial:v2:ssd:@14+L2+C#2.6");
    free(text);
    text = id_format("./a b:c%", "v2", "ssd", 3, 9, true, 0, "");
    assert_string_equal(text, "./a%20b%3Ac%25:v2:ssd:s3:seed=9:@0");
    free(text);
    text = id_format("x", "v2", "ssd", 1, 1, false, 14, "+L2");
    assert_string_equal(text, "x:v2:ssd");
    free(text);
}

static void test_scripts(void **state)
{
    uint8_t script[] = {1, 0, 255, 0, 0};
    struct sim_schedule schedule = {.seed = 1, .script = script, .script_len = sizeof(script)};
    char *text = id_format_schedule("x", "v2", "ssd", &schedule, true, 1, "");
    struct finding_id id;
    char why[200];

    (void)state;
    assert_string_equal(text, "x:v2:ssd:x0100ff:@1");
    assert_true(id_parse(text, &id, why, sizeof(why)));
    assert_int_equal(id.script_len, 3);
    assert_memory_equal(id.script, script, 3);
    id_free(&id);
    free(text);
    assert_true(id_parse("x:v2:ssd:sall", &id, why, sizeof(why)));
    assert_true(id.schedule == ID_ALL_SCHEDULES);
    id_free(&id);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "x:v2",
        ":v2:ssd:@1",
        "x::ssd:@1",
        "x:v2::@1",
        "x:v2:ssd:",
        "x:v2:ssd:@",
        "x:v2:ssd:@x",
        "x:v2:ssd:@-1",
        "x:v2:ssd:@+L2",
        "x:v2:ssd:@4294967296",
        "x:v2:ssd:@99999999999999999999999",
        "x:v2:ssd:@1L2",
        "x:v2:ssd:s",
        "x:v2:ssd:s-1",
        "x:v2:ssd:s1x",
        "x:v2:ssd:s99999999999999999999",
        "x:v2:ssd:seed=",
        "x:v2:ssd:seed=-1",
        "x:v2:ssd:what:@1",
        "x:v2:ssd:x1:@1",
        "x:v2:ssd:xzz:@1",
        "x%:v2:ssd:@1",
        "x%4:v2:ssd:@1",
        "x%4g:v2:ssd:@1",
        "x%00:v2:ssd:@1",
        "x:v2:0123456789012345678901234567890123456789012345678901234567890123456789:@1",
        "x:v%2:ssd:@1",
    };
    struct finding_id id;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char why[200] = "";

        if (id_parse(bad[i], &id, why, sizeof(why)))
            fail_msg("'%s' was taken for an id", bad[i]);
        assert_true(strlen(why) > 20);
        assert_null(strchr(why, '\n'));
    }
}

/* Cut anywhere, or with any byte changed, it is an id or it is not; it is never more than that. */
static void test_mangled(void **state)
{
    static const char good[] = "./a%20b:cow-flush:own-length:s12:seed=77:@14+L2+C#2.0-3,5+len=4096";
    struct finding_id id;
    char why[200], text[sizeof(good)];

    (void)state;
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        memcpy(text, good, sizeof(good));
        text[i] = 0;
        if (id_parse(text, &id, why, sizeof(why)))
            id_free(&id);
        for (int c = 1; c < 256; c++) {
            memcpy(text, good, sizeof(good));
            text[i] = (char)c;
            if (id_parse(text, &id, why, sizeof(why)))
                id_free(&id);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_byte_in_a_name),
        cmocka_unit_test(test_text),       cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_mangled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
