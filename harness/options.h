/* options.h: the options that run, matrix and repro share, parsed once, with glibc's argp. */
#ifndef HARNESS_OPTIONS_H
#define HARNESS_OPTIONS_H

#include <argp.h>

#include "harness/cell.h"
#include "harness/shard.h"
#include "reports/render.h"

#define OPTIONS_MAX_NAMES 64

enum option_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct options {
    const struct qed_design *designs[OPTIONS_MAX_NAMES];
    size_t design_count;
    const struct sim_disk_model *disks[OPTIONS_MAX_NAMES];
    size_t disk_count;
    struct cell_options cell;
    uint64_t schedules; /* 0 if all_schedules */
    bool all_schedules;
    bool schedules_given; /* else each scenario says how many */
    const char *store;
    const char *output; /* -o */
    bool json, quiet, verbose, dry_run;
    unsigned jobs;           /* -j; 0: as many as there are processors */
    unsigned cell_timeout_s; /* without a sign of life */
    uint64_t time_limit_s;   /* 0: none */
    bool resume;
    struct shard shard;
    const char *baseline;
    enum option_color color;
    /* gen */
    uint64_t gen_ops, gen_events; /* ops 0: not given */
    bool gen_events_given, gen_judge;
    const char *gen_with, *gen_only; /* classes; NULL: not given */
    /* record, replay, matrix */
    bool qemu; /* replay: QEMU judges; matrix: it is judged */
    bool explore_given, limit_given, demonstrate;
    const char *format, *format_options; /* NULL: not given */
    char **arguments;                    /* what is left: scenarios, a directory, an id */
    int argument_count;
};

/* Parses argv for a verb whose options these are; `doc` is argp's (examples first). 0, or EXIT_USAGE after one line on
 * stderr; *help is set when --help was printed. */
int options_parse(int argc, char **argv, const char *args_doc, const char *doc, struct options *o, bool *help);
/* Where none were named: all designs; all disk models that keep their word, or only the first of them. */
void options_default_designs(struct options *o);
void options_default_disks(struct options *o, bool all);
void options_free(struct options *o);
void options_render(const struct options *o, struct render_options *r);

/* Set by SIGINT and SIGTERM once options_catch_signals was called. */
extern volatile int options_stopped;
void options_catch_signals(void);

#endif
