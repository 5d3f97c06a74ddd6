/* bench_gen.c: from an empty start: how long until generation has found each bug of the debate?
 *
 *     bench_gen [--json FILE] [CLAIM...]
 *
 * A row is a design with the bug in it, a disk model, and what counts as having found it. No scenario is read: the
 * generator starts at its first workload, under every schedule, and the clock stops at the first finding of that class.
 */
#include "tests/bench/bench_kit.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "harness/design_load.h"
#include "harness/gen_judge.h"
#include "harness/id.h"

#define OPS_TARGET 4u

static const struct bug {
    const char *claim, *what, *design, *disk;
    enum verdict_class class;
    unsigned classes; /* 0: the default bound's */
} bugs[] = {
    {"A1", "a reused cluster shows what it held", "trim", "ssd", VERDICT_DISCLOSURE, 0},
    {"A2", "an entry beyond the end, and no mark", "v2", "ssd", VERDICT_CORRUPT, 0},
    {"A3", "the tail is handed out again", "upstream,need_check=flushed,zero_fill=skip-all-zero", "ssd",
     VERDICT_DISCLOSURE, 0},
    {"A5", "nobody waits for an allocation", "v2,lock=none", "writethrough", VERDICT_LOST_FLUSHED, 0},
    {"A6", "a flush overtakes the link", "v2", "writethrough", VERDICT_LOST_FLUSHED, 0},
    {"A7", "copied bytes lost", "v2", "ssd", VERDICT_LOST_COW, 0},
    {"A9", "a mark that is not durable", "upstream", "ssd", VERDICT_CORRUPT, 0},
    {"A10", "a dangling entry becomes valid", "upstream", "ssd", VERDICT_DISCLOSURE, 0},
    {"A12", "a zero fill left out, on a device", "zero-detect", "hostdev", VERDICT_DISCLOSURE, 0},
    {"A15", "no flush without a backing file, on a device", "skip-no-backing", "hostdev", VERDICT_DISCLOSURE, 0},
    {"A22", "the mark cleared before the flush", "naive", "ssd", VERDICT_CORRUPT, 0},
    {"A26", "a link before its table", "v2,l1_flush=off", "ssd", VERDICT_CORRUPT, 0},
    {"B2", "the repair's flush left out", "mark-flushed", "ssd", VERDICT_CORRUPT, GEN_BASIC | GEN_KILL},
    {"B3", "a failed mark counts as set", "mark-flushed,repair_flush=on", "ssd", VERDICT_CORRUPT,
     GEN_WRITE | GEN_FLUSH | GEN_INJECT},
    {"B8", "what a zero cluster had hidden", "upstream", "writethrough", VERDICT_LOST_FLUSHED, 0},
};

/* Not by the clock on the wall: other work slows that down, and here there is no second measurement to compare with. */
static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

struct search {
    const struct bug *bug;
    double begin, seconds;
    char name[GEN_NAME_MAX];
    unsigned words;
    uint64_t workload;
};

static bool found(void *opaque, const struct gen_kind_found *k)
{
    struct search *s = opaque;
    if (k->class != s->bug->class)
        return true;
    s->seconds = cpu_seconds() - s->begin;
    s->words = k->words;
    s->workload = k->workload;
    snprintf(s->name, sizeof(s->name), "%s", k->name);
    return false;
}

static int search(struct search *s)
{
    struct qed_design_error design_err;
    struct scn_error err;
    struct gen_judge g = {.disk = sim_disk_model_find(s->bug->disk), .bound = GEN_DEFAULT, .found = found, .opaque = s};
    if (design_load(s->bug->design, &g.design, &design_err)) {
        fprintf(stderr, "bench_gen: %s\n", design_err.text);
        return -1;
    }
    if (s->bug->classes)
        g.bound.classes = s->bug->classes;
    g.options = (struct cell_options){.explore = EXPLORE_COMPLETE,
                                      .limit = 1000000,
                                      .nested = 1,
                                      .schedule = ID_ALL_SCHEDULES,
                                      .schedule_limit = 5000,
                                      .seed = 1};
    s->begin = cpu_seconds();
    int ret = gen_judge_run(&g, &err);
    if (ret)
        fprintf(stderr, "bench_gen: %s\n", err.text);
    gen_judge_free(&g);
    design_unload(g.design);
    return ret;
}

static void say(const struct search *s)
{
    char name[160], how[500] = "NOT FOUND within the default bound";
    const struct bug *b = s->bug;
    bool met = s->name[0] && s->words <= OPS_TARGET;
    snprintf(name, sizeof(name), "time to %s", b->claim);
    if (s->name[0])
        snprintf(how, sizeof(how), "%s: %s, %s on %s, workload %" PRIu64 ", %s, %u words", b->what,
                 verdict_class_name(b->class), b->design, b->disk, s->workload, s->name, s->words);
    bench_say(&(struct bench_number){.name = name,
                                     .value = s->seconds,
                                     .unit = "s CPU",
                                     .target = "found, in 4 operations",
                                     .met = met,
                                     .how = how});
}

/* Those named, or all. */
static bool wanted(const char *claim, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (!strcmp(claim, argv[i]))
            return true;
    return !argc;
}

int main(int argc, char **argv)
{
    int first = 1;
    if (argc >= 3 && !strcmp(argv[1], "--json")) {
        bench_json_open(argv[2]);
        first = 3;
    }
    for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++) {
        struct search s = {.bug = &bugs[i]};
        if (!wanted(bugs[i].claim, argc - first, argv + first))
            continue;
        if (search(&s))
            return 1;
        say(&s);
    }
    return bench_all_met() ? 0 : 1;
}
