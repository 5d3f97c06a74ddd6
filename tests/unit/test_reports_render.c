/* The renderers: exact text on small stores, since people and scripts read it; properties on the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/test_reports_dev.h"

static const struct render_options plain = {.width = 100};

static void expect_text(struct store *s, enum test_view view, struct render_options o, const char *want)
{
    char *got = test_render(s, view, o);
    assert_string_equal(got, want);
    free(got);
}

static void expect_contains(struct store *s, enum test_view view, struct render_options o, const char *want)
{
    char *got = test_render(s, view, o);
    if (!strstr(got, want))
        fail_msg("no \"%s\" in:\n%s", want, got);
    free(got);
}

static void expect_last_line(struct store *s, enum test_view view, struct render_options o, const char *want)
{
    char *got = test_render(s, view, o);
    size_t length = strlen(got), tail = strlen(want);
    if (length < tail || strcmp(got + length - tail, want) != 0)
        fail_msg("does not end with \"%s\":\n%s", want, got);
    free(got);
}

#define COW_PARTIAL_JSON                                                                                               \
    "{\"qedcrash\":\"0.1-test\",\"seed\":1,\"cells\":["                                                                \
    "{\"scenario\":\"cow-partial\",\"ledger\":[\"A7\",\"A10\"],\"design\":\"v2\",\"disk\":\"ssd\",\"schedule\":1,"     \
    "\"reading\":null,"                                                                                                \
    "\"verdict\":\"unsafe\","                                                                                          \
    "\"expected\":\"unsafe\",\"complete\":true,\"crash_points\":14,"                                                   \
    "\"states\":{\"total\":\"73728\",\"log2\":16.17,\"executions\":311,\"explored\":\"73728\",\"covered_log2\":0.0,"   \
    "\"distinct\":null},\"epochs\":[],\"findings\":["                                                                  \
    "{\"id\":\"c\",\"class\":\"corrupt\",\"crash_point\":7,\"guest_sector\":null,\"expected\":\"backing 12\","         \
    "\"found\":\"zero\",\"why\":\"The L2 entry survived, the copied data did not.\","                                  \
    "\"missing_order\":\"cow_write before l2_update\",\"survivors\":1,\"states\":40},"                                 \
    "{\"id\":\"b\",\"class\":\"lost-cow\",\"crash_point\":7,\"guest_sector\":9,\"expected\":\"backing 12\","           \
    "\"found\":\"zero\",\"why\":\"The L2 entry survived, the copied data did not.\","                                  \
    "\"missing_order\":\"cow_write before l2_update\",\"survivors\":1,\"states\":40},"                                 \
    "{\"id\":\"a\",\"class\":\"lost-cow\",\"crash_point\":7,\"guest_sector\":12,\"expected\":\"backing 12\","          \
    "\"found\":\"zero\",\"why\":\"The L2 entry survived, the copied data did not.\","                                  \
    "\"missing_order\":\"cow_write before l2_update\",\"survivors\":1,\"states\":40}],"                                \
    "\"cost\":{\"guest_writes\":3,\"image_writes\":9,\"flushes\":2,\"scans\":0},\"leaks\":0,"                          \
    "\"dirty_after_clean\":0},"                                                                                        \
    "{\"scenario\":\"grow\",\"ledger\":[],\"design\":\"v2\",\"disk\":\"ssd\",\"schedule\":1,\"reading\":null,"         \
    "\"verdict\":\"safe\","                                                                                            \
    "\"expected\":null,\"complete\":false,\"crash_points\":14,"                                                        \
    "\"states\":{\"total\":\"73728\",\"log2\":16.17,\"executions\":311,\"explored\":\"73728\",\"covered_log2\":0.0,"   \
    "\"distinct\":null},\"epochs\":[],\"findings\":[],"                                                                \
    "\"cost\":{\"guest_writes\":3,\"image_writes\":9,\"flushes\":2,\"scans\":0},\"leaks\":0,"                          \
    "\"dirty_after_clean\":0,\"cut\":\"limit of 10 states\"}],"                                                        \
    "\"canaries\":{\"caught\":6,\"of\":6},\"coverage\":{\"log2\":17.17,\"covered_log2\":0.00,\"executions\":622},"     \
    "\"skipped\":[{\"scenario\":\"grow\",\"design\":\"v2\",\"disk\":\"hostdev\",\"schedule\":1,"                       \
    "\"reason\":\"a fixed device\"}]}\n"

static void put_cow_partial(struct store *s, const struct store_finding *f)
{
    struct store_error err;
    struct store_cell cell = test_cell("grow", "v2", "ssd");
    cell.complete = false;
    cell.cut = "limit of 10 states";
    test_put(s, cell);
    cell = test_unsafe_cell("cow-partial", "v2", "ssd", f, 3, true);
    cell.ledger = "A7,A10";
    test_put(s, cell);
    cell = test_cell("grow", "v2", "hostdev");
    cell.verdict = "skipped";
    cell.skip_reason = "a fixed device";
    test_put(s, cell);
    assert_int_equal(store_put_canaries(s, 6, 6, &err), 0);
}

static void json_is_the_object_of_the_contract(void **state)
{
    (void)state;
    struct store_finding f[] = {test_finding("a", VERDICT_LOST_COW, 12), test_finding("b", VERDICT_LOST_COW, 9),
                                test_finding("c", VERDICT_CORRUPT, 0)};
    f[2].has_guest_sector = false;
    struct store *s = test_store(NULL);
    put_cow_partial(s, f);
    expect_text(s, TEST_JSON, plain, COW_PARTIAL_JSON);
    test_close(s);
}

static void json_does_not_depend_on_the_order_of_putting(void **state)
{
    (void)state;
    struct store_finding f[] = {test_finding("b", VERDICT_LOST_COW, 9), test_finding("c", VERDICT_CORRUPT, 0),
                                test_finding("a", VERDICT_LOST_COW, 12)};
    f[1].has_guest_sector = false;
    struct store *s = test_store(NULL);
    test_put(s, test_cell("cow-partial", "v2", "ssd"));
    put_cow_partial(s, f);
    expect_text(s, TEST_JSON, plain, COW_PARTIAL_JSON);
    test_close(s);
}

static void run_tells_the_story(void **state)
{
    (void)state;
    struct store_finding f = test_finding("cow-partial:v2:ssd:@7+L2", VERDICT_LOST_COW, 12);
    struct store *s = test_store(NULL);
    test_put(s, test_unsafe_cell("cow-partial", "v2", "ssd", &f, 1, false));
    expect_text(s, TEST_RUN, plain,
                "cow-partial  v2  ssd  UNSAFE  lost-cow  14 crash points, 73728 states (2^16.17), complete,"
                " 311 executions  [UNEXPECTED: expected safe]\n"
                "    lost-cow: bytes the guest never wrote changed\n"
                "      guest sector 12, crash point 7: expected backing 12, found zero\n"
                "      write 4608 512\n"
                "      survived: L2 entry 0\n"
                "      The L2 entry survived, the copied data did not.\n"
                "repro: qedcrash repro 'cow-partial:v2:ssd:@7+L2'\n");
    test_close(s);
}

static void run_repeats_no_story(void **state)
{
    (void)state;
    struct store_finding f[] = {test_finding("id-1", VERDICT_LOST_COW, 12), test_finding("i'd", VERDICT_LOST_COW, 20)};
    struct store *s = test_store(NULL);
    test_put(s, test_unsafe_cell("cow-partial", "v2", "ssd", f, 2, true));
    test_put(s, test_cell("grow", "cow-flush", "ssd"));
    expect_text(
        s, TEST_RUN, plain,
        "cow-partial  v2         ssd  UNSAFE  lost-cow  14 crash points, 73728 states (2^16.17), complete,"
        " 311 executions  [as expected]\n"
        "    lost-cow: bytes the guest never wrote changed\n"
        "      guest sector 12, crash point 7: expected backing 12, found zero\n"
        "      write 4608 512\n"
        "      survived: L2 entry 0\n"
        "      The L2 entry survived, the copied data did not.\n"
        "      repro: qedcrash repro 'id-1'\n"
        "    lost-cow, the same order missing: guest sector 20, crash point 7: expected backing 12, found zero\n"
        "      repro: qedcrash repro 'i'\\''d'\n"
        "grow         cow-flush  ssd  safe    14 crash points, 73728 states (2^16.17), complete,"
        " 311 executions\n"
        "2 cells: 1 safe, 1 unsafe (1 as expected, 0 unexpected), 0 incomplete, 0 skipped\n"
        "2^17.17 crash states, all of them explored, 622 executions\n"
        "repro: qedcrash repro 'i'\\''d'\n");
    test_close(s);
}

static void safe_where_unsafe_was_expected_is_unexpected(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    struct store_cell cell = test_cell("grow", "v2", "ssd");
    cell.expected = STORE_EXPECT_UNSAFE;
    cell.expected_classes = "torn";
    cell.as_expected = false;
    test_put(s, cell);
    expect_contains(s, TEST_RUN, plain, "[UNEXPECTED: expected unsafe torn]");
    expect_last_line(s, TEST_RUN, plain, "\nrepro: qedcrash repro 'whole:cell:id'\n");
    expect_contains(s, TEST_RUN, (struct render_options){.quiet = true}, "UNEXPECTED");
    expect_contains(s, TEST_MATRIX, plain, "1 cell: 1 safe (1 unexpected), 0 unsafe (0 as expected, 0 unexpected)");
    expect_contains(s, TEST_MATRIX, plain, "safe!\n");
    test_close(s);
}

/* Two designs and an incomplete, a skipped and an unexpected cell. */
static struct store *small_matrix(void)
{
    struct store_finding f[] = {test_finding("long-id", VERDICT_CORRUPT, 12), test_finding("id", VERDICT_LOST_COW, 12),
                                test_finding("longer-id", VERDICT_LOST_COW, 20)};
    f[0].missing_order = "";
    struct store *s = test_store(NULL);
    test_put(s, test_unsafe_cell("cow-partial", "v1", "ssd", f, 3, true));
    test_put(s, test_unsafe_cell("cow-partial", "v2", "ssd", f + 2, 1, false));
    struct store_cell cell = test_cell("grow", "v1", "ssd");
    cell.complete = false;
    test_put(s, cell);
    cell = test_cell("grow", "v2", "ssd");
    cell.verdict = "skipped";
    cell.skip_reason = "no backing file";
    test_put(s, cell);
    test_put(s, test_cell("grow", "v2", "hostdev"));
    return s;
}

static void matrix_as_a_person_sees_it(void **state)
{
    (void)state;
    struct store *s = small_matrix();
    struct store_error err;
    assert_int_equal(store_put_canaries(s, 3, 3, &err), 0);
    expect_text(s, TEST_MATRIX, plain,
                "disk hostdev\n"
                "  scenario  v2\n"
                "  grow      safe\n"
                "\n"
                "disk ssd\n"
                "  scenario     v1           v2\n"
                "  cow-partial  LOST-COW +1  LOST-COW!\n"
                "  grow         safe?        -\n"
                "\n"
                "safe: no crash shows the guest anything wrong; CAPITALS: the first class found, +N: classes more;\n"
                "!: not what was expected; ?: incomplete; -: skipped\n"
                "\n"
                "findings: design, class, missing order\n"
                "  v2  lost-cow  cow_write before l2_update  1 in 1 cell, 1 UNEXPECTED"
                "  repro: qedcrash repro 'longer-id'\n"
                "  v1  lost-cow  cow_write before l2_update  2 in 1 cell  repro: qedcrash repro 'id'\n"
                "  v1  corrupt   -                           1 in 1 cell  repro: qedcrash repro 'long-id'\n"
                "\n"
                "skipped 1: no backing file\n"
                "4 cells: 2 safe, 2 unsafe (1 as expected, 1 unexpected), 1 incomplete, 1 skipped;"
                " canaries 3 of 3 caught\n"
                "2^18.17 crash states, all of them explored, 1244 executions\n"
                "repro: qedcrash repro 'longer-id'\n");
    test_close(s);
}

static void matrix_sums_up_the_ledger(void **state)
{
    (void)state;
    struct store_finding f = test_finding("id", VERDICT_LOST_COW, 12);
    struct store *s = test_store(NULL);
    struct store_cell cell = test_cell("grow", "v1", "ssd");
    cell.ledger = "A3b,A10";
    test_put(s, cell);
    cell.design = "v2";
    test_put(s, cell);
    cell = test_unsafe_cell("cow-partial", "v1", "ssd", &f, 1, false);
    cell.ledger = "A4,A10,A3";
    test_put(s, cell);
    test_put(s, test_cell("silent", "v1", "ssd"));
    expect_contains(s, TEST_MATRIX, plain,
                    "\nledger: claim, cells, scenarios (docs/ledger.md)\n"
                    "  A3   0 safe, 1 unsafe, 1 UNEXPECTED  cow-partial\n"
                    "  A3b  2 safe, 0 unsafe  grow\n"
                    "  A4   0 safe, 1 unsafe, 1 UNEXPECTED  cow-partial\n"
                    "  A10  2 safe, 1 unsafe, 1 UNEXPECTED  cow-partial grow\n"
                    "\n");
    test_close(s);
}

static void quiet_and_verbose(void **state)
{
    (void)state;
    struct store *s = small_matrix();
    char *quiet = test_render(s, TEST_MATRIX, (struct render_options){.quiet = true});
    assert_int_equal(strncmp(quiet, "findings:", 9), 0);
    assert_null(strstr(quiet, "skipped 1:"));
    free(quiet);
    struct render_options verbose = {.verbose = true};
    expect_contains(s, TEST_MATRIX, verbose, "grow         v2  ssd      skipped: no backing file\n");
    expect_contains(s, TEST_MATRIX, verbose, "INCOMPLETE");
    expect_contains(s, TEST_MATRIX, verbose, "      survived: L2 entry 0\n");
    quiet = test_render(s, TEST_RUN, (struct render_options){.quiet = true});
    assert_null(strstr(quiet, "grow"));
    assert_null(strstr(quiet, "survived: L2 entry 0"));
    assert_non_null(strstr(quiet, "repro: qedcrash repro 'long-id'"));
    free(quiet);
    test_close(s);
}

static void missed_canary_is_loud(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    struct store_error err;
    assert_int_equal(store_put_canaries(s, 2, 3, &err), 0);
    expect_contains(s, TEST_MATRIX, plain, "canaries 2 of 3 caught: the tester missed a planted bug");
    test_close(s);
}

static void lines_fit_the_terminal(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    for (int i = 0; i < 30; i++) {
        char design[24];
        snprintf(design, sizeof(design), "design-%02d", i);
        test_put(s, test_cell("cow-partial", design, "ssd"));
        if (i % 3)
            test_put(s, test_cell("grow", design, "ssd"));
    }
    char *text = test_render(s, TEST_MATRIX, (struct render_options){.width = 60});
    char *table = strdup(text);
    *strstr(table, "safe: no crash") = '\0';
    int seen = 0;
    for (char *line = strtok(table, "\n"); line; line = strtok(NULL, "\n")) {
        assert_in_range(strlen(line), 1, 60);
        assert_int_not_equal(line[strlen(line) - 1], ' ');
        for (char *d = strstr(line, "design-"); d; d = strstr(d + 1, "design-"))
            seen++;
    }
    assert_int_equal(seen, 30);
    assert_non_null(strstr(text, "disk ssd (further designs)\n"));
    free(table);
    free(text);
    /* Far too narrow: one design a block, and no endless loop. */
    free(test_render(s, TEST_MATRIX, (struct render_options){.width = 1}));
    test_close(s);
}

static void color_only_adds_to_the_words(void **state)
{
    (void)state;
    struct store *s = small_matrix();
    for (int view = TEST_RUN; view <= TEST_MATRIX; view++) {
        char *words = test_render(s, (enum test_view)view, plain);
        char *color = test_render(s, (enum test_view)view, (struct render_options){.width = 100, .color = true});
        assert_non_null(strstr(color, "\033[31m"));
        assert_non_null(strstr(color, "\033[32msafe"));
        assert_null(strchr(words, '\033'));
        char *to = color;
        for (char *from = color; *from;) {
            if (*from == '\033')
                from = strchr(from, 'm') + 1;
            else
                *to++ = *from++;
        }
        *to = '\0';
        assert_string_equal(color, words);
        free(words);
        free(color);
    }
    test_close(s);
}

static void schedules_fold_into_one_square(void **state)
{
    (void)state;
    struct store_finding f = test_finding("id", VERDICT_TORN, 1);
    struct store *s = test_store(NULL);
    for (uint64_t schedule = 1; schedule <= 3; schedule++) {
        struct store_cell cell = test_cell("race", "v2", "ssd");
        if (schedule == 2)
            cell = test_unsafe_cell("race", "v2", "ssd", &f, 1, false);
        cell.schedule = schedule;
        test_put(s, cell);
    }
    expect_contains(s, TEST_MATRIX, plain, "  race      TORN!\n");
    expect_contains(s, TEST_RUN, plain, "schedule 2     UNSAFE  torn");
    test_close(s);
}

static void empty_store_renders(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    expect_text(s, TEST_JSON, plain,
                "{\"qedcrash\":\"0.1-test\",\"seed\":1,\"cells\":[],\"canaries\":{\"caught\":0,\"of\":0},"
                "\"skipped\":[]}\n");
    const char *nothing = "0 cells: 0 safe, 0 unsafe (0 as expected, 0 unexpected), 0 incomplete, 0 skipped\n";
    expect_text(s, TEST_RUN, plain, nothing);
    expect_text(s, TEST_MATRIX, plain, nothing);
    test_close(s);
}

/* Where the states are, how many of them were explored, and that they could not all be told apart. */
static void coverage_is_a_number(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    struct store_epoch epochs[] = {
        {.first_point = 0,
         .last_point = 5,
         .states = (char[]){"64"},
         .states_log2 = 6,
         .explored = (char[]){"64"},
         .explored_log2 = 6,
         .executions = 60},
        {.first_point = 6,
         .last_point = 13,
         .states = (char[]){"73664"},
         .states_log2 = 16.168672,
         .explored = (char[]){"0"},
         .explored_log2 = -1},
    };
    struct store_cell cell = test_cell("grow", "v2", "ssd");
    cell.complete = false;
    cell.cut = "sampled";
    cell.explored = "64";
    cell.explored_log2 = 6;
    cell.has_distinct = cell.distinct_at_least = true;
    cell.distinct = 60;
    cell.epochs = epochs;
    cell.epoch_count = 2;
    test_put(s, cell);
    struct render_options verbose = plain;
    verbose.verbose = true;
    expect_text(s, TEST_RUN, verbose,
                "grow  v2  ssd  safe    14 crash points, 73728 states (2^16.17), INCOMPLETE: sampled, 311 executions,"
                " at least 60 distinct images\n"
                "    epoch of crash points 0 to 5: 64 states (2^6.00), all explored, 60 executions\n"
                "    epoch of crash points 6 to 13: 73664 states (2^16.17), none explored, 0 executions\n");
    expect_contains(s, TEST_JSON, plain,
                    "\"explored\":\"64\",\"covered_log2\":-10.17,\"distinct\":60},\"epochs\":["
                    "{\"first_point\":0,\"last_point\":5,\"states\":\"64\",\"log2\":6.0,\"explored\":\"64\","
                    "\"covered_log2\":0.0,\"executions\":60},"
                    "{\"first_point\":6,\"last_point\":13,\"states\":\"73664\",\"log2\":16.17,\"explored\":\"0\","
                    "\"covered_log2\":null,\"executions\":0}]");
    expect_contains(s, TEST_MATRIX, plain, "2^16.17 crash states, 2^-10.17 of them explored, 311 executions\n");
    test_close(s);
}

static void full_output_is_an_error(void **state)
{
    (void)state;
    struct store *s = small_matrix();
    struct store_error err = {""};
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_true(render_json(s, full, &err) < 0);
    assert_non_null(strstr(err.text, "No space left"));
    fclose(full);
    test_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_the_object_of_the_contract),
        cmocka_unit_test(json_does_not_depend_on_the_order_of_putting),
        cmocka_unit_test(run_tells_the_story),
        cmocka_unit_test(run_repeats_no_story),
        cmocka_unit_test(safe_where_unsafe_was_expected_is_unexpected),
        cmocka_unit_test(matrix_as_a_person_sees_it),
        cmocka_unit_test(matrix_sums_up_the_ledger),
        cmocka_unit_test(quiet_and_verbose),
        cmocka_unit_test(missed_canary_is_loud),
        cmocka_unit_test(lines_fit_the_terminal),
        cmocka_unit_test(color_only_adds_to_the_words),
        cmocka_unit_test(schedules_fold_into_one_square),
        cmocka_unit_test(empty_store_renders),
        cmocka_unit_test(coverage_is_a_number),
        cmocka_unit_test(full_output_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
