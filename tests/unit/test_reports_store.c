/* The store: what goes in comes out, twice the same is once, and each way the world can fail has its sentence. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/unit/test_reports_dev.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/qedcrash-store.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    (void)state;
    chmod(dir, 0700);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static struct store_summary summary_of(struct store *s)
{
    struct store_summary summary;
    struct store_error err;
    assert_int_equal(store_summarize(s, &summary, &err), 0);
    return summary;
}

/* Opening `path` must fail with `ret`, and the sentence must hold `words`. */
static void expect_refusal(const char *path, bool reader, int ret, const char *words)
{
    struct store_campaign campaign = {.version = "0.1", .seed = 1, .command = ""};
    struct store *s = NULL;
    struct store_error err = {""};
    assert_int_equal(store_open(path, reader ? NULL : &campaign, &s, &err), ret);
    assert_null(s);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static int64_t ask_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return answer;
}

static void ledger_has_a_row_per_claim(void **state)
{
    (void)state;
    struct store *s = test_store(in_dir("l.db"));
    struct store_cell cell = test_cell("grow", "v1", "ssd");
    cell.ledger = "A3b,A10";
    test_put(s, cell);
    test_put(s, test_cell("silent", "v1", "ssd"));
    test_close(s);
    assert_int_equal(ask_sql(in_dir("l.db"), "SELECT count(*) FROM v_ledger"), 2);
    assert_int_equal(ask_sql(in_dir("l.db"), "SELECT count(*) FROM v_ledger WHERE claim = 'A3b' AND scenario = 'grow'"
                                             " AND verdict = 'safe' AND NOT unexpected AND classes = ''"),
                     1);
}

static void sums_add_up(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    struct store_finding f[] = {test_finding("a", VERDICT_LOST_COW, 1), test_finding("b", VERDICT_CORRUPT, 2)};
    struct store_cell cell;
    struct store_error err;

    test_put(s, test_cell("one", "v1", "ssd"));
    test_put(s, test_unsafe_cell("one", "v2", "ssd", f, 2, true));
    test_put(s, test_unsafe_cell("one", "v3", "ssd", f, 1, false));
    cell = test_cell("two", "v1", "ssd");
    cell.verdict = "skipped";
    cell.skip_reason = "no backing file";
    cell.as_expected = false; /* nothing was judged: neither expected nor unexpected */
    test_put(s, cell);
    cell = test_cell("three", "v1", "ssd");
    cell.expected = STORE_EXPECT_UNSAFE;
    cell.as_expected = cell.complete = false;
    cell.cut = "limit of 10 states";
    test_put(s, cell);
    assert_int_equal(store_put_canaries(s, 5, 6, &err), 0);

    struct store_summary got = summary_of(s);
    struct store_summary want = {.cells = 4,
                                 .safe = 2,
                                 .unsafe = 2,
                                 .skipped = 1,
                                 .incomplete = 1,
                                 .unexpected = 2,
                                 .findings = 3,
                                 .unexpected_findings = 1,
                                 .canaries_caught = 5,
                                 .canaries_of = 6};
    assert_memory_equal(&got, &want, sizeof(got));
    test_close(s);
}

static void same_cell_again_replaces(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    struct store_finding f[] = {test_finding("a", VERDICT_LOST_COW, 1), test_finding("a", VERDICT_CORRUPT, 1)};
    test_put(s, test_unsafe_cell("one", "v2", "ssd", f, 2, false));
    test_put(s, test_unsafe_cell("one", "v2", "ssd", f, 1, false));
    assert_int_equal(summary_of(s).findings, 1);
    test_put(s, test_cell("one", "v2", "ssd"));
    assert_int_equal(summary_of(s).cells, 1);
    assert_int_equal(summary_of(s).findings, 0);
    struct store_cell other = test_cell("one", "v2", "ssd");
    other.schedule = 2;
    test_put(s, other);
    assert_int_equal(summary_of(s).cells, 2);
    test_close(s);
}

/* The schema names the classes a second time: it must know each, in the same order. */
static void every_class_is_known(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    struct store_finding f[VERDICT_CLASS_COUNT];
    size_t n = 0;
    for (int c = VERDICT_CLASS_COUNT - 1; c > VERDICT_OK; c--)
        f[n++] = test_finding("x", (enum verdict_class)c, 1);
    test_put(s, test_unsafe_cell("one", "v2", "ssd", f, n, false));
    assert_int_equal(summary_of(s).findings, VERDICT_CLASS_COUNT - 1);
    char *text = test_render(s, TEST_RUN, (struct render_options){.quiet = true});
    char want[256] = "UNSAFE  ";
    for (int c = VERDICT_OK + 1; c < VERDICT_CLASS_COUNT; c++) {
        strcat(want, verdict_class_name((enum verdict_class)c));
        strcat(want, c + 1 < VERDICT_CLASS_COUNT ? ", " : "  14 crash");
    }
    assert_non_null(strstr(text, want));
    free(text);
    test_close(s);
}

/* A cell the schema refuses leaves nothing behind, and those before it stay. */
static void refused_cell_leaves_nothing(void **state)
{
    (void)state;
    struct store *s = test_store(NULL);
    struct store_finding f[] = {test_finding("a", VERDICT_LOST_COW, 1), test_finding("b", VERDICT_OK, 1)};
    struct store_error err = {""};
    test_put(s, test_cell("one", "v1", "ssd"));
    struct store_cell bad = test_unsafe_cell("one", "v2", "ssd", f, 2, false); /* "ok" is no finding */
    assert_int_equal(store_put_cell(s, &bad, &err), -EIO);
    assert_true(err.text[0]);
    bad = test_cell("one", "v3", "ssd");
    bad.verdict = "perhaps";
    assert_int_equal(store_put_cell(s, &bad, &err), -EIO);
    assert_int_equal(summary_of(s).cells, 1);
    assert_int_equal(summary_of(s).findings, 0);
    test_close(s);
}

static void file_keeps_campaigns_side_by_side(void **state)
{
    (void)state;
    struct store_finding f = test_finding("a", VERDICT_LOST_COW, 1);
    struct store_error err = {""};
    struct store *s = test_store(in_dir("s.db"));
    for (int i = 0; i < 100; i++) { /* more than one batch */
        char name[16];
        snprintf(name, sizeof(name), "s%d", i);
        test_put(s, test_unsafe_cell(name, "v2", "ssd", &f, 1, true));
    }
    test_close(s);
    assert_int_equal(access(in_dir("s.db-journal"), F_OK), -1);

    s = test_store(in_dir("s.db"));
    test_put(s, test_cell("s0", "v2", "ssd"));
    assert_int_equal(store_put_canaries(s, 1, 1, &err), 0);
    assert_int_equal(summary_of(s).cells, 1);
    test_close(s);

    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT sum(cells) FROM v_campaigns"), 101);
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) FROM v_findings WHERE campaign = 1"), 100);
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) FROM v_matrix"), 101);
    assert_int_equal(ask_sql(in_dir("s.db"), "PRAGMA user_version"), STORE_SCHEMA_VERSION);

    assert_int_equal(store_open(in_dir("s.db"), NULL, &s, &err), 0); /* a reader sees the newest */
    assert_int_equal(summary_of(s).cells, 1);
    struct store_cell cell = test_cell("x", "y", "z");
    assert_int_equal(store_put_cell(s, &cell, &err), -EBADF);
    test_close(s);
}

static void what_was_put_outlives_its_process(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) { /* dies with the store open */
        struct store *s = test_store(in_dir("s.db"));
        for (int i = 0; i < 40; i++) {
            char name[16];
            snprintf(name, sizeof(name), "s%d", i);
            test_put(s, test_cell(name, "v2", "ssd"));
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct store *s = NULL;
    struct store_error err = {""};
    assert_int_equal(store_open(in_dir("s.db"), NULL, &s, &err), 0);
    assert_int_equal(summary_of(s).cells, 40);
    test_close(s);
}

static void big_seed_keeps_its_value(void **state)
{
    (void)state;
    struct store_campaign campaign = {.version = "0.1 \"quoted\"", .seed = UINT64_MAX, .command = "x"};
    struct store *s;
    struct store_error err;
    assert_int_equal(store_open(NULL, &campaign, &s, &err), 0);
    char *text = test_render(s, TEST_JSON, (struct render_options){0});
    assert_non_null(strstr(text, "{\"qedcrash\":\"0.1 \\\"quoted\\\"\",\"seed\":18446744073709551615,\"cells\":[]"));
    free(text);
    test_close(s);
}

static void foreign_files_are_refused_and_untouched(void **state)
{
    (void)state;
    char got[64] = "";
    FILE *file = fopen(in_dir("text"), "w");
    fputs("this is a letter to my aunt, long enough to be read as a header\n", file);
    fclose(file);
    expect_refusal(in_dir("text"), false, -EINVAL, "not a qedcrash store");
    expect_refusal(in_dir("text"), true, -EINVAL, "not a qedcrash store");
    file = fopen(in_dir("text"), "r");
    assert_non_null(fgets(got, sizeof(got), file));
    fclose(file);
    assert_int_equal(strncmp(got, "this is a letter", 16), 0);

    run_sql(in_dir("other.db"), "CREATE TABLE t (x)");
    expect_refusal(in_dir("other.db"), false, -EINVAL, "not a qedcrash store");
    assert_int_equal(ask_sql(in_dir("other.db"), "SELECT count(*) FROM sqlite_schema"), 1);
}

static void newer_schema_is_refused(void **state)
{
    (void)state;
    test_close(test_store(in_dir("s.db")));
    run_sql(in_dir("s.db"), "PRAGMA user_version = 1");
    expect_refusal(in_dir("s.db"), false, -ENOTSUP, "made by an older qedcrash");
    run_sql(in_dir("s.db"), "PRAGMA user_version = 99");
    expect_refusal(in_dir("s.db"), false, -ENOTSUP, "newer qedcrash");
    expect_refusal(in_dir("s.db"), true, -ENOTSUP, "newer qedcrash");
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) FROM campaign"), 1);
}

static void older_schema_is_refused(void **state)
{
    (void)state;
    test_close(test_store(in_dir("s.db")));
    run_sql(in_dir("s.db"), "PRAGMA user_version = 1");
    expect_refusal(in_dir("s.db"), false, -ENOTSUP, "older qedcrash");
    expect_refusal(in_dir("s.db"), true, -ENOTSUP, "older qedcrash");
}

/* Events stand under their finding, in words, and leave with it. */
static void timelines_follow_their_finding(void **state)
{
    struct store_event events[] = {
        {.lane = STORE_LANE_GUEST, .name = "write 4608 512", .begin = 2, .fate = STORE_FATE_IN_FLIGHT},
        {.lane = STORE_LANE_DATA,
         .name = "C#2",
         .begin = 3,
         .end = 4,
         .ended = true,
         .offset_bytes = 24576,
         .length_bytes = 3072,
         .fate = STORE_FATE_PARTLY,
         .pending = 6,
         .survived = 1,
         .sectors = "5",
         .order = STORE_ORDER_LOST},
        {.lane = STORE_LANE_L2, .name = "L2", .begin = 5, .fate = STORE_FATE_SURVIVED, .order = STORE_ORDER_SURVIVOR},
    };
    const struct timeline timeline = {events, 3};
    struct store_finding f = test_finding("x:v2:ssd:@6+L2", VERDICT_LOST_COW, 12);
    (void)state;
    f.timeline = &timeline;
    f.because = "No flush.";
    f.recovery = "Nothing was done.";
    struct store *s = test_store(in_dir("s.db"));
    test_put(s, test_unsafe_cell("x", "v2", "ssd", &f, 1, true));
    test_put(s, test_unsafe_cell("x", "v2", "ssd", &f, 1, true)); /* replaces */
    test_close(s);
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) FROM v_timeline"), 3);
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) FROM v_timeline WHERE lane = 'data' AND name = 'C#2'"
                                             " AND begin = 3 AND end = 4 AND fate = 'partly' AND pending = 6"
                                             " AND survived = 1 AND sectors = '5' AND missing = 'lost'"),
                     1);
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) FROM v_timeline WHERE end IS NULL"), 2);
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) FROM v_bugs WHERE findings = 1 AND because = 'No flush.'"
                                             " AND recovery = 'Nothing was done.'"),
                     1);
    run_sql(in_dir("s.db"), "PRAGMA foreign_keys = ON; DELETE FROM cell");
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) FROM timeline"), 0);
}

static void missing_places_are_named(void **state)
{
    (void)state;
    expect_refusal(in_dir("no/such/dir/s.db"), false, -ENOENT, "directory does not exist");
    expect_refusal(in_dir("s.db"), true, -ENOENT, "no such store");
    assert_int_equal(access(in_dir("s.db"), F_OK), -1);
    assert_int_equal(mkdir(in_dir("d"), 0700), 0);
    expect_refusal(in_dir("d"), false, -EISDIR, "directory");
    fclose(fopen(in_dir("empty"), "w"));
    expect_refusal(in_dir("empty"), true, -EINVAL, "not a qedcrash store");
    test_close(test_store(in_dir("empty"))); /* an empty file may become a store */
}

/* Root may write anything: `look` runs in a child as somebody else. It must not use cmocka's asserts, which would
 * jump back into the child's copy of the test. */
static void as_nobody(bool (*look)(void))
{
    pid_t child = fork();
    if (child == 0)
        _exit((geteuid() == 0 && setuid(65534)) || !look());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static bool refused(const char *path, int ret, const char *words)
{
    struct store_campaign campaign = {.version = "0.1", .seed = 1, .command = ""};
    struct store *s;
    struct store_error err = {""};
    int got = store_open(path, &campaign, &s, &err);
    if (got == ret && strstr(err.text, words))
        return true;
    fprintf(stderr, "%d %s\n", got, err.text);
    return false;
}

static bool can_only_read(void)
{
    struct store *s = NULL;
    struct store_error err;
    return refused(in_dir("s.db"), -EROFS, "read-only") && refused(in_dir("new.db"), -EACCES, "Permission denied") &&
           !store_open(in_dir("s.db"), NULL, &s, &err) && !store_close(s, &err);
}

static void read_only_places_are_named(void **state)
{
    (void)state;
    test_close(test_store(in_dir("s.db")));
    assert_int_equal(chmod(in_dir("s.db"), 0444), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    as_nobody(can_only_read);
}

static bool cannot_write_a_journal(void)
{
    return refused(in_dir("s.db"), -EROFS, "read-only");
}

static void writable_file_in_read_only_directory_is_named(void **state)
{
    (void)state;
    test_close(test_store(in_dir("s.db")));
    assert_int_equal(chmod(in_dir("s.db"), 0666), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    as_nobody(cannot_write_a_journal);
}

static void second_writer_is_told(void **state)
{
    (void)state;
    struct store *s = test_store(in_dir("s.db"));
    expect_refusal(in_dir("s.db"), false, -EBUSY, "another process"); /* after two seconds of patience */
    expect_refusal(in_dir("s.db"), true, -EBUSY, "another process");
    test_put(s, test_cell("a", "b", "c"));
    test_close(s);
    test_close(test_store(in_dir("s.db")));
}

/* A store of the campaign to go on with, or the refusal. */
static struct store *resume(const struct store_campaign *campaign, const char *words)
{
    struct store *s = NULL;
    struct store_error err = {""};
    int ret = store_open(in_dir("s.db"), campaign, &s, &err);
    assert_int_equal(ret, words ? -ESTALE : 0);
    if (words && !strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    return s;
}

static void note_place(void *opaque, uint64_t place)
{
    uint64_t *places = opaque;
    *places = *places * 10 + place;
}

static void resuming_goes_on_with_the_same_campaign_only(void **state)
{
    (void)state;
    struct store_campaign first = {"0.1", 1, "x", "limit=1", "abc", 9, 1, 2, true}, other;
    struct store_finding died = test_finding("a", VERDICT_DIED, 1), lost = test_finding("b", VERDICT_LOST_COW, 1);
    struct store_cell cells[] = {test_unsafe_cell("s1", "v2", "ssd", &lost, 1, true), test_cell("s4", "v2", "ssd"),
                                 test_unsafe_cell("s7", "v2", "ssd", &died, 1, false)};
    struct store_error err;
    uint64_t places = 0;
    test_close(test_store(in_dir("s.db")));
    first.resume = false;
    struct store *s = resume(&first, NULL); /* a second campaign: not the one before */
    first.resume = true;
    cells[0].place = 1;
    cells[1].place = 4;
    cells[2].place = 7;
    for (int i = 2; i >= 0; i--) /* in another order than their places */
        test_put(s, cells[i]);
    test_close(s);

    s = resume(&first, NULL);
    assert_int_equal(store_each_judged(s, note_place, &places, &err), 0);
    assert_int_equal(places, 14); /* 1 and 4; who died is judged again */
    test_put(s, cells[2]);
    assert_int_equal(summary_of(s).cells, 3);
    assert_int_equal(store_finish(s, &err), 0);
    test_close(s);
    assert_int_equal(ask_sql(in_dir("s.db"), "SELECT count(*) * 10 + sum(finished) FROM campaign"), 21);

    other = first;
    other.version = "0.2";
    resume(&other, "the version is '0.1' in the store, '0.2' here");
    other = first;
    other.seed = 2;
    resume(&other, "seed");
    other = first;
    other.options = "limit=2";
    resume(&other, "options");
    other = first;
    other.inputs = "abd";
    resume(&other, "other scenarios");
    other = first;
    other.shard = 2;
    resume(&other, "the shard is '1/2' in the store, '2/2' here");
}

/* Every connection opened from now on believes its disk ends after a few pages. */
static int small_disk(sqlite3 *db, const char **message, const void *api)
{
    (void)message;
    (void)api;
    return sqlite3_exec(db, "PRAGMA max_page_count = 40", NULL, NULL, NULL);
}

static void full_disk_is_named(void **state)
{
    (void)state;
    struct store_error err = {""};
    sqlite3_auto_extension((void (*)(void))small_disk);
    struct store *s = test_store(in_dir("s.db"));
    sqlite3_reset_auto_extension();
    int ret = 0, put = 0;
    for (; !ret && put < 2000; put++) {
        char name[16];
        snprintf(name, sizeof(name), "s%d", put);
        struct store_cell cell = test_cell(name, "v2", "ssd");
        ret = store_put_cell(s, &cell, &err);
    }
    assert_int_equal(ret, -ENOSPC);
    assert_non_null(strstr(err.text, "disk is full"));
    test_close(s);
    int64_t kept = ask_sql(in_dir("s.db"), "SELECT count(*) FROM cell");
    assert_in_range(kept, 32, put);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_add_up),
        cmocka_unit_test_setup_teardown(ledger_has_a_row_per_claim, make_dir, remove_dir),
        cmocka_unit_test(same_cell_again_replaces),
        cmocka_unit_test(every_class_is_known),
        cmocka_unit_test(refused_cell_leaves_nothing),
        cmocka_unit_test(big_seed_keeps_its_value),
        cmocka_unit_test_setup_teardown(file_keeps_campaigns_side_by_side, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(what_was_put_outlives_its_process, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(foreign_files_are_refused_and_untouched, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(newer_schema_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(older_schema_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(timelines_follow_their_finding, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(missing_places_are_named, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(read_only_places_are_named, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(writable_file_in_read_only_directory_is_named, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(second_writer_is_told, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(resuming_goes_on_with_the_same_campaign_only, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(full_disk_is_named, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
