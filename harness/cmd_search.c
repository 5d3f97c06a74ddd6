/* cmd_search.c: designs search: the whole design space, and what is cheapest among the safe. */
#include <errno.h>
#include <string.h>

#include "engine/design_text.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/json_text.h"
#include "harness/library.h"
#include "harness/options.h"
#include "harness/search.h"
#include "harness/search_cost.h"
#include "harness/workers.h"
#include "simdisk/xalloc.h"

static const char search_doc[] =
    "Every combination of the policy's fields against the library, the cost workloads and the generated ones; for each "
    "disk model, the cheapest safe designs, and what breaks when one of their fields is weakened.\n\nExamples:\n"
    "  qedcrash designs search --disk ssd\n"
    "  qedcrash designs search --disk all --json\n"
    "  qedcrash designs search -q\n\v"
    "Exit status: 0 there is a safe design for every disk model, 1 there is none for some, 2 usage, 3 I/O error, 130 "
    "interrupted.";

/* Few cells take more, all on hostdev, where what a lost table sector leaves is any old bytes: tens of seconds each, and no
 * end even so. They are cut, and the output says so. */
#define SEARCH_LIMIT 100000

struct job {
    struct options o;
    struct bound bound, cost;
    char *results[OPTIONS_MAX_NAMES]; /* one text per disk model */
    bool none;                        /* for some disk model, no design is safe */
    size_t next;
    char message[400];
    /* In a worker. */
    struct workers_self *self;
    const struct sim_disk_model *disk;
};

static int add_given(struct job *j, struct scn_error *err)
{
    struct gen_bound given = GEN_DEFAULT;
    if (!j->o.gen_ops && !j->o.gen_events_given)
        return 0;
    given.ops = j->o.gen_ops ? (unsigned)j->o.gen_ops : 1;
    given.events = (unsigned)j->o.gen_events;
    return bound_add_generated(&j->bound, &given, true, err);
}

/* By what recovery shows; and the frontier by second lives. */
static int load(struct job *j, struct scn_error *err)
{
    struct gen_bound small = GEN_DEFAULT;
    small.ops = 1;
    small.events = 0;
    char *dir = library_dir();
    int ret = search_cost_bound(&j->cost, err);
    if (!ret && dir)
        ret = bound_add_library(&j->bound, dir, true, err);
    if (!ret)
        ret = search_cost_bound(&j->bound, err); /* a design that is cheap on them, and unsafe, is not cheap */
    if (!ret)
        ret = bound_add_generated(&j->bound, &small, true, err);
    size_t twice = j->bound.count;
    for (size_t i = 0; i < twice; i++)
        j->bound.workloads[i].shallow = true;
    if (!ret)
        ret = add_given(j, err);
    size_t late = j->bound.count;
    if (!ret && dir)
        ret = bound_add_library(&j->bound, dir, true, err);
    if (!ret)
        ret = bound_add_generated(&j->bound, &small, false, err);
    for (size_t i = late; i < j->bound.count; i++) {
        j->bound.workloads[i].shallow = j->bound.workloads[i].all_schedules; /* too many orders for second lives */
        j->bound.workloads[i].late = true;
    }
    free(dir);
    return ret;
}

/* --- words --------------------------------------------------------------------------------------------------------- */

/* The values that are as good as the point's own; `any` if all are. */
static void print_others(FILE *out, const struct search_point *p, unsigned f)
{
    const unsigned values = qed_design_field_values((enum qed_design_field)f);
    const char *separator = "";
    char word[64];
    unsigned good = 0;
    for (unsigned v = 0; v < values; v++)
        good += p->free.allowed[f] >> v & 1;
    if (good == values) {
        fputs("any", out);
        return;
    }
    for (unsigned v = 0; v < values; v++)
        if (p->free.allowed[f] >> v & 1 && v != p->design.value[f]) {
            fprintf(out, "%s%s", separator, qed_design_value_name((enum qed_design_field)f, v, word));
            separator = "|";
        }
}

static void print_free(FILE *out, const struct search_point *p)
{
    bool any = false;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        if (!(p->free.allowed[f] & (p->free.allowed[f] - 1)))
            continue;
        fprintf(out, "%s%s=", any ? ", " : "       as good with: ", qed_design_field_name((enum qed_design_field)f));
        any = true;
        print_others(out, p, f);
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
    fprintf(out, "%s: %.0f of %.0f designs pass what recovery shows; the frontier passes all %zu tests, %s%s\n",
            disk->name, r->safe, r->designs, r->tests,
            r->complete ? "complete" : "NOT complete: ", r->complete ? "" : j->bound.workloads[r->incomplete].name);
    for (size_t i = 0; i < r->point_count; i++)
        print_point(out, &r->points[i], j);
}

/* --- JSON ---------------------------------------------------------------------------------------------------------- */

static void json_weaker(FILE *out, const struct job *j, const struct search_weaker *w)
{
    char word[64];
    fprintf(out, "{\"field\":\"%s\",\"value\":\"%s\",\"workload\":", qed_design_field_name(w->field),
            qed_design_value_name(w->field, w->value, word));
    json_string(out, j->bound.workloads[w->workload].name);
    if (w->id) {
        fprintf(out, ",\"class\":\"%s\",\"id\":", verdict_class_name(w->class));
        json_string(out, w->id);
    }
    fputc('}', out);
}

static void json_point(FILE *out, const struct job *j, const struct search_point *p)
{
    char spec[QED_DESIGN_TEXT_MAX], word[64];
    qed_design_format(&p->design, spec);
    fprintf(out,
            "{\"design\":\"%s\",\"designs\":%.0f,\"flushes\":%.4f,\"extra_writes\":%.4f,\"scans\":%.4f,"
            "\"needless_scans\":%.4f,\"as_good\":{",
            spec, p->designs, p->cost.flushes, p->cost.writes, p->cost.scans, p->cost.needless);
    for (unsigned f = 0, n = 0; f < QED_FIELD_COUNT; f++) {
        uint64_t others = p->free.allowed[f] & ~QED_VALUE(p->design.value[f]);
        if (!others)
            continue;
        fprintf(out, "%s\"%s\":[", n++ ? "," : "", qed_design_field_name((enum qed_design_field)f));
        for (unsigned v = 0, k = 0; v < qed_design_field_values((enum qed_design_field)f); v++)
            if (others >> v & 1)
                fprintf(out, "%s\"%s\"", k++ ? "," : "", qed_design_value_name((enum qed_design_field)f, v, word));
        fputc(']', out);
    }
    fputs("},\"weaker\":[", out);
    for (size_t i = 0; i < p->weaker_count; i++) {
        fputs(i ? "," : "", out);
        json_weaker(out, j, &p->weaker[i]);
    }
    fputs("]}", out);
}

static void json_result(FILE *out, const struct job *j, const struct sim_disk_model *disk,
                        const struct search_result *r)
{
    fprintf(out, "{\"disk\":\"%s\",\"designs\":%.0f,\"safe\":%.0f,\"workloads\":%zu,\"complete\":%s,\"incomplete\":",
            disk->name, r->designs, r->safe, r->tests, r->complete ? "true" : "false");
    if (r->complete)
        fputs("null", out);
    else
        json_string(out, j->bound.workloads[r->incomplete].name);
    fputs(",\"frontier\":[", out);
    for (size_t i = 0; i < r->point_count; i++) {
        fputs(i ? ",\n" : "\n", out);
        json_point(out, j, &r->points[i]);
    }
    fputs("]}", out);
}

/* --- a disk model, in a worker ------------------------------------------------------------------------------------- */

static void alive(void *opaque, size_t tests, double left)
{
    const struct job *j = opaque;
    workers_beat(j->self, tests);
    if (j->o.verbose)
        fprintf(stderr, "%s: %zu of %zu  %-32s %.0f designs left\n", j->disk->name, tests, j->bound.count,
                j->bound.workloads[tests - 1].name, left);
}

static void search_one(void *opaque, struct workers_self *self, size_t index, const uint8_t *request, size_t size,
                       struct bytes *out)
{
    struct job *j = opaque;
    struct scn_error err = {0};
    struct search_result r;
    char *text = NULL;
    size_t length = 0;
    (void)request, (void)size;
    j->self = self;
    j->disk = j->o.disks[index];
    /* What the image was before is no part of the question, and each design that made it itself would be another case. */
    j->o.cell.prepared_by = qed_design_find("careful");
    const struct search_options s = {.bound = &j->bound,
                                     .cost = &j->cost,
                                     .space = qed_box_all(),
                                     .cell = j->o.cell,
                                     .weaker = !j->o.quiet,
                                     .progress = alive,
                                     .opaque = j};
    int ret = search_disk(&s, j->disk, &r, &err);
    bytes_put_u64(out, (uint64_t)(int64_t)ret);
    if (ret) {
        bytes_put_text(out, err.text);
        return;
    }
    FILE *to = xalloc_check(open_memstream(&text, &length));
    if (j->o.json)
        json_result(to, j, j->disk, &r);
    else
        print_result(to, j, j->disk, &r);
    fclose(to);
    bytes_put_text(out, text);
    bytes_put_u64(out, r.safe > 0);
    free(text);
    search_result_free(&r);
}

/* --- the command --------------------------------------------------------------------------------------------------- */

static enum workers_more next_disk(void *opaque, size_t *index, struct bytes *request)
{
    struct job *j = opaque;
    (void)request;
    *index = j->next;
    return j->next++ < j->o.disk_count ? WORKERS_JOB : WORKERS_NONE;
}

static int take_disk(void *opaque, const struct workers_result *r)
{
    struct job *j = opaque;
    struct bytes_reader in = {.at = r->data, .left = r->size};
    if (r->end != WORKERS_DONE) {
        snprintf(j->message, sizeof(j->message), "the process that searched %s %s", j->o.disks[r->job]->name, r->why);
        return -EIO;
    }
    int ret = (int)(int64_t)bytes_take_u64(&in);
    const char *text = bytes_take_text(&in);
    if (ret) {
        snprintf(j->message, sizeof(j->message), "%s", text ? text : "");
        return ret;
    }
    j->results[r->job] = xalloc_check(strdup(text ? text : ""));
    j->none |= !bytes_take_u64(&in);
    return 0;
}

static int print_all(const struct job *j)
{
    if (j->o.json)
        printf("{\"qedcrash\":\"" QEDCRASH_VERSION "\",\"seed\":%llu,\"disks\":[\n",
               (unsigned long long)j->o.cell.seed);
    for (size_t i = 0; i < j->o.disk_count; i++)
        printf("%s%s", j->o.json && i ? ",\n" : "", j->results[i]);
    if (j->o.json)
        puts("]}");
    if (fflush(stdout) || ferror(stdout))
        return complain("designs search", EXIT_INTERNAL, "cannot write to standard output");
    return j->none ? EXIT_FINDINGS : EXIT_CLEAN;
}

static int search_all(struct job *j)
{
    const struct workers_options w = {.count = j->o.jobs ? j->o.jobs : workers_default_count(),
                                      .stop = j->o.cell.stop,
                                      .opaque = j,
                                      .next = next_disk,
                                      .job = search_one,
                                      .done = take_disk};
    int ret = workers_run(&w);
    if (ret == -EINTR)
        return complain("designs search", EXIT_INTERRUPTED, "interrupted; nothing was kept");
    return ret ? complain("designs search", EXIT_INTERNAL, "%s", j->message) : print_all(j);
}

int cmd_designs_search(int argc, char **argv)
{
    struct job j = {0};
    struct scn_error err;
    bool help;
    int ret = options_parse(argc, argv, "", search_doc, &j.o, &help);
    if (ret || help)
        return ret;
    options_catch_signals();
    options_default_disks(&j.o, true);
    if (!j.o.limit_given)
        j.o.cell.limit = SEARCH_LIMIT;
    if (j.o.argument_count)
        ret = complain("designs search", EXIT_USAGE, "takes no argument; --disk names a disk model");
    else if (load(&j, &err))
        ret = complain("designs search", EXIT_USAGE, "%s", err.text);
    else
        ret = search_all(&j);
    for (size_t i = 0; i < j.o.disk_count; i++)
        free(j.results[i]);
    bound_free(&j.bound);
    bound_free(&j.cost);
    options_free(&j.o);
    return ret;
}
