/* cmd_flushes.c: flushes DESIGN: for each ordering point, needed, with a witness, or not within this bound. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "engine/design_text.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/design_load.h"
#include "harness/flushes.h"
#include "harness/json_text.h"
#include "harness/library.h"
#include "harness/options.h"
#include "simdisk/xalloc.h"

static const char flushes_doc[] =
    "Take each ordering of a design away in turn, and say whether it is needed.\n\nExamples:\n"
    "  qedcrash flushes upstream\n"
    "  qedcrash flushes ./mine.design --disk ssd\n"
    "  qedcrash flushes careful,clear_on=timer --ops 2 --json\n\v"
    "A field is weakened, one at a time, to each value that orders less; what fails a test that the design itself "
    "passes is "
    "needed. The tests are the library's scenarios and generated workloads (--ops, --events; default: one operation "
    "and one "
    "event) on every disk model that keeps its word (--disk).\n\n"
    "Exit status: 0 the design passes every test, 1 it fails some itself, 2 usage, 3 I/O error, 130 interrupted.";

struct job {
    struct options o;
    struct bound bound;
    const struct qed_design *design;
    size_t scenarios;
};

static int load(struct job *j, struct scn_error *err)
{
    char *dir = library_dir();
    int ret = dir ? bound_add_library(&j->bound, dir, false, err) : 0;
    free(dir);
    j->scenarios = j->bound.count;
    struct gen_bound g = GEN_DEFAULT;
    g.ops = j->o.gen_ops ? (unsigned)j->o.gen_ops : 1;
    if (j->o.gen_events_given)
        g.events = (unsigned)j->o.gen_events;
    return ret ? ret : bound_add_generated(&j->bound, &g, false, err);
}

static void progress(void *opaque, size_t done, size_t of)
{
    const struct job *j = opaque;
    if (!j->o.quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%zu of %zu tests%s", done, of, done == of ? "\r\033[K" : "");
}

/* --- words --------------------------------------------------------------------------------------------------------- */

static void print_bound(const struct job *j, const struct flushes *f)
{
    printf("%s: ", f->design->name);
    if (f->unsafe)
        printf("fails %" PRIu64 " of %" PRIu64 " tests itself\n", f->unsafe, f->tests);
    else
        printf("safe\n");
    printf("bound: %zu scenarios and %zu generated workloads x %zu disk models, 2^%.1f crash states, %s\n",
           j->scenarios, j->bound.count - j->scenarios, f->disk_count, f->states_log2,
           f->incomplete ? "NOT complete in some" : "complete");
}

#define FAILED_SHOWN 5

static void print_failed(const struct flushes *f)
{
    for (uint64_t i = 0; i < f->unsafe && i < FAILED_SHOWN; i++) {
        const struct flushes_failed *t = &f->failed[i];
        printf("  fails %s on %s: %s\n", f->bound->workloads[t->test % f->bound->count].name,
               f->disks[t->test / f->bound->count]->name, verdict_class_name(t->class));
    }
    if (f->unsafe > FAILED_SHOWN)
        printf("  ... and %" PRIu64 " more\n", f->unsafe - FAILED_SHOWN);
}

static void print_weakening(const struct flushes *f, const struct flushes_weakening *w)
{
    char from[64], to[64];
    printf("  %-24s %s -> %s: ", qed_design_field_name(w->field), qed_design_value_name(w->field, w->from, from),
           qed_design_value_name(w->field, w->to, to));
    if (!w->needed) {
        printf("not needed within this bound\n");
        return;
    }
    printf("NEEDED  %s%s, %s\n", w->adds ? "adds " : "", w->id ? verdict_class_name(w->class) : "unsafe",
           f->disks[w->disk]->name);
    if (w->why)
        printf("      %s\n", w->why);
    if (w->id)
        printf("      repro: qedcrash repro '%s'\n", w->id);
}

static void print_json(const struct job *j, const struct flushes *f)
{
    printf("{\"qedcrash\":\"" QEDCRASH_VERSION "\",\"seed\":%" PRIu64 ",\"design\":", j->o.cell.seed);
    json_string(stdout, f->design->name);
    printf(",\"bound\":{\"scenarios\":%zu,\"generated\":%zu,\"disks\":%zu,\"tests\":%" PRIu64 ",\"states_log2\":%.2f,"
           "\"complete\":%s},\"failed\":%" PRIu64 ",\"orderings\":[",
           j->scenarios, j->bound.count - j->scenarios, f->disk_count, f->tests, f->states_log2,
           f->incomplete ? "false" : "true", f->unsafe);
    for (size_t i = 0; i < f->weak_count; i++) {
        const struct flushes_weakening *w = &f->weak[i];
        char from[64], to[64];
        printf("%s\n{\"field\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"needed\":%s", i ? "," : "",
               qed_design_field_name(w->field), qed_design_value_name(w->field, w->from, from),
               qed_design_value_name(w->field, w->to, to), w->needed ? "true" : "false");
        if (w->id) {
            printf(",\"class\":\"%s\",\"disk\":\"%s\",\"id\":", verdict_class_name(w->class), f->disks[w->disk]->name);
            json_string(stdout, w->id);
            fputs(",\"why\":", stdout);
            json_string(stdout, w->why);
        }
        putchar('}');
    }
    puts("]}");
}

static void print_result(const struct job *j, const struct flushes *f)
{
    if (j->o.json) {
        print_json(j, f);
        return;
    }
    print_bound(j, f);
    print_failed(f);
    for (int needed = 1; needed >= 0; needed--)
        for (size_t i = 0; i < f->weak_count; i++)
            if (f->weak[i].needed == (needed == 1))
                print_weakening(f, &f->weak[i]);
}

/* --- the command --------------------------------------------------------------------------------------------------- */

static int run(struct job *j)
{
    struct scn_error err = {0};
    struct qed_design_error design_err;
    if (j->o.argument_count != 1)
        return complain("flushes", EXIT_USAGE, "takes one design: a name, a name with fields changed, or a file");
    if (design_load(j->o.arguments[0], &j->design, &design_err))
        return complain("flushes", EXIT_USAGE, "%s", design_err.text);
    if (load(j, &err))
        return complain("flushes", EXIT_USAGE, "%s", err.text);
    struct flushes f = {.design = j->design,
                        .bound = &j->bound,
                        .disks = j->o.disks,
                        .disk_count = j->o.disk_count,
                        .cell = j->o.cell,
                        .jobs = j->o.jobs,
                        .progress = progress,
                        .opaque = j};
    int ret = flushes_run(&f, &err);
    if (!ret)
        print_result(j, &f);
    int code = f.unsafe ? EXIT_FINDINGS : EXIT_CLEAN;
    flushes_free(&f);
    if (ret)
        return ret == -EINTR ? complain("flushes", EXIT_INTERRUPTED, "interrupted; nothing was kept")
                             : complain("flushes", EXIT_INTERNAL, "%s", err.text);
    return fflush(stdout) || ferror(stdout) ? complain("flushes", EXIT_INTERNAL, "cannot write to standard output")
                                            : code;
}

int cmd_flushes(int argc, char **argv)
{
    struct job j = {0};
    bool help;
    int ret = options_parse(argc, argv, "DESIGN", flushes_doc, &j.o, &help);
    if (ret || help)
        return ret;
    options_catch_signals();
    options_default_disks(&j.o, true);
    ret = run(&j);
    design_unload(j.design);
    bound_free(&j.bound);
    options_free(&j.o);
    return ret;
}
