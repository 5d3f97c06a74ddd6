/* bench_complete.c: what a complete verdict costs, over how many states.
 *
 *     bench_complete [--json FILE] [--plot DIR]
 *
 *   64 writes     64 allocating writes, nothing flushed between them: more than 2^64 states, by the command line
 *   n writes      n sectors written, nothing flushed, and an entry pending in one table sector; then the same with every
 *                 eighth write allocating, so that this sector has n / 8 pending versions too
 *   k sectors     k table sectors with several pending versions each, which recovery treats independently
 *
 * The last two measure one crash space, the biggest of the run: load it, judge all its states. Times are the least of
 * some runs. With --plot, DIR gets the measured points as writes.dat and sectors.dat.
 */
#include "tests/bench/bench_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "simdisk/xalloc.h"

static const char *const designs[] = {"v2", "upstream"}; /* the second has to scan */
enum { DESIGNS = 2 };

/* --- one complete verdict ------------------------------------------------------------------------------------------ */

struct cost {
    double seconds, states_log2;
    uint64_t executions, violations;
    size_t units;
    bool complete;
};

static void count_violation(void *opaque, const struct violation *v)
{
    (void)v;
    ++((struct cost *)opaque)->violations;
}

static bool always(void *opaque)
{
    (void)opaque;
    return true;
}

static void judge_once(struct bench_run *b, struct explorer *x, struct cost *c)
{
    uint64_t before = judge_count(b->judge)->executions;
    c->violations = 0;
    double start = bench_now();
    crash_disk_load(b->disk, b->space, explorer_chooser(x));
    c->complete = judge_space(b->judge, x, b->disk, count_violation, always, c);
    double took = bench_now() - start;
    c->executions = judge_count(b->judge)->executions - before;
    if (took < c->seconds)
        c->seconds = took;
}

/* The least of as many runs as fit into a third of a second, but one at the least. */
static struct cost measure(const char *text, const char *design)
{
    struct bench_run b;
    struct explorer *x = explorer_create();
    struct cost c = {.seconds = INFINITY};
    bench_open_text(&b, text, design, explorer_chooser(x));
    c.states_log2 = b.states_log2;
    c.units = b.space->unit_count;
    double start = bench_now();
    do
        judge_once(&b, x, &c);
    while (bench_now() - start < 0.3);
    bench_close(&b);
    explorer_destroy(x);
    return c;
}

/* --- scenarios ----------------------------------------------------------------------------------------------------- */

#define HEAD "image size=%s cluster=4K table=2\n"

struct text {
    char *bytes;
    size_t size;
    FILE *out;
};

static void text_begin(struct text *t)
{
    *t = (struct text){0};
    t->out = xalloc_check(open_memstream(&t->bytes, &t->size));
}

static char *text_end(struct text *t)
{
    fclose(t->out);
    return t->bytes;
}

/* In place, after one that allocates. */
static char *n_in_place(unsigned n)
{
    struct text t;
    text_begin(&t);
    fprintf(t.out, HEAD "prepare write 0 %u\nwrite 512K 4K\n", "1M", n * 512);
    for (unsigned i = 0; i < n; i++)
        fprintf(t.out, "write %u 512\n", i * 512);
    return text_end(&t);
}

/* The table exists: an entry in its second sector was made long ago. */
static char *n_writes(unsigned n, unsigned bytes, unsigned step)
{
    struct text t;
    text_begin(&t);
    fprintf(t.out, HEAD "prepare write 256K 4K\n", "1M");
    for (unsigned i = 0; i < n; i++)
        fprintf(t.out, "write %u %u\n", i * step, bytes);
    return text_end(&t);
}

/* A table sector holds the entries of 256 KiB. */
static char *k_sectors(unsigned k, unsigned versions)
{
    struct text t;
    text_begin(&t);
    fprintf(t.out, HEAD, "32M");
    for (unsigned i = 0; i < 8; i++)
        fprintf(t.out, "prepare write %uM 4K\n", i * 4);
    for (unsigned v = 1; v <= versions; v++)
        for (unsigned i = 0; i < k; i++)
            fprintf(t.out, "write %u 4K\n", i * (256 << 10) + v * 4096);
    return text_end(&t);
}

/* --- 64 writes, by the command line -------------------------------------------------------------------------------- */

/* Does it say so? The text around the number is reports/' business; here only these two words count. */
static bool run_cli(const char *text, const char *design, double *seconds)
{
    char path[] = "/tmp/bench-64-XXXXXX.scn", command[400], *answer = NULL;
    size_t cap = 0;
    int fd = mkstemps(path, 4);
    const char *program = getenv("QEDCRASH");
    if (fd < 0 || !program || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
        return false;
    snprintf(command, sizeof(command), "%s run %s --design %s --json", program, path, design);
    *seconds = INFINITY;
    bool complete = true;
    for (int i = 0; i < 3 && complete; i++) {
        double start = bench_now();
        FILE *in = popen(command, "r");
        complete = in && getdelim(&answer, &cap, 0, in) > 0 && strstr(answer, "\"complete\":true");
        if (in)
            pclose(in);
        double took = bench_now() - start;
        *seconds = took < *seconds ? took : *seconds;
    }
    unlink(path);
    free(answer);
    return complete;
}

static void say_64(const char *where, char *text, const char *design)
{
    double seconds = 0;
    bool complete = run_cli(text, design, &seconds);
    struct cost c = measure(text, design);
    char name[96], how[320];
    snprintf(name, sizeof(name), "64 pending writes, %s, %s", where, design);
    snprintf(
        how, sizeof(how),
        "qedcrash run --json, least of 3 runs, complete:%s; its biggest epoch has 2^%.0f states, judged in %" PRIu64
        " executions",
        complete ? "true" : "false", c.states_log2, c.executions);
    bench_say(&(struct bench_number){.name = name,
                                     .value = seconds,
                                     .unit = "s",
                                     .target = "< 1, complete",
                                     .met = complete && seconds < 1 && c.states_log2 > 64,
                                     .how = how});
    free(text);
}

/* --- growth -------------------------------------------------------------------------------------------------------- */

static FILE *plot_open(const char *dir, const char *file)
{
    char path[512];
    if (!dir)
        return NULL;
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    FILE *out = fopen(path, "we");
    if (!out)
        fprintf(stderr, "bench_complete: %s: %s\n", path, strerror(errno));
    return out;
}

enum { FIRST_N = 8, LAST_N = 512, NS = 7 };

static double n_log_n(double n)
{
    return n * log2(n);
}

static void say_growth(const struct cost costs[NS], const char *what, const char *design, bool target)
{
    char name[96], how[600];
    int used = 0;
    for (unsigned i = 0; i < NS; i++)
        used += snprintf(how + used, sizeof(how) - (size_t)used, "%sn=%u: %.2f ms (%" PRIu64 " executions)",
                         i ? ", " : "", FIRST_N << i, costs[i].seconds * 1e3, costs[i].executions);
    snprintf(name, sizeof(name), "t(%d)/t(%d) %s, %s", LAST_N, FIRST_N, what, design);
    double ratio = costs[NS - 1].seconds / costs[0].seconds, limit = n_log_n(LAST_N) / n_log_n(FIRST_N);
    bench_say(&(struct bench_number){.name = name,
                                     .value = ratio,
                                     .unit = "x",
                                     .target = target ? "<= 192 (n log n)" : NULL,
                                     .met = target ? ratio <= limit : -1,
                                     .how = how});
}

static void bench_writes(const char *dir)
{
    struct cost in_place[DESIGNS][NS], allocating[DESIGNS][NS];
    FILE *plot = plot_open(dir, "writes.dat");
    for (int d = 0; d < DESIGNS; d++)
        for (unsigned i = 0; i < NS; i++) {
            char *text = n_in_place(FIRST_N << i), *harder = n_writes(FIRST_N << i, 512, 512);
            in_place[d][i] = measure(text, designs[d]);
            allocating[d][i] = measure(harder, designs[d]);
            free(text);
            free(harder);
        }
    for (unsigned i = 0; i < NS && plot; i++)
        fprintf(plot, "%u %.9f %.9f %.9f %.9f\n", FIRST_N << i, in_place[0][i].seconds, in_place[1][i].seconds,
                allocating[0][i].seconds, allocating[1][i].seconds);
    if (plot)
        fclose(plot);
    for (int d = 0; d < DESIGNS; d++) {
        say_growth(in_place[d], "writes in place", designs[d], true);
        say_growth(allocating[d], "every eighth allocates", designs[d], false);
    }
}

enum { KS = 5, VERSIONS = 4 };

static void bench_sectors(const char *dir)
{
    FILE *plot = plot_open(dir, "sectors.dat");
    struct cost costs[DESIGNS][KS];
    for (int d = 0; d < DESIGNS; d++)
        for (unsigned i = 0; i < KS; i++) {
            char *text = k_sectors(1u << i, VERSIONS);
            costs[d][i] = measure(text, designs[d]);
            free(text);
        }
    for (unsigned i = 0; i < KS && plot; i++)
        fprintf(plot, "%u %.9f %.9f %.9f\n", 1u << i, costs[0][i].seconds, costs[1][i].seconds,
                costs[0][0].seconds * pow(VERSIONS + 1, (1u << i) - 1));
    if (plot)
        fclose(plot);
    for (int d = 0; d < DESIGNS; d++) {
        char name[96], how[600];
        int used = snprintf(how, sizeof(how), "%d versions each; ", VERSIONS + 1);
        for (unsigned i = 0; i < KS; i++)
            used += snprintf(how + used, sizeof(how) - (size_t)used, "%sk=%u: %.2f ms (%" PRIu64 " executions)",
                             i ? ", " : "", 1u << i, costs[d][i].seconds * 1e3, costs[d][i].executions);
        double exponent = log2(costs[d][KS - 1].seconds / costs[d][0].seconds) / (KS - 1);
        snprintf(name, sizeof(name), "growth exponent in table sectors, %s", designs[d]);
        bench_say(&(struct bench_number){
            .name = name, .value = exponent, .unit = "of k, 1..16", .target = NULL, .met = -1, .how = how});
        snprintf(name, sizeof(name), "two table sectors against one, %s", designs[d]);
        snprintf(how, sizeof(how), "executions; the product would be %d", VERSIONS + 1);
        double ratio = (double)costs[d][1].executions / (double)costs[d][0].executions;
        bench_say(&(struct bench_number){
            .name = name, .value = ratio, .unit = "x", .target = "< 5", .met = ratio < VERSIONS + 1, .how = how});
    }
}

int main(int argc, char **argv)
{
    const char *dir = NULL;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--json") && i + 1 < argc)
            bench_json_open(argv[++i]);
        else if (!strcmp(argv[i], "--plot") && i + 1 < argc)
            dir = argv[++i];
    for (int d = 0; d < DESIGNS; d++) {
        say_64("one table sector", n_writes(64, 4096, 4096), designs[d]);
        say_64("16 table sectors", k_sectors(16, 4), designs[d]);
    }
    bench_writes(dir);
    bench_sectors(dir);
    return bench_all_met() ? 0 : 1;
}
