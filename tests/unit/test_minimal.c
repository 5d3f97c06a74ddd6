/* test_minimal.c: is there nothing in a witness that it does not need?
 *
 * The library x designs x disk models: from every finding's witness each survivor is taken away, one at a time, and each
 * time the state must show that finding (its class in its guest cluster) no more. This goes by ids, as a person would:
 * the state is parsed from the finding's text.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/finding.h"
#include "harness/library.h"
#include "simdisk/xalloc.h"

struct setting {
    struct scenario *scenario;
    const struct qed_design *design;
    const struct sim_disk_model *model;
    struct recording recording;
    struct judge *judge;
    struct crash_disk *disk;
    struct explorer *explorer;
    struct finding_set findings;
    const struct crash_space *space;
    const struct crash_state *state;
    unsigned witnesses, removed, wrong;
};

/* --- all findings of a cell, as harness/cell.c collects them ------------------------------------------------------- */

static void take_open(void *opaque, const struct violation *v)
{
    struct setting *s = opaque;
    struct crash_state state;
    size_t mark = crash_disk_mark(s->disk);
    crash_state_init(&state, s->space);
    crash_disk_settle(s->disk);
    crash_state_from_disk(&state, s->space, s->disk);
    crash_disk_rewind(s->disk, mark);
    s->findings.state_number++;
    finding_add(&s->findings, s->space, &state, judge_cluster_sectors(s->judge), v);
    crash_state_free(&state);
}

static void take_set(void *opaque, const struct violation *v)
{
    struct setting *s = opaque;
    finding_add(&s->findings, s->space, s->state, judge_cluster_sectors(s->judge), v);
}

static bool go_on(void *opaque)
{
    (void)opaque;
    return true;
}

static void explore_complete(struct setting *s)
{
    crash_disk_load(s->disk, s->space, explorer_chooser(s->explorer));
    judge_space(s->judge, s->explorer, s->disk, take_open, go_on, s);
}

/* Only the states with nearly everything: witnesses that have a lot to lose. */
static void judge_large_states(struct setting *s)
{
    struct crash_state state;
    crash_disk_load(s->disk, s->space, NULL);
    crash_state_init(&state, s->space);
    for (size_t skip = 0; skip <= s->space->unit_count; skip++) {
        for (size_t u = 0; u < s->space->unit_count; u++) {
            uint32_t last = s->space->units[u].version_count - 1;
            bool own = crash_unit_version(s->space, u, last)->atom == CRASH_NO_ATOM;
            state.own[u] = own && u != skip ? last : 0;
        }
        memset(state.atom, 1, state.atom_count);
        if (state.atom_count)
            state.atom[skip % state.atom_count] = 0;
        state.length = s->space->lengths ? (uint32_t)s->space->length_count - 1 : 0;
        crash_disk_rewind(s->disk, 0);
        crash_state_apply(s->space, &state, s->disk);
        s->state = &state;
        s->findings.state_number++;
        judge_state(s->judge, s->disk, crash_state_when(s->space, &state), take_set, s);
    }
    crash_state_free(&state);
}

static void collect(struct setting *s, void (*look)(struct setting *))
{
    struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, false);
    struct crash_space *space;
    while ((space = crash_walk_next(walk))) {
        s->space = space;
        look(s);
        finding_settle(&s->findings, space, s->disk, s->judge, &s->recording, true);
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
}

/* --- without each of its survivors --------------------------------------------------------------------------------- */

struct seen {
    const struct finding *f;
    uint32_t cluster_sectors;
    bool shown;
};

/* Asking no more than the witness: a second life, a second power failure. */
static void see(void *opaque, const struct violation *v)
{
    struct seen *seen = opaque;
    uint64_t cluster =
        v->guest_sector == JUDGE_NO_SECTOR ? FINDING_NO_CLUSTER : v->guest_sector / seen->cluster_sectors;
    seen->shown |= v->class == seen->f->key.class && cluster == seen->f->key.cluster &&
                   (!v->second_life || seen->f->second_life) && (!v->pick_count || seen->f->pick_count);
}

static bool shows(struct setting *s, const struct crash_space *space, const struct crash_state *st,
                  const struct finding *f)
{
    struct seen seen = {.f = f, .cluster_sectors = judge_cluster_sectors(s->judge)};
    crash_disk_load(s->disk, space, NULL);
    crash_state_apply(space, st, s->disk);
    judge_state(s->judge, s->disk, crash_state_when(space, st), see, &seen);
    return seen.shown;
}

static void expect(struct setting *s, bool shown, bool wanted, const struct finding *f, const char *what, size_t index)
{
    if (shown == wanted)
        return;
    s->wrong++;
    fprintf(stderr, "%s:%s:%s:@%" PRIu32 "%s: %s: %s %zu %s\n", s->scenario->name, s->design->name, s->model->name,
            f->when, f->text, verdict_class_name(f->key.class), what, index,
            wanted ? "does not show it" : "is not needed");
}

static void without_each(struct setting *s, const struct crash_space *space, struct crash_state *st,
                         const struct finding *f)
{
    expect(s, shows(s, space, st, f), true, f, "the witness", 0);
    for (size_t u = 0; u < st->unit_count; u++) {
        uint32_t own = st->own[u];
        if (!own)
            continue;
        st->own[u] = 0;
        expect(s, shows(s, space, st, f), false, f, "unit", u);
        st->own[u] = own;
        s->removed++;
    }
    for (size_t a = 0; a < st->atom_count; a++)
        if (st->atom[a]) {
            st->atom[a] = 0;
            expect(s, shows(s, space, st, f), false, f, "atom", a);
            st->atom[a] = 1;
            s->removed++;
        }
    uint32_t length = st->length;
    for (st->length = 0; st->length < length; st->length++)
        expect(s, shows(s, space, st, f), false, f, "length", length);
    s->removed += length > 0;
}

/* Ordered cache: the last operation of the prefix is what can go. */
static void without_last(struct setting *s, const struct crash_space *full, const struct finding *f)
{
    struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, false);
    struct crash_space *space;
    bool done = false;
    while ((space = crash_walk_next(walk))) {
        if (!done && space->epoch == full->epoch && space->prefix_ops + 1 == full->prefix_ops) {
            struct crash_state nothing;
            crash_state_init(&nothing, space);
            expect(s, shows(s, space, &nothing, f), false, f, "prefix", full->prefix_ops);
            crash_state_free(&nothing);
            s->removed++;
            done = true;
        }
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    assert_true(done);
}

static void check_finding(struct setting *s, const struct finding *f)
{
    struct crash_walk *walk = crash_walk_create(s->recording.history, s->model, false);
    struct crash_space *space;
    uint32_t picks[JUDGE_MAX_PICKS];
    unsigned pick_count;
    size_t length;
    bool found = false;
    assert_true(finding_parse_picks(f->text, &length, picks, &pick_count));
    while ((space = crash_walk_next(walk))) {
        struct crash_state st;
        if (!found && space->first_point <= f->when && f->when <= space->last_point &&
            crash_state_parse(space, f->text, length, &st)) {
            if (crash_state_when(space, &st) <= f->when) {
                found = true;
                without_each(s, space, &st, f);
                if (space->prefix_ops && crash_state_survivors(space, &st) == space->prefix_ops)
                    without_last(s, space, f);
            }
            crash_state_free(&st);
        }
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    s->witnesses++;
    assert_true(found);
}

/* --- cells --------------------------------------------------------------------------------------------------------- */

static void run_cell(struct setting *s, void (*look)(struct setting *))
{
    struct run_options run = {.design = s->design, .disk = s->model, .schedule = {.number = 1, .seed = 1}};
    struct scn_error err;
    assert_int_equal(scenario_record(s->scenario, &run, &s->recording, &err), 0);
    s->judge = judge_create(&s->recording, s->design);
    s->disk = crash_disk_create();
    s->explorer = explorer_create();
    s->findings = (struct finding_set){0};
    collect(s, look);
    for (size_t i = 0; i < s->findings.count; i++)
        check_finding(s, &s->findings.items[i]);
    finding_set_free(&s->findings);
    judge_destroy(s->judge);
    crash_disk_destroy(s->disk);
    explorer_destroy(s->explorer);
    recording_free(&s->recording);
}

static void over_library(void (*look)(struct setting *))
{
    static const char *const designs[] = {"v2", "upstream", "careful", "naive"};
    static const char *const models[] = {"ssd", "own-length", "atomic-writes", "hostdev", "ordered"};
    struct setting s = {0};
    char **paths, *dir = library_dir();
    assert_non_null(dir);
    long count = library_list(dir, &paths);
    assert_true(count > 0);
    for (long i = 0; i < count; i++) {
        struct scn_error err;
        assert_int_equal(scenario_load(paths[i], &s.scenario, &err), 0);
        for (size_t d = 0; d < sizeof(designs) / sizeof(designs[0]); d++)
            for (size_t m = 0; m < sizeof(models) / sizeof(models[0]); m++) {
                s.design = qed_design_find(designs[d]);
                s.model = sim_disk_model_find(models[m]);
                run_cell(&s, look);
            }
        scenario_free(s.scenario);
    }
    library_list_free(paths, count);
    free(dir);
    print_message("%u witnesses, %u survivors taken away one at a time, %u wrong\n", s.witnesses, s.removed, s.wrong);
    assert_int_equal(s.wrong, 0);
    assert_true(s.removed > 100);
}

static void test_complete(void **state)
{
    (void)state;
    over_library(explore_complete);
}

static void test_large(void **state)
{
    (void)state;
    over_library(judge_large_states);
}

/* A bug that needs a prefix of several operations: a partial write into a cluster of zeros, filled with backing bytes. */
static void test_ordered(void **state)
{
    (void)state;
    static const char text[] = "image size=1M cluster=4K table=2\nbacking size=1M\nprepare write 0 4K\n"
                               "zero 8K 8K\nflush\n"
                               "write 64K 4K\naio a write 8704 512\naio b write 128K 512\nwait all\n"
                               "write 12800 512\nwrite 0 512\nflush\n";
    struct setting s = {.design = qed_design_find("upstream"), .model = sim_disk_model_find("ordered")};
    struct scn_error err;
    assert_int_equal(scenario_parse("ordered.scn", text, strlen(text), &s.scenario, &err), 0);
    run_cell(&s, explore_complete);
    run_cell(&s, judge_large_states);
    scenario_free(s.scenario);
    print_message("ordered: %u witnesses, %u taken away, %u wrong\n", s.witnesses, s.removed, s.wrong);
    assert_int_equal(s.wrong, 0);
    assert_true(s.removed > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
