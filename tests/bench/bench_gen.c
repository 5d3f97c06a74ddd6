/* bench_gen.c: from an empty start: how long until generation has found each bug of the debate?
 *
 *     bench_gen [--json FILE] [CLAIM...]
 *
 * tests/bench/gen_bugs.h has the bugs. No scenario is read: harness/gen_hunt.h starts at the generator's first workload, and
 * the clock stops at the first finding of the class that was asked for.
 */
#include "tests/bench/bench_kit.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "harness/design_load.h"
#include "tests/bench/gen_bugs.h"

/* Not by the clock on the wall: other work slows that down, and here there is no second measurement to compare with. */
static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void say(const struct gen_bug *b, const struct gen_hunt *h, double seconds)
{
    char name[160], how[600];
    const char *bound = b->bound ? b->bound : "the default bound";
    snprintf(name, sizeof(name), "time to %s", b->claim);
    if (h->found)
        snprintf(how, sizeof(how), "%s: %s, %s on %s, workload %" PRIu64 " of %s, %s, %u words, %" PRIu64 " judgements",
                 b->what, verdict_class_name(b->class), b->design, b->disk, h->workload, bound, h->name, h->words,
                 h->turns);
    else
        snprintf(how, sizeof(how), "%s: %s, %s on %s: NOT FOUND within %s", b->what, verdict_class_name(b->class),
                 b->design, b->disk, bound);
    bench_say(&(struct bench_number){.name = name,
                                     .value = seconds,
                                     .unit = "s CPU",
                                     .target = "found, in 4 operations",
                                     .met = h->found && h->words <= GEN_BUG_WORDS,
                                     .how = how});
}

static int search(const struct gen_bug *b)
{
    struct qed_design_error design_err;
    struct scn_error err;
    const struct qed_design *design;
    if (design_load(b->design, &design, &design_err)) {
        fprintf(stderr, "bench_gen: %s\n", design_err.text);
        return -1;
    }
    struct gen_hunt h = gen_bug_hunt(b, design);
    double begin = cpu_seconds();
    int ret = gen_hunt_run(&h, &err);
    if (ret)
        fprintf(stderr, "bench_gen: %s\n", err.text);
    else
        say(b, &h, cpu_seconds() - begin);
    gen_hunt_free(&h);
    design_unload(design);
    return ret;
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
    for (size_t i = 0; i < GEN_BUG_COUNT; i++)
        if (wanted(gen_bugs[i].claim, argc - first, argv + first) && search(&gen_bugs[i]))
            return 1;
    return bench_all_met() ? 0 : 1;
}
