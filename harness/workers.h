/* workers.h: jobs in processes of their own.
 *
 *     parent                                   worker (fork, one job at a time)
 *       next()  ── index, request bytes ──▶      job()
 *       beat()  ◀── a sign of life ───────         workers_beat()
 *       done()  ◀── result bytes ─────────       returns
 *
 * A worker that dies, or gives no sign of life for too long and is killed, takes down its job and nothing else: done()
 * is told, and the next job gets a new worker. Workers die with their parent, however that ends.
 *
 * Jobs end in any order. What is made of them must not depend on it: a result belongs to its index.
 */
#ifndef HARNESS_WORKERS_H
#define HARNESS_WORKERS_H

#include "harness/bytes.h"

struct workers_self; /* in the worker */

enum workers_end {
    WORKERS_DONE,
    WORKERS_DIED, /* by a signal, or it called exit */
    WORKERS_HUNG, /* no sign of life for the time allowed; it was killed */
};

enum workers_more {
    WORKERS_JOB,
    WORKERS_WAIT, /* none before another one is done */
    WORKERS_NONE, /* none any more */
};

struct workers_result {
    size_t job;
    enum workers_end end;
    const uint8_t *data; /* WORKERS_DONE: what the job wrote; lives for the call */
    size_t size;
    char
        why[120]; /* otherwise: "was killed by signal 11 (Segmentation fault)", a clause whose subject is the process */
};

struct workers_options {
    unsigned count;           /* processes at the same time; at least 1 */
    unsigned timeout_s;       /* without a sign of life; 0: for ever */
    volatile const int *stop; /* set by a signal: kill all workers and return; may be NULL */
    void *opaque;
    /* In the parent. The next job: its index, and what the worker is to know of it besides (may be left empty). */
    enum workers_more (*next)(void *opaque, size_t *job, struct bytes *request);
    /* In a worker. It sees memory as it was in the parent when it was started, which may be many jobs ago. It must not
     * touch what the parent has open for writing. */
    void (*job)(void *opaque, struct workers_self *self, size_t job, const uint8_t *request, size_t size,
                struct bytes *result);
    /* In the parent, once per job handed out. Not 0: kill all workers and return that. */
    int (*done)(void *opaque, const struct workers_result *result);
    /* In the parent, may be NULL: a sign of life, with how far the job says it is. */
    void (*beat)(void *opaque, size_t job, uint64_t progress);
    /* In the parent, may be NULL: something happened, or a second passed. */
    void (*tick)(void *opaque);
};

/* 0; -EINTR when stopped; what done() returned; or -errno when no process could be started. Afterwards there is no
 * worker left in any case. */
int workers_run(const struct workers_options *options);

/* From job(): alive, and so far. Cheap: tells the parent once a second at the most. */
void workers_beat(struct workers_self *self, uint64_t progress);

/* As many workers as this process may use processors. */
unsigned workers_default_count(void);

#endif
