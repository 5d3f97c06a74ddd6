/* search.c: see search.h. */
#include "harness/search.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/design_text.h"
#include "harness/box_tree.h"
#include "simdisk/xalloc.h"

/* Designs that a test has ruled out. */
struct ruled_out {
    struct qed_design_box box;
    size_t workload;
};

/* One leaf of a cost workload's tree; sums over several. */
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

struct search {
    const struct search_options *o;
    const struct sim_disk_model *disk;
    struct search_result *result;
    struct scn_error *err;
    struct box_list candidates;
    struct ruled_out *out;
    size_t out_count, out_cap;
    struct box_tree *tree; /* of the test that is run */
    struct probe_memo *memo;
    struct sums *leaves; /* cost workloads */
    size_t leaf_count, leaf_cap;
};

/* --- one test ------------------------------------------------------------------------------------------------------ */

static struct qed_design weakest_of(const struct qed_design_box *b)
{
    struct qed_design d = {.name = "search", .summary = "", .clear_timer_ms = 5000};
    qed_box_weakest(b, &d);
    return d;
}

enum { LEAF_UNSAFE, LEAF_SAFE };

static int run(struct search *x, size_t workload, const struct qed_design_box *part)
{
    struct qed_design d = weakest_of(part);
    struct bound_result r;
    int ret = bound_test(&x->o->bound->workloads[workload], x->disk, &d, &x->o->cell, x->memo, &r, x->err);
    if (ret)
        return ret;
    x->result->runs++;
    x->result->executions += r.probe.executions;
    x->result->complete &= r.probe.complete;
    box_tree_add(x->tree, &d, &r.asked, r.probe.unsafe ? LEAF_UNSAFE : LEAF_SAFE);
    if (r.probe.unsafe) {
        x->out = xgrow(x->out, x->out_count, &x->out_cap, sizeof(*x->out));
        x->out[x->out_count++] = (struct ruled_out){.box = r.asked.box, .workload = workload};
    }
    return 0;
}

static bool is_safe(void *opaque, uint32_t leaf)
{
    (void)opaque;
    return leaf == LEAF_SAFE;
}

static int run_test(struct search *x, size_t workload)
{
    struct box_list left = {0};
    struct qed_design_box part;
    int ret = 0;
    x->tree = box_tree_create();
    x->memo = probe_memo_create();
    for (size_t i = 0; i < x->candidates.count && !ret; i++) {
        while (!ret && box_tree_unknown(x->tree, &x->candidates.items[i], &part))
            ret = run(x, workload, &part);
        if (!ret)
            box_tree_filter(x->tree, &x->candidates.items[i], is_safe, NULL, &left);
    }
    box_tree_destroy(x->tree);
    probe_memo_destroy(x->memo);
    if (ret) {
        box_list_free(&left);
        return ret;
    }
    double before = box_list_count(&x->candidates), after = box_list_count(&left);
    box_list_free(&x->candidates);
    x->candidates = left;
    if (after < before)
        box_list_merge(&x->candidates);
    fprintf(stderr, "runs %lu exec %lu boxes %zu\n", x->result->runs, x->result->executions, x->candidates.count);
    x->result->unused += after >= before;
    x->result->tests++;
    return 0;
}

/* --- cost ---------------------------------------------------------------------------------------------------------- */

static int run_cost(struct search *x, const struct bound_workload *w, const struct qed_design_box *part)
{
    struct qed_design d = weakest_of(part);
    struct cell_options o = x->o->cell;
    struct bound_result r;
    o.explore = EXPLORE_SAMPLE; /* of how many states a scan is needed is a question of counting states, one by one */
    o.limit = 400;
    int ret = bound_test(w, x->disk, &d, &o, NULL, &r, x->err);
    if (ret)
        return ret;
    x->result->runs++;
    x->leaves = xgrow(x->leaves, x->leaf_count, &x->leaf_cap, sizeof(*x->leaves));
    x->leaves[x->leaf_count] = (struct sums){.flushes = r.probe.flushes,
                                             .writes = r.probe.image_writes,
                                             .allocations = r.probe.guest_writes,
                                             .recoveries = r.probe.recoveries,
                                             .scans = r.probe.scans,
                                             .needless = r.probe.needless};
    box_tree_add(x->tree, &d, &r.asked, (uint32_t)x->leaf_count++);
    return 0;
}

struct splitting {
    struct search *x;
    struct sums before;
    struct part_list *out;
};

static void add_part(struct part_list *l, const struct qed_design_box *box, const struct sums *s)
{
    l->items = xgrow(l->items, l->count, &l->cap, sizeof(*l->items));
    l->items[l->count++] = (struct part){.box = *box, .sums = *s};
}

static void take_part(void *opaque, const struct qed_design_box *part, uint32_t leaf)
{
    struct splitting *p = opaque;
    const struct sums *s = &p->x->leaves[leaf];
    struct sums sum = p->before;
    sum.flushes += s->flushes;
    sum.writes += s->writes;
    sum.allocations += s->allocations;
    sum.recoveries += s->recoveries;
    sum.scans += s->scans;
    sum.needless += s->needless;
    add_part(p->out, part, &sum);
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

static int add_cost(struct search *x, const struct bound_workload *w, struct part_list *parts)
{
    struct part_list next = {0};
    struct qed_design_box part;
    int ret = 0;
    x->tree = box_tree_create();
    x->leaf_count = 0;
    for (size_t i = 0; i < parts->count && !ret; i++) {
        struct splitting p = {.x = x, .before = parts->items[i].sums, .out = &next};
        while (!ret && box_tree_unknown(x->tree, &parts->items[i].box, &part))
            ret = run_cost(x, w, &part);
        if (!ret)
            box_tree_split(x->tree, &parts->items[i].box, take_part, &p);
    }
    box_tree_destroy(x->tree);
    free(parts->items);
    *parts = next;
    if (!ret)
        merge_parts(parts);
    return ret;
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
        if (qed_box_has(&x->out[i].box, d))
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
    bound_witness(&x->o->bound->workloads[r->workload], x->disk, &d, &x->o->cell, &w.class, &w.id, &w.why);
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

static int compare_points(const void *a, const void *b)
{
    const struct search_cost *x = &((const struct search_point *)a)->cost, *y = &((const struct search_point *)b)->cost;
    const double d[] = {x->flushes - y->flushes, x->writes - y->writes, x->scans - y->scans, x->needless - y->needless};
    for (unsigned i = 0; i < 4; i++)
        if (d[i] != 0)
            return d[i] < 0 ? -1 : 1;
    return 0;
}

static int find_frontier(struct search *x)
{
    struct part_list parts = {0};
    int ret = 0;
    for (size_t i = 0; i < x->candidates.count; i++)
        add_part(&parts, &x->candidates.items[i], &(struct sums){0});
    for (size_t i = 0; i < x->o->cost->count && !ret; i++)
        ret = add_cost(x, &x->o->cost->workloads[i], &parts);
    for (size_t first = 0, end; first < parts.count && !ret; first = end) {
        struct search_cost cost = cost_of(x, &parts.items[first].sums);
        end = end_of_group(&parts, first);
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
    box_list_add(&x.candidates, &o->space);
    for (size_t i = 0; i < o->bound->count && !ret && x.candidates.count; i++) {
        ret = run_test(&x, i);
        if (o->progress)
            o->progress(o->opaque, i + 1, box_list_count(&x.candidates));
    }
    out->safe = box_list_count(&x.candidates);
    if (!ret)
        ret = find_frontier(&x);
    box_list_free(&x.candidates);
    free(x.out);
    free(x.leaves);
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
    *r = (struct search_result){0};
}
