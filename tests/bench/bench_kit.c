/* bench_kit.c: see bench_kit.h. */
#include "tests/bench/bench_kit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "simdisk/xalloc.h"

/* --- counting malloc ----------------------------------------------------------------------------------------------- */

/* Defined here, these replace glibc's for the whole program, libraries included. One thread: no atomics. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static uint64_t malloc_calls;

void *malloc(size_t size)
{
    malloc_calls++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    malloc_calls++;
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    malloc_calls++;
    return __libc_realloc(p, size);
}

void free(void *p)
{
    malloc_calls += p != NULL;
    __libc_free(p);
}

uint64_t bench_mallocs(void)
{
    return malloc_calls;
}

double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- one run ------------------------------------------------------------------------------------------------------- */

static __attribute__((noreturn, format(printf, 1, 2))) void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static struct crash_space *biggest_space(struct bench_run *b)
{
    struct crash_walk *walk = crash_walk_create(b->recording.history, b->model, false);
    struct crash_space *space, *biggest = NULL;
    b->states_log2 = -1;
    while ((space = crash_walk_next(walk))) {
        struct bignum count;
        crash_space_count(space, &count);
        double log2 = bignum_log2(&count);
        bignum_free(&count);
        bool bigger = log2 > b->states_log2;
        crash_space_free(bigger ? biggest : space);
        if (bigger) {
            biggest = space;
            b->states_log2 = log2;
        }
    }
    crash_walk_destroy(walk);
    return biggest;
}

void bench_open_text(struct bench_run *b, const char *text, const char *design, struct crash_chooser *chooser)
{
    struct scn_error err;
    *b = (struct bench_run){.design = qed_design_find(design), .model = sim_disk_model_find("ssd")};
    if (!b->design || !b->model)
        give_up("no design '%s'", design);
    if (scenario_parse("bench.scn", text, strlen(text), &b->scenario, &err))
        give_up("%s", err.text);
    struct run_options run = {.design = b->design, .disk = b->model, .schedule = {.number = 1, .seed = 1}};
    if (scenario_record(b->scenario, &run, &b->recording, &err))
        give_up("%s", err.text);
    b->judge = judge_create(&b->recording, b->design);
    b->disk = crash_disk_create();
    b->space = biggest_space(b);
    crash_disk_load(b->disk, b->space, chooser);
}

void bench_open_file(struct bench_run *b, const char *path, const char *design, struct crash_chooser *chooser)
{
    char *text = NULL;
    size_t cap = 0;
    FILE *in = fopen(path, "re");
    if (!in || getdelim(&text, &cap, 0, in) < 0)
        give_up("%s: %s", path, strerror(errno));
    fclose(in);
    bench_open_text(b, text, design, chooser);
    free(text);
}

void bench_close(struct bench_run *b)
{
    crash_disk_destroy(b->disk);
    crash_space_free(b->space);
    judge_destroy(b->judge);
    recording_free(&b->recording);
    scenario_free(b->scenario);
}

/* --- saying -------------------------------------------------------------------------------------------------------- */

static FILE *json;
static bool any_missed;

void bench_json_open(const char *path)
{
    if (path && !(json = fopen(path, "ae")))
        give_up("%s: %s", path, strerror(errno));
    if (json)
        setlinebuf(json);
}

/* Three significant digits at least, and no exponent: these are read by people. */
static void print_value(FILE *out, double value)
{
    fprintf(out, "%.*f", value == (double)(uint64_t)value || value >= 1000 ? 0 : value >= 10 ? 1 : 4, value);
}

void bench_say(const struct bench_number *n)
{
    any_missed |= n->met == 0;
    printf("  %-44s ", n->name);
    char text[64];
    FILE *out = xalloc_check(fmemopen(text, sizeof(text), "w"));
    print_value(out, n->value);
    fclose(out);
    printf("%12s %-14s %s%s%s\n", text, n->unit,
           n->met < 0 ? ""
           : n->met   ? "ok      "
                      : "MISSED  ",
           n->target ? "target " : "", n->target ? n->target : "");
    printf("      %s\n", n->how);
    fflush(stdout);
    if (!json)
        return;
    fprintf(json, "{\"name\": \"%s\", \"value\": ", n->name);
    print_value(json, n->value);
    fprintf(json, ", \"unit\": \"%s\", \"target\": ", n->unit);
    fprintf(json, n->target ? "\"%s\"" : "%s", n->target ? n->target : "null");
    fprintf(json, ", \"met\": %s, \"how\": \"%s\"}\n", n->met < 0 ? "null" : n->met ? "true" : "false", n->how);
}

bool bench_all_met(void)
{
    return !any_missed;
}
