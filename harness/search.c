/* search.c: see search.h. */
#include "harness/search.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/design_text.h"
#include "simdisk/xalloc.h"

#define SAMPLES_PER_SPACE 32

/* Designs that a test has ruled out. */
struct ruled_out {
    struct box_list boxes;
    size_t workload;
};

/* Sums over the cost workloads. */
struct sums {
    uint64_t flushes, writes, allocations; /* of the recorded run */
    uint64_t recoveries, scans, needless;
};

struct part {
    struct qed_design_box box;
    struct sums sums;
};

struct part_list {
    struct part *items;
    size_t count, cap;
};

/* What is known of a workload: of those designs that were asked about. */
struct known {
    struct box_tree *tree; /* what recording it asks; leaves: recorded */
    struct cell_spaces *recorded;
    size_t recorded_count, recorded_cap;
    struct probe_memo *memo; /* what its crash spaces ask */
};

struct search {
    const struct search_options *o;
    const struct sim_disk_model *disk;
    struct search_result *result;
    struct scn_error *err;
    struct box_list candidates;
    struct ruled_out *out;
    size_t out_count, out_cap;

    /* The workload that is looked at. */
    const struct bound_workload *workload;
    struct cell_options cell;
    struct known *known;
    struct known once;  /* of a workload that is looked at once */
    struct known *late; /* by workload: the late ones are looked at again, for other designs, which share much */
};

/* --- one workload -------------------------------------------------------------------------------------------------- */

static struct qed_design weakest_of(const struct qed_design_box *b)
{
    struct qed_design d = {.name = "search", .summary = "", .clear_timer_ms = 5000};
    qed_box_weakest(b, &d);
    return d;
}

static void begin_workload(struct search *x, const struct bound_workload *w, const struct cell_options *cell,
                           struct known *known)
{
    x->workload = w;
    x->cell = *cell;
    x->known = known;
    if (known->tree)
        return;
    known->tree = box_tree_create();
    known->memo = probe_memo_create();
}

static void forget(struct known *k)
{
    if (!k->tree)
        return;
    box_tree_destroy(k->tree);
    probe_memo_destroy(k->memo);
    for (size_t i = 0; i < k->recorded_count; i++)
        free(k->recorded[i].digests);
    free(k->recorded);
    *k = (struct known){0};
}

/* Records the workload for every design of b that may make it differ. */
static int record_all(struct search *x, const struct qed_design_box *b)
{
    struct known *k = x->known;
    struct qed_design_box part;
    while (box_tree_unknown(k->tree, b, &part)) {
        struct qed_design d = weakest_of(&part);
        struct qed_design_asked asked;
        k->recorded = xgrow(k->recorded, k->recorded_count, &k->recorded_cap, sizeof(*k->recorded));
        int ret = bound_spaces(x->workload, x->disk, &d, &x->cell, &asked, &k->recorded[k->recorded_count], x->err);
        if (ret)
            return ret;
        x->result->runs++;
        box_tree_add(k->tree, &d, &asked, (uint32_t)k->recorded_count++);
    }
    return 0;
}

/* Explores the space for every design of b, all of which leave it, that may make a difference. */
static int explore_all(struct search *x, struct digest space, const struct qed_design_box *b)
{
    struct qed_design_box part;
    while (box_tree_unknown(probe_memo_tree(x->known->memo, space), b, &part)) {
        struct qed_design d = weakest_of(&part);
        struct bound_result r;
        uint32_t leaf;
        int ret = bound_test(x->workload, x->disk, &d, &x->cell, x->known->memo, &r, x->err);
        if (ret)
            return ret;
        x->result->runs++;
        x->result->executions += r.probe.executions;
        if (box_tree_find(probe_memo_tree(x->known->memo, space), &d, &leaf))
            continue;
        snprintf(x->err->text, sizeof(x->err->text), "%.200s: one run left a crash space that the next did not",
                 x->workload->name);
        return -ENOTRECOVERABLE;
    }
    return 0;
}

/* --- a test -------------------------------------------------------------------------------------------------------- */

static void note_incomplete(const struct search *x)
{
    struct search_result *r = x->result;
    if (r->complete)
        r->incomplete = (size_t)(x->workload - x->o->bound->workloads);
    r->complete = false;
}

struct collected {
    const struct search *x;
    struct box_list *safe, *unsafe; /* unsafe: may be NULL */
};

static void collect(void *opaque, const struct qed_design_box *part, uint32_t leaf)
{
    const struct collected *c = opaque;
    const struct probe_leaf *l = probe_memo_leaf(c->x->known->memo, leaf);
    if (l->unsafe)
        box_list_add(c->unsafe, part);
    else
        box_list_add(c->safe, part);
    if (l->incomplete)
        note_incomplete(c->x);
}

/* Those of b, all recorded alike, for which all of the spaces are fine. */
static int filter_recorded(struct search *x, const struct cell_spaces *spaces, const struct qed_design_box *b,
                           struct box_list *safe, struct box_list *unsafe)
{
    struct box_list now = {0};
    int ret = 0;
    if (spaces->unsafe) {
        box_list_add(unsafe, b);
        return 0;
    }
    if (!spaces->complete)
        note_incomplete(x);
    box_list_add(&now, b);
    for (size_t i = 0; i < spaces->count && !ret && now.count; i++) {
        struct box_list next = {0};
        struct collected c = {.x = x, .safe = &next, .unsafe = unsafe};
        for (size_t k = 0; k < now.count && !ret; k++) {
            ret = explore_all(x, spaces->digests[i], &now.items[k]);
            if (!ret)
                box_tree_split(probe_memo_tree(x->known->memo, spaces->digests[i]), &now.items[k], collect, &c);
        }
        box_list_merge(&next);
        box_list_free(&now);
        now = next;
    }
    for (size_t k = 0; k < now.count && !ret; k++)
        box_list_add(safe, &now.items[k]);
    box_list_free(&now);
    return ret;
}

struct filtering {
    struct search *x;
    struct box_list *safe, *unsafe;
    int ret;
};

static void filter_part(void *opaque, const struct qed_design_box *part, uint32_t leaf)
{
    struct filtering *f = opaque;
    if (!f->ret)
        f->ret = filter_recorded(f->x, &f->x->known->recorded[leaf], part, f->safe, f->unsafe);
}

static void rule_out(struct search *x, struct box_list *unsafe, size_t workload)
{
    box_list_merge(unsafe);
    x->out = xgrow(x->out, x->out_count, &x->out_cap, sizeof(*x->out));
    x->out[x->out_count++] = (struct ruled_out){.boxes = *unsafe, .workload = workload};
}

static int run_test(struct search *x, size_t workload)
{
    struct box_list left = {0}, unsafe = {0};
    struct filtering f = {.x = x, .safe = &left, .unsafe = &unsafe};
    const bool late = x->o->bound->workloads[workload].late;
    begin_workload(x, &x->o->bound->workloads[workload], &x->o->cell, late ? &x->late[workload] : &x->once);
    for (size_t i = 0; i < x->candidates.count && !f.ret; i++) {
        size_t mark = left.count, wrong = unsafe.count;
        f.ret = record_all(x, &x->candidates.items[i]);
        if (!f.ret)
            box_tree_split(x->known->tree, &x->candidates.items[i], filter_part, &f);
        if (f.ret || unsafe.count > wrong)
            continue;
        left.count = mark; /* all of it is safe: it need not fall apart */
        box_list_add(&left, &x->candidates.items[i]);
    }
    forget(&x->once);
    if (f.ret || !unsafe.count) {
        box_list_free(&left);
        box_list_free(&unsafe);
        return f.ret;
    }
    rule_out(x, &unsafe, workload);
    box_list_free(&x->candidates);
    x->candidates = left;
    box_list_merge(&x->candidates);
    return 0;
}

/* --- cost ---------------------------------------------------------------------------------------------------------- */

static void add_part(struct part_list *l, const struct qed_design_box *box, const struct sums *s)
{
    l->items = xgrow(l->items, l->count, &l->cap, sizeof(*l->items));
    l->items[l->count++] = (struct part){.box = *box, .sums = *s};
}

static int compare_sums(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return memcmp(&x->sums, &y->sums, sizeof(x->sums));
}

/* Boxes of equal sums, merged. */
static void merge_parts(struct part_list *l)
{
    struct part_list merged = {0};
    if (l->count)
        qsort(l->items, l->count, sizeof(*l->items), compare_sums);
    for (size_t i = 0; i < l->count;) {
        struct box_list same = {0};
        size_t k = i;
        for (; k < l->count && !compare_sums(&l->items[i], &l->items[k]); k++)
            box_list_add(&same, &l->items[k].box);
        box_list_merge(&same);
        for (size_t m = 0; m < same.count; m++)
            add_part(&merged, &same.items[m], &l->items[i].sums);
        box_list_free(&same);
        i = k;
    }
    free(l->items);
    *l = merged;
}

struct costing {
    struct search *x;
    struct part_list *out;
    struct sums sums; /* up to here */
    int ret;
};

static void add_recovery(void *opaque, const struct qed_design_box *part, uint32_t leaf)
{
    struct costing *c = opaque;
    const struct probe_leaf *l = probe_memo_leaf(c->x->known->memo, leaf);
    struct sums sums = c->sums;
    sums.recoveries += l->recoveries;
    sums.scans += l->scans;
    sums.needless += l->needless;
    add_part(c->out, part, &sums);
}

static void cost_recorded(void *opaque, const struct qed_design_box *part, uint32_t leaf)
{
    struct costing *c = opaque;
    const struct cell_spaces spaces = c->x->known->recorded[leaf];
    struct part_list now = {0};
    struct sums sums = c->sums;
    sums.flushes += spaces.flushes;
    sums.writes += spaces.image_writes;
    sums.allocations += spaces.guest_writes;
    add_part(&now, part, &sums);
    for (size_t i = 0; i < spaces.count && !c->ret; i++) {
        struct part_list next = {0};
        for (size_t k = 0; k < now.count && !c->ret; k++) {
            struct costing one = {.x = c->x, .out = &next, .sums = now.items[k].sums};
            c->ret = explore_all(c->x, spaces.digests[i], &now.items[k].box);
            if (!c->ret)
                box_tree_split(probe_memo_tree(c->x->known->memo, spaces.digests[i]), &now.items[k].box, add_recovery,
                               &one);
        }
        merge_parts(&next);
        free(now.items);
        now = next;
    }
    for (size_t k = 0; k < now.count; k++)
        add_part(c->out, &now.items[k].box, &now.items[k].sums);
    free(now.items);
}

/* Of how many states a scan is needed is a question of counting states, one by one: a sample of each space. */
static int add_cost(struct search *x, const struct bound_workload *w, struct part_list *parts)
{
    struct part_list next = {0};
    struct costing c = {.x = x, .out = &next};
    struct cell_options o = x->o->cell;
    o.explore = EXPLORE_SAMPLE;
    o.limit = SAMPLES_PER_SPACE;
    o.first_life = true;
    o.nested = 0;
    begin_workload(x, w, &o, &x->once);
    for (size_t i = 0; i < parts->count && !c.ret; i++) {
        c.sums = parts->items[i].sums;
        c.ret = record_all(x, &parts->items[i].box);
        if (!c.ret)
            box_tree_split(x->known->tree, &parts->items[i].box, cost_recorded, &c);
    }
    forget(&x->once);
    free(parts->items);
    *parts = next;
    merge_parts(parts);
    return c.ret;
}

static uint64_t guest_flushes(const struct bound *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->count; i++)
        for (size_t k = 0; k < b->workloads[i].scenario->stmt_count; k++)
            n += b->workloads[i].scenario->stmts[k].op == SCN_FLUSH;
    return n;
}

static struct search_cost cost_of(const struct search *x, const struct sums *s)
{
    double allocations = s->allocations ? (double)s->allocations : 1;
    double recoveries = s->recoveries ? (double)s->recoveries : 1;
    return (struct search_cost){.flushes = ((double)s->flushes - (double)guest_flushes(x->o->cost)) / allocations,
                                .writes = ((double)s->writes - (double)s->allocations) / allocations,
                                .scans = (double)s->scans / recoveries,
                                .needless = (double)s->needless / recoveries};
}

static bool beats(const struct search_cost *a, const struct search_cost *b)
{
    return a->flushes <= b->flushes && a->writes <= b->writes && a->scans <= b->scans && a->needless <= b->needless &&
           (a->flushes < b->flushes || a->writes < b->writes || a->scans < b->scans || a->needless < b->needless);
}

/* --- the frontier -------------------------------------------------------------------------------------------------- */

static const struct ruled_out *who_ruled_out(const struct search *x, const struct qed_design *d)
{
    for (size_t i = 0; i < x->out_count; i++)
        if (box_list_has(&x->out[i].boxes, d))
            return &x->out[i];
    return NULL;
}

static void add_weaker(struct search *x, struct search_point *p, unsigned field, unsigned value)
{
    struct qed_design d = p->design;
    char spec[QED_DESIGN_TEXT_MAX];
    struct search_weaker w = {.field = (enum qed_design_field)field, .value = (uint8_t)value};
    d.value[field] = (uint8_t)value;
    const struct ruled_out *r = who_ruled_out(x, &d);
    if (!r)
        return;
    qed_design_format(&d, spec);
    d.name = spec;
    w.workload = r->workload;
    struct cell_options cell = x->o->cell;
    cell.prepared_by = NULL; /* an id knows one design only */
    bound_witness(&x->o->bound->workloads[r->workload], x->disk, &d, &cell, &w.class, &w.id, &w.why);
    p->weaker = xreallocarray(p->weaker, p->weaker_count + 1, sizeof(*p->weaker));
    p->weaker[p->weaker_count++] = w;
}

static void find_weaker(struct search *x, struct search_point *p)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        for (unsigned v = 0; v < qed_design_field_values((enum qed_design_field)f); v++)
            if (qed_design_weaker((enum qed_design_field)f, v, p->design.value[f]))
                add_weaker(x, p, f, v);
}

static void find_free(const struct part_list *parts, size_t first, size_t end, struct search_point *p)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        p->free.allowed[f] = 0;
        for (unsigned v = 0; v < qed_design_field_values((enum qed_design_field)f); v++) {
            struct qed_design d = p->design;
            d.value[f] = (uint8_t)v;
            for (size_t i = first; i < end; i++)
                if (qed_box_has(&parts->items[i].box, &d)) {
                    p->free.allowed[f] |= QED_VALUE(v);
                    break;
                }
        }
    }
}

/* parts[first, end) cost the same. */
static void add_point(struct search *x, const struct part_list *parts, size_t first, size_t end,
                      const struct search_cost *cost)
{
    struct search_point p = {.cost = *cost};
    size_t largest = first;
    for (size_t i = first; i < end; i++) {
        p.designs += qed_box_count(&parts->items[i].box);
        if (qed_box_count(&parts->items[i].box) > qed_box_count(&parts->items[largest].box))
            largest = i;
    }
    p.design = weakest_of(&parts->items[largest].box);
    p.design.name = NULL;
    find_free(parts, first, end, &p);
    if (x->o->weaker)
        find_weaker(x, &p);
    struct search_result *r = x->result;
    r->points = xreallocarray(r->points, r->point_count + 1, sizeof(*r->points));
    r->points[r->point_count++] = p;
}

static size_t end_of_group(const struct part_list *parts, size_t first)
{
    size_t end = first + 1;
    while (end < parts->count && !compare_sums(&parts->items[first], &parts->items[end]))
        end++;
    return end;
}

static bool beaten(const struct search *x, const struct part_list *parts, const struct search_cost *cost)
{
    for (size_t i = 0; i < parts->count; i++) {
        struct search_cost other = cost_of(x, &parts->items[i].sums);
        if (beats(&other, cost))
            return true;
    }
    return false;
}

static int compare_costs(const struct search_cost *x, const struct search_cost *y)
{
    const double d[] = {x->flushes - y->flushes, x->writes - y->writes, x->scans - y->scans, x->needless - y->needless};
    for (unsigned i = 0; i < 4; i++)
        if (d[i] != 0)
            return d[i] < 0 ? -1 : 1;
    return 0;
}

static int compare_points(const void *a, const void *b)
{
    return compare_costs(&((const struct search_point *)a)->cost, &((const struct search_point *)b)->cost);
}

/* Brings the parts of that cost together, from `first` on; where they end. Other counts can be the same ratio: that is one
 * price. */
static size_t gather(const struct search *x, struct part_list *parts, size_t first, const struct search_cost *cost)
{
    size_t end = first;
    for (size_t i = first; i < parts->count; i++) {
        struct search_cost other = cost_of(x, &parts->items[i].sums);
        if (!compare_costs(&other, cost)) {
            struct part swapped = parts->items[end];
            parts->items[end++] = parts->items[i];
            parts->items[i] = swapped;
        }
    }
    return end;
}

/* Groups of equal cost that have passed the late tests. */
struct verified {
    struct sums *sums;
    size_t count;
};

static bool is_verified(const struct verified *v, const struct sums *s)
{
    for (size_t i = 0; i < v->count; i++)
        if (!memcmp(&v->sums[i], s, sizeof(*s)))
            return true;
    return false;
}

/* The late tests, for the designs of one group alone: what they rule out leaves it. */
static int verify(struct search *x, struct part_list *parts, size_t first, size_t end, struct verified *v)
{
    const struct sums sums = parts->items[first].sums;
    struct box_list others = x->candidates;
    int ret = 0;
    x->candidates = (struct box_list){0};
    for (size_t i = first; i < end; i++)
        box_list_add(&x->candidates, &parts->items[i].box);
    for (size_t i = 0; i < x->o->bound->count && !ret && x->candidates.count; i++)
        if (x->o->bound->workloads[i].late)
            ret = run_test(x, i);
    memmove(&parts->items[first], &parts->items[end], (parts->count - end) * sizeof(*parts->items));
    parts->count -= end - first;
    for (size_t i = 0; i < x->candidates.count; i++)
        add_part(parts, &x->candidates.items[i], &sums);
    box_list_free(&x->candidates);
    x->candidates = others;
    merge_parts(parts);
    v->sums = xreallocarray(v->sums, v->count + 1, sizeof(*v->sums));
    v->sums[v->count++] = sums;
    return ret;
}

/* Until every group that nothing beats has passed the late tests. What beat a group may itself have gone meanwhile. */
static int verify_frontier(struct search *x, struct part_list *parts)
{
    struct verified v = {0};
    int ret = 0;
    for (size_t first = 0; first < parts->count && !ret;) {
        struct search_cost cost = cost_of(x, &parts->items[first].sums);
        size_t end = end_of_group(parts, first);
        if (is_verified(&v, &parts->items[first].sums) || beaten(x, parts, &cost)) {
            first = end;
            continue;
        }
        ret = verify(x, parts, first, end, &v);
        if (!ret && x->o->progress)
            x->o->progress(x->o->opaque, x->o->bound->count, box_list_count(&x->candidates));
        first = 0;
    }
    free(v.sums);
    return ret;
}

static int find_frontier(struct search *x)
{
    struct part_list parts = {0};
    int ret = 0;
    for (size_t i = 0; i < x->candidates.count; i++)
        add_part(&parts, &x->candidates.items[i], &(struct sums){0});
    for (size_t i = 0; i < x->o->cost->count && !ret; i++)
        ret = add_cost(x, &x->o->cost->workloads[i], &parts);
    if (!ret)
        ret = verify_frontier(x, &parts);
    for (size_t first = 0, end; first < parts.count && !ret; first = end) {
        struct search_cost cost = cost_of(x, &parts.items[first].sums);
        end = gather(x, &parts, first, &cost);
        if (!beaten(x, &parts, &cost))
            add_point(x, &parts, first, end, &cost);
    }
    if (x->result->point_count)
        qsort(x->result->points, x->result->point_count, sizeof(*x->result->points), compare_points);
    free(parts.items);
    return ret;
}

int search_disk(const struct search_options *o, const struct sim_disk_model *disk, struct search_result *out,
                struct scn_error *err)
{
    *out = (struct search_result){.designs = qed_box_count(&o->space), .complete = true};
    struct search x = {.o = o, .disk = disk, .result = out, .err = err};
    int ret = 0;
    x.late = xcalloc(o->bound->count, sizeof(*x.late));
    box_list_add(&x.candidates, &o->space);
    for (size_t i = 0; i < o->bound->count && !ret && x.candidates.count; i++) {
        if (o->bound->workloads[i].late)
            continue;
        ret = run_test(&x, i);
        if (o->progress)
            o->progress(o->opaque, i + 1, box_list_count(&x.candidates));
    }
    out->safe = box_list_count(&x.candidates);
    if (!ret)
        ret = find_frontier(&x);
    out->left = x.candidates;
    out->tests = o->bound->count;
    for (size_t i = 0; i < x.out_count; i++)
        box_list_free(&x.out[i].boxes);
    free(x.out);
    for (size_t i = 0; i < o->bound->count; i++)
        forget(&x.late[i]);
    free(x.late);
    if (ret)
        search_result_free(out);
    return ret;
}

void search_result_free(struct search_result *r)
{
    for (size_t i = 0; i < r->point_count; i++) {
        for (size_t k = 0; k < r->points[i].weaker_count; k++) {
            free(r->points[i].weaker[k].id);
            free(r->points[i].weaker[k].why);
        }
        free(r->points[i].weaker);
    }
    free(r->points);
    box_list_free(&r->left);
    *r = (struct search_result){0};
}
