/* test_harness_schedules.c: are all schedules walked, each once? And does leaving out crash spaces that an earlier
 * schedule has shown lose nothing?
 *
 * The second by a differential test: small random concurrent scenarios x designs x disk models. Every space of every
 * schedule is judged, and two spaces with one digest must show the same set of (class, guest sector).
 *
 *     test_harness_schedules [CASES [FIRST_SEED]]
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/determinism.h"
#include "harness/id.h"
#include "harness/judge.h"
#include "harness/schedules.h"
#include "harness/space_digest.h"
#include "simdisk/xalloc.h"

#define MOST_SCHEDULES  40u
#define MOST_EXECUTIONS 200u /* in one space; what needs more is not compared */

static uint64_t case_count = 120, first_seed = 1;

static uint64_t below(uint64_t *rng, uint64_t n)
{
    return sim_rng_next(rng) % n;
}

/* --- the walk ------------------------------------------------------------------------------------------------------ */

/* A tree of choices nobody has drawn: how many alternatives there are, or 0 at a leaf, is a function of the way there. */
static unsigned alternatives_after(uint64_t seed, const uint8_t *choices, size_t count)
{
    uint64_t state = seed;
    for (size_t i = 0; i < count; i++)
        state = sim_rng_next(&state) ^ choices[i];
    return count >= 7 || (count > 2 && sim_rng_next(&state) % 4 == 0) ? 0 : 2 + (unsigned)(sim_rng_next(&state) % 3);
}

static uint64_t count_leaves(uint64_t seed, uint8_t *choices, size_t count)
{
    unsigned n = alternatives_after(seed, choices, count);
    uint64_t leaves = 0;
    for (unsigned i = 0; i < n; i++) {
        choices[count] = (uint8_t)i;
        leaves += count_leaves(seed, choices, count + 1);
    }
    return n ? leaves : 1;
}

/* Follows the script down the tree, as a run does. */
static size_t run_tree(uint64_t seed, const uint8_t *script, size_t length, uint8_t *choices, uint8_t *alternatives)
{
    size_t count = 0;
    for (unsigned n; (n = alternatives_after(seed, choices, count)); count++) {
        choices[count] = count < length ? script[count] : 0;
        alternatives[count] = (uint8_t)n;
    }
    return count;
}

static unsigned deviations(const uint8_t *script, size_t length)
{
    unsigned n = 0;
    for (size_t i = 0; i < length; i++)
        n += script[i] != 0;
    return n;
}

static void test_every_leaf_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint8_t choices[16], alternatives[16];
        const uint8_t *script;
        size_t length;
        unsigned before = 0;
        struct digest_set seen = {0};
        struct schedule_walk *walk = schedule_walk_create(UINT64_MAX);
        while (schedule_walk_next(walk, &script, &length)) {
            assert_true(!length || script[length - 1]);
            assert_true(deviations(script, length) >= before);
            before = deviations(script, length);
            size_t count = run_tree(seed, script, length, choices, alternatives);
            struct digest d = DIGEST_INIT;
            digest_bytes(&d, choices, count);
            assert_true(digest_set_add(&seen, d));
            assert_true(schedule_walk_ran(walk, choices, alternatives, count));
        }
        struct schedule_figures f = schedule_walk_figures(walk);
        assert_int_equal(seen.count, count_leaves(seed, choices, 0));
        assert_int_equal(f.run, seen.count);
        assert_int_equal(f.possible, seen.count);
        assert_true(f.complete);
        digest_set_free(&seen);
        schedule_walk_destroy(walk);
    }
}

static void test_limit_is_reported(void **state)
{
    (void)state;
    uint8_t choices[16], alternatives[16];
    uint64_t all = count_leaves(1, choices, 0);
    for (uint64_t limit = 1; limit <= all + 1; limit++) {
        const uint8_t *script;
        size_t length;
        uint64_t run = 0;
        struct schedule_walk *walk = schedule_walk_create(limit);
        while (schedule_walk_next(walk, &script, &length)) {
            size_t count = run_tree(1, script, length, choices, alternatives);
            assert_true(schedule_walk_ran(walk, choices, alternatives, count));
            run++;
        }
        struct schedule_figures f = schedule_walk_figures(walk);
        assert_int_equal(run, limit < all ? limit : all);
        assert_int_equal(f.run, run);
        assert_int_equal(f.complete, limit >= all);
        assert_true(f.possible <= all && (limit >= all || f.possible > run));
        schedule_walk_destroy(walk);
    }
}

static void test_run_must_follow_its_script(void **state)
{
    (void)state;
    const uint8_t *script;
    size_t length;
    struct schedule_walk *walk = schedule_walk_create(10);
    assert_true(schedule_walk_next(walk, &script, &length));
    assert_true(schedule_walk_ran(walk, (uint8_t[]){0, 0}, (uint8_t[]){2, 2}, 2));
    assert_true(schedule_walk_next(walk, &script, &length));
    assert_int_equal(length, 1);
    assert_false(schedule_walk_ran(walk, (uint8_t[]){0, 0}, (uint8_t[]){2, 2}, 2));
    assert_true(schedule_walk_next(walk, &script, &length));
    assert_int_equal(length, 2);
    assert_false(schedule_walk_ran(walk, (uint8_t[]){0}, (uint8_t[]){2}, 1));
    schedule_walk_destroy(walk);
}

static void test_a_crowd_is_reported(void **state)
{
    (void)state;
    const uint8_t *script;
    size_t length;
    struct schedule_walk *walk = schedule_walk_create(1000);
    assert_true(schedule_walk_next(walk, &script, &length));
    assert_true(schedule_walk_ran(walk, (uint8_t[]){0}, (uint8_t[]){255}, 1));
    while (schedule_walk_next(walk, &script, &length))
        assert_true(schedule_walk_ran(walk, script, (uint8_t[]){255}, 1));
    assert_int_equal(schedule_walk_figures(walk).run, 255);
    assert_false(schedule_walk_figures(walk).complete); /* a 256th may have stood behind them */
    schedule_walk_destroy(walk);
}

/* --- ids ----------------------------------------------------------------------------------------------------------- */

static void check_id(const char *text, const char *again)
{
    struct finding_id id;
    char why[320];
    assert_true(id_parse(text, &id, why, sizeof(why)));
    const struct sim_schedule schedule = {
        .number = id.schedule, .seed = id.seed, .script = id.script, .script_len = id.script_len};
    char *formatted =
        id_format_schedule(id.scenario, id.design, id.disk, &schedule, id.has_point, id.point, id.survivors);
    assert_string_equal(formatted, again);
    free(formatted);
    id_free(&id);
}

static void test_ids(void **state)
{
    (void)state;
    static const char *const bad[] = {"a:v2:ssd:x:@1",    "a:v2:ssd:x1:@1", "a:v2:ssd:x0g:@1", "a:v2:ssd:x01:x02:@1",
                                      "a:v2:ssd:sall:@1", "a:v2:ssd:s0",    "a:v2:ssd:sal"};
    check_id("a:v2:ssd:x0102:@7+L2", "a:v2:ssd:x0102:@7+L2");
    check_id("a:v2:ssd:x010200:seed=3:@7", "a:v2:ssd:x0102:seed=3:@7");
    check_id("a:v2:ssd:xFF", "a:v2:ssd:xff");
    check_id("a:v2:ssd:x00:@7", "a:v2:ssd:@7");
    check_id("a:v2:ssd:s4:@7", "a:v2:ssd:s4:@7");
    check_id("a:v2:ssd:sall", "a:v2:ssd:sall");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct finding_id id;
        char why[320];
        assert_false(id_parse(bad[i], &id, why, sizeof(why)));
    }
}

/* --- a run recorded twice ------------------------------------------------------------------------------------------ */

static const char race[] = "image size=1M cluster=4K table=2\n"
                           "aio a write 8K 512\n"
                           "aio b write 16K 512\n"
                           "wait all\n"
                           "flush\n"
                           "write 8K 512\n"
                           "write 8K 512\n";

static void record(const char *text, const struct sim_schedule *schedule, struct scenario **s, struct recording *r)
{
    struct scn_error err;
    struct run_options run = {
        .design = qed_design_find("upstream"), .disk = sim_disk_model_find("ssd"), .schedule = *schedule};
    if (scenario_parse("test.scn", text, strlen(text), s, &err) || scenario_record(*s, &run, r, &err))
        fail_msg("%s", err.text);
}

/* Are the recordings of these two schedules taken for equal? */
static bool equal(const struct sim_schedule *a, const struct sim_schedule *b, char *why, size_t size)
{
    struct scenario *s[2];
    struct recording r[2];
    record(race, a, &s[0], &r[0]);
    record(race, b, &s[1], &r[1]);
    bool same = determinism_equal(&r[0], &r[1], why, size);
    for (int i = 0; i < 2; i++) {
        recording_free(&r[i]);
        scenario_free(s[i]);
    }
    return same;
}

static void test_recordings_compared(void **state)
{
    (void)state;
    const struct sim_schedule fifo = {.number = 1, .seed = 1}, second = {.number = 2, .seed = 1},
                              third = {.number = 3, .seed = 1};
    const struct sim_schedule script = {.number = 1, .seed = 1, .script = (uint8_t[]){1}, .script_len = 1};
    char why[300] = "";
    assert_true(equal(&fifo, &fifo, why, sizeof(why)));
    assert_true(equal(&second, &second, why, sizeof(why)));
    assert_string_equal(why, "");
    assert_false(equal(&second, &third, why, sizeof(why)));
    assert_non_null(strstr(why, "random generator"));
    assert_false(equal(&fifo, &script, why, sizeof(why)));
    assert_non_null(strstr(why, "other choices"));
}

static void test_one_byte_makes_a_difference(void **state)
{
    (void)state;
    const struct sim_schedule fifo = {.number = 1, .seed = 1};
    struct scenario *s[2];
    struct recording r[2];
    char why[300];
    record(race, &fifo, &s[0], &r[0]);
    record(race, &fifo, &s[1], &r[1]);
    struct hist_op *op = r[1].history->ops;
    while (op->kind != HIST_WRITE)
        op++;
    op->data[100] ^= 1;
    assert_false(determinism_equal(&r[0], &r[1], why, sizeof(why)));
    assert_non_null(strstr(why, "other ones"));
    op->data[100] ^= 1;
    assert_true(determinism_equal(&r[0], &r[1], why, sizeof(why)));
    r[1].history->marks[0].text[0] ^= 1;
    assert_false(determinism_equal(&r[0], &r[1], why, sizeof(why)));
    r[1].history->event_count--;
    assert_false(determinism_equal(&r[0], &r[1], why, sizeof(why)));
    assert_non_null(strstr(why, "events"));
    for (int i = 0; i < 2; i++) {
        recording_free(&r[i]);
        scenario_free(s[i]);
    }
}

static void test_one_cell_in_eight(void **state)
{
    (void)state;
    unsigned due = 0;
    for (unsigned i = 0; i < 4000; i++) {
        char id[40];
        snprintf(id, sizeof(id), "scenario-%u:v2:ssd", i);
        due += determinism_due(id);
    }
    assert_in_range(due, 400, 600);
}

/* --- what a digest covers ------------------------------------------------------------------------------------------ */

/* The digest of every space of the run, in order. Returns their number. */
static size_t digest_all(const struct recording *r, struct digest *digests, size_t most)
{
    struct space_digester *digester = space_digester_create(r);
    struct crash_walk *walk = crash_walk_create(r->history, sim_disk_model_find("ssd"), false);
    struct crash_space *space;
    size_t count = 0;
    while ((space = crash_walk_next(walk))) {
        assert_true(count < most);
        digests[count++] = space_digest(digester, space);
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    space_digester_destroy(digester);
    return count;
}

/* One byte of the first write is another one: every space from there on is, and when it is durable too. */
static void test_bytes_tell_spaces_apart(void **state)
{
    (void)state;
    const struct sim_schedule fifo = {.number = 1, .seed = 1};
    struct digest a[32], b[32];
    struct scenario *s;
    struct recording r;
    record(race, &fifo, &s, &r);
    struct hist_op *op = r.history->ops;
    size_t count = digest_all(&r, a, 32);
    for (unsigned n = 0; n < 2; op++) /* that of b, which nothing writes over */
        n += op->kind == HIST_WRITE && op->label == BLK_EVENT_WRITE_AIO;
    op--;
    assert_int_equal(digest_all(&r, b, 32), count);
    assert_memory_equal(a, b, count * sizeof(*a));
    op->data[100] ^= 1;
    assert_int_equal(digest_all(&r, b, 32), count);
    assert_false(digest_equal(a[count - 1], b[count - 1])); /* after the last flush: durable */
    recording_free(&r);
    scenario_free(s);
}

static void test_positions_tell_as_far_as_promises_do(void **state)
{
    (void)state;
    const struct sim_schedule fifo = {.number = 1, .seed = 1};
    struct scenario *s;
    struct recording r;
    bool apart = false, together = false, swapped = false;
    record(race, &fifo, &s, &r);
    struct space_digester *digester = space_digester_create(&r);
    struct crash_walk *walk = crash_walk_create(r.history, sim_disk_model_find("ssd"), false);
    struct crash_space *space;
    while ((space = crash_walk_next(walk))) {
        struct digest d = space_digest(digester, space);
        for (size_t i = 0; i < space->version_count; i++) {
            struct crash_version *v = &space->versions[i];
            uint32_t was = v->when;
            if (was < space->first_point)
                continue;
            for (uint32_t when = space->first_point; when <= space->last_point; when++) {
                struct promise_digest x = promise_digest(r.promise, was), y = promise_digest(r.promise, when);
                v->when = when;
                bool equal_now = digest_equal(space_digest(digester, space), d);
                assert_true(equal_now || memcmp(&x, &y, sizeof(x)));
                together |= equal_now && when != was;
                apart |= !equal_now;
            }
            v->when = was;
            /* The same positions, but another version has each. */
            struct crash_version *other = &space->versions[i ? i - 1 : 0];
            struct promise_digest x = promise_digest(r.promise, was), y = promise_digest(r.promise, other->when);
            if (other->when < space->first_point || !memcmp(&x, &y, sizeof(x)))
                continue;
            v->when = other->when;
            other->when = was;
            assert_false(digest_equal(space_digest(digester, space), d));
            other->when = v->when;
            v->when = was;
            swapped = true;
        }
        crash_space_free(space);
    }
    assert_true(together && apart && swapped);
    crash_walk_destroy(walk);
    space_digester_destroy(digester);
    recording_free(&r);
    scenario_free(s);
}

/* --- equal spaces show equal things -------------------------------------------------------------------------------- */

struct found {
    enum verdict_class class;
    uint64_t sector;
};

struct found_set {
    struct found *items;
    size_t count, cap;
    unsigned executions;
};

static bool go_on(void *opaque)
{
    struct found_set *set = opaque;
    return set->executions++ < MOST_EXECUTIONS;
}

static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    return x->sector < y->sector ? -1 : x->sector > y->sector;
}

static void add_found(void *opaque, const struct violation *v)
{
    struct found_set *set = opaque;
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].class == v->class && set->items[i].sector == v->guest_sector)
            return;
    set->items = xgrow(set->items, set->count, &set->cap, sizeof(*set->items));
    set->items[set->count++] = (struct found){.class = v->class, .sector = v->guest_sector};
}

/* What was found in the spaces of one digest. */
struct space_kind {
    struct digest digest, found;
    uint64_t run;
};

struct comparison {
    struct space_kind *kinds;
    size_t count, cap;
    uint64_t spaces, different, skipped;
};

/* False: it would take too long. */
static bool judge_and_digest(struct judge *j, struct crash_disk *disk, const struct crash_space *space,
                             struct digest *found)
{
    struct explorer *x = explorer_create();
    struct found_set set = {0};
    struct digest d = DIGEST_INIT;
    crash_disk_load(disk, space, explorer_chooser(x));
    bool done = judge_space(j, x, disk, add_found, go_on, &set);
    explorer_destroy(x);
    if (set.count)
        qsort(set.items, set.count, sizeof(*set.items), compare_found);
    for (size_t i = 0; i < set.count; i++) {
        digest_add(&d, (uint64_t)set.items[i].class);
        digest_add(&d, set.items[i].sector);
    }
    free(set.items);
    *found = d;
    return done;
}

static void compare_space(struct comparison *c, struct digest digest, struct digest found, uint64_t run)
{
    c->spaces++;
    for (size_t i = 0; i < c->count; i++) {
        if (!digest_equal(c->kinds[i].digest, digest))
            continue;
        if (!digest_equal(c->kinds[i].found, found)) {
            fprintf(stderr, "  runs %" PRIu64 " and %" PRIu64 " differ\n", c->kinds[i].run, run);
            c->different++;
        }
        return;
    }
    c->kinds = xgrow(c->kinds, c->count, &c->cap, sizeof(*c->kinds));
    c->kinds[c->count++] = (struct space_kind){.digest = digest, .found = found, .run = run};
}

static void compare_run(struct comparison *c, struct schedules *all, const struct recording *r,
                        const struct qed_design *design, const struct sim_disk_model *model)
{
    struct judge *j = judge_create(r, design);
    struct crash_disk *disk = crash_disk_create();
    struct space_digester *digester = space_digester_create(r);
    struct crash_walk *walk = crash_walk_create(r->history, model, false);
    struct crash_space *space;
    while ((space = crash_walk_next(walk))) {
        struct digest digest = space_digest(digester, space), found;
        size_t before = c->count;
        bool first = schedules_first(all, space);
        if (judge_and_digest(j, disk, space, &found)) {
            compare_space(c, digest, found, schedules_run(all));
            /* Of two with one digest, one may take a little longer and be skipped. */
            assert_true(first == (c->count > before) || c->skipped);
        } else {
            c->skipped++;
        }
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    space_digester_destroy(digester);
    crash_disk_destroy(disk);
    judge_destroy(j);
}

static void print_op(FILE *out, uint64_t *rng)
{
    static const unsigned clusters[] = {0, 1, 2, 2, 3, 64};
    static const unsigned lengths[] = {512, 512, 1024, 4096};
    unsigned cluster = clusters[below(rng, 6)], inside = (unsigned)below(rng, 8) * 512;
    switch (below(rng, 8)) {
    case 0:
        fprintf(out, "zero %u 4K\n", cluster * 4096);
        return;
    case 1:
        fprintf(out, "discard %u 4K\n", cluster * 4096);
        return;
    case 2:
        fprintf(out, "flush\n");
        return;
    default:
        fprintf(out, "write %u %u\n", cluster * 4096 + inside, lengths[below(rng, 4)]);
    }
}

static char *random_scenario(uint64_t *rng)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, "image size=1M cluster=4K table=2\n");
    if (below(rng, 3) == 0)
        fprintf(out, "backing size=1M\n");
    for (uint64_t n = below(rng, 3); n; n--)
        fprintf(out, "prepare write %" PRIu64 " 4K\n", below(rng, 4) * 4096);
    uint64_t ops = 2 + below(rng, 3);
    for (uint64_t i = 0; i < ops; i++) {
        bool aio = i == 0 || below(rng, 3);
        if (aio)
            fprintf(out, "aio r%" PRIu64 " ", i);
        print_op(out, rng);
        if (aio && !below(rng, 4))
            fprintf(out, "wait r%" PRIu64 "\n", i);
    }
    if (below(rng, 2))
        fprintf(out, "wait all\nflush\n");
    fclose(out);
    return text;
}

static struct qed_design random_design(uint64_t *rng)
{
    struct qed_design d = qed_designs[below(rng, qed_design_count)];
    if (below(rng, 3) == 0)
        d.data_flush = (enum qed_data_flush)below(rng, QED_DATA_FLUSH_ALWAYS + 1);
    if (below(rng, 3) == 0)
        d.publish = (enum qed_publish)below(rng, 2);
    if (below(rng, 4) == 0)
        d.lock = (enum qed_lock)below(rng, 4);
    if (below(rng, 4) == 0)
        d.need_check = (enum qed_need_check)below(rng, 3);
    return d;
}

static uint64_t run_case(uint64_t seed, struct comparison *sum)
{
    uint64_t rng = seed * 0x9e3779b97f4a7c15u;
    char *text = random_scenario(&rng);
    struct qed_design design = random_design(&rng);
    const struct sim_disk_model *model = &sim_disk_models[below(&rng, sim_disk_model_count)];
    struct comparison c = {0};
    struct scenario *s;
    struct scn_error err;
    struct schedules *all = schedules_create(MOST_SCHEDULES);
    struct run_options run = {.design = &design, .disk = model};
    if (scenario_parse("random.scn", text, strlen(text), &s, &err))
        fail_msg("%s", err.text);
    while (schedules_next(all, &run.schedule)) {
        struct recording r;
        if (scenario_record(s, &run, &r, &err) || schedules_begin(all, &r, model, &err))
            fail_msg("%s", err.text);
        compare_run(&c, all, &r, &design, model);
        schedules_end(all);
        recording_free(&r);
    }
    if (c.different)
        fprintf(stderr, "seed %" PRIu64 " (%s, %s): spaces of one digest differ\n%s\n", seed, design.name, model->name,
                text);
    uint64_t runs = schedules_figures(all).walk.run;
    sum->spaces += c.spaces;
    sum->count += c.count;
    sum->different += c.different;
    sum->skipped += c.skipped;
    free(c.kinds);
    schedules_destroy(all);
    scenario_free(s);
    free(text);
    return runs;
}

static void test_equal_spaces_show_the_same(void **state)
{
    (void)state;
    struct comparison sum = {0};
    uint64_t runs = 0;
    for (uint64_t i = 0; i < case_count; i++)
        runs += run_case(first_seed + i, &sum);
    print_message("%" PRIu64 " random cases, %" PRIu64 " schedules, %" PRIu64 " crash spaces, %zu distinct; %" PRIu64
                  " skipped\n",
                  case_count, runs, sum.spaces, sum.count, sum.skipped);
    assert_int_equal(sum.different, 0);
    assert_true(runs > 4 * case_count);
    assert_true(2 * sum.count < sum.spaces);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        case_count = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_leaf_once),
        cmocka_unit_test(test_limit_is_reported),
        cmocka_unit_test(test_run_must_follow_its_script),
        cmocka_unit_test(test_a_crowd_is_reported),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_recordings_compared),
        cmocka_unit_test(test_one_byte_makes_a_difference),
        cmocka_unit_test(test_one_cell_in_eight),
        cmocka_unit_test(test_bytes_tell_spaces_apart),
        cmocka_unit_test(test_positions_tell_as_far_as_promises_do),
        cmocka_unit_test(test_equal_spaces_show_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
