/* test_shrink.c: is a shrunk workload minimal? From the first finding of cells of the library: whichever statement is taken
 * away, a run of what is left does not come to the same finding (its class, by its missing order) any more. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/library.h"
#include "harness/shrink.h"
#include "simdisk/xalloc.h"

static const struct cell_options plain = {
    .explore = EXPLORE_COMPLETE, .limit = 100000, .schedule = 1, .seed = 1, .id_scenario = "./shrunk.scn"};

static void take_first(void *opaque, const struct store_finding *f)
{
    struct shrink_finding *first = opaque;
    if (!first->id)
        shrink_finding_copy(first, f);
}

struct wanted {
    const struct shrink *x;
    bool shown;
};

static void look_for(void *opaque, const struct store_finding *f)
{
    struct wanted *w = opaque;
    w->shown |= f->class == w->x->class && (!w->x->order[0] || !strcmp(f->missing_order, w->x->order));
}

/* Whether the workload of `text` shows it; what is no scenario shows nothing. */
static bool shows(const struct shrink *x, const char *text)
{
    struct scenario *s;
    struct scn_error err;
    struct wanted w = {.x = x};
    if (scenario_parse("shrunk.scn", text, strlen(text), &s, &err))
        return false;
    int ret = cell_findings(s, x->design, x->disk, &x->options, look_for, &w, &err);
    scenario_free(s);
    return !ret && w.shown;
}

static char *text_of(const struct scenario *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    scenario_print(s, out);
    fclose(out);
    return text;
}

/* Without line `line`; NULL if there is none. */
static char *without_line(const char *text, unsigned line, bool *is_statement)
{
    const char *from = text;
    while (line-- && (from = strchr(from, '\n')))
        from++;
    if (!from || !*from)
        return NULL;
    *is_statement = strncmp(from, "image", 5) != 0 && strncmp(from, "expect", 6) != 0 && strncmp(from, "title", 5) != 0;
    size_t length = strcspn(from, "\n") + 1;
    char *copy = xalloc_check(strdup(text));
    memmove(copy + (from - text), from + length, strlen(from + length) + 1);
    return copy;
}

static unsigned shrunk, statements_before, statements_after, removed, wrong;

static void check(const struct shrink *x)
{
    char *text = text_of(x->best), *without;
    bool is_statement;
    assert_true(shows(x, text));
    for (unsigned line = 0; (without = without_line(text, line, &is_statement)); line++) {
        if (is_statement) {
            removed++;
            if (shows(x, without)) {
                wrong++;
                fprintf(stderr, "%s: %s: line %u is not needed in:\n%s", x->finding.id, verdict_class_name(x->class),
                        line + 1, text);
            }
        }
        free(without);
    }
    free(text);
}

static void shrink_cell(const char *path, const struct qed_design *design, const struct sim_disk_model *disk)
{
    struct shrink x = {.design = design, .disk = disk, .options = plain};
    struct shrink_finding first = {0};
    struct scenario *s;
    struct scn_error err;
    assert_int_equal(scenario_load(path, &s, &err), 0);
    assert_int_equal(cell_findings(s, design, disk, &plain, take_first, &first, &err), 0);
    if (!first.id) {
        scenario_free(s);
        return;
    }
    x.class = first.class;
    snprintf(x.order, sizeof(x.order), "%s", first.order);
    size_t before = s->stmt_count;
    uint64_t bytes = shrink_bytes(s);
    assert_int_equal(shrink_begin(&x, s, &err), 0);
    shrink_run(&x);
    assert_false(x.stopped || x.at_limit);
    assert_true(x.best->stmt_count <= before && shrink_bytes(x.best) <= bytes);
    assert_int_equal(x.best->expect_count, 1);
    shrunk++;
    statements_before += (unsigned)before;
    statements_after += (unsigned)x.best->stmt_count;
    check(&x);
    shrink_finding_free(&first);
    shrink_free(&x);
}

static void test_no_statement_can_go(void **state)
{
    (void)state;
    static const char *const disks[] = {"ssd", "hostdev", "ordered"}, *const designs[] = {"v2", "upstream"};
    char **paths, *dir = library_dir();
    assert_non_null(dir);
    long count = library_list(dir, &paths);
    for (long i = 0; i < count; i++)
        for (size_t d = 0; d < sizeof(designs) / sizeof(designs[0]); d++)
            for (size_t k = 0; k < sizeof(disks) / sizeof(disks[0]); k++)
                shrink_cell(paths[i], qed_design_find(designs[d]), sim_disk_model_find(disks[k]));
    library_list_free(paths, count);
    free(dir);
    print_message("%u findings shrunk, %u statements to %u; %u taken away one at a time, %u wrong\n", shrunk,
                  statements_before, statements_after, removed, wrong);
    assert_int_equal(wrong, 0);
    assert_true(shrunk > 10);
}

/* Requests in flight together, names that are waited for, pairs of close and open. */
static void test_a_long_story(void **state)
{
    (void)state;
    static const char text[] = "title a long story\nimage size=4M cluster=4K table=2\nbacking size=4M\n"
                               "prepare write 0 4K\nprepare write 1M 4K\n"
                               "write 2M 64K\naio a write 72K 8K\naio b write 4608 512\naio c read 0 4K\nwait a c\n"
                               "flush\nclose\nopen rw\nsleep 6s\ndiscard 1M 4K\nwrite 300K 12K\nwait all\nflush\n"
                               "zero 512K 64K\nclose\nopen rw\nwrite 1536K 4608\nflush\n";
    struct shrink x = {.design = qed_design_find("v2"),
                       .disk = sim_disk_model_find("ssd"),
                       .options = plain,
                       .class = VERDICT_LOST_COW};
    struct scenario *s;
    struct scn_error err;
    assert_int_equal(scenario_parse("long.scn", text, strlen(text), &s, &err), 0);
    assert_int_equal(shrink_begin(&x, s, &err), 0);
    shrink_run(&x);
    wrong = 0;
    check(&x);
    char *result = text_of(x.best);
    print_message("%" PRIu64 " runs, to:\n%s", x.runs, result);
    assert_int_equal(wrong, 0);
    assert_true(x.best->stmt_count <= 2 && shrink_bytes(x.best) <= 1024);
    assert_true(x.finding.survivors <= 3);
    free(result);
    shrink_free(&x);
}

static void test_bounds(void **state)
{
    (void)state;
    static const char text[] = "image size=1M cluster=4K table=2\nprepare write 0 4K\nwrite 4K 4K\nflush\n";
    struct shrink x = {.design = qed_design_find("careful"), .disk = sim_disk_model_find("ssd"), .options = plain};
    struct scenario *s;
    struct scn_error err;
    x.class = VERDICT_LOST_COW;
    assert_int_equal(scenario_parse("safe.scn", text, strlen(text), &s, &err), 0);
    assert_int_equal(shrink_begin(&x, s, &err), -ENOENT);
    shrink_free(&x);

    x = (struct shrink){.design = qed_design_find("v2"), .disk = sim_disk_model_find("ssd"), .options = plain};
    x.class = VERDICT_CORRUPT;
    x.max_runs = 2;
    assert_int_equal(scenario_parse("unsafe.scn", text, strlen(text), &s, &err), 0);
    assert_int_equal(shrink_begin(&x, s, &err), 0);
    shrink_run(&x);
    assert_true(x.at_limit && x.runs == 2 && x.finding.id);
    shrink_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_statement_can_go),
        cmocka_unit_test(test_a_long_story),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
