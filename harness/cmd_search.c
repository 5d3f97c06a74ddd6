/* cmd_search.c: designs search: the whole design space, and what is cheapest among the safe. */
#include <errno.h>
#include <string.h>

#include "engine/design_text.h"
#include "harness/commands.h"
#include "harness/library.h"
#include "harness/options.h"
#include "harness/search.h"
#include "harness/search_cost.h"
#include "simdisk/xalloc.h"

static const char search_doc[] =
    "Every combination of the policy's fields against the library and the cost workloads; for each disk model, the "
    "cheapest "
    "safe designs, and what breaks when one of their fields is weakened.\n\nExamples:\n"
    "  qedcrash designs search --disk ssd\n"
    "  qedcrash designs search --disk all --json\n"
    "  qedcrash designs search -q\n\v"
    "Exit status: 0 there is a safe design for every disk model, 1 there is none for some, 2 usage, 3 I/O error, 130 "
    "interrupted.";

struct job {
    struct options o;
    struct bound bound, cost;
};

static int complain(int code, const char *text)
{
    fprintf(stderr, "qedcrash designs search: %s\n", text);
    return code;
}

/* What is cheap to try first, so that most designs are gone before the rest. */
static int load(struct job *j, struct scn_error *err)
{
    struct gen_bound large = GEN_DEFAULT, deep = GEN_DEFAULT;
    large.ops = j->o.gen_ops ? (unsigned)j->o.gen_ops : 1;
    large.events = j->o.gen_events_given ? (unsigned)j->o.gen_events : 1;
    deep.ops = 1;
    deep.events = 0;
    char *dir = library_dir();
    int ret = search_cost_bound(&j->cost, err);
    if (!ret)
        ret = bound_add_generated(&j->bound, &large, true, err);
    if (!ret)
        ret = search_cost_bound(&j->bound, err); /* a design that is cheap on them, and unsafe, is not cheap */
    if (!ret && dir)
        ret = bound_add_library(&j->bound, dir, err);
    for (size_t i = 0; i < j->bound.count; i++)
        j->bound.workloads[i].shallow = true;
    if (!ret)
        ret = bound_add_generated(&j->bound, &deep, false, err);
    free(dir);
    return ret;
}

static void progress(void *opaque, size_t tests, double left)
{
    const struct job *j = opaque;
    if (j->o.verbose)
        fprintf(stderr, "%4zu of %zu  %-40s %.0f designs left\n", tests, j->bound.count,
                j->bound.workloads[tests - 1].name, left);
}

/* --- words --------------------------------------------------------------------------------------------------------- */

static void print_free(FILE *out, const struct search_point *p)
{
    bool any = false;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        char word[64];
        if (!(p->free.allowed[f] & (p->free.allowed[f] - 1)))
            continue;
        fprintf(out, "%s%s=", any ? ", " : "       as good with: ", qed_design_field_name((enum qed_design_field)f));
        any = true;
        const char *separator = "";
        for (unsigned v = 0; v < qed_design_field_values((enum qed_design_field)f); v++)
            if (p->free.allowed[f] >> v & 1 && v != p->design.value[f]) {
                fprintf(out, "%s%s", separator, qed_design_value_name((enum qed_design_field)f, v, word));
                separator = "|";
            }
    }
    if (any)
        fputc('\n', out);
}

static void print_point(FILE *out, const struct search_point *p, const struct job *j)
{
    char spec[QED_DESIGN_TEXT_MAX];
    qed_design_format(&p->design, spec);
    fprintf(out,
            "  %.2f flushes, %.2f extra writes per allocating write; scan after %.0f %% of crashes, needless %.0f %%\n",
            p->cost.flushes, p->cost.writes, 100 * p->cost.scans, 100 * p->cost.needless);
    fprintf(out, "       %s  (and %.0f that cost the same)\n", spec, p->designs - 1);
    if (!j->o.quiet)
        print_free(out, p);
    for (size_t i = 0; i < p->weaker_count && !j->o.quiet; i++) {
        const struct search_weaker *w = &p->weaker[i];
        char word[64];
        fprintf(out, "       %s=%s: %s  %s\n", qed_design_field_name(w->field),
                qed_design_value_name(w->field, w->value, word), w->id ? verdict_class_name(w->class) : "unsafe",
                w->id ? w->id : j->bound.workloads[w->workload].name);
    }
}

static void print_result(FILE *out, const struct job *j, const struct sim_disk_model *disk,
                         const struct search_result *r)
{
    fprintf(out, "%s: %.0f of %.0f designs are safe on %zu workloads%s; %llu runs\n", disk->name, r->safe, r->designs,
            r->tests, r->complete ? ", complete" : ", NOT complete", (unsigned long long)r->runs);
    for (size_t i = 0; i < r->point_count; i++)
        print_point(out, &r->points[i], j);
}

/* --- the command --------------------------------------------------------------------------------------------------- */

int cmd_designs_search(int argc, char **argv)
{
    struct job j = {0};
    struct scn_error err;
    bool help, none = false;
    int ret = options_parse(argc, argv, "", search_doc, &j.o, &help);
    if (ret || help)
        return ret;
    options_catch_signals();
    for (size_t i = 0; !j.o.disk_count && i < sim_disk_model_count; i++)
        if (sim_disk_models[i].keeps_its_word)
            j.o.disks[j.o.disk_count++] = &sim_disk_models[i];
    if (load(&j, &err))
        ret = complain(EXIT_USAGE, err.text);
    for (size_t i = 0; i < j.o.disk_count && !ret; i++) {
        struct search_result r;
        struct search_options s = {.bound = &j.bound,
                                   .cost = &j.cost,
                                   .space = qed_box_all(),
                                   .cell = j.o.cell,
                                   .weaker = !j.o.quiet,
                                   .progress = progress,
                                   .opaque = &j};
        ret = search_disk(&s, j.o.disks[i], &r, &err);
        if (ret) {
            ret = ret == -EINTR ? complain(EXIT_INTERRUPTED, "interrupted") : complain(EXIT_INTERNAL, err.text);
            break;
        }
        none |= !r.safe;
        print_result(stdout, &j, j.o.disks[i], &r);
        search_result_free(&r);
    }
    bound_free(&j.bound);
    bound_free(&j.cost);
    options_free(&j.o);
    return ret ? ret : none ? EXIT_FINDINGS : EXIT_CLEAN;
}
