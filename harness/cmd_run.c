/* cmd_run.c: run, matrix, repro: cells into a store, and what the store says onto the terminal. */
#include <errno.h>
#include <string.h>

#include "harness/canary.h"
#include "harness/commands.h"
#include "harness/id.h"
#include "harness/library.h"
#include "harness/options.h"
#include "harness/target.h"
#include "simdisk/xalloc.h"

struct campaign {
    struct options o;
    struct store *store;
    bool any_unsafe;
    uint64_t cells;
};

static int complain(const char *verb, int code, const char *text)
{
    fprintf(stderr, "qedcrash %s: %s\n", verb, text);
    return code;
}

/* The command as typed, for the record. */
static char *command_line(int argc, char **argv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    fputs("qedcrash", out);
    for (int i = 0; i < argc; i++)
        fprintf(out, " %s", argv[i]);
    fclose(out);
    return text;
}

static int open_store(struct campaign *c, int argc, char **argv)
{
    struct store_error err;
    char *command = command_line(argc, argv);
    struct store_campaign campaign = {.version = QEDCRASH_VERSION, .seed = c->o.cell.seed, .command = command};
    int ret = store_open(c->o.store, &campaign, &c->store, &err);
    free(command);
    return ret ? complain(argv[0], EXIT_INTERNAL, err.text) : 0;
}

static int run_cell(struct campaign *c, const char *verb, const struct scenario *s, const struct qed_design *design,
                    const struct sim_disk_model *disk)
{
    c->cells++;
    if (c->o.dry_run) {
        printf("%s:%s:%s\n", c->o.cell.id_scenario, design->name, disk->name);
        return 0;
    }
    c->o.cell.twice = c->cells == 1;
    bool all = c->o.schedules_given ? c->o.all_schedules : s->all_schedules;
    uint64_t last = c->o.schedules_given || !s->schedules ? c->o.schedules : s->schedules;
    for (uint64_t n = all ? ID_ALL_SCHEDULES : 1; n <= (all ? ID_ALL_SCHEDULES : last); n++) {
        struct scn_error err;
        bool unsafe = false;
        c->o.cell.schedule = n;
        int ret = cell_run(s, design, disk, &c->o.cell, c->store, &unsafe, &err);
        if (ret == -EINTR)
            return EXIT_INTERRUPTED;
        if (ret)
            return complain(verb, ret == -EINVAL ? EXIT_USAGE : EXIT_INTERNAL, err.text);
        c->any_unsafe |= unsafe;
    }
    return 0;
}

static int run_scenario(struct campaign *c, const char *verb, const char *path)
{
    struct scenario *s;
    struct scn_error err;
    char *name;
    int ret = target_scenario(path, &s, &name, &err);
    if (ret)
        return complain(verb, EXIT_USAGE, err.text);
    c->o.cell.id_scenario = name;
    for (size_t d = 0; d < c->o.design_count && !ret; d++)
        for (size_t k = 0; k < c->o.disk_count && !ret; k++)
            ret = run_cell(c, verb, s, c->o.designs[d], c->o.disks[k]);
    free(name);
    scenario_free(s);
    return ret;
}

static int render(struct campaign *c, const char *verb,
                  int (*draw)(struct store *, FILE *, const struct render_options *, struct store_error *))
{
    struct store_error err;
    struct render_options r;
    options_render(&c->o, &r);
    int ret = c->o.json ? render_json(c->store, stdout, &err) : draw(c->store, stdout, &r, &err);
    if (!ret && (fflush(stdout) || ferror(stdout))) {
        snprintf(err.text, sizeof(err.text), "cannot write to standard output: %s", strerror(errno));
        ret = -EIO;
    }
    return ret ? complain(verb, EXIT_INTERNAL, err.text) : 0;
}

static int close_store(struct campaign *c, const char *verb, int code)
{
    struct store_error err;
    if (c->store && store_close(c->store, &err))
        return complain(verb, EXIT_INTERNAL, err.text);
    return code;
}

static void default_disks(struct options *o, bool all)
{
    if (o->disk_count)
        return;
    for (size_t i = 0; i < (all ? sim_disk_model_count : 1); i++)
        if (sim_disk_models[i].keeps_its_word)
            o->disks[o->disk_count++] = &sim_disk_models[i];
}

static void default_designs(struct options *o)
{
    if (o->design_count)
        return;
    for (size_t i = 0; i < qed_design_count && i < OPTIONS_MAX_NAMES; i++)
        o->designs[o->design_count++] = &qed_designs[i];
}

static int unexpected_cells(struct campaign *c, const char *verb, bool *any)
{
    struct store_summary sum;
    struct store_error err;
    if (store_summarize(c->store, &sum, &err))
        return complain(verb, EXIT_INTERNAL, err.text);
    *any = sum.unexpected > 0 || sum.canaries_caught < sum.canaries_of;
    return 0;
}

/* What a campaign comes to: run says 1 for any finding, matrix only for what nobody expected. */
static int conclude(struct campaign *c, const char *verb, bool matrix)
{
    bool unexpected = false;
    if (!c->cells)
        return complain(verb, EXIT_NOTHING, "nothing ran");
    int ret = unexpected_cells(c, verb, &unexpected);
    if (ret)
        return ret;
    return unexpected || (!matrix && c->any_unsafe) ? EXIT_FINDINGS : EXIT_CLEAN;
}

static int interrupted(struct campaign *c, const char *verb)
{
    fprintf(stderr, "qedcrash %s: interrupted; %s\n", verb,
            c->o.store ? "what was judged is in the store" : "nothing was kept (name a store with --store)");
    return EXIT_INTERRUPTED;
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
    struct campaign c = {0};
    bool help;
    int ret = options_parse(argc, argv, "SCENARIO...", run_doc, &c.o, &help);
    if (ret || help)
        return ret;
    if (!c.o.argument_count) {
        options_free(&c.o);
        return complain(argv[0], EXIT_USAGE,
                        "which scenario? Name a .scn file, or one of the library (see scenarios/)");
    }
    options_catch_signals();
    default_designs(&c.o);
    default_disks(&c.o, false);
    ret = open_store(&c, argc, argv);
    for (int i = 0; i < c.o.argument_count && !ret; i++)
        ret = run_scenario(&c, argv[0], c.o.arguments[i]);
    if (ret == EXIT_INTERRUPTED)
        interrupted(&c, argv[0]);
    else if (!ret && !c.o.dry_run && !(ret = render(&c, argv[0], render_run)))
        ret = conclude(&c, argv[0], false);
    ret = close_store(&c, argv[0], ret);
    options_free(&c.o);
    return ret;
}

static const char matrix_doc[] =
    "Every scenario x design x disk model, and the canaries.\n\nExamples:\n"
    "  qedcrash matrix\n"
    "  qedcrash matrix scenarios --design upstream --store night.db\n"
    "  qedcrash matrix --json --disk ssd\n\v"
    "Exit status: 0 all as expected, 1 something unexpected or a canary missed, 2 usage or "
    "scenario error, 3 I/O error, 4 nothing ran, 130 interrupted.";

static int run_canaries(struct campaign *c, const char *verb)
{
    struct store_error err;
    unsigned caught, of;
    const char *missed;
    if (canary_run(&caught, &of, &missed))
        return complain(verb, EXIT_INTERNAL, "a canary does not run");
    if (store_put_canaries(c->store, caught, of, &err))
        return complain(verb, EXIT_INTERNAL, err.text);
    if (caught < of)
        fprintf(stderr,
                "qedcrash %s: %u of %u planted bugs were NOT caught (first: %s): no verdict of this campaign can be "
                "trusted\n",
                verb, of - caught, of, missed);
    return 0;
}

static int run_directory(struct campaign *c, const char *verb, const char *dir)
{
    char **paths;
    long count = library_list(dir, &paths);
    if (count < 0) {
        fprintf(stderr, "qedcrash %s: %s: %s\n", verb, dir, strerror((int)-count));
        return EXIT_USAGE;
    }
    int ret = 0;
    for (long i = 0; i < count && !ret; i++)
        ret = run_scenario(c, verb, paths[i]);
    library_list_free(paths, count);
    return ret;
}

int cmd_matrix(int argc, char **argv)
{
    struct campaign c = {0};
    bool help;
    int ret = options_parse(argc, argv, "[DIR]", matrix_doc, &c.o, &help);
    if (ret || help)
        return ret;
    if (c.o.argument_count > 1) {
        options_free(&c.o);
        return complain(argv[0], EXIT_USAGE, "takes one directory at the most");
    }
    options_catch_signals();
    default_designs(&c.o);
    default_disks(&c.o, true);
    char *dir = c.o.argument_count ? xalloc_check(strdup(c.o.arguments[0])) : library_dir();
    if (!dir) {
        options_free(&c.o);
        return complain(argv[0], EXIT_USAGE, "there is no scenario library here; name a directory");
    }
    ret = open_store(&c, argc, argv);
    if (!ret)
        ret = run_directory(&c, argv[0], dir);
    if (ret == EXIT_INTERRUPTED)
        interrupted(&c, argv[0]);
    else if (!ret && !c.o.dry_run && !(ret = run_canaries(&c, argv[0])) && !(ret = render(&c, argv[0], render_matrix)))
        ret = conclude(&c, argv[0], true);
    ret = close_store(&c, argv[0], ret);
    free(dir);
    options_free(&c.o);
    return ret;
}

static const char repro_doc[] =
    "Run one finding again from its id.\n\nExamples:\n"
    "  qedcrash repro 'cow-partial:v2:ssd:@14+L2+C#2.6'\n"
    "  qedcrash repro 'cow-partial:v2:ssd'             (the whole cell)\n"
    "  qedcrash repro './my.scn:upstream:ssd:@9+hdr' --json\n\v"
    "Exit status: 1 if the state still shows a violation, 0 if not, 2 if the id names nothing.";

static int repro_id(struct campaign *c, const char *verb, const struct finding_id *id)
{
    struct target t;
    struct scn_error err;
    if (target_load(id, &t, &err))
        return complain(verb, EXIT_USAGE, err.text);
    c->o.cell.id_scenario = t.name;
    c->o.cell.schedule = id->schedule;
    c->o.cell.script = id->script;
    c->o.cell.script_len = id->script_len;
    c->o.cell.twice = true;
    c->o.cell.seed = id->seed;
    c->cells = 1;
    int run = id->has_point ? cell_repro(t.scenario, t.design, t.disk, &c->o.cell, id->point, id->survivors, c->store,
                                         &c->any_unsafe, &err)
                            : cell_run(t.scenario, t.design, t.disk, &c->o.cell, c->store, &c->any_unsafe, &err);
    target_free(&t);
    if (run == -EINTR)
        return interrupted(c, verb);
    return run ? complain(verb, run == -ENOENT || run == -EINVAL ? EXIT_USAGE : EXIT_INTERNAL, err.text) : 0;
}

int cmd_repro(int argc, char **argv)
{
    struct campaign c = {0};
    bool help;
    int ret = options_parse(argc, argv, "ID", repro_doc, &c.o, &help);
    if (ret || help)
        return ret;
    char why[320] = "takes one id; findings print theirs as 'repro: qedcrash repro ...'";
    struct finding_id id;
    if (c.o.argument_count != 1 || !id_parse(c.o.arguments[0], &id, why, sizeof(why))) {
        options_free(&c.o);
        return complain(argv[0], EXIT_USAGE, why);
    }
    options_catch_signals();
    c.o.cell.seed = id.seed;
    ret = open_store(&c, argc, argv);
    if (!ret)
        ret = repro_id(&c, argv[0], &id);
    if (!ret && !(ret = render(&c, argv[0], render_run)))
        ret = c.any_unsafe ? EXIT_FINDINGS : EXIT_CLEAN;
    ret = close_store(&c, argv[0], ret);
    id_free(&id);
    options_free(&c.o);
    return ret;
}
