/* scenario.h: the scenario language: what a `.scn` file says, as data. docs/scenarios.md has the words.
 *
 *   file.scn ──scenario_parse──▶ struct scenario ──scenario_print──▶ the same text, canonical
 *                                     │
 *                                     └──runner.h──▶ history + promise
 */
#ifndef SCENARIOS_SCENARIO_H
#define SCENARIOS_SCENARIO_H

#include <stdio.h>

#include "engine/blockdev.h"
#include "engine/qed_design.h"
#include "oracle/verdict.h"
#include "simdisk/disk_model.h"

enum scn_op {
    SCN_WRITE,
    SCN_READ,
    SCN_FLUSH,
    SCN_ZERO,
    SCN_DISCARD, /* data requests: may stand behind prepare and aio */
    SCN_TRUNCATE,
    SCN_WAIT,
    SCN_SLEEP,
    SCN_CANCEL,
    SCN_INJECT,
    SCN_REBASE,
    SCN_CLOSE,
    SCN_OPEN,
    SCN_REOPEN,
    SCN_KILL,
    SCN_CRASH,
    SCN_OP_COUNT
};

enum scn_mode { SCN_MODE_RW, SCN_MODE_RO, SCN_MODE_CHECK };

#define SCN_NAME_MAX    31
#define SCN_WAIT_MAX    16
#define SCN_PROGRAM_MAX 119
#define SCN_LEDGER_MAX  16
#define SCN_CLAIM_MAX   4 /* "A12b" */

struct scn_stmt {
    enum scn_op op;
    unsigned line;                     /* in the file, from 1 */
    bool prepare;                      /* done, flushed and closed before recording starts */
    bool aio;                          /* starts, does not wait */
    char name[SCN_NAME_MAX + 1];       /* aio, cancel */
    uint64_t offset, length;           /* bytes; truncate: length; sleep: length in nanoseconds */
    enum scn_mode mode;                /* open, reopen */
    char program[SCN_PROGRAM_MAX + 1]; /* open as=DESIGN; "": the design under test */
    bool wait_all;
    char wait_names[SCN_WAIT_MAX][SCN_NAME_MAX + 1];
    unsigned wait_count;
    enum blk_event event; /* inject */
    int error;            /* inject: negative errno */
    bool once;
    uint32_t after;
    char text[96]; /* the statement as canonical text, for stories */
};

/* `expect data_flush=never|cow disk=ssd unsafe lost-cow`: which designs and disks it speaks of, and what it says. */
struct scn_expect {
    unsigned line;
    uint64_t designs;             /* bit i: qed_designs[i], unchanged; 0: whatever its name */
    struct qed_design_box fields; /* all ones where a field is not named */
    uint64_t disks;               /* bit i: sim_disk_models[i]; 0: all that keep their word */
    bool unsafe;
    enum verdict_class classes[VERDICT_CLASS_COUNT]; /* unsafe: the classes named, may be none */
    unsigned class_count;
};

enum scn_backing_kind { SCN_BACKING_NONE, SCN_BACKING_TAGGED, SCN_BACKING_ZERO };

struct scenario {
    char *path;              /* as given; NULL when parsed from memory */
    char *name;              /* file name without .scn */
    char *title;             /* never NULL */
    uint64_t image_bytes;    /* size=, required */
    uint32_t tail_bytes;     /* what an earlier life left behind the prepared image's last cluster; default: 0 */
    uint32_t cluster_bytes;  /* cluster=, default 64K */
    uint32_t table_clusters; /* table=, default 4 */
    enum scn_backing_kind backing;
    uint64_t backing_bytes;                         /* default: image_bytes */
    char ledger[SCN_LEDGER_MAX][SCN_CLAIM_MAX + 1]; /* the claims it speaks about (docs/ledger.md) */
    unsigned ledger_count;
    bool all_schedules;
    uint64_t schedules; /* how many to try unless told otherwise; 0: nothing said, or all_schedules */
    struct scn_stmt *stmts;
    size_t stmt_count;
    struct scn_expect *expects;
    size_t expect_count;
    struct replay *replay; /* NULL, or the recording that this stands for (replay.h): the run is not ours to repeat */
};

/* One clear sentence with its place: "cow.scn:3:9: unknown word 'wriet'; did you mean 'write'?" */
struct scn_error {
    char text[320];
};

/* text need not be NUL-terminated. 0, -EINVAL (err says why), -ENOMEM. *out is the caller's. */
int scenario_parse(const char *path, const char *text, size_t length, struct scenario **out, struct scn_error *err);
/* Reads at most 1 MiB. 0 or -errno, with err. */
int scenario_load(const char *path, struct scenario **out, struct scn_error *err);
void scenario_free(struct scenario *s);
/* Canonical text; parsing it gives the same scenario (names, values, statements, expectations). */
void scenario_print(const struct scenario *s, FILE *out);

/* The last expectation that fits the pair, or NULL. */
const struct scn_expect *scenario_expectation(const struct scenario *s, const struct qed_design *design,
                                              const struct sim_disk_model *disk);

/* Every design and disk model that keeps its word. */
void scn_expect_init(struct scn_expect *e);
/* From now on it speaks of this design and this disk model only (designs without a name: of those that have all its
 * values, and at least the words of its clear_on). */
void scn_expect_only(struct scn_expect *e, const struct qed_design *design, const struct sim_disk_model *disk);

/* "4K", "1M", "512", "0x200" -> bytes. false if it is no size. For the command line too. */
bool scn_parse_size(const char *text, size_t length, uint64_t *bytes);
/* The nearest of `words` (NULL-terminated) to `word` by edit distance, or NULL when none is near. */
const char *scn_nearest_word(const char *word, const char *const *words);

#endif
