/* cell.c: see cell.h. */
#include "harness/cell.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/design_box.h"
#include "harness/coverage.h"
#include "harness/design_load.h"
#include "harness/determinism.h"
#include "harness/finding.h"
#include "harness/id.h"
#include "harness/schedules.h"
#include "harness/space_digest.h"
#include "harness/timeline.h"
#include "scenarios/replay.h"
#include "simdisk/crash_sample.h"
#include "simdisk/crash_seen.h"
#include "simdisk/xalloc.h"

#define SEEN_BYTES (UINT64_C(64) << 20) /* room for a million images */

struct cell {
    const struct scenario *scenario;
    const struct qed_design *design;
    const struct sim_disk_model *disk_model;
    const struct cell_options *options;
    struct sim_schedule schedule; /* of the recording */
    struct recording recording;
    struct judge *judge;
    struct judge_counts counts; /* of the judges before this one */
    struct schedules *all;      /* NULL unless every schedule is run */
    struct crash_disk *disk;
    struct explorer *explorer;
    struct finding_set findings;
    const struct crash_space *space; /* being explored */
    const struct crash_state *state;
    struct coverage coverage;
    struct crash_seen *seen; /* where states are judged one by one: the images judged in this epoch */
    uint32_t epoch;
    uint64_t visited, distinct; /* states come to one by one, and images among them */
    bool sampled;               /* of some space only a sample was judged */
    bool one_order;             /* see struct crash_space */
    bool cut, stopped;
    bool known_incomplete;    /* says the memo */
    struct cell_probe *probe; /* NULL unless the first violation is all that is wanted */
    struct qed_design_asked first_asked;
    struct probe_memo *memo;  /* NULL: every space is new */
    struct cell_spaces *list; /* NULL unless the spaces are only listed */
    struct digest digest;     /* of the space, with a memo */
    struct space_digester *digester;
};

/* The first violation is enough: what is asked from here on is no part of the answer. */
static bool probed(struct cell *c, enum verdict_class class)
{
    if (!c->probe)
        return false;
    if (!c->probe->unsafe && c->design->asked)
        c->first_asked = *c->design->asked;
    if (!c->probe->unsafe)
        c->probe->class = class;
    c->probe->unsafe = true;
    c->stopped = true;
    return true;
}

/* Records once more and compares, if this is one of the runs chosen for that. */
static int check_determinism(struct cell *c, const struct run_options *run, struct scn_error *err)
{
    char *id = id_format(c->options->id_scenario, c->design->name, c->disk_model->name, c->options->schedule,
                         c->options->seed, false, 0, "");
    bool due = c->options->twice || determinism_due(id);
    free(id);
    if (!due || (c->all && schedules_run(c->all)))
        return 0;
    struct recording again;
    int ret = scenario_record(c->scenario, run, &again, err);
    if (ret)
        return ret;
    if (!determinism_equal(&c->recording, &again, err->text, sizeof(err->text)))
        ret = -ENOTRECOVERABLE;
    recording_free(&again);
    return ret;
}

static int cell_record(struct cell *c, struct scn_error *err)
{
    const struct replay *replay = c->scenario->replay;
    if (replay && !replay_is_qed(replay) && !design_is_qemu(c->design)) {
        snprintf(err->text, sizeof(err->text),
                 "%.200s is a recording of %s, which QEMU alone can recover: --judge qemu", c->scenario->path,
                 replay_format(replay));
        return -EINVAL;
    }
    struct run_options run = {
        .design = c->design, .prepared_by = c->options->prepared_by, .disk = c->disk_model, .schedule = c->schedule};
    int ret = scenario_record(c->scenario, &run, &c->recording, err);
    if (ret)
        return ret;
    if (c->probe && !c->probe->guest_writes) {
        c->probe->guest_writes = c->recording.guest_writes;
        c->probe->image_writes = c->recording.image_writes;
        c->probe->flushes = c->recording.flushes;
    }
    ret = c->probe ? 0 : check_determinism(c, &run, err);
    if (ret) {
        recording_free(&c->recording);
        return ret;
    }
    if (c->recording.live_count)
        probed(c, c->recording.live[0].class);
    c->judge = judge_create(&c->recording, c->design);
    judge_second_life(c->judge, !c->options->first_life);
    if (design_is_qemu(c->design)) {
        int bad = judge_use_qemu(c->judge, c->options->qemu_jobs, c->options->stop, err->text, sizeof(err->text));
        return bad ? -EIO : 0;
    }
    judge_nested(c->judge, (unsigned)(c->options->nested < 8 ? c->options->nested : 8));
    return 0;
}

static void cell_forget(struct cell *c)
{
    if (c->judge) {
        const struct judge_counts *n = judge_count(c->judge);
        c->counts.executions += n->executions;
        c->counts.scanned += n->scanned;
        c->counts.leaky += n->leaky;
        c->counts.recoveries += n->recoveries;
        c->counts.needless += n->needless;
        c->counts.overflows += n->overflows;
    }
    judge_destroy(c->judge);
    c->judge = NULL;
    recording_free(&c->recording);
}

static void cell_open(struct cell *c)
{
    c->schedule = (struct sim_schedule){.number = c->options->schedule,
                                        .seed = c->options->seed,
                                        .script = c->options->script,
                                        .script_len = c->options->script_len};
    c->disk = crash_disk_create();
    c->explorer = explorer_create();
    coverage_init(&c->coverage);
    if (c->options->explore != EXPLORE_COMPLETE)
        c->seen = crash_seen_create(SEEN_BYTES);
}

static void cell_close(struct cell *c)
{
    finding_set_free(&c->findings);
    cell_forget(c);
    crash_disk_destroy(c->disk);
    explorer_destroy(c->explorer);
    coverage_free(&c->coverage);
    crash_seen_destroy(c->seen);
    schedules_destroy(c->all);
}

/* --- exploring ----------------------------------------------------------------------------------------------------- */

static void take_violation(void *opaque, const struct violation *v)
{
    struct cell *c = opaque;
    if (probed(c, v->class))
        return;
    finding_add(&c->findings, c->space, c->state, judge_cluster_sectors(c->judge), v);
}

static bool may_go_on(struct cell *c)
{
    uint64_t executions = c->counts.executions + judge_count(c->judge)->executions;
    if (c->options->beat)
        c->options->beat(c->options->beat_opaque, executions);
    if ((c->options->stop && *c->options->stop) || *judge_qemu_error(c->judge))
        c->stopped = true;
    if (executions >= c->options->limit || c->visited >= c->options->limit)
        c->cut = true;
    return !c->stopped && !c->cut;
}

static void judge_one(struct cell *c, const struct crash_state *state)
{
    c->state = state;
    c->findings.state_number++;
    judge_state(c->judge, c->disk, crash_state_when(c->space, state), take_violation, c);
}

/* One state of many: judged, unless its image was, by a promise as tight. True if the image is new. */
static bool judge_new(struct cell *c, const struct crash_state *state, const struct crash_hasher *h)
{
    bool distinct;
    c->visited++;
    if (!crash_seen_before(c->seen, crash_hasher_value(h, state), crash_state_when(c->space, state), &distinct))
        judge_one(c, state);
    c->distinct += distinct;
    return distinct;
}

/* QEMU is asked about many images at the same time: first all that will be judged, as far as the limit goes. */
static void look_ahead(struct cell *c, uint64_t count, uint64_t share, uint64_t seed)
{
    bool all = !share, more = true;
    struct crash_enum *e = all ? crash_enum_create(c->space, c->disk) : NULL;
    struct crash_sample *s = all ? NULL : crash_sample_create(c->space, c->disk, seed, share);
    for (; more && count && !*judge_qemu_error(c->judge); count--) {
        judge_ahead(c->judge, c->disk);
        if (c->options->beat)
            c->options->beat(c->options->beat_opaque, c->visited);
        more = (!c->options->stop || !*c->options->stop) && (all ? crash_enum_next(e) : crash_sample_next(s));
    }
    judge_ahead_done(c->judge);
    crash_enum_destroy(e);
    crash_sample_destroy(s);
}

static uint64_t left(const struct cell *c)
{
    return c->options->limit - (c->visited < c->options->limit ? c->visited : c->options->limit);
}

/* Returns the number of states judged. */
static uint64_t enumerate(struct cell *c, struct crash_hasher *h)
{
    if (judge_asks_qemu(c->judge))
        look_ahead(c, left(c), 0, 0);
    struct crash_enum *e = crash_enum_create(c->space, c->disk);
    uint64_t count = 0;
    bool more = true;
    crash_enum_hash(e, h);
    for (; more && may_go_on(c); count++) {
        judge_new(c, crash_enum_state(e), h);
        more = crash_enum_next(e);
    }
    crash_enum_destroy(e);
    return count;
}

/* Returns the number of different states judged. */
static uint64_t sample(struct cell *c, struct crash_hasher *h, uint64_t share)
{
    uint64_t which = c->memo ? c->digest.lane[0] : c->coverage.spaces * UINT64_C(0x9e3779b97f4a7c15), count = 0;
    uint64_t seed = c->options->seed ^ which;
    if (judge_asks_qemu(c->judge) && share)
        look_ahead(c, left(c), share, seed);
    struct crash_sample *e = crash_sample_create(c->space, c->disk, seed, share);
    bool more = true;
    c->sampled = true;
    while (more && may_go_on(c)) {
        crash_hasher_set(h, crash_sample_state(e));
        count += judge_new(c, crash_sample_state(e), h);
        more = crash_sample_next(e);
    }
    crash_sample_destroy(e);
    return count;
}

static uint64_t judge_one_by_one(struct cell *c, const struct bignum *states, uint64_t share)
{
    if (c->epoch != c->space->epoch)
        crash_seen_clear(c->seen);
    c->epoch = c->space->epoch;
    struct crash_hasher *h = crash_hasher_create(c->space);
    bool all = c->options->explore == EXPLORE_ENUMERATE || bignum_clamp(states) <= share;
    uint64_t explored = all ? enumerate(c, h) : sample(c, h, share);
    crash_hasher_destroy(h);
    return explored;
}

/* What the violation depends on is known; everything else is as durable, and what must be decided is decided so that
 * as little as possible survived. */
static void take_open_violation(void *opaque, const struct violation *v)
{
    struct cell *c = opaque;
    struct crash_state state;
    if (probed(c, v->class))
        return;
    size_t mark = crash_disk_mark(c->disk);
    crash_state_init(&state, c->space);
    crash_disk_settle(c->disk);
    crash_state_from_disk(&state, c->space, c->disk);
    crash_disk_rewind(c->disk, mark);
    c->findings.state_number++;
    finding_add(&c->findings, c->space, &state, judge_cluster_sectors(c->judge), v);
    crash_state_free(&state);
}

static bool keep_going(void *opaque)
{
    return may_go_on(opaque);
}

/* True if every state of the space is spoken for. */
static bool explore_open(struct cell *c)
{
    return judge_space(c->judge, c->explorer, c->disk, take_open_violation, keep_going, c);
}

static void explore_space(struct cell *c, struct crash_space *space, uint64_t share)
{
    struct bignum states, explored;
    uint64_t executions = judge_count(c->judge)->executions, one_by_one = 0;
    bool open = c->options->explore == EXPLORE_COMPLETE, all = false;
    crash_space_count(space, &states);
    coverage_begin(&c->coverage, space, &states);
    c->space = space;
    c->one_order |= space->one_order;
    crash_disk_load(c->disk, space, open ? explorer_chooser(c->explorer) : NULL);
    if (!c->cut && !c->stopped && open)
        all = explore_open(c);
    else if (!c->cut && !c->stopped)
        one_by_one = judge_one_by_one(c, &states, share);
    bignum_init(&explored, one_by_one);
    coverage_add(&c->coverage, all ? &states : &explored, judge_count(c->judge)->executions - executions);
    bignum_free(&explored);
    bignum_free(&states);
    if (c->probe)
        return;
    finding_settle(&c->findings, space, c->disk, c->judge, &c->recording, true);
}

/* Executions in which a later failure had more outcomes than were tried. */
static uint64_t overflows(const struct cell *c)
{
    return c->counts.overflows + (c->judge ? judge_count(c->judge)->overflows : 0);
}

/* What one space adds to the counts. */
static void fill_leaf(const struct cell *c, const struct judge_counts *before, struct probe_leaf *leaf)
{
    const struct judge_counts *now = judge_count(c->judge);
    *leaf = (struct probe_leaf){.unsafe = c->probe->unsafe,
                                .class = c->probe->class,
                                .incomplete = !c->probe->unsafe && (c->cut || c->one_order || overflows(c)),
                                .recoveries = now->recoveries - before->recoveries,
                                .scans = now->scanned - before->scanned,
                                .needless = now->needless - before->needless};
}

/* As explore_space(), unless the same was found out before. What is asked in the space alone is the memo's. */
static void explore_new_space(struct cell *c, struct crash_space *space, uint64_t share)
{
    struct qed_design_asked *asked = c->design->asked, before = *asked;
    struct judge_counts counts = *judge_count(c->judge);
    struct probe_leaf leaf;
    c->digest = space_digest(c->digester, space);
    if (probe_memo_find(c->memo, c->digest, c->design, asked, &leaf)) {
        c->known_incomplete |= leaf.incomplete;
        if (leaf.unsafe)
            probed(c, leaf.class);
        return;
    }
    qed_asked_begin(asked);
    explore_space(c, space, share);
    if (c->stopped && !c->probe->unsafe)
        return; /* interrupted */
    struct qed_design_asked *own = c->probe->unsafe ? &c->first_asked : asked;
    fill_leaf(c, &counts, &leaf);
    probe_memo_add(c->memo, c->digest, c->design, own, leaf);
    for (unsigned i = 0; i < own->count; i++)
        qed_design_note(&before, (enum qed_design_field)own->steps[i].field, own->steps[i].set, own->steps[i].in);
    *asked = before;
    c->first_asked = before;
}

static void list_space(struct cell *c, struct crash_space *space)
{
    struct cell_spaces *l = c->list;
    l->digests = xgrow(l->digests, l->count, &l->cap, sizeof(*l->digests));
    l->digests[l->count++] = space_digest(c->digester, space);
    l->one_order |= space->one_order;
}

static void explore(struct cell *c)
{
    struct crash_walk *walk = crash_walk_create(c->recording.history, c->disk_model, false);
    struct crash_space *space;
    size_t count = 0, index = 0;
    uint64_t *shares = NULL;
    c->epoch = UINT32_MAX;
    c->coverage.totals_only = c->all != NULL; /* epochs of different runs are not the same */
    if (c->options->explore == EXPLORE_SAMPLE)
        shares = coverage_share(c->recording.history, c->disk_model, c->options->limit, &count);
    if (c->memo || c->list)
        c->digester = space_digester_create(&c->recording);
    for (; !c->stopped && (space = crash_walk_next(walk)); index++) {
        if (c->all && !schedules_first(c->all, space))
            ; /* an earlier run showed it */
        else if (c->list)
            list_space(c, space);
        else if (c->memo)
            explore_new_space(c, space, shares ? c->options->limit : 0);
        else
            explore_space(c, space, shares ? shares[index] : 0);
        crash_space_free(space);
    }
    space_digester_destroy(c->digester);
    c->digester = NULL;
    crash_walk_destroy(walk);
    free(shares);
}

/* --- into the store ------------------------------------------------------------------------------------------------ */

struct finding_texts {
    char *id;
    char order[96];
    char why[900];
    char because[400];
};

/* The id of a state or a whole run; of the run that showed it, where there were several. */
static char *id_of(const struct cell *c, uint64_t run, bool has_point, uint32_t point, const char *survivors)
{
    struct sim_schedule schedule = c->schedule;
    if (c->all) {
        schedule = schedules_of_run(c->all, run);
        schedule.seed = c->options->seed;
    }
    return id_format_schedule(c->options->id_scenario, c->design->name, c->disk_model->name, &schedule, has_point,
                              point, survivors);
}

static void fill_finding(const struct cell *c, const struct finding *f, struct finding_texts *t,
                         struct store_finding *out)
{
    t->id = id_of(c, f->run, true, f->when, f->text);
    finding_order_text(&f->key, t->order, sizeof(t->order));
    finding_why(f, t->why, sizeof(t->why));
    finding_because(f, c->design, c->disk_model, t->because, sizeof(t->because));
    *out = (struct store_finding){.id = t->id,
                                  .class = f->key.class,
                                  .crash_point = f->when,
                                  .has_guest_sector = f->guest_sector != JUDGE_NO_SECTOR,
                                  .guest_sector = f->guest_sector,
                                  .has_guest_cluster = f->key.cluster != FINDING_NO_CLUSTER,
                                  .guest_cluster = f->key.cluster,
                                  .expected = f->words.expected,
                                  .found = f->words.found,
                                  .why = t->why,
                                  .because = t->because,
                                  .recovery = f->recovery,
                                  .missing_order = t->order,
                                  .story = f->story,
                                  .survivors = f->survivors,
                                  .states = f->states,
                                  .timeline = &f->timeline};
}

static void fill_live(const struct cell *c, const struct run_live_finding *l, uint64_t run,
                      const struct timeline *timeline, struct finding_texts *t, struct store_finding *out)
{
    t->id = id_of(c, run, false, 0, "");
    snprintf(t->why, sizeof(t->why), "Without any crash: %s.", l->why);
    *out = (struct store_finding){.id = t->id,
                                  .class = l->class,
                                  .crash_point = l->when,
                                  .has_guest_sector = l->guest_sector != UINT64_MAX,
                                  .guest_sector = l->guest_sector,
                                  .expected = l->expected,
                                  .found = l->found,
                                  .why = t->why,
                                  .because = "No power failure is needed to see it.",
                                  .missing_order = "",
                                  .story = "",
                                  .states = 1,
                                  .timeline = timeline};
}

/* At least the classes named. */
static bool classes_fit(const struct scn_expect *e, const struct store_finding *findings, size_t count)
{
    bool seen[VERDICT_CLASS_COUNT] = {false}, named[VERDICT_CLASS_COUNT] = {false};
    for (size_t i = 0; i < count; i++)
        seen[findings[i].class] = true;
    for (unsigned i = 0; i < e->class_count; i++)
        named[e->classes[i]] = true;
    for (size_t i = 0; i < VERDICT_CLASS_COUNT; i++)
        if (named[i] && !seen[i])
            return false;
    return true;
}

static void fill_expectation(const struct cell *c, const struct store_finding *findings, size_t count,
                             struct store_cell *out, char *classes, size_t size)
{
    const struct scn_expect *e = scenario_expectation(c->scenario, c->design, c->disk_model);
    classes[0] = 0;
    out->expected_classes = classes;
    out->as_expected = !count;
    if (!e)
        return;
    out->expected = e->unsafe ? STORE_EXPECT_UNSAFE : STORE_EXPECT_SAFE;
    for (unsigned i = 0; i < e->class_count; i++)
        snprintf(classes + strlen(classes), size - strlen(classes), "%s%s", i ? "," : "",
                 verdict_class_name(e->classes[i]));
    out->as_expected = e->unsafe == (count > 0) && (!e->unsafe || classes_fit(e, findings, count));
}

struct cell_rows {
    struct store_finding *findings;
    struct finding_texts *texts;
    size_t count;
    struct timeline *live; /* of what a live guest found in the one recording; NULL where there are several */
    size_t live_count;
};

static void fill_rows(struct cell *c, struct cell_rows *rows)
{
    size_t live = c->recording.live_count;
    const struct schedules_live *all_live = c->all ? schedules_live(c->all, &live) : NULL;
    finding_sort(&c->findings);
    rows->count = c->findings.count + live;
    rows->findings = xcalloc(rows->count, sizeof(*rows->findings));
    rows->texts = xcalloc(rows->count, sizeof(*rows->texts));
    rows->live_count = all_live ? 0 : live;
    rows->live = xcalloc(rows->live_count, sizeof(*rows->live));
    for (size_t i = 0; i < c->findings.count; i++)
        fill_finding(c, &c->findings.items[i], &rows->texts[i], &rows->findings[i]);
    for (size_t i = 0; i < live; i++) {
        size_t at = c->findings.count + i;
        if (all_live) {
            fill_live(c, &all_live[i].finding, all_live[i].run, &all_live[i].timeline, &rows->texts[at],
                      &rows->findings[at]);
            continue;
        }
        timeline_make_live(&c->recording.live[i], &c->recording, c->disk_model, &rows->live[i]);
        fill_live(c, &c->recording.live[i], 0, &rows->live[i], &rows->texts[at], &rows->findings[at]);
    }
}

static void free_rows(struct cell_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->texts[i].id);
    for (size_t i = 0; i < rows->live_count; i++)
        timeline_free(&rows->live[i]);
    free(rows->live);
    free(rows->findings);
    free(rows->texts);
}

/* What the guest and the disk did: in the one recording, or over all of them. */
static void fill_costs(const struct cell *c, struct store_cell *out, struct store_schedules *schedules, char *possible)
{
    if (!c->all) {
        out->schedule = c->options->script ? ID_ALL_SCHEDULES : c->options->schedule;
        out->crash_points = c->recording.history->event_count + 1;
        out->guest_writes = c->recording.guest_writes;
        out->image_writes = c->recording.image_writes;
        out->flushes = c->recording.flushes;
        out->scans = c->recording.scans;
        out->dirty_after_clean = (uint64_t)c->recording.dirty_after_clean;
        return;
    }
    struct schedules_figures f = schedules_figures(c->all);
    out->schedule = ID_ALL_SCHEDULES;
    out->crash_points = f.crash_points;
    out->guest_writes = f.guest_writes;
    out->image_writes = f.image_writes;
    out->flushes = f.flushes;
    out->scans = f.scans;
    out->dirty_after_clean = f.dirty_after_clean;
    out->complete = out->complete && f.walk.complete;
    sprintf(possible, "%" PRIu64, f.walk.possible);
    *schedules = (struct store_schedules){
        .possible = possible, .run = f.walk.run, .distinct = f.distinct, .complete = f.walk.complete};
    out->schedules = schedules;
}

static bool structure_only(const struct cell *c)
{
    return c->scenario->replay && replay_structure_only(c->scenario->replay);
}

/* Why the cell is not complete; empty if it is. */
static void cut_text(const struct cell *c, char *buf, size_t size)
{
    buf[0] = 0;
    char part[64];
    coverage_text(&c->coverage, part, sizeof(part));
    if (c->cut && c->options->explore == EXPLORE_COMPLETE)
        snprintf(buf, size, "stopped at the limit of %" PRIu64 " executions: at least %s", c->options->limit, part);
    else if (c->cut)
        snprintf(buf, size, "stopped at the limit of %" PRIu64 " states: %s", c->options->limit, part);
    else if (c->sampled)
        snprintf(buf, size, "sampled with seed %" PRIu64 ": %s", c->options->seed, part);
    else if (c->one_order)
        snprintf(
            buf, size,
            "writes in flight together share an atomic unit; they were taken in the order of their completion only");
    else if (overflows(c))
        snprintf(buf, size, "in %" PRIu64 " executions a later failure had more outcomes than were tried",
                 overflows(c));
    size_t used = strlen(buf);
    if (structure_only(c))
        snprintf(buf + used, size - used, "%sonly structure was judged, for there is no guest.jsonl", used ? "; " : "");
    struct schedules_figures f = {.walk.complete = true};
    if (c->all)
        f = schedules_figures(c->all);
    used = strlen(buf);
    if (!f.walk.complete)
        snprintf(buf + used, size - used, "%s%" PRIu64 " schedules run of at least %" PRIu64, used ? "; " : "",
                 f.walk.run, f.walk.possible);
}

static struct store_epoch *fill_epochs(const struct cell *c)
{
    struct store_epoch *epochs = xcalloc(c->coverage.count, sizeof(*epochs));
    for (size_t i = 0; i < c->coverage.count; i++) {
        const struct coverage_epoch *e = &c->coverage.epochs[i];
        epochs[i] = (struct store_epoch){.first_point = e->epoch,
                                         .last_point = e->last_point,
                                         .states = bignum_string(&e->states),
                                         .states_log2 = bignum_log2(&e->states),
                                         .explored = bignum_string(&e->explored),
                                         .explored_log2 = bignum_log2(&e->explored),
                                         .executions = e->executions};
    }
    return epochs;
}

static void free_epochs(struct store_epoch *epochs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(epochs[i].states);
        free(epochs[i].explored);
    }
    free(epochs);
}

/* "A7,A10" */
static void ledger_text(const struct scenario *s, char *buf, size_t size)
{
    size_t used = 0;
    buf[0] = 0;
    for (unsigned i = 0; i < s->ledger_count; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? "," : "", s->ledger[i]);
}

static int put(struct cell *c, cell_take_fn *take, void *opaque, struct scn_error *err)
{
    struct cell_rows rows;
    struct store_schedules schedules;
    char *total = bignum_string(&c->coverage.states), *explored = bignum_string(&c->coverage.explored);
    char classes[160], cut[200], possible[24], ledger[SCN_LEDGER_MAX * (SCN_CLAIM_MAX + 1)];
    struct store_epoch *epochs = fill_epochs(c);
    char *repro =
        id_format_schedule(c->options->id_scenario, c->design->name, c->disk_model->name, &c->schedule, false, 0, "");
    fill_rows(c, &rows);
    cut_text(c, cut, sizeof(cut));
    ledger_text(c->scenario, ledger, sizeof(ledger));
    struct store_cell cell = {.scenario = c->options->id_scenario,
                              .ledger = ledger,
                              .design = c->design->name,
                              .disk = c->disk_model->name,
                              .verdict = rows.count ? "unsafe" : "safe",
                              .complete =
                                  !c->cut && !c->sampled && !c->one_order && !overflows(c) && !structure_only(c),
                              .cut = *cut ? cut : NULL,
                              .states_total = total,
                              .states_log2 = bignum_log2(&c->coverage.states),
                              .explored = explored,
                              .explored_log2 = bignum_log2(&c->coverage.explored),
                              .has_distinct = c->seen != NULL,
                              .distinct = c->distinct,
                              .distinct_at_least = c->seen && crash_seen_full(c->seen),
                              .epochs = epochs,
                              .epoch_count = c->coverage.count,
                              .executions = c->counts.executions,
                              .leaks = c->counts.leaky,
                              .repro = repro,
                              .findings = rows.findings,
                              .finding_count = rows.count};
    if (c->judge) {
        cell.executions += judge_count(c->judge)->executions;
        cell.leaks += judge_count(c->judge)->leaky;
    }
    fill_costs(c, &cell, &schedules, possible);
    cell.scans += c->counts.scanned || (c->judge && judge_count(c->judge)->scanned);
    fill_expectation(c, rows.findings, rows.count, &cell, classes, sizeof(classes));
    int ret = take(opaque, &cell, err);
    free_rows(&rows);
    free_epochs(epochs, c->coverage.count);
    free(total);
    free(explored);
    free(repro);
    return ret;
}

struct into_store {
    struct store *store;
    bool *unsafe;
};

static int take_into_store(void *opaque, const struct store_cell *cell, struct scn_error *err)
{
    struct into_store *to = opaque;
    struct store_error store_err;
    int ret = store_put_cell(to->store, cell, &store_err);
    if (ret)
        snprintf(err->text, sizeof(err->text), "%s", store_err.text);
    *to->unsafe = cell->finding_count > 0;
    return ret;
}

/* Every schedule; a crash space that an earlier one showed is not judged again. */
static int explore_all(struct cell *c, struct scn_error *err)
{
    struct sim_schedule all = c->schedule;
    int ret = 0;
    c->all = schedules_create(c->options->schedule_limit ? c->options->schedule_limit : SCHEDULES_LIMIT);
    while (!ret && !c->stopped && !c->cut && schedules_next(c->all, &c->schedule)) {
        c->findings.run = schedules_run(c->all);
        ret = cell_record(c, err);
        if (!ret)
            ret = schedules_begin(c->all, &c->recording, c->disk_model, err);
        if (!ret) {
            may_go_on(c);
            explore(c);
            schedules_end(c->all);
        }
        cell_forget(c);
    }
    c->schedule = all;
    return ret;
}

/* QEMU could not be asked: there is no verdict. */
static int qemu_failed(const struct cell *c, struct scn_error *err)
{
    if (!c->judge || !*judge_qemu_error(c->judge))
        return 0;
    snprintf(err->text, sizeof(err->text), "%s", judge_qemu_error(c->judge));
    return -EIO;
}

static int explore_cell(struct cell *c, struct scn_error *err)
{
    cell_open(c);
    if (!c->options->script && c->options->schedule == ID_ALL_SCHEDULES)
        return explore_all(c, err);
    int ret = cell_record(c, err);
    if (!ret)
        explore(c);
    return ret ? ret : qemu_failed(c, err);
}

int cell_judge(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
               const struct cell_options *options, cell_take_fn *take, void *opaque, struct scn_error *err)
{
    struct cell c = {.scenario = s, .design = design, .disk_model = disk, .options = options};
    int ret = explore_cell(&c, err);
    if (!ret && c.stopped)
        ret = -EINTR;
    if (!ret)
        ret = put(&c, take, opaque, err);
    cell_close(&c);
    return ret;
}

int cell_died(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
              const struct cell_options *options, const char *why, cell_take_fn *take, void *opaque,
              struct scn_error *err)
{
    struct cell c = {.scenario = s, .design = design, .disk_model = disk, .options = options};
    char classes[160], ledger[SCN_LEDGER_MAX * (SCN_CLAIM_MAX + 1)], text[240], cut[200];
    char *id =
        id_format(options->id_scenario, design->name, disk->name, options->schedule, options->seed, false, 0, "");
    snprintf(text, sizeof(text), "The process that judged this cell %.200s.", why);
    snprintf(cut, sizeof(cut), "its process %.180s", why);
    ledger_text(s, ledger, sizeof(ledger));
    const struct store_finding finding = {.id = id,
                                          .class = VERDICT_DIED,
                                          .expected = "a verdict",
                                          .found = "none",
                                          .why = text,
                                          .because =
                                              "That is a bug of the engine or of its judge, or somebody killed it.",
                                          .missing_order = "",
                                          .story = "",
                                          .states = 1};
    struct store_cell cell = {.scenario = options->id_scenario,
                              .ledger = ledger,
                              .design = design->name,
                              .disk = disk->name,
                              .schedule = options->schedule,
                              .verdict = "unsafe",
                              .cut = cut,
                              .states_total = "0",
                              .explored = "0",
                              .explored_log2 = -1,
                              .repro = id,
                              .findings = &finding,
                              .finding_count = 1};
    fill_expectation(&c, &finding, 1, &cell, classes, sizeof(classes));
    cell.as_expected = false;
    int ret = take(opaque, &cell, err);
    free(id);
    return ret;
}

int cell_run(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
             const struct cell_options *options, struct store *store, bool *unsafe, struct scn_error *err)
{
    struct into_store to = {store, unsafe};
    return cell_judge(s, design, disk, options, take_into_store, &to, err);
}

static bool is_complete(const struct cell *c)
{
    return !c->cut && !c->sampled && !c->one_order && !overflows(c) &&
           (!c->all || schedules_figures(c->all).walk.complete);
}

static void add_up(const struct cell *c, struct cell_sum *sum)
{
    sum->cells++;
    sum->executions += c->counts.executions + (c->judge ? judge_count(c->judge)->executions : 0);
    sum->incomplete += !is_complete(c);
    bignum_add(&sum->states, &c->coverage.states);
}

static void hand_out(struct cell *c, cell_finding_fn *take, void *opaque)
{
    struct cell_rows rows;
    fill_rows(c, &rows);
    for (size_t i = 0; i < rows.count; i++)
        take(opaque, &rows.findings[i]);
    free_rows(&rows);
}

int cell_findings(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
                  const struct cell_options *options, cell_finding_fn *take, void *opaque, struct scn_error *err)
{
    struct cell c = {.scenario = s, .design = design, .disk_model = disk, .options = options};
    int ret = explore_cell(&c, err);
    if (!ret && c.stopped)
        ret = -EINTR;
    if (!ret && options->sum)
        add_up(&c, options->sum);
    if (!ret)
        hand_out(&c, take, opaque);
    cell_close(&c);
    return ret;
}

/* --- one state ----------------------------------------------------------------------------------------------------- */

/* The space that has this point and can express these survivors, set on the disk; NULL if none. */
static struct crash_space *find_state(struct cell *c, uint32_t point, const char *survivors, size_t length,
                                      struct crash_state *state)
{
    struct crash_walk *walk = crash_walk_create(c->recording.history, c->disk_model, false);
    struct crash_space *space;
    while ((space = crash_walk_next(walk))) {
        if (space->first_point <= point && point <= space->last_point &&
            crash_state_parse(space, survivors, length, state)) {
            if (crash_state_when(space, state) <= point)
                break;
            crash_state_free(state);
        }
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    return space;
}

/* The state that an id names. */
struct named {
    struct crash_space *space;
    struct crash_state state;
    uint32_t picks[JUDGE_MAX_PICKS];
    unsigned pick_count;
};

/* Records, and sets the disk to the state that was named. */
static int load_named(struct cell *c, uint32_t point, const char *survivors, struct named *n, struct scn_error *err)
{
    size_t length;
    n->space = NULL;
    cell_open(c);
    int ret = cell_record(c, err);
    if (ret)
        return ret;
    if (finding_parse_picks(survivors, &length, n->picks, &n->pick_count))
        n->space = find_state(c, point, survivors, length, &n->state);
    size_t twice = n->space ? 0 : crash_state_named_twice(c->recording.history, survivors, length);
    if (!n->space && twice < length) {
        snprintf(err->text, sizeof(err->text),
                 "the survivors name '%.*s' a second time: each operation is named once, its sectors in one list "
                 "(+L2.0-1,3)",
                 (int)strcspn(survivors + twice + 1, "+./"), survivors + twice + 1);
        return -ENOENT;
    }
    if (!n->space) {
        snprintf(err->text, sizeof(err->text),
                 "this run has no crash state @%" PRIu32 "%.120s; it has crash points 0 to %zu: was the id made by "
                 "another version, or for another scenario file?",
                 point, survivors, c->recording.history->event_count);
        return -ENOENT;
    }
    c->space = n->space;
    crash_disk_load(c->disk, n->space, NULL);
    crash_state_apply(n->space, &n->state, c->disk);
    return 0;
}

static void unload_named(struct named *n)
{
    crash_state_free(&n->state);
    crash_space_free(n->space);
}

/* Judges the state that was named, alone; its witnesses as they are, or minimal ones. */
static int judge_named(struct cell *c, uint32_t point, const char *survivors, bool minimal, struct scn_error *err)
{
    struct named n;
    int ret = load_named(c, point, survivors, &n, err);
    if (ret)
        return ret;
    const struct bignum one = {.limbs = (uint32_t[]){1}, .count = 1};
    coverage_begin(&c->coverage, n.space, &one);
    judge_force(c->judge, n.picks, n.pick_count);
    judge_one(c, &n.state);
    judge_force(c->judge, NULL, 0);
    coverage_add(&c->coverage, &one, judge_count(c->judge)->executions);
    finding_settle(&c->findings, n.space, c->disk, c->judge, &c->recording, minimal);
    unload_named(&n);
    return qemu_failed(c, err);
}

int cell_look(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
              const struct cell_options *options, uint32_t point, const char *survivors, cell_state_fn *look,
              void *opaque, struct scn_error *err)
{
    struct cell c = {.scenario = s, .design = design, .disk_model = disk, .options = options};
    struct named n;
    int ret = load_named(&c, point, survivors, &n, err);
    if (!ret) {
        struct cell_state state = {&c.recording, n.space, &n.state, c.disk};
        ret = look(opaque, &state, err);
        unload_named(&n);
    }
    cell_close(&c);
    return ret;
}

int cell_repro(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
               const struct cell_options *options, uint32_t point, const char *survivors, struct store *store,
               bool *unsafe, struct scn_error *err)
{
    struct cell c = {.scenario = s, .design = design, .disk_model = disk, .options = options};
    struct into_store to = {store, unsafe};
    int ret = judge_named(&c, point, survivors, false, err);
    if (!ret)
        ret = put(&c, take_into_store, &to, err);
    cell_close(&c);
    return ret;
}

int cell_state_findings(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
                        const struct cell_options *options, uint32_t point, const char *survivors, bool minimal,
                        cell_finding_fn *take, void *opaque, struct scn_error *err)
{
    struct cell c = {.scenario = s, .design = design, .disk_model = disk, .options = options};
    int ret = judge_named(&c, point, survivors, minimal, err);
    if (!ret)
        hand_out(&c, take, opaque);
    cell_close(&c);
    return ret;
}

static void fill_probe(struct cell *c, struct cell_probe *out)
{
    bool first = !c->all;
    cell_forget(c);
    out->executions = c->counts.executions;
    out->recoveries = c->counts.recoveries;
    out->scans = c->counts.scanned;
    out->needless = c->counts.needless;
    out->states_log2 = bignum_log2(&c->coverage.states);
    out->complete = out->unsafe || (!c->known_incomplete && !c->cut && !c->sampled && !c->one_order && !overflows(c) &&
                                    (first || schedules_figures(c->all).walk.complete));
}

int cell_probe(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
               const struct cell_options *options, struct probe_memo *memo, struct cell_probe *out,
               struct scn_error *err)
{
    *out = (struct cell_probe){0};
    struct cell c = {.scenario = s, .design = design, .disk_model = disk, .options = options, .probe = out};
    if (design->asked)
        c.memo = memo;
    int ret = explore_cell(&c, err);
    if (!ret && !out->unsafe && c.stopped)
        ret = -EINTR;
    if (!ret)
        fill_probe(&c, out);
    if (out->unsafe && design->asked)
        *design->asked = c.first_asked;
    cell_close(&c);
    return ret;
}

int cell_list_spaces(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
                     const struct cell_options *options, struct cell_spaces *out, struct scn_error *err)
{
    struct cell_probe probe = {0};
    *out = (struct cell_spaces){0};
    struct cell c = {
        .scenario = s, .design = design, .disk_model = disk, .options = options, .probe = &probe, .list = out};
    int ret = explore_cell(&c, err);
    if (!ret && !probe.unsafe && c.stopped)
        ret = -EINTR;
    if (!ret)
        fill_probe(&c, &probe);
    if (probe.unsafe && design->asked)
        *design->asked = c.first_asked;
    cell_close(&c);
    out->unsafe = probe.unsafe;
    out->complete = probe.unsafe || (!out->one_order && (!c.all || probe.complete));
    out->guest_writes = probe.guest_writes;
    out->image_writes = probe.image_writes;
    out->flushes = probe.flushes;
    if (ret) {
        free(out->digests);
        *out = (struct cell_spaces){0};
    }
    return ret;
}
