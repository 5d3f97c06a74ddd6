/* cmd_shrink.c: shrink: a finding with nothing in it that it does not need.
 *
 * First the state: the survivors it can do without. Then the workload (shrink.h). The result is a scenario file, with the
 * finding told in comments behind it, so that the output can be saved and run.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/id.h"
#include "harness/json_text.h"
#include "harness/library.h"
#include "harness/options.h"
#include "harness/shrink.h"
#include "harness/target.h"
#include "simdisk/xalloc.h"

#define MAX_RUNS 20000u /* tries; a library scenario takes some dozens */

static const char shrink_doc[] =
    "The smallest workload and the fewest survivors that still show a finding.\n\nExamples:\n"
    "  qedcrash shrink 'race-cluster:v2:ssd:@21+L2' > small.scn\n"
    "  qedcrash shrink 'my.scn:upstream:hostdev:@40+L2' -o small.scn\n"
    "  qedcrash shrink ID --json | jq -r .scenario\n\v"
    "Of several findings in the state, the first in the order of classes is meant. Exit status: 1 the finding, shrunk "
    "as far as it goes; 0 there is none in this state; 2 the id names nothing, or usage; 3 I/O error; 130 interrupted, "
    "with the smallest so far.";

struct job {
    struct options o;
    struct finding_id id;
    struct target target; /* of the id; its scenario is taken out */
    struct scenario *scenario;
    char *name;                    /* how ids name the result */
    struct shrink_finding finding; /* of the id */
    uint32_t survivors_before;
    size_t statements_before;
    uint64_t bytes_before;
    struct shrink x;
};

static int load(struct job *j)
{
    struct scn_error err;
    if (target_load(&j->id, &j->target, &err))
        return complain("shrink", EXIT_USAGE, "%s", err.text);
    if (j->target.scenario->replay)
        return complain("shrink", EXIT_USAGE,
                        "this id is of a recording, whose workload cannot be changed; shrink the scenario and "
                        "record that");
    j->x.design = j->target.design;
    j->x.disk = j->target.disk;
    j->scenario = j->target.scenario;
    j->target.scenario = NULL;
    j->statements_before = j->scenario->stmt_count;
    j->bytes_before = shrink_bytes(j->scenario);
    return 0;
}

static int code_of(int ret)
{
    return ret == -EINTR ? EXIT_INTERRUPTED : ret == -ENOENT || ret == -EINVAL ? EXIT_USAGE : EXIT_INTERNAL;
}

/* The first of the state; of a whole cell, the smallest. */
static void take(void *opaque, const struct store_finding *f)
{
    struct job *j = opaque;
    if (j->id.has_point ? !j->finding.id : shrink_finding_smaller(f, &j->finding))
        shrink_finding_copy(&j->finding, f);
}

static void count_before(void *opaque, const struct store_finding *f)
{
    struct job *j = opaque;
    if (!j->survivors_before)
        j->survivors_before = f->survivors;
}

/* The finding that the id names, with the fewest survivors. */
static int find(struct job *j)
{
    struct scn_error err;
    struct cell_options *o = &j->o.cell;
    int ret;
    o->schedule = j->id.schedule;
    o->script = j->id.script;
    o->script_len = j->id.script_len;
    o->seed = j->id.seed;
    o->id_scenario = j->name;
    if (j->id.has_point) {
        ret = cell_state_findings(j->scenario, j->x.design, j->x.disk, o, j->id.point, j->id.survivors, false,
                                  count_before, j, &err);
        if (!ret)
            ret = cell_state_findings(j->scenario, j->x.design, j->x.disk, o, j->id.point, j->id.survivors, true, take,
                                      j, &err);
    } else {
        ret = cell_findings(j->scenario, j->x.design, j->x.disk, o, take, j, &err);
        j->survivors_before = j->finding.survivors;
    }
    return ret ? complain("shrink", code_of(ret), "%s", err.text) : 0;
}

/* Only what needs a second power failure is given one. */
static bool fails_twice(const struct shrink_finding *f)
{
    struct finding_id id;
    char why[200];
    bool twice = false;
    if (id_parse(f->id, &id, why, sizeof(why))) {
        twice = strchr(id.survivors, '/') != NULL;
        id_free(&id);
    }
    return twice;
}

static int shrink(struct job *j)
{
    struct scn_error err;
    struct shrink *x = &j->x;
    x->options = j->o.cell;
    if (!fails_twice(&j->finding))
        x->options.nested = 0;
    x->max_runs = MAX_RUNS;
    x->class = j->finding.class;
    snprintf(x->order, sizeof(x->order), "%s", j->finding.order);
    int ret = shrink_begin(x, j->scenario, &err);
    j->scenario = NULL;
    if (ret == -ENOENT)
        return complain("shrink", EXIT_INTERNAL,
                        "a run of the whole cell does not come to this finding; raise --limit");
    if (ret)
        return complain("shrink", code_of(ret), "%s", err.text);
    shrink_run(x);
    return 0;
}

/* --- what is printed ----------------------------------------------------------------------------------------------- */

static void print_comment(FILE *out, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        fprintf(out, "#%s%.*s\n", length ? " " : "", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static void print_repro(FILE *out, const char *before, const char *id)
{
    fprintf(out, "%srepro: qedcrash repro '", before);
    for (; *id; id++)
        if (*id == '\'')
            fputs("'\\''", out);
        else
            fputc(*id, out);
    fputs("'\n", out);
}

static void print_scenario(FILE *out, const struct job *j)
{
    const struct shrink_finding *f = &j->x.finding;
    fprintf(out, "# Shrunk from %s\n", j->o.arguments[0]);
    fprintf(out, "# %zu statements to %zu, %" PRIu64 " bytes to %" PRIu64 ", %" PRIu32 " survivors to %" PRIu32 ".\n",
            j->statements_before, j->x.best->stmt_count, j->bytes_before, shrink_bytes(j->x.best), j->survivors_before,
            f->survivors);
    scenario_print(j->x.best, out);
    fprintf(out, "\n# %s: %s\n", verdict_class_name(f->class), verdict_class_meaning(f->class));
    if (*f->order)
        fprintf(out, "# missing: %s\n", f->order);
    print_comment(out, f->story);
    print_comment(out, f->why);
    print_repro(out, "# ", f->id);
}

static void print_counts(FILE *out, const char *name, size_t statements, uint64_t bytes, uint32_t survivors)
{
    fprintf(out, ",\"%s\":{\"statements\":%zu,\"bytes\":%" PRIu64 ",\"survivors\":%" PRIu32 "}", name, statements,
            bytes, survivors);
}

static void print_json(FILE *out, const struct job *j)
{
    const struct shrink_finding *f = &j->x.finding;
    char *text = NULL;
    size_t size = 0;
    FILE *buffer = xalloc_check(open_memstream(&text, &size));
    scenario_print(j->x.best, buffer);
    fclose(buffer);
    fputs("{\"qedcrash\":\"" QEDCRASH_VERSION "\",\"from\":", out);
    json_string(out, j->o.arguments[0]);
    fputs(",\"id\":", out);
    json_string(out, f->id);
    fprintf(out, ",\"class\":\"%s\",\"missing_order\":\"%s\",\"crash_point\":%" PRIu32 ",",
            verdict_class_name(f->class), f->order, f->crash_point);
    json_finding(out, f);
    print_counts(out, "before", j->statements_before, j->bytes_before, j->survivors_before);
    print_counts(out, "after", j->x.best->stmt_count, shrink_bytes(j->x.best), f->survivors);
    fprintf(out, ",\"runs\":%" PRIu64 ",\"complete\":%s,\"scenario\":", j->x.runs,
            j->x.stopped || j->x.at_limit ? "false" : "true");
    json_string(out, text);
    fputs("}\n", out);
    free(text);
}

static int write_file(const struct job *j)
{
    FILE *out = fopen(j->o.output, "w");
    bool good = out != NULL;
    if (out) {
        print_scenario(out, j);
        good = !ferror(out);
        good &= !fclose(out);
    }
    return good ? 0 : complain("shrink", EXIT_INTERNAL, "cannot write %s: %s", j->o.output, strerror(errno));
}

static int print(const struct job *j)
{
    int ret = j->o.output ? write_file(j) : 0;
    if (j->o.json)
        print_json(stdout, j);
    else
        print_scenario(stdout, j);
    if (!ret && !j->o.json && j->o.output)
        print_repro(stdout, "", j->x.finding.id);
    if (fflush(stdout) || ferror(stdout))
        return complain("shrink", EXIT_INTERNAL, "cannot write to standard output");
    if (ret)
        return ret;
    if (j->x.stopped)
        return complain("shrink", EXIT_INTERRUPTED, "interrupted; this is the smallest so far");
    if (j->x.at_limit)
        complain("shrink", 0, "stopped after many tries; this is the smallest so far");
    return EXIT_FINDINGS;
}

static int run(struct job *j)
{
    int ret = load(j);
    j->name = j->o.output ? library_id_name(j->o.output) : xalloc_check(strdup("./shrunk.scn"));
    if (!ret)
        ret = find(j);
    if (ret)
        return ret;
    if (!j->finding.id)
        return complain("shrink", EXIT_CLEAN, "%s shows nothing wrong", j->id.has_point ? "this state" : "this cell");
    ret = shrink(j);
    return ret ? ret : print(j);
}

int cmd_shrink(int argc, char **argv)
{
    struct job j = {0};
    bool help;
    int ret = options_parse(argc, argv, "ID", shrink_doc, &j.o, &help);
    if (ret || help)
        return ret;
    char why[320] = "takes one id; findings print theirs as 'repro: qedcrash repro ...'";
    if (j.o.argument_count != 1 || !id_parse(j.o.arguments[0], &j.id, why, sizeof(why))) {
        options_free(&j.o);
        return complain("shrink", EXIT_USAGE, "%s", why);
    }
    options_catch_signals();
    ret = run(&j);
    scenario_free(j.scenario);
    target_free(&j.target);
    shrink_finding_free(&j.finding);
    shrink_free(&j.x);
    free(j.name);
    id_free(&j.id);
    options_free(&j.o);
    return ret;
}
