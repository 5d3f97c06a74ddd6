/* bench_kit.h: what the benchmarks share: one crash space of one recorded run, a clock, a count of malloc, and a way to
 * write a number down together with how it was measured.
 */
#ifndef TESTS_BENCH_BENCH_KIT_H
#define TESTS_BENCH_BENCH_KIT_H

#include "harness/judge.h"
#include "simdisk/crash_state.h"

/* A scenario, recorded; the judge for it; and its biggest crash space, loaded on a disk. */
struct bench_run {
    struct scenario *scenario;
    struct recording recording;
    const struct qed_design *design;
    const struct sim_disk_model *model;
    struct judge *judge;
    struct crash_disk *disk;
    struct crash_space *space;
    double states_log2;
};

/* On disk model ssd. Ends the program with a message if the scenario does not run. The chooser may be NULL. */
void bench_open_file(struct bench_run *b, const char *path, const char *design, struct crash_chooser *chooser);
void bench_open_text(struct bench_run *b, const char *text, const char *design, struct crash_chooser *chooser);
void bench_close(struct bench_run *b);

double bench_now(void); /* seconds, monotonic */
/* Calls of malloc, calloc, realloc and free by this process: bench_kit.c stands in front of glibc's. */
uint64_t bench_mallocs(void);

/* A number: printed as one line, and as one JSON object a line into the file that bench_json_open() named. `how` says
 * how it was measured; target may be NULL; met: -1 where there is no target. */
struct bench_number {
    const char *name;
    double value;
    const char *unit;
    const char *target;
    int met;
    const char *how;
};
void bench_json_open(const char *path); /* NULL: no file */
void bench_say(const struct bench_number *n);
/* True unless some number missed its target. */
bool bench_all_met(void);

#endif
