/* cmd_gen.c: gen: all small workloads: their names, one as text, all as files, or a design judged under every one. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/gen_jobs.h"
#include "harness/gen_judge.h"
#include "harness/id.h"
#include "harness/json_text.h"
#include "harness/options.h"
#include "simdisk/xalloc.h"

static const char gen_doc[] =
    "All small workloads.\n\nExamples:\n"
    "  qedcrash gen --ops 1 --with inject               their names, one a line\n"
    "  qedcrash gen gen/b1.wma.f                        one of them as a scenario\n"
    "  qedcrash gen --judge --design upstream --disk ssd   is a design safe under all of them?\n"
    "  qedcrash gen slurm --help                        job files for a campaign in shards: slurm, k8s, parallel\n\v"
    "Classes for --with and --only: write ends two zero discard flush close beside crash edge last short read inject "
    "kill truncate rebase reopen cancel sleep, or all. Exit status: 0 written, or judged and clean; 1 findings; 2 "
    "usage error; 3 I/O error; 130 interrupted.";

#define SCHEDULE_LIMIT 5000 /* of one workload; what is cut is said */

struct job {
    struct options o;
    struct gen_bound bound;
    struct render_options r;
    bool any; /* finding */
    size_t results;
};

static int flush_stdout(int code)
{
    return fflush(stdout) || ferror(stdout) ? complain("gen", EXIT_INTERNAL, "cannot write to standard output") : code;
}

/* --- names and files ----------------------------------------------------------------------------------------------- */

static int print_one(const char *name)
{
    struct gen_workload w;
    struct scenario *s;
    struct scn_error err;
    int ret = gen_parse_name(name, &w, &err);
    if (!ret)
        ret = gen_scenario(&w, &s, &err);
    if (ret)
        return complain("gen", EXIT_USAGE, "%s", err.text);
    scenario_print(s, stdout);
    scenario_free(s);
    return flush_stdout(EXIT_CLEAN);
}

/* DIR/n1.wma.scn for gen/n1.wma. */
static int write_file(const char *dir, const char *name, const struct gen_workload *w)
{
    char *path = NULL, *text = gen_text(w);
    if (asprintf(&path, "%s/%s.scn", dir, strchr(name, '/') + 1) < 0)
        xalloc_check(NULL);
    FILE *out = fopen(path, "w");
    bool good = out && fputs(text, out) >= 0;
    good = out && !fclose(out) && good;
    int ret = good ? 0 : complain("gen", EXIT_INTERNAL, "cannot write %s: %s", path, strerror(errno));
    free(path);
    free(text);
    return ret;
}

static int list(const struct job *j)
{
    struct gen *g = gen_begin(&j->bound);
    const struct gen_workload *w;
    char name[GEN_NAME_MAX];
    uint64_t count = 0;
    int ret = 0;
    if (j->o.output && mkdir(j->o.output, 0777) && errno != EEXIST)
        ret = complain("gen", EXIT_INTERNAL, "cannot write to %s: %s", j->o.output, strerror(errno));
    for (; !ret && !options_stopped && (w = gen_next(g)); count++) {
        gen_name(w, name, sizeof(name));
        if (j->o.output)
            ret = write_file(j->o.output, name, w);
        else if (puts(name) == EOF)
            ret = complain("gen", EXIT_INTERNAL, "cannot write to standard output");
    }
    gen_end(g);
    if (ret)
        return ret;
    if (!j->o.quiet)
        fprintf(stderr, "%" PRIu64 " workloads\n", count);
    return options_stopped ? EXIT_INTERRUPTED : flush_stdout(EXIT_CLEAN);
}

/* --- judging ------------------------------------------------------------------------------------------------------- */

static void print_kind(const struct gen_kind_found *k)
{
    printf("  %s%s%s\n", verdict_class_name(k->class), *k->order ? ", missing: " : "", k->order);
    printf("    first in workload %" PRIu64 ": %s\n", k->workload, k->name);
    printf("    %s\n", k->smallest.why);
    printf("    repro: qedcrash repro '%s'\n", k->smallest.id);
}

static void print_bound(const struct gen_bound *b)
{
    printf("within %u operation%s and %u event%s", b->ops, b->ops == 1 ? "" : "s", b->events,
           b->events == 1 ? "" : "s");
}

static void print_result(const struct job *j, const struct gen_judge *g)
{
    printf("%s  %s\n", g->design->name, g->disk->name);
    for (size_t i = 0; i < g->kind_count; i++)
        print_kind(&g->kinds[i]);
    printf("  %s ", g->kind_count ? "UNSAFE" : "safe");
    print_bound(&j->bound);
    printf(": %" PRIu64 " workloads, 2^%.2f states, %s", g->sum.cells, bignum_log2(&g->sum.states),
           g->sum.incomplete ? "NOT complete" : "complete");
    if (g->sum.incomplete)
        printf(" in %" PRIu64 " of them", g->sum.incomplete);
    puts("");
}

static void print_witness(const char *key, const struct shrink_finding *f)
{
    printf(",\"%s\":{\"id\":", key);
    json_string(stdout, f->id);
    printf(",\"survivors\":%" PRIu32 ",", f->survivors);
    json_finding(stdout, f);
    putchar('}');
}

static void json_result(struct job *j, const struct gen_judge *g)
{
    printf("%s{\"design\":", j->results++ ? ",\n" : "");
    json_string(stdout, g->design->name);
    printf(",\"disk\":\"%s\",\"verdict\":\"%s\",\"workloads\":%" PRIu64 ",\"complete\":%s,\"states\":{\"log2\":%.2f,"
           "\"executions\":%" PRIu64 "},\"findings\":[",
           g->disk->name, g->kind_count ? "unsafe" : "safe", g->sum.cells, g->sum.incomplete ? "false" : "true",
           bignum_log2(&g->sum.states), g->sum.executions);
    for (size_t i = 0; i < g->kind_count; i++) {
        const struct gen_kind_found *k = &g->kinds[i];
        printf("%s{\"class\":\"%s\",\"missing_order\":\"%s\",\"workload\":\"%s\",\"number\":%" PRIu64
               ",\"operations\":%u,\"words\":%u",
               i ? "," : "", verdict_class_name(k->class), k->order, k->name, k->workload, k->ops, k->words);
        print_witness("first", &k->first);
        print_witness("smallest", &k->smallest);
        putchar('}');
    }
    fputs("]}", stdout);
}

static void json_begin(const struct job *j)
{
    printf("{\"qedcrash\":\"" QEDCRASH_VERSION "\",\"seed\":%" PRIu64 ",\"bound\":{\"operations\":%u,\"events\":%u,"
           "\"classes\":[",
           j->o.cell.seed, j->bound.ops, j->bound.events);
    for (unsigned i = 0, n = 0; i < GEN_CLASS_COUNT; i++)
        if (j->bound.classes & 1u << i)
            printf("%s\"%s\"", n++ ? "," : "", gen_class_name(i));
    puts("]},\n\"results\":[");
}

static int judge_pair(struct job *j, const struct qed_design *design, const struct sim_disk_model *disk)
{
    struct gen_judge g = {.design = design, .disk = disk, .bound = j->bound, .options = j->o.cell, .jobs = j->o.jobs};
    struct scn_error err;
    if (!g.options.schedule_limit)
        g.options.schedule_limit = SCHEDULE_LIMIT;
    if (!j->o.schedules_given || j->o.all_schedules)
        g.options.schedule = ID_ALL_SCHEDULES;
    int ret = gen_judge_run(&g, &err);
    if (ret == -EINTR)
        ret = EXIT_INTERRUPTED;
    else if (ret)
        ret = complain("gen", ret == -EINVAL ? EXIT_USAGE : EXIT_INTERNAL, "%s", err.text);
    else if (j->o.json)
        json_result(j, &g);
    else
        print_result(j, &g);
    j->any |= g.kind_count > 0;
    gen_judge_free(&g);
    fflush(stdout);
    return ret;
}

static int judge(struct job *j)
{
    int ret = 0;
    options_default_designs(&j->o);
    options_default_disks(&j->o, false);
    if (j->o.json)
        json_begin(j);
    for (size_t d = 0; d < j->o.design_count && !ret; d++)
        for (size_t k = 0; k < j->o.disk_count && !ret; k++)
            ret = judge_pair(j, j->o.designs[d], j->o.disks[k]);
    if (j->o.json)
        puts("]}");
    ret = flush_stdout(ret);
    if (ret == EXIT_INTERRUPTED)
        complain("gen", 0, "interrupted");
    return ret ? ret : j->any ? EXIT_FINDINGS : EXIT_CLEAN;
}

/* --- the command --------------------------------------------------------------------------------------------------- */

static int read_bound(struct job *j)
{
    struct scn_error err;
    j->bound = GEN_DEFAULT;
    if (j->o.gen_ops)
        j->bound.ops = (unsigned)j->o.gen_ops;
    if (j->o.gen_events_given)
        j->bound.events = (unsigned)j->o.gen_events;
    if (j->bound.ops + j->bound.events > GEN_WORDS_MAX)
        return complain("gen", EXIT_USAGE, "--ops and --events are at most 16 together");
    if (j->o.gen_only)
        j->bound.classes = 0;
    if ((j->o.gen_only && !gen_parse_classes(j->o.gen_only, &j->bound.classes, &err)) ||
        (j->o.gen_with && !gen_parse_classes(j->o.gen_with, &j->bound.classes, &err)))
        return complain("gen", EXIT_USAGE, "%s", err.text);
    return 0;
}

static int run(struct job *j)
{
    int ret = read_bound(j);
    if (ret)
        return ret;
    if (j->o.argument_count > 1)
        return complain("gen", EXIT_USAGE, "takes one workload's name at the most");
    if (j->o.argument_count)
        return print_one(j->o.arguments[0]);
    return j->o.gen_judge ? judge(j) : list(j);
}

int cmd_gen(int argc, char **argv)
{
    struct job j = {0};
    bool help;
    if (argc > 1 && gen_jobs_is_kind(argv[1]))
        return gen_jobs(argc, argv);
    int ret = options_parse(argc, argv, "[NAME]", gen_doc, &j.o, &help);
    if (ret || help)
        return ret;
    options_catch_signals();
    ret = run(&j);
    options_free(&j.o);
    return ret;
}
