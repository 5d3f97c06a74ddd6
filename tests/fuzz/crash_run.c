/* crash_run.c: see crash_run.h. */
#include "tests/fuzz/crash_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/design_text.h"
#include "harness/finding.h"
#include "harness/id.h"
#include "simdisk/xalloc.h"
#include "tests/fuzz/crash_features.h"
#include "tests/fuzz/crash_keep.h"

/* Safe in all cells of the matrix on all disks that keep their word, as far as generated words go: phys-size and
 * size-check have one finding, on hostdev, which takes another program that opens the image (a17-old-program). */
static const char *const safe_designs[] = {"careful", "autoclear", "phys-size", "size-check"};
enum { SAFE_COUNT = sizeof(safe_designs) / sizeof(safe_designs[0]) };

struct crash_run {
    const struct qed_design *designs[SAFE_COUNT];
    unsigned design_count;
    struct qed_design named;
    struct crash_disk *disk;
    struct crash_keep *keep;
    /* What was wrong with the last case. */
    bool found;
    enum verdict_class class;
    uint64_t guest_sector;
    char *id; /* of the generated workload */
    char what[200];
    unsigned pick_count; /* of the violation */
    uint32_t picks[JUDGE_MAX_PICKS];
};

struct crash_run *crash_run_create(const char *design, char *why)
{
    struct crash_run *r = xcalloc(1, sizeof(*r));
    if (design) {
        struct qed_design_error err = {""};
        if (qed_design_parse(design, &r->named, &err)) {
            snprintf(why, 200, "%.199s", err.text);
            free(r);
            return NULL;
        }
        r->designs[r->design_count++] = &r->named;
    }
    for (unsigned i = 0; !design && i < SAFE_COUNT; i++)
        r->designs[r->design_count++] = qed_design_find(safe_designs[i]);
    r->disk = crash_disk_create();
    r->keep = crash_keep_create();
    return r;
}

void crash_run_destroy(struct crash_run *r)
{
    if (!r)
        return;
    crash_disk_destroy(r->disk);
    crash_keep_destroy(r->keep);
    free(r->id);
    free(r);
}

static const struct sim_disk_model *disk_of(const struct crash_case *c)
{
    size_t honest = 0, i = 0;
    for (size_t k = 0; k < sim_disk_model_count; k++)
        honest += sim_disk_models[k].keeps_its_word;
    for (size_t left = c->disk % honest;; i++)
        if (sim_disk_models[i].keeps_its_word && left-- == 0)
            return &sim_disk_models[i];
}

static const struct qed_design *design_of(const struct crash_run *r, const struct crash_case *c)
{
    return r->designs[c->design % r->design_count];
}

static void take_violation(void *opaque, const struct violation *v)
{
    struct crash_run *r = opaque;
    if (r->found)
        return;
    r->found = true;
    r->class = v->class;
    r->guest_sector = v->guest_sector;
    r->pick_count = v->pick_count;
    memcpy(r->picks, v->picks, v->pick_count * sizeof(*v->picks));
    snprintf(r->what, sizeof(r->what), "%s", v->what);
}

static void keep_id(struct crash_run *r, const struct crash_case *c, const struct recording *rec,
                    const struct crash_space *space, const struct crash_state *st)
{
    const struct sim_schedule schedule = {
        .number = 1, .seed = 1, .script = rec->choices, .script_len = rec->choice_count};
    char *survivors = space ? finding_survivors(space, st, r->picks, r->pick_count) : NULL;
    char name[GEN_NAME_MAX];
    free(r->id);
    gen_name(&c->workload, name, sizeof(name));
    r->id = id_format_schedule(name, design_of(r, c)->name, disk_of(c)->name, &schedule, space != NULL,
                               space ? crash_state_when(space, st) : 0, survivors ? survivors : "");
    free(survivors);
}

/* Does this request of the guest make what the violation is about? */
static bool makes_what_was_lost(const struct crash_run *r, const struct scn_stmt *stmt)
{
    uint64_t first = stmt->offset / BLK_SECTOR_BYTES;
    if (r->guest_sector == UINT64_MAX)
        return stmt->op == SCN_TRUNCATE;
    return (stmt->op == SCN_WRITE || stmt->op == SCN_ZERO) && r->guest_sector >= first &&
           r->guest_sector - first < stmt->length / BLK_SECTOR_BYTES;
}

/* What no design here keeps, and the promise does not give up; docs/fuzzing.md tells of it. A disk forgot what was pending
 * when a flush failed, tables too. A later program still reads them, and writes data that only they name. */
static bool stands_on_forgotten_tables(const struct crash_run *r, const struct crash_case *c,
                                       const struct recording *rec)
{
    const struct history *h = rec->history;
    uint32_t failed = HIST_NEVER;
    bool opened = false;
    if (disk_of(c)->failed_flush != SIM_FAILED_FLUSH_DROPS || r->class != VERDICT_LOST_FLUSHED)
        return false;
    for (size_t i = 0; i < h->op_count; i++)
        if (h->ops[i].kind == HIST_FLUSH && h->ops[i].ret && h->ops[i].done < failed)
            failed = h->ops[i].done;
    for (size_t i = 0; i < rec->guest_op_count; i++) {
        const struct scn_stmt *stmt = &rec->scenario->stmts[rec->guest_ops[i].stmt];
        opened = opened || (stmt->op == SCN_OPEN && rec->guest_ops[i].begin > failed);
        if (opened && makes_what_was_lost(r, stmt))
            return true;
    }
    return false;
}

static void judge_case(struct crash_run *r, const struct crash_case *c, struct crash_setup *setup)
{
    struct crash_state st;
    const struct recording *rec = &setup->recording;
    const struct crash_space *space = crash_setup_space(setup, c->epoch);
    const struct judge_counts none = {0};
    crash_case_state(c, space, &st);
    crash_disk_load(r->disk, space, NULL);
    crash_state_apply(space, &st, r->disk);
    judge_count_back(setup->judge, &none);
    judge_force(setup->judge, c->picks, c->pick_count);
    judge_state_in_part(setup->judge, r->disk, crash_state_when(space, &st), c->focus, take_violation, r);
    crash_features_tell(rec, space, &st, judge_count(setup->judge));
    r->found = r->found && !stands_on_forgotten_tables(r, c, rec);
    if (r->found)
        keep_id(r, c, rec, space, &st);
    crash_state_free(&st);
}

bool crash_run_case(struct crash_run *r, const struct crash_case *c)
{
    const struct qed_design *design = design_of(r, c);
    r->found = false;
    /* Such a design cannot read beyond a short backing file, crash or no crash: no ordering is at fault. */
    if (!design->backing_clip && c->workload.backing == GEN_BACKING_SHORT)
        return false;
    struct crash_setup *setup = crash_keep_get(r->keep, c, design, disk_of(c));
    if (!setup)
        return false;
    const struct recording *rec = &setup->recording;
    if (rec->live_count) {
        r->found = true;
        r->class = rec->live[0].class;
        r->guest_sector = rec->live[0].guest_sector;
        snprintf(r->what, sizeof(r->what), "%s", rec->live[0].why);
        keep_id(r, c, rec, NULL, NULL);
    } else {
        judge_case(r, c, setup);
    }
    return r->found;
}

/* gen/n1.wma -> FOLDER/n1.wma.scn. True if it was written. */
static bool write_scenario(const struct crash_case *c, const char *folder, char *path, size_t size)
{
    char name[GEN_NAME_MAX], *text = gen_text(&c->workload);
    gen_name(&c->workload, name, sizeof(name));
    snprintf(path, size, "%s/%s.scn", folder, strrchr(name, '/') + 1);
    FILE *f = fopen(path, "w");
    bool ok = f && fputs(text, f) >= 0;
    ok = f && fclose(f) == 0 && ok;
    free(text);
    return ok;
}

void crash_run_tell(struct crash_run *r, const struct crash_case *c, const char *folder, FILE *out)
{
    char path[GEN_NAME_MAX + 512];
    fprintf(out, "%s: %s\n", verdict_class_name(r->class), r->what);
    if (folder && write_scenario(c, folder, path, sizeof(path)))
        fprintf(out, "repro: qedcrash repro '%s%s'\n", path, strchr(r->id, ':'));
    else
        fprintf(out, "repro: qedcrash repro '%s'\n", r->id);
}
