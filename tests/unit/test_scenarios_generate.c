/* The generator: do names and workloads belong together, is what it makes playable and made once, and do the reductions
 * lose no finding?
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/design_load.h"
#include "harness/gen_judge.h"
#include "harness/id.h"
#include "scenarios/generate.h"
#include "simdisk/xalloc.h"
#include "tests/bench/gen_bugs.h"

static const struct gen_bound everything = {.ops = 2, .events = 1, .classes = GEN_ALL};

static bool same(const struct gen_workload *a, const struct gen_workload *b)
{
    bool equal = a->backing == b->backing && a->prepared == b->prepared && a->count == b->count;
    for (unsigned i = 0; equal && i < a->count; i++)
        equal = a->steps[i].word == b->steps[i].word && a->steps[i].beside == b->steps[i].beside;
    return equal;
}

static void test_names_are_workloads(void **state)
{
    (void)state;
    struct gen *g = gen_begin(&everything);
    const struct gen_workload *w;
    struct gen_workload back;
    struct scn_error err;
    char name[GEN_NAME_MAX];
    for (uint64_t n = 0; (w = gen_next(g)); n++) {
        gen_name(w, name, sizeof(name));
        assert_null(strpbrk(name, ":%@+ \t"));
        if (gen_parse_name(name, &back, &err))
            fail_msg("%s", err.text);
        assert_true(same(w, &back));
    }
    gen_end(g);
}

/* Every one is text that the parser takes, and says the same when printed. */
static void test_all_can_be_played(void **state)
{
    (void)state;
    struct gen *g = gen_begin(&everything);
    const struct gen_workload *w;
    struct scn_error err;
    for (uint64_t n = 0; (w = gen_next(g)); n++) {
        struct scenario *s;
        if (n % 7 && n > 5000)
            continue;
        if (gen_scenario(w, &s, &err))
            fail_msg("%s", err.text);
        scenario_free(s);
    }
    gen_end(g);
}

static void test_a_name_as_text(void **state)
{
    (void)state;
    struct gen_workload w;
    struct scn_error err;
    assert_int_equal(gen_parse_name("gen/b1.wma-wda-f.il2_update1.x.zfp.c", &w, &err), -EINVAL);
    assert_int_equal(gen_parse_name("gen/b1.wma-wda-f.s.x.zfp.c", &w, &err), 0);
    char *text = gen_text(&w);
    assert_string_equal(text, "title gen/b1.wma-wda-f.s.x.zfp.c\n"
                              "image size=8190K cluster=4K table=2\n"
                              "backing size=8190K\n"
                              "prepare write 0 4K\n"
                              "aio r1 write 5632 512\n"
                              "aio r2 write 4096 8192\n"
                              "aio r3 flush\n"
                              "wait all\n"
                              "sleep 6s\n"
                              "crash\n"
                              "zero 0 4096\n"
                              "close\nopen rw\n");
    free(text);
}

/* A word that is written as nothing makes a workload that is not what its name says. */
static void test_each_word_is_a_statement(void **state)
{
    (void)state;
    for (size_t i = 0; i < gen_word_count; i++) {
        struct gen_workload w = {.count = 1};
        w.steps[0].word = (uint8_t)i;
        char *text = gen_text(&w);
        const char *end = strchr(text, '\n');
        end = strchr(end + 1, '\n'); /* of the image */
        if (!end[1])
            fail_msg("%s is written as nothing", gen_words[i].text);
        free(text);
    }
}

static void test_what_is_no_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"gen/",      "gen/x1",   "gen/n2",    "gen/n1.wm",   "gen/n1wma",   "gen/n1.",
                                      "gen/n1..f", "gen/n1:f", "gen/n1.f ", "gen/n1.wma.", "gen/n1.wmz.f"};
    struct gen_workload w;
    struct scn_error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(gen_parse_name(bad[i], &w, &err), -EINVAL);
        assert_non_null(strstr(err.text, "is no generated workload"));
    }
    char name[400] = "gen/n0";
    for (int i = 0; i < GEN_WORDS_MAX + 1; i++)
        strcat(name, ".wma");
    assert_int_equal(gen_parse_name(name, &w, &err), -EINVAL);
    struct scenario *s;
    assert_int_equal(gen_parse("gen/n1.x.k", &s, &err), -EINVAL); /* words, but nobody can play them in this order */
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **all_names(const struct gen_bound *bound, size_t *count)
{
    struct gen *g = gen_begin(bound);
    const struct gen_workload *w;
    char **names = NULL, name[GEN_NAME_MAX];
    size_t cap = 0;
    unsigned words = 0;
    *count = 0;
    while ((w = gen_next(g))) {
        assert_true(w->count >= words); /* small ones first */
        words = w->count;
        names = xgrow(names, *count, &cap, sizeof(*names));
        names[(*count)++] = xalloc_check(strdup(gen_name(w, name, sizeof(name))));
    }
    gen_end(g);
    qsort(names, *count, sizeof(*names), compare);
    return names;
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* Nothing twice; and what the reductions leave is some of what there is without them. */
static void test_each_once(void **state)
{
    (void)state;
    struct gen_bound bound = {.ops = 2, .events = 1, .classes = GEN_BASIC};
    size_t count, all_count, k = 0;
    char **names = all_names(&bound, &count);
    bound.unreduced = true;
    char **all = all_names(&bound, &all_count);
    assert_int_equal(gen_count(&bound), all_count);
    assert_true(all_count > 2 * count);
    for (size_t i = 1; i < all_count; i++)
        assert_string_not_equal(all[i - 1], all[i]);
    for (size_t i = 0; i < count; i++) {
        while (k < all_count && strcmp(all[k], names[i]) < 0)
            k++;
        assert_true(k < all_count);
        assert_string_equal(all[k], names[i]);
    }
    free_names(names, count);
    free_names(all, all_count);
}

static void test_classes(void **state)
{
    (void)state;
    unsigned classes = 0;
    struct scn_error err;
    assert_true(gen_parse_classes("write,flush", &classes, &err));
    assert_int_equal(classes, GEN_WRITE | GEN_FLUSH);
    assert_false(gen_parse_classes("flsh", &classes, &err));
    assert_non_null(strstr(err.text, "did you mean 'flush'?"));
    for (unsigned i = 0; i < GEN_CLASS_COUNT; i++) {
        classes = 0;
        assert_true(gen_parse_classes(gen_class_name(i), &classes, &err));
        assert_int_equal(classes, 1u << i);
    }
}

/* --- the reductions ------------------------------------------------------------------------------------------------ */

static void find_all(struct gen_judge *g, const struct qed_design *design, const struct gen_bound *bound)
{
    struct scn_error err;
    *g = (struct gen_judge){.design = design, .disk = sim_disk_model_find("ssd"), .bound = *bound};
    g->options = (struct cell_options){
        .explore = EXPLORE_COMPLETE, .limit = 1000000, .nested = 1, .schedule = ID_ALL_SCHEDULES, .seed = 1};
    if (gen_judge_run(g, &err))
        fail_msg("%s", err.text);
}

static void expect_known(const struct gen_judge *all, const struct gen_judge *reduced)
{
    for (size_t i = 0; i < all->kind_count; i++) {
        const struct gen_kind_found *k = &all->kinds[i];
        bool known = false;
        for (size_t n = 0; n < reduced->kind_count && !known; n++)
            known = reduced->kinds[n].class == k->class && !strcmp(reduced->kinds[n].order, k->order);
        if (!known)
            fail_msg("%s: lost by a reduction: %s, missing: %s, which %s shows", all->design->name,
                     verdict_class_name(k->class), k->order, k->name);
    }
}

static void compare_reduced(const char *design, unsigned classes, unsigned events)
{
    struct gen_bound bound = {.ops = 2, .events = events, .classes = classes};
    struct gen_judge all, reduced;
    find_all(&reduced, qed_design_find(design), &bound);
    bound.unreduced = true;
    find_all(&all, qed_design_find(design), &bound);
    assert_true(all.sum.cells > reduced.sum.cells);
    expect_known(&all, &reduced);
    expect_known(&reduced, &all);
    gen_judge_free(&all);
    gen_judge_free(&reduced);
}

static void test_reductions_lose_nothing(void **state)
{
    (void)state;
    compare_reduced("v2", GEN_ZERO | GEN_CLOSE | GEN_DISCARD, 1);
    compare_reduced("v2", GEN_WRITE | GEN_MORE, 0);
    compare_reduced("v2", GEN_WRITE | GEN_BESIDE, 0);
    compare_reduced("v2", GEN_WRITE | GEN_CLOSE | GEN_CRASH | GEN_SLEEP, 1);
    compare_reduced("upstream", GEN_WRITE | GEN_CLOSE | GEN_CRASH, 1);
    compare_reduced("upstream", GEN_WRITE | GEN_FLUSH | GEN_KILL, 1);
}

/* From an empty start, each bug of the ledger: found, with at most four words. The dear ones are in make bench. */
static void test_finds_the_ledgers_bugs(void **state)
{
    (void)state;
    for (size_t i = 0; i < GEN_BUG_COUNT; i++) {
        const struct gen_bug *b = &gen_bugs[i];
        const struct qed_design *design;
        struct qed_design_error design_err;
        struct scn_error err;
        if (b->dear)
            continue;
        if (design_load(b->design, &design, &design_err))
            fail_msg("%s: %s", b->claim, design_err.text);
        struct gen_hunt h = gen_bug_hunt(b, design);
        if (gen_hunt_run(&h, &err))
            fail_msg("%s: %s", b->claim, err.text);
        if (!h.found || h.words > GEN_BUG_WORDS)
            fail_msg("%s: %s", b->claim, h.found ? h.name : "not found");
        gen_hunt_free(&h);
        design_unload(design);
    }
}

/* What has no bug is not found to have one. */
static void test_finds_nothing_where_nothing_is(void **state)
{
    (void)state;
    struct scn_error err;
    const struct gen_bug none = {.disk = "ssd", .class = VERDICT_CORRUPT, .classes = GEN_WRITE, .ops = 1, .events = 1};
    struct gen_hunt h = gen_bug_hunt(&none, qed_design_find("careful"));
    assert_int_equal(gen_hunt_run(&h, &err), 0);
    assert_false(h.found);
    assert_true(h.turns > 0);
    gen_hunt_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_workloads),
        cmocka_unit_test(test_all_can_be_played),
        cmocka_unit_test(test_a_name_as_text),
        cmocka_unit_test(test_each_word_is_a_statement),
        cmocka_unit_test(test_what_is_no_name),
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_finds_the_ledgers_bugs),
        cmocka_unit_test(test_finds_nothing_where_nothing_is),
        cmocka_unit_test(test_reductions_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
