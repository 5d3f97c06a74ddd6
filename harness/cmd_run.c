/* cmd_run.c: run, matrix, repro: cells into a store, and what the store says onto the terminal. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/campaign.h"
#include "harness/command_line.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/demonstrate.h"
#include "harness/design_load.h"
#include "harness/id.h"
#include "harness/library.h"
#include "harness/options.h"
#include "harness/qemu_bench.h"
#include "harness/qemu_matrix.h"
#include "harness/target.h"
#include "harness/workers.h"
#include "reports/compare.h"
#include "scenarios/replay.h"
#include "simdisk/xalloc.h"

struct run {
    struct options o;
    const char *verb;
    struct plan plan;
    struct campaign campaign;
    char *command;
    bool any_unsafe; /* repro */
};

static int render(struct run *r,
                  int (*draw)(struct store *, FILE *, const struct render_options *, struct store_error *))
{
    struct store_error err;
    struct render_options look;
    struct store *store = r->campaign.store;
    options_render(&r->o, &look);
    if (r->o.baseline && compare_with(store, r->o.baseline, &err))
        return complain(r->verb, EXIT_INTERNAL, "%s", err.text);
    int ret = r->o.json ? render_json(store, stdout, &err) : draw(store, stdout, &look, &err);
    if (!ret && r->o.baseline && !r->o.json) {
        fprintf(stdout, "against %s:\n", r->o.baseline);
        ret = compare_print(store, stdout, false, &err);
    }
    if (!ret && (fflush(stdout) || ferror(stdout))) {
        snprintf(err.text, sizeof(err.text), "cannot write to standard output: %s", strerror(errno));
        ret = -EIO;
    }
    return ret ? complain(r->verb, EXIT_INTERNAL, "%s", err.text) : 0;
}

/* The last thing to fail is not the first to be told of. */
static int close_store(struct run *r, int code)
{
    struct store_error err;
    if (r->campaign.store && store_close(r->campaign.store, &err) && code != EXIT_INTERNAL)
        return complain(r->verb, EXIT_INTERNAL, "%s", err.text);
    return code;
}

static int end_run(struct run *r, int code)
{
    code = close_store(r, code);
    campaign_free(&r->campaign);
    plan_free(&r->plan);
    options_free(&r->o);
    free(r->command);
    return code;
}

static int check_options(struct run *r)
{
    struct store *baseline;
    struct store_error err;
    if (r->o.baseline) {
        if (store_open(r->o.baseline, NULL, &baseline, &err))
            return complain(r->verb, EXIT_USAGE, "%s", err.text);
        store_close(baseline, &err);
    }
    if (r->o.resume && !r->o.store)
        return complain(r->verb, EXIT_USAGE, "--resume goes on with a store; name it with --store");
    return 0;
}

static void list_cells(const struct run *r)
{
    for (size_t i = 0; i < r->plan.count; i++) {
        char *id = plan_id(&r->plan.cells[i]);
        if (shard_has(&r->o.shard, id))
            puts(id);
        free(id);
    }
}

/* With a baseline only what is new counts; but a campaign that misses a canary has shown nothing. */
static int conclude_against_baseline(struct run *r, const struct store_summary *sum, bool matrix)
{
    struct compare_counts n = {0};
    struct store_error err;
    if (compare_count(r->campaign.store, &n, &err))
        return complain(r->verb, EXIT_INTERNAL, "%s", err.text);
    bool fresh = n.fresh_safe || (matrix ? n.fresh_unexpected : n.fresh);
    return fresh || sum->canaries_caught < sum->canaries_of ? EXIT_FINDINGS : EXIT_CLEAN;
}

/* What a campaign comes to: run says 1 for any finding, matrix only for what nobody expected. */
static int conclude(struct run *r, bool matrix)
{
    struct store_summary sum;
    struct store_error err;
    if (store_summarize(r->campaign.store, &sum, &err))
        return complain(r->verb, EXIT_INTERNAL, "%s", err.text);
    if (r->o.baseline)
        return conclude_against_baseline(r, &sum, matrix);
    if (sum.unexpected || sum.canaries_caught < sum.canaries_of || (!matrix && sum.unsafe))
        return EXIT_FINDINGS;
    return EXIT_CLEAN;
}

struct demonstrating {
    struct run *r;
    char *last; /* id: several findings may share a state */
    int ret;
};

static void demonstrate_one(void *opaque, const char *id, uint64_t guest_sector)
{
    struct demonstrating *d = opaque;
    struct scn_error err = {""};
    if (d->ret || options_stopped || (d->last && !strcmp(d->last, id)))
        return;
    free(d->last);
    d->last = xalloc_check(strdup(id));
    if (demonstrate(id, guest_sector, &d->r->o.cell, stdout, &err))
        d->ret = complain(d->r->verb, EXIT_INTERNAL, "%s", err.text);
}

/* Each finding on the installed QEMU. */
static int demonstrate_all(struct run *r)
{
    struct demonstrating d = {.r = r};
    struct store_error err;
    if (store_each_finding(r->campaign.store, demonstrate_one, &d, &err))
        d.ret = complain(r->verb, EXIT_INTERNAL, "%s", err.text);
    free(d.last);
    return d.ret;
}

/* The plan is made: judges it. A shard may turn out to have no cells; that is no error, for others have them. */
static int judge(struct run *r, bool matrix)
{
    if (!r->plan.count)
        return complain(r->verb, EXIT_NOTHING, "nothing ran");
    if (r->o.dry_run) {
        list_cells(r);
        return EXIT_CLEAN;
    }
    plan_seal(&r->plan);
    r->campaign.verb = r->verb;
    r->campaign.options = &r->o;
    r->campaign.plan = &r->plan;
    r->campaign.command = r->command;
    r->campaign.canaries = matrix;
    int ret = campaign_open(&r->campaign);
    if (!ret)
        ret = campaign_judge(&r->campaign);
    if (!ret)
        ret = render(r, matrix ? render_matrix : render_run);
    if (!ret && r->o.demonstrate)
        ret = demonstrate_all(r);
    return ret ? ret : conclude(r, matrix);
}

static const char run_doc[] =
    "Run scenarios and judge their crash states.\n\nExamples:\n"
    "  qedcrash run cow-partial --design v2\n"
    "  qedcrash run my.scn --design all --disk all\n"
    "  qedcrash run cow-partial --design v2 --json | jq .cells[0].findings\n\v"
    "Exit status: 0 clean, 1 findings, 2 usage or scenario error, 3 I/O error, 4 nothing ran, "
    "130 interrupted.";

int cmd_run(int argc, char **argv)
{
    struct run r = {.verb = argv[0], .command = command_line(argc, argv)};
    bool help;
    int ret = options_parse(argc, argv, "SCENARIO...", run_doc, &r.o, &help);
    if (ret || help)
        return end_run(&r, ret);
    if (!r.o.argument_count)
        return end_run(&r, complain(r.verb, EXIT_USAGE,
                                    "which scenario? Name a .scn file, or one of the library (see scenarios/)"));
    options_catch_signals();
    options_default_designs(&r.o);
    options_default_disks(&r.o, false);
    ret = check_options(&r);
    for (int i = 0; i < r.o.argument_count && !ret; i++) {
        struct scn_error err;
        if (plan_add(&r.plan, r.o.arguments[i], &r.o, &err))
            ret = complain(r.verb, EXIT_USAGE, "%s", err.text);
    }
    return end_run(&r, ret ? ret : judge(&r, false));
}

static const char replay_doc[] =
    "Judge the crash states of recordings: another engine's writes, ours for recovery.\n\nExamples:\n"
    "  qedcrash record cow-partial rec && qedcrash replay rec\n"
    "  qedcrash replay rec --disk all --json\n"
    "  qedcrash replay rec --judge qemu --sample 200 --demonstrate\n\v"
    "DIR holds base.qed, backing.raw (if it has one), writes.log (dm-log-writes format, version 1, by QEMU's "
    "blklogwrites or the kernel's target) and guest.jsonl; without guest.jsonl only structure is judged. Where a write "
    "completed while a flush was in flight, both readings "
    "of the log are judged: DIR (covered) and DIR+uncovered. The design, "
    "`upstream' unless named, is what recovers; with --judge qemu it is the installed QEMU, shown each crash state as "
    "a "
    "file (at most 1000 a cell, unless --limit or --sample says otherwise). In ids a recording stands for a scenario, "
    "so repro and explain take "
    "them. "
    "Exit status: 0 clean, 1 findings, 2 usage, or a recording that cannot be read, 3 I/O error, 130 interrupted.";

/* What of a recording the verdict cannot rest on, on stderr. */
static void tell_doubts(const struct run *r)
{
    for (size_t i = 0; i < r->plan.scenario_count; i++) {
        const struct scenario *s = r->plan.scenarios[i].scenario;
        uint64_t unknown = replay_unknown_sectors(s->replay);
        if (replay_structure_only(s->replay))
            fprintf(stderr, "qedcrash replay: %s has no guest.jsonl: only structure is judged\n", s->path);
        if (replay_uncovered(s->replay) && !replay_is_uncovered(s->replay))
            fprintf(stderr,
                    "qedcrash replay: %s: %zu writes completed while a flush was in flight; judged by both readings: "
                    "%s (it covers them) and %s" REPLAY_UNCOVERED " (it does not)\n",
                    s->path, replay_uncovered(s->replay), s->path, s->path);
        if (unknown && !replay_structure_only(s->replay))
            fprintf(stderr,
                    "qedcrash replay: %s: %" PRIu64 " sectors were written with bytes that no operation of guest.jsonl "
                    "has\n",
                    s->path, unknown);
    }
}

/* By both readings, where there are two and none is named. */
static int plan_recording(struct run *r, const char *path, struct scn_error *err)
{
    size_t before = r->plan.scenario_count;
    int ret = plan_add(&r->plan, path, &r->o, err);
    if (ret || r->plan.scenario_count == before)
        return ret;
    const struct replay *replay = r->plan.scenarios[before].scenario->replay;
    if (!replay_uncovered(replay) || replay_is_uncovered(replay))
        return 0;
    char *other = NULL;
    if (asprintf(&other, "%s" REPLAY_UNCOVERED, path) < 0)
        return -ENOMEM;
    ret = plan_add(&r->plan, other, &r->o, err);
    free(other);
    return ret;
}

static int plan_recordings(struct run *r)
{
    struct scn_error err;
    for (int i = 0; i < r->o.argument_count; i++) {
        if (!replay_is_directory(r->o.arguments[i])) {
            snprintf(err.text, sizeof(err.text),
                     "%.200s: no directory; a recording is one (qedcrash record makes them)", r->o.arguments[i]);
            return complain(r->verb, EXIT_USAGE, "%s", err.text);
        }
        char *path = library_id_name(r->o.arguments[i]); /* with a slash, so that it is no name of the library */
        int ret = plan_recording(r, path, &err);
        free(path);
        if (ret)
            return complain(r->verb, EXIT_USAGE, "%s", err.text);
    }
    return 0;
}

#define QEMU_STATES 1000

/* QEMU in the place of a design. The cells are judged one after the other, each with all processes; the directory for
 * crashed images is made here, so that it goes whatever becomes of a worker. */
static int judge_by_qemu(struct run *r)
{
    const char *why = qemu_missing();
    if (r->o.design_count)
        return complain(r->verb, EXIT_USAGE, "--design names what recovers, and --judge qemu says that QEMU does");
    if (r->o.explore_given && r->o.cell.explore == EXPLORE_COMPLETE)
        return complain(r->verb, EXIT_USAGE,
                        "QEMU is shown whole states, one after the other: --explore enumerate or sample");
    if (*why)
        return complain(r->verb, EXIT_INTERNAL, "%s", why);
    if (!qemu_scratch())
        return complain(r->verb, EXIT_INTERNAL,
                        "cannot make a directory for crashed images: %s (TMPDIR names another place)", strerror(errno));
    if (!r->o.explore_given)
        r->o.cell.explore = EXPLORE_SAMPLE;
    if (!r->o.limit_given)
        r->o.cell.limit = QEMU_STATES;
    r->o.cell.nested = 0;
    r->o.cell.qemu_jobs = r->o.jobs ? r->o.jobs : workers_default_count();
    r->o.jobs = 1;
    r->o.designs[r->o.design_count++] = design_qemu();
    return 0;
}

static int check_demonstrate(struct run *r)
{
    if (r->o.json)
        return complain(r->verb, EXIT_USAGE, "--demonstrate prints what QEMU says, which is no JSON: leave out --json");
    if (*qemu_missing())
        return complain(r->verb, EXIT_INTERNAL, "%s", qemu_missing());
    return 0;
}

int cmd_replay(int argc, char **argv)
{
    struct run r = {.verb = argv[0], .command = command_line(argc, argv)};
    bool help;
    int ret = options_parse(argc, argv, "DIR...", replay_doc, &r.o, &help);
    if (ret || help)
        return end_run(&r, ret);
    if (!r.o.argument_count)
        return end_run(&r, complain(r.verb, EXIT_USAGE, "which recording? Name its directory"));
    options_catch_signals();
    struct qed_design_error err;
    if (r.o.qemu)
        ret = judge_by_qemu(&r);
    if (!ret && r.o.demonstrate)
        ret = check_demonstrate(&r);
    if (ret)
        return end_run(&r, ret);
    if (!r.o.design_count && !design_load("upstream", &r.o.designs[0], &err))
        r.o.design_count = 1;
    options_default_disks(&r.o, false);
    ret = check_options(&r);
    ret = ret ? ret : plan_recordings(&r);
    if (!ret)
        tell_doubts(&r);
    return end_run(&r, ret ? ret : judge(&r, false));
}

static const char matrix_doc[] =
    "Every scenario x design x disk model, and the canaries.\n\nExamples:\n"
    "  qedcrash matrix\n"
    "  qedcrash matrix scenarios --design upstream --store night.db --resume\n"
    "  qedcrash matrix --engine qemu             (the installed QEMU, beside our `upstream')\n\v"
    "Exit status: 0 all as expected, 1 something unexpected (with --baseline: and new) or a canary missed, 2 usage or "
    "scenario error, 3 I/O error, 4 nothing ran, 130 interrupted or at the time limit.";

static int shard_of_task(struct run *r)
{
    const char *source;
    char why[240];
    if (r->o.shard.of)
        return 0;
    if (!shard_from_environment(&r->o.shard, &source, why, sizeof(why)))
        return complain(r->verb, EXIT_USAGE, "%s", why);
    if (source)
        fprintf(stderr, "qedcrash %s: shard %u/%u, by %s\n", r->verb, r->o.shard.number, r->o.shard.of, source);
    return 0;
}

static int plan_matrix(struct run *r)
{
    struct scn_error err;
    char *dir = r->o.argument_count ? xalloc_check(strdup(r->o.arguments[0])) : library_dir();
    if (!dir)
        return complain(r->verb, EXIT_USAGE, "there is no scenario library here; name a directory");
    int ret = plan_add_directory(&r->plan, dir, &r->o, &err);
    free(dir);
    return ret ? complain(r->verb, EXIT_USAGE, "%s", err.text) : 0;
}

static int matrix_of_qemu(struct run *r)
{
    if (r->o.design_count)
        return complain(r->verb, EXIT_USAGE, "--design names designs of our engine; QEMU is held against `upstream'");
    if (r->o.store || r->o.resume || r->o.shard.of || r->o.baseline || r->o.dry_run || r->o.time_limit_s ||
        r->o.schedules_given)
        return complain(r->verb, EXIT_USAGE,
                        "--engine qemu takes no --store, --resume, --shard, --baseline, --dry-run, --time-limit or "
                        "--schedules: what it judges is recorded anew each time");
    options_default_disks(&r->o, true);
    char *library = r->o.argument_count ? NULL : library_dir();
    if (!r->o.argument_count && !library)
        return complain(r->verb, EXIT_USAGE, "there is no scenario library here; name a directory");
    int ret =
        library ? qemu_matrix(&r->o, &library, 1) : qemu_matrix(&r->o, r->o.arguments, (size_t)r->o.argument_count);
    free(library);
    return ret;
}

int cmd_matrix(int argc, char **argv)
{
    struct run r = {.verb = argv[0], .command = command_line(argc, argv)};
    bool help;
    int ret = options_parse(argc, argv, "[DIR...]", matrix_doc, &r.o, &help);
    if (ret || help)
        return end_run(&r, ret);
    if (r.o.argument_count > 1 && !r.o.qemu)
        return end_run(&r, complain(r.verb, EXIT_USAGE, "takes one directory at the most"));
    options_catch_signals();
    if (r.o.qemu)
        return end_run(&r, matrix_of_qemu(&r));
    options_default_designs(&r.o);
    options_default_disks(&r.o, true);
    ret = check_options(&r);
    if (!ret)
        ret = shard_of_task(&r);
    if (!ret)
        ret = plan_matrix(&r);
    return end_run(&r, ret ? ret : judge(&r, true));
}

static const char repro_doc[] =
    "Run one finding again from its id.\n\nExamples:\n"
    "  qedcrash repro 'cow-partial:v2:ssd:@14+L2+C#2.6'\n"
    "  qedcrash repro 'cow-partial:v2:ssd'             (the whole cell)\n"
    "  qedcrash repro './my.scn:upstream:ssd:@9+hdr' --json\n\v"
    "Exit status: 1 if the state still shows a violation, 0 if not, 2 if the id names nothing.";

/* In this process: for a debugger, and because there is one thing to do. */
static int repro_id(struct run *r, const struct finding_id *id)
{
    struct target t;
    struct scn_error err;
    if (target_load(id, &t, &err))
        return complain(r->verb, EXIT_USAGE, "%s", err.text);
    r->o.cell.id_scenario = t.name;
    r->o.cell.schedule = id->schedule;
    r->o.cell.script = id->script;
    r->o.cell.script_len = id->script_len;
    r->o.cell.twice = true;
    r->o.cell.seed = id->seed;
    struct store *store = r->campaign.store;
    int ret = id->has_point ? cell_repro(t.scenario, t.design, t.disk, &r->o.cell, id->point, id->survivors, store,
                                         &r->any_unsafe, &err)
                            : cell_run(t.scenario, t.design, t.disk, &r->o.cell, store, &r->any_unsafe, &err);
    target_free(&t);
    if (ret == -EINTR)
        return complain(r->verb, EXIT_INTERRUPTED, "interrupted; nothing was kept");
    return ret ? complain(r->verb, ret == -ENOENT || ret == -EINVAL ? EXIT_USAGE : EXIT_INTERNAL, "%s", err.text) : 0;
}

static int open_repro(struct run *r)
{
    struct store_error err;
    struct store_campaign campaign = {.version = QEDCRASH_VERSION, .seed = r->o.cell.seed, .command = r->command};
    return store_open(r->o.store, &campaign, &r->campaign.store, &err)
               ? complain(r->verb, EXIT_INTERNAL, "%s", err.text)
               : 0;
}

int cmd_repro(int argc, char **argv)
{
    struct run r = {.verb = argv[0], .command = command_line(argc, argv)};
    bool help;
    int ret = options_parse(argc, argv, "ID", repro_doc, &r.o, &help);
    if (ret || help)
        return end_run(&r, ret);
    char why[320] = "takes one id; findings print theirs as 'repro: qedcrash repro ...'";
    struct finding_id id;
    if (r.o.argument_count != 1 || !id_parse(r.o.arguments[0], &id, why, sizeof(why)))
        return end_run(&r, complain(r.verb, EXIT_USAGE, "%s", why));
    options_catch_signals();
    r.o.cell.seed = id.seed;
    ret = open_repro(&r);
    if (!ret)
        ret = repro_id(&r, &id);
    if (!ret && !(ret = render(&r, render_run)))
        ret = r.any_unsafe ? EXIT_FINDINGS : EXIT_CLEAN;
    id_free(&id);
    return end_run(&r, ret);
}
