/* store.h: the result store: SQLite, one schema (reports/schema.sql), this one writer.
 *
 * Every cell and finding goes in here, in memory where no file is named; whatever a person or a script sees (terminal,
 * --json, later the page) is a query over it. Rooms above hand over plain words and numbers.
 */
#ifndef REPORTS_STORE_H
#define REPORTS_STORE_H

#include <stdio.h>

#include "oracle/verdict.h"

struct store;

struct store_error {
    char text[320];
};

#define STORE_SCHEMA_VERSION 4
#define STORE_SCHEMA_OLDEST  3 /* read as it is; given what is missing when it is written to */

struct store_campaign {
    const char *version; /* of qedcrash */
    uint64_t seed;
    const char *command;    /* as typed, for the record */
    const char *options;    /* those that verdicts depend on, in words; NULL: none to tell of */
    const char *inputs;     /* a sum over what is judged and the list of cells; NULL as well */
    uint64_t planned;       /* cells in all shards together */
    unsigned shard, shards; /* this is shard 1 .. of so many; 0, 0: the only one */
    bool resume;            /* go on with the newest campaign, which must agree in all of the above but the command */
};

/* path NULL: in memory. Creates the schema in an empty file. 0, or -errno with err: a store of a newer schema, a file
 * that is no store, a read-only or full disk each get one clear sentence. An existing store gains one more campaign,
 * unless the newest is to be resumed: -ESTALE if it is another one, with what differs. Until it is closed nobody else gets
 * at the file.
 * campaign NULL: reads the newest campaign of an existing store and never writes (path must not be NULL then). */
int store_open(const char *path, const struct store_campaign *campaign, struct store **out, struct store_error *err);
/* For writing beside what the newest campaign judged: no campaign is begun, so one must be there (-ENODATA). */
int store_open_beside(const char *path, struct store **out, struct store_error *err);
/* Commits and closes; 0 or -errno (a full disk shows here at the latest). */
int store_close(struct store *s, struct store_error *err);

enum store_expected { STORE_EXPECT_NOTHING, STORE_EXPECT_SAFE, STORE_EXPECT_UNSAFE };

/* What led to a finding's crash state, as rows; harness/timeline.h makes them. The words are those of the schema. */
enum store_lane {
    STORE_LANE_GUEST,
    STORE_LANE_HEADER,
    STORE_LANE_L1,
    STORE_LANE_L2,
    STORE_LANE_DATA,
    STORE_LANE_FILE, /* the file's length, and writes of no known kind */
    STORE_LANE_FLUSH,
};
enum store_fate {
    STORE_FATE_DURABLE,     /* a write: covered by a completed flush before the power failed */
    STORE_FATE_SURVIVED,    /* pending then, and all of it persisted */
    STORE_FATE_PARTLY,      /* .. some of it */
    STORE_FATE_LOST,        /* .. nothing of it */
    STORE_FATE_OVERWRITTEN, /* .. and a later one of the same place persisted */
    STORE_FATE_UNCHANGED,   /* it wrote what was there */
    STORE_FATE_DONE,        /* a flush or a request: completed */
    STORE_FATE_FAILED,
    STORE_FATE_IN_FLIGHT,
};
enum store_order { STORE_ORDER_NONE, STORE_ORDER_LOST, STORE_ORDER_SURVIVOR }; /* the missing order's two ends */

struct store_event {
    enum store_lane lane;
    char name[96];       /* as ids name it ("C#2", "F"); a request: the statement */
    uint32_t begin, end; /* events of the history at which it was submitted and completed */
    bool ended;          /* before the power failed; else end says nothing */
    uint64_t offset_bytes, length_bytes;
    enum store_fate fate;
    uint32_t pending, survived; /* writes: units that were pending, and those of them that survived */
    char sectors[64];           /* partly: which survived, counted within the write: "0-3,5" */
    enum store_order order;
};

struct timeline {
    struct store_event *events;
    size_t count;
};

struct store_finding {
    const char *id; /* what `qedcrash repro` takes */
    enum verdict_class class;
    uint32_t crash_point;
    bool has_guest_sector;
    uint64_t guest_sector;
    bool has_guest_cluster;
    uint64_t guest_cluster;
    const char *expected, *found;    /* "backing 12", "zero" */
    const char *why;                 /* one sentence: what happened */
    const char *because;             /* one more: why it could; or "" */
    const char *recovery;            /* what the engine made of the crashed image, a sentence or two; or "" */
    const char *missing_order;       /* "cow_write before l2_update", or "" */
    const char *story;               /* several lines for people: lost in words, the smallest state, what survived */
    uint32_t survivors;              /* how many image sectors survived in the witness */
    uint64_t states;                 /* crash states seen with this finding */
    const struct timeline *timeline; /* NULL: none, as for a worker that died */
};

/* The time between two completed flushes: its crash points, how many states it has, how many were explored. */
struct store_epoch {
    uint32_t first_point, last_point;
    char *states; /* decimal strings */
    double states_log2;
    char *explored;
    double explored_log2; /* -1: none */
    uint64_t executions;
};

/* Where a cell stands for every schedule. */
struct store_schedules {
    const char *possible; /* decimal; if not complete: how many are known of, there are more */
    uint64_t run, distinct;
    bool complete;
};

struct store_cell {
    uint64_t place; /* in the campaign's list of cells, from 1; 0: behind the last one put */
    const char *scenario, *design, *disk;
    const char *ledger;                      /* the claims the scenario speaks about: "A7,A10"; NULL: none */
    uint64_t schedule;                       /* its number; 0: all of them, or one that has no number */
    const struct store_schedules *schedules; /* NULL: the cell is one schedule */
    const char *verdict;                     /* "safe", "unsafe", or "skipped" */
    const char *skip_reason;                 /* NULL unless skipped */
    enum store_expected expected;
    const char *expected_classes; /* "lost-cow,corrupt" or "" */
    bool as_expected;             /* also true where nothing is expected and the verdict is safe */
    bool complete;
    const char *cut; /* why not complete, or NULL */
    uint64_t crash_points;
    const char *states_total; /* decimal string */
    double states_log2;
    const char *explored;   /* states the verdict speaks for, a decimal string; NULL: all */
    double explored_log2;   /* -1: none */
    bool has_distinct;      /* states were judged one by one: */
    uint64_t distinct;      /* different images among them, */
    bool distinct_at_least; /* or more, which could not be told apart any longer */
    const struct store_epoch *epochs;
    size_t epoch_count;
    uint64_t executions;
    uint64_t guest_writes, image_writes, flushes, scans;
    uint64_t leaks, dirty_after_clean; /* measured */
    const char *repro;                 /* scenario:design:disk, for a cell without findings */
    const struct store_finding *findings;
    size_t finding_count;
};

/* The same (scenario, design, disk, schedule) again replaces the cell and its findings. Each is a transaction: what was put
 * is kept when the process is killed. A cell that fails leaves nothing of itself behind; -ENOSPC when the disk is full.
 * All numbers must be below 2^63. */
int store_put_cell(struct store *s, const struct store_cell *cell, struct store_error *err);
int store_put_canaries(struct store *s, unsigned caught, unsigned of, struct store_error *err);
/* One run of the fuzzers' benchmark; the same (design, tool, seed) again replaces it. */
struct store_fuzz_run {
    const char *design, *tool; /* tool: "libFuzzer", "AFL++", "generator" */
    uint64_t seed;
    bool found;
    double cpu_seconds;
    uint64_t executions;
    bool has_workloads; /* the generator's */
    uint64_t workloads;
};
/* All of them, in one transaction. */
int store_put_fuzz_runs(struct store *s, const struct store_fuzz_run *runs, size_t count, struct store_error *err);
/* All cells of the campaign are there. */
int store_finish(struct store *s, struct store_error *err);
/* The places of the campaign's cells that have a verdict (not class `died'), in order. */
int store_each_judged(struct store *s, void (*take)(void *opaque, uint64_t place), void *opaque,
                      struct store_error *err);
/* The campaign's findings that have a crash state, in order. guest_sector is UINT64_MAX where there is none. */
int store_each_finding(struct store *s, void (*take)(void *opaque, const char *id, uint64_t guest_sector), void *opaque,
                       struct store_error *err);

/* `cells` are those judged: safe + unsafe; the skipped are counted beside them. `unexpected`: cells not as expected,
 * safe ones too; `unexpected_findings`: the findings in such cells. */
struct store_summary {
    uint64_t cells, safe, unsafe, skipped, incomplete, unexpected, findings, unexpected_findings;
    unsigned canaries_caught, canaries_of;
};
int store_summarize(struct store *s, struct store_summary *summary, struct store_error *err);

#endif
