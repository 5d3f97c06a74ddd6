/* options.c: see options.h. */
#include "harness/options.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/design_load.h"
#include "simdisk/xalloc.h"

enum {
    KEY_DESIGN = 256,
    KEY_DISK,
    KEY_EXPLORE,
    KEY_LIMIT,
    KEY_NESTED,
    KEY_SCHEDULES,
    KEY_SCHEDULE_LIMIT,
    KEY_SEED,
    KEY_STORE,
    KEY_JSON,
    KEY_COLOR,
    KEY_DRY_RUN,
    KEY_RESUME,
    KEY_SHARD,
    KEY_BASELINE,
    KEY_TIME_LIMIT,
    KEY_CELL_TIMEOUT,
    KEY_OPS,
    KEY_EVENTS,
    KEY_WITH,
    KEY_ONLY,
    KEY_JUDGE,
    KEY_JUDGE_BY,
    KEY_SAMPLE,
    KEY_DEMONSTRATE,
    KEY_ENGINE,
    KEY_FORMAT,
    KEY_FORMAT_OPTIONS,
};

static const struct argp_option all_options[] = {
    {"design", KEY_DESIGN, "NAME", 0,
     "Judge this design: a name, a name with fields changed (v2,l1_flush=off), or a file; repeatable; `all'", 0},
    {"disk", KEY_DISK, "NAME", 0, "Crash this disk model (repeatable; `all'; default: run and gen ssd, else all)", 0},
    {"explore", KEY_EXPLORE, "HOW", 0,
     "complete (default); enumerate: every crash state, one after the other; sample: some of them", 0},
    {"limit", KEY_LIMIT, "N", 0, "Judge at most N states per cell; the output says when it cut", 0},
    {"nested", KEY_NESTED, "N", 0, "Let the power fail again N times while recovery is writing (default 1)", 0},
    {"schedules", KEY_SCHEDULES, "N", 0,
     "Try N orders in which concurrent I/O completes; `all': every one there is (default: what the scenario says, else "
     "1)",
     0},
    {"schedule-limit", KEY_SCHEDULE_LIMIT, "N", 0,
     "Of all schedules, run at most N per cell (default 100000); the output says when it cut", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of all choices (default 1)", 0},
    {"store", KEY_STORE, "FILE", 0, "Keep the results in this SQLite file", 0},
    {"jobs", 'j', "N", 0, "Work in N processes (default: one for each processor)", 0},
    {"resume", KEY_RESUME, NULL, 0, "Go on with the campaign in --store: what is judged there is not judged again", 0},
    {"shard", KEY_SHARD, "K/N", 0,
     "Judge part K of N (default: the task of a Slurm array or an indexed Kubernetes job, if this is one)", 0},
    {"baseline", KEY_BASELINE, "STORE", 0, "Compare with the newest finished campaign there; only what is new fails",
     0},
    {"time-limit", KEY_TIME_LIMIT, "T", 0, "Begin no cell after T (90, 90s, 30m, 8h); --resume goes on", 0},
    {"cell-timeout", KEY_CELL_TIMEOUT, "T", 0,
     "Give a cell up when nothing was heard of it for T (default 300s; 0: never)", 0},
    {"output", 'o', "PATH", 0,
     "The file (shrink) or the directory (gen, report; matrix --engine qemu: of the recordings) to write", 0},
    {"ops", KEY_OPS, "N", 0, "Generate workloads of at most N guest operations (default: gen 2, else 1)", 0},
    {"events", KEY_EVENTS, "N", 0,
     "Generate workloads of at most N events: a flush, a close, a crash, an error (default 1)", 0},
    {"with", KEY_WITH, "CLASSES", 0, "These classes of words too, such as inject,kill", 0},
    {"only", KEY_ONLY, "CLASSES", 0, "These classes and no others", 0},
    {"judge", KEY_JUDGE, NULL, 0, "Judge the designs under every workload", 0},
    {"judge", KEY_JUDGE_BY, "WHO", 0, "Who recovers and reads: engine (ours, the default) or qemu (the installed one)",
     0},
    {"sample", KEY_SAMPLE, "N", 0, "Judge N of the states: --explore sample --limit N", 0},
    {"demonstrate", KEY_DEMONSTRATE, NULL, 0,
     "Show each finding on the installed QEMU: what it says and what a guest reads", 0},
    {"engine", KEY_ENGINE, "WHO", 0,
     "Whose engine: ours (the default), or qemu: the scenarios recorded from the installed one", 0},
    {"format", KEY_FORMAT, "NAME", 0, "The image's format, a driver of QEMU's (default: qed)", 0},
    {"format-options", KEY_FORMAT_OPTIONS, "LIST", 0, "Options of that format, as `qemu-img create -o' takes them", 0},
    {"json", KEY_JSON, NULL, 0, "One JSON object on standard output", 0},
    {"color", KEY_COLOR, "WHEN", 0, "auto, always or never", 0},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "List the cells that would be judged, and stop", 0},
    {"quiet", 'q', NULL, 0, "Findings and the summary only", 0},
    {"verbose", 'v', NULL, 0, "Every finding with its whole story", 0},
    {0},
};

#define GEN_KEYS  KEY_OPS, KEY_EVENTS, KEY_WITH, KEY_ONLY, KEY_JUDGE
#define QEMU_KEYS KEY_JUDGE_BY, KEY_SAMPLE, KEY_DEMONSTRATE, KEY_ENGINE, KEY_FORMAT, KEY_FORMAT_OPTIONS

/* What a verb has of these: the keys named, or all but them. One that is not here has all. */
static const struct {
    const char *verb;
    bool but;
    const int keys[20];
} verb_options[] = {
    {"run", true, {GEN_KEYS, QEMU_KEYS, 'o'}},
    {"matrix", true, {GEN_KEYS, KEY_JUDGE_BY, KEY_SAMPLE, KEY_DEMONSTRATE, KEY_FORMAT, KEY_FORMAT_OPTIONS}},
    {"repro", true, {GEN_KEYS, QEMU_KEYS, 'o'}},
    {"replay", true, {GEN_KEYS, KEY_ENGINE, KEY_FORMAT, KEY_FORMAT_OPTIONS, 'o'}},
    {"record", false, {KEY_FORMAT, KEY_FORMAT_OPTIONS, 'q'}},
    {"shrink", true, {GEN_KEYS, QEMU_KEYS}},
    {"explain",
     false,
     {KEY_EXPLORE, KEY_LIMIT, KEY_NESTED, KEY_SCHEDULE_LIMIT, KEY_STORE, KEY_JSON, KEY_COLOR, 'q', 'v'}},
    {"export", false, {'q'}},
    {"report", false, {'o', 'q'}},
    {"gen",
     false,
     {KEY_DESIGN, KEY_DISK, KEY_EXPLORE, KEY_LIMIT, KEY_NESTED, KEY_SCHEDULES, KEY_SCHEDULE_LIMIT, KEY_SEED, 'o',
      KEY_OPS, KEY_EVENTS, KEY_WITH, KEY_ONLY, KEY_JUDGE, KEY_JSON, 'j', 'q'}},
    {"flushes",
     false,
     {KEY_DISK, KEY_LIMIT, KEY_NESTED, KEY_SCHEDULE_LIMIT, KEY_SEED, 'j', KEY_OPS, KEY_EVENTS, KEY_JSON, 'q'}},
    {"search", /* designs search */
     false,
     {KEY_DISK, KEY_LIMIT, KEY_NESTED, KEY_SCHEDULE_LIMIT, KEY_SEED, 'j', KEY_OPS, KEY_EVENTS, KEY_JSON, 'q', 'v'}},
    {"merge", false, {0}},
    {"import", false, {KEY_STORE}},
    {"diff", false, {KEY_JSON, 'v'}},
};

/* Those of the verb at hand; set by options_parse. */
static struct argp_option argp_options[sizeof(all_options) / sizeof(all_options[0])];

static bool has_option(const char *verb, int key)
{
    for (size_t i = 0; i < sizeof(verb_options) / sizeof(verb_options[0]); i++)
        if (!strcmp(verb_options[i].verb, verb)) {
            for (const int *k = verb_options[i].keys; *k; k++)
                if (*k == key)
                    return !verb_options[i].but;
            return verb_options[i].but;
        }
    return true;
}

static void choose_options(const char *verb)
{
    size_t n = 0;
    for (const struct argp_option *o = all_options; o->name; o++)
        if (has_option(verb, o->key))
            argp_options[n++] = *o;
    argp_options[n] = (struct argp_option){0};
}

volatile int options_stopped;

static void on_signal(int sig)
{
    (void)sig;
    options_stopped = 1;
}

void options_catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND}; /* a second Ctrl-C kills */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write(), and has its sentence */
}

static void complain(const struct argp_state *state, const char *what, const char *arg, const char *const *words)
{
    const char *near = words ? scn_nearest_word(arg, words) : NULL;
    fprintf(stderr, "qedcrash %s: %s '%s'%s%s%s\n", state->argv[0], what, arg, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
}

static int add_design(struct options *o, const char *arg, struct argp_state *state)
{
    struct qed_design_error err;
    bool all = !strcmp(arg, "all");
    for (size_t i = 0; all && i < qed_design_count && o->design_count < OPTIONS_MAX_NAMES; i++)
        o->designs[o->design_count++] = &qed_designs[i];
    if (all)
        return 0;
    if (o->design_count == OPTIONS_MAX_NAMES) {
        fprintf(stderr, "qedcrash %s: more than %d designs\n", state->argv[0], OPTIONS_MAX_NAMES);
        return EINVAL;
    }
    if (design_load(arg, &o->designs[o->design_count], &err)) {
        fprintf(stderr, "qedcrash %s: %s\n", state->argv[0], err.text);
        return EINVAL;
    }
    o->design_count++;
    return 0;
}

static int add_disk(struct options *o, const char *arg, struct argp_state *state)
{
    const char *words[OPTIONS_MAX_NAMES] = {"all"};
    bool all = !strcmp(arg, "all"), found = false;
    for (size_t i = 0; i < sim_disk_model_count; i++) {
        words[i + 1] = sim_disk_models[i].name;
        bool wanted = all ? sim_disk_models[i].keeps_its_word : !strcmp(arg, sim_disk_models[i].name);
        if (wanted && o->disk_count < OPTIONS_MAX_NAMES) {
            o->disks[o->disk_count++] = &sim_disk_models[i];
            found = true;
        }
    }
    if (!found)
        complain(state, "there is no disk model", arg, words);
    return found ? 0 : EINVAL;
}

static int parse_count(const char *name, const char *arg, uint64_t least, uint64_t *value, struct argp_state *state)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(arg, &end, 10);
    if (errno || *end || end == arg || *arg == '-' || n < least) {
        fprintf(stderr, "qedcrash %s: --%s takes a whole number of at least %llu, not '%s'\n", state->argv[0], name,
                (unsigned long long)least, arg);
        return EINVAL;
    }
    *value = n;
    return 0;
}

static int parse_word(const char *option, const char *arg, const char *const *words, int *value,
                      struct argp_state *state)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], arg)) {
            *value = i;
            return 0;
        }
    char what[64];
    snprintf(what, sizeof(what), "--%s cannot be", option);
    complain(state, what, arg, words);
    return EINVAL;
}

/* "90", "90s", "30m", "8h", "2d" */
static int parse_duration(const char *name, const char *arg, uint64_t *seconds, struct argp_state *state)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{0, 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    errno = 0;
    unsigned long long n = strtoull(arg, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && !errno && end != arg && *arg != '-'; i++)
        if (*end == units[i].unit && (!*end || !end[1]) && n <= 1000000000 / units[i].seconds) {
            *seconds = n * units[i].seconds;
            return 0;
        }
    fprintf(stderr, "qedcrash %s: --%s takes a time such as 90, 90s, 30m or 8h, not '%s'\n", state->argv[0], name, arg);
    return EINVAL;
}

static int parse_cell_timeout(struct options *o, const char *arg, struct argp_state *state)
{
    uint64_t seconds;
    int ret = parse_duration("cell-timeout", arg, &seconds, state);
    if (!ret)
        o->cell_timeout_s = (unsigned)seconds;
    return ret;
}

static int parse_jobs(struct options *o, const char *arg, struct argp_state *state)
{
    uint64_t jobs;
    int ret = parse_count("jobs", arg, 1, &jobs, state);
    if (!ret)
        o->jobs = jobs < 1024 ? (unsigned)jobs : 1024;
    return ret;
}

static int parse_shard(struct options *o, const char *arg, struct argp_state *state)
{
    if (shard_parse(arg, &o->shard))
        return 0;
    fprintf(stderr, "qedcrash %s: --shard takes K/N, part K (from 1) of N, not '%s'\n", state->argv[0], arg);
    return EINVAL;
}

static int parse_explore(struct options *o, const char *arg, struct argp_state *state)
{
    static const char *const words[] = {"complete", "enumerate", "sample", NULL};
    int value = 0;
    if (parse_word("explore", arg, words, &value, state))
        return EINVAL;
    o->cell.explore = (enum explore)value;
    o->explore_given = true;
    return 0;
}

static int parse_judge(struct options *o, const char *arg, struct argp_state *state)
{
    static const char *const words[] = {"engine", "qemu", NULL};
    int value = 0;
    if (parse_word("judge", arg, words, &value, state))
        return EINVAL;
    o->qemu = value;
    return 0;
}

static int parse_engine(struct options *o, const char *arg, struct argp_state *state)
{
    static const char *const words[] = {"ours", "qemu", NULL};
    int value = 0;
    if (parse_word("engine", arg, words, &value, state))
        return EINVAL;
    o->qemu = value;
    return 0;
}

static int parse_sample(struct options *o, const char *arg, struct argp_state *state)
{
    o->cell.explore = EXPLORE_SAMPLE;
    o->explore_given = true;
    o->limit_given = true;
    return parse_count("sample", arg, 1, &o->cell.limit, state);
}

static int parse_color(struct options *o, const char *arg, struct argp_state *state)
{
    static const char *const words[] = {"auto", "always", "never", NULL};
    int value = 0;
    if (parse_word("color", arg, words, &value, state))
        return EINVAL;
    o->color = (enum option_color)value;
    return 0;
}

static int parse_output(struct options *o, char *arg, const struct argp_state *state)
{
    if (strcmp(state->argv[0], "shrink") != 0 && strcmp(state->argv[0], "gen") != 0 &&
        strcmp(state->argv[0], "report") != 0 && strcmp(state->argv[0], "matrix") != 0) {
        fprintf(stderr, "qedcrash %s: writes no file; -o belongs to shrink, gen, report and matrix --engine qemu\n",
                state->argv[0]);
        return EINVAL;
    }
    o->output = arg;
    return 0;
}

/* What belongs to generated workloads, and to QEMU. */
static error_t parse_special(struct options *o, int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case KEY_OPS:
        return parse_count("ops", arg, 1, &o->gen_ops, state);
    case KEY_EVENTS:
        o->gen_events_given = true;
        return parse_count("events", arg, 0, &o->gen_events, state);
    case KEY_WITH:
        o->gen_with = arg;
        return 0;
    case KEY_ONLY:
        o->gen_only = arg;
        return 0;
    case KEY_JUDGE:
        o->gen_judge = true;
        return 0;
    case KEY_JUDGE_BY:
        return parse_judge(o, arg, state);
    case KEY_ENGINE:
        return parse_engine(o, arg, state);
    case KEY_SAMPLE:
        return parse_sample(o, arg, state);
    case KEY_DEMONSTRATE:
        o->demonstrate = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case KEY_DESIGN:
        return add_design(o, arg, state);
    case KEY_DISK:
        return add_disk(o, arg, state);
    case KEY_EXPLORE:
        return parse_explore(o, arg, state);
    case KEY_LIMIT:
        o->limit_given = true;
        return parse_count("limit", arg, 1, &o->cell.limit, state);
    case KEY_NESTED:
        return parse_count("nested", arg, 0, &o->cell.nested, state);
    case KEY_SCHEDULES:
        o->all_schedules = !strcmp(arg, "all");
        o->schedules = 0;
        o->schedules_given = true;
        return o->all_schedules ? 0 : parse_count("schedules", arg, 1, &o->schedules, state);
    case KEY_SCHEDULE_LIMIT:
        return parse_count("schedule-limit", arg, 1, &o->cell.schedule_limit, state);
    case KEY_SEED:
        return parse_count("seed", arg, 0, &o->cell.seed, state);
    case KEY_STORE:
        o->store = arg;
        return 0;
    case 'o':
        return parse_output(o, arg, state);
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_COLOR:
        return parse_color(o, arg, state);
    case 'j':
        return parse_jobs(o, arg, state);
    case KEY_RESUME:
        o->resume = true;
        return 0;
    case KEY_SHARD:
        return parse_shard(o, arg, state);
    case KEY_BASELINE:
        o->baseline = arg;
        return 0;
    case KEY_TIME_LIMIT:
        return parse_duration("time-limit", arg, &o->time_limit_s, state);
    case KEY_CELL_TIMEOUT:
        return parse_cell_timeout(o, arg, state);
    case KEY_DRY_RUN:
        o->dry_run = true;
        return 0;
    case KEY_FORMAT:
        o->format = arg;
        return 0;
    case KEY_FORMAT_OPTIONS:
        o->format_options = arg;
        return 0;
    case 'q':
        o->quiet = true;
        return 0;
    case 'v':
        o->verbose = true;
        return 0;
    case ARGP_KEY_ARG:
        o->arguments = xreallocarray(o->arguments, (size_t)o->argument_count + 1, sizeof(*o->arguments));
        o->arguments[o->argument_count++] = arg;
        return 0;
    default:
        return parse_special(o, key, arg, state);
    }
}

/* argp's own complaint takes two lines and names no near word, so options are looked at here first. One name may be cut
 * short where nothing else begins like it. */
static const struct argp_option *find_option(const char *name, size_t length, int *matches)
{
    const struct argp_option *found = NULL;
    *matches = 0;
    for (const struct argp_option *o = argp_options; o->name; o++) {
        if (strncmp(o->name, name, length) != 0)
            continue;
        if (!o->name[length]) {
            *matches = 1;
            return o;
        }
        found = o;
        ++*matches;
    }
    return found;
}

static int complain_option(char **argv, const char *arg, size_t length, int matches)
{
    const char *words[sizeof(argp_options) / sizeof(argp_options[0])] = {0};
    char name[64];
    for (size_t i = 0; argp_options[i].name; i++)
        words[i] = argp_options[i].name;
    snprintf(name, sizeof(name), "%.*s", (int)length, arg + 2);
    const char *near = matches ? NULL : scn_nearest_word(name, words);
    fprintf(stderr, "qedcrash %s: %s '--%s'%s%s%s\n", argv[0],
            matches ? "more than one option begins with" : "there is no option", name, near ? "; did you mean '--" : "",
            near ? near : "", near ? "'?" : "");
    return EINVAL;
}

static int check_long(int argc, char **argv, int *at)
{
    const char *arg = argv[*at];
    size_t length = strcspn(arg + 2, "=");
    int matches;
    const struct argp_option *o = find_option(arg + 2, length, &matches);
    if (matches != 1)
        return complain_option(argv, arg, length, matches);
    bool value = arg[2 + length] == '=';
    if (o->arg && !value && ++*at >= argc)
        fprintf(stderr, "qedcrash %s: --%s wants a value, %s\n", argv[0], o->name, o->arg);
    else if (!o->arg && value)
        fprintf(stderr, "qedcrash %s: --%s takes no value\n", argv[0], o->name);
    else
        return 0;
    return EINVAL;
}

static int check_short(int argc, char **argv, int *at)
{
    for (const char *c = argv[*at] + 1; *c; c++) {
        const struct argp_option *o = argp_options;
        while (o->name && o->key != *c)
            o++;
        if (!o->name) {
            fprintf(stderr, "qedcrash %s: there is no option '-%c'\n", argv[0], *c);
            return EINVAL;
        }
        if (o->arg && !c[1] && ++*at >= argc) {
            fprintf(stderr, "qedcrash %s: -%c wants a value, %s\n", argv[0], *c, o->arg);
            return EINVAL;
        }
        if (o->arg)
            return 0; /* the rest is its value, or the next word is */
    }
    return 0;
}

static int check_options(int argc, char **argv)
{
    int ret = 0;
    for (int i = 1; i < argc && !ret && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || !argv[i][1])
            continue;
        ret = argv[i][1] == '-' ? check_long(argc, argv, &i) : check_short(argc, argv, &i);
    }
    return ret;
}

int options_parse(int argc, char **argv, const char *args_doc, const char *doc, struct options *o, bool *help)
{
    choose_options(argv[0]);
    const struct argp argp = {.options = argp_options, .parser = parse_option, .args_doc = args_doc, .doc = doc};
    memset(o, 0, sizeof(*o));
    o->cell =
        (struct cell_options){.explore = EXPLORE_COMPLETE, .limit = 1000000, .nested = 1, .schedule = 1, .seed = 1};
    o->cell.stop = &options_stopped;
    o->schedules = 1;
    o->cell_timeout_s = 300;
    *help = false;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--"))
            break;
        else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-?"))
            *help = true;
    if (*help) {
        char name[64];
        snprintf(name, sizeof(name), "qedcrash %s", argv[0]);
        argp_help(&argp, stdout, ARGP_HELP_PRE_DOC, name);
        putchar('\n');
        argp_help(&argp, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_POST_DOC, name);
        return 0;
    }
    error_t ret = check_options(argc, argv);
    if (!ret)
        ret = argp_parse(&argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_HELP | ARGP_NO_ERRS, NULL, o);
    if (!ret)
        return 0;
    options_free(o);
    return EXIT_USAGE;
}

void options_default_designs(struct options *o)
{
    if (o->design_count)
        return;
    for (size_t i = 0; i < qed_design_count && i < OPTIONS_MAX_NAMES; i++)
        o->designs[o->design_count++] = &qed_designs[i];
}

void options_default_disks(struct options *o, bool all)
{
    if (o->disk_count)
        return;
    for (size_t i = 0; i < (all ? sim_disk_model_count : 1); i++)
        if (sim_disk_models[i].keeps_its_word)
            o->disks[o->disk_count++] = &sim_disk_models[i];
}

void options_free(struct options *o)
{
    for (size_t i = 0; i < o->design_count; i++)
        design_unload(o->designs[i]);
    o->design_count = 0;
    free(o->arguments);
    o->arguments = NULL;
}

static bool color_wanted(const struct options *o)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    switch (o->color) {
    case COLOR_ALWAYS:
        return true;
    case COLOR_NEVER:
        return false;
    case COLOR_AUTO:
        break;
    }
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

/* By the locale's name: nothing else of the locale is used. */
static bool shows_unicode(void)
{
    const char *names[] = {getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")};
    for (size_t i = 0; i < 3; i++)
        if (names[i] && *names[i])
            return strcasestr(names[i], "utf-8") || strcasestr(names[i], "utf8");
    return false;
}

void options_render(const struct options *o, struct render_options *r)
{
    struct winsize size = {0};
    *r = (struct render_options){.color = color_wanted(o), .quiet = o->quiet, .verbose = o->verbose};
    const char *columns = getenv("COLUMNS");
    r->unicode = shows_unicode();
    if (columns && atoi(columns) > 0)
        r->width = (unsigned)atoi(columns);
    else if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
        r->width = size.ws_col;
}
