#include "simdisk/recorder.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "simdisk/iov.h"

struct recorder {
    struct blockdev blk; /* first: the recorder is found from it */
    struct sim_loop *loop;
    struct history *history;
    struct sim_pages *live; /* what the client reads: durable or not */
    uint64_t length_bytes;

    enum blk_event announced; /* nobody has taken it yet; NONE: nothing announced */
    void (*trace)(void *opaque, enum blk_event event);
    void *trace_opaque;

    struct inject_rule *rules; /* in the order they were added */
    size_t rule_count, rule_cap;
    uint32_t injected, failed_flushes;
};

/* One request in flight. */
struct rec_io {
    struct recorder *recorder;
    uint32_t op; /* in the history; HIST_NEVER: a read, which the history does not hold */
    int error;   /* decided at submission: 0, or what it will fail with */
    uint64_t offset_bytes;
    struct iovec *iov; /* reads */
    int niov;
    blk_done *done;
    void *opaque;
};

static struct recorder *from_blk(struct blockdev *dev)
{
    return (struct recorder *)dev;
}

/* ---- announcements and injected errors ---- */

static void remove_rule(struct recorder *r, size_t index)
{
    r->rule_count--;
    memmove(&r->rules[index], &r->rules[index + 1], (r->rule_count - index) * sizeof(*r->rules));
}

/* What the rules do to one I/O with this label: 0, or the error it fails with. */
static int apply_rules(struct recorder *r, enum blk_event label)
{
    for (size_t i = 0; i < r->rule_count; i++) {
        struct inject_rule *rule = &r->rules[i];
        int error = rule->error;

        if (rule->event != label)
            continue;
        if (rule->after > 0) {
            rule->after--;
            continue;
        }
        if (rule->once)
            remove_rule(r, i);
        r->injected++;
        return error;
    }
    return 0;
}

/* Takes the announcement for one I/O: its label, and what the rules do to it. */
static enum blk_event take_announcement(struct recorder *r, int *error)
{
    enum blk_event label = r->announced;

    r->announced = BLK_EVENT_NONE;
    *error = label == BLK_EVENT_NONE ? 0 : apply_rules(r, label);
    return label;
}

static void rec_event(struct blockdev *dev, enum blk_event event)
{
    struct recorder *r = from_blk(dev);

    /* No I/O follows these, so they must not label the next one, but they do end what was announced before. */
    if (event == BLK_EVENT_CLUSTER_ALLOC || event == BLK_EVENT_CLUSTER_FREE)
        r->announced = BLK_EVENT_NONE;
    else
        r->announced = event;
    if (r->trace)
        r->trace(r->trace_opaque, event);
}

static int rec_backing_gate(struct blockdev *dev)
{
    int error;

    take_announcement(from_blk(dev), &error);
    return error;
}

void recorder_trace(struct recorder *r, void (*trace)(void *opaque, enum blk_event event), void *opaque)
{
    r->trace = trace;
    r->trace_opaque = opaque;
}

void recorder_inject(struct recorder *r, const struct inject_rule *rule)
{
    r->rules = xgrow(r->rules, r->rule_count, &r->rule_cap, sizeof(*r->rules));
    r->rules[r->rule_count++] = *rule;
}

uint32_t recorder_injected(const struct recorder *r)
{
    return r->injected;
}

uint32_t recorder_failed_flushes(const struct recorder *r)
{
    return r->failed_flushes;
}

/* ---- completion ---- */

static void apply_write(struct recorder *r, const struct hist_op *op)
{
    uint64_t end = op->offset_bytes + op->length_bytes;

    sim_pages_write(r->live, op->offset_bytes, op->data, op->length_bytes);
    if (end > r->length_bytes)
        r->length_bytes = end;
}

/* What the disk does when a write or flush completes; reads are not its business. */
static void complete_op(struct rec_io *io)
{
    struct recorder *r = io->recorder;
    const struct hist_op *op = &r->history->ops[io->op];

    if (op->kind == HIST_WRITE && !io->error)
        apply_write(r, op);
    r->failed_flushes += op->kind == HIST_FLUSH && io->error;
    history_done(r->history, io->op, io->error);
}

static void io_free(void *opaque)
{
    struct rec_io *io = opaque;

    free(io->iov);
    free(io);
}

static void deliver(void *opaque)
{
    struct rec_io *io = opaque;
    blk_done *done = io->done;
    void *done_opaque = io->opaque;
    int ret = io->error;

    if (io->op != HIST_NEVER)
        complete_op(io);
    else if (!ret)
        sim_iov_from_pages(io->recorder->live, io->offset_bytes, io->iov, io->niov);
    io_free(io);
    done(done_opaque, ret);
}

/* The client is dead: its read buffers are gone, and nobody hears of its flush. */
static void finish_silently(void *opaque)
{
    struct rec_io *io = opaque;

    if (io->op != HIST_NEVER && io->recorder->history->ops[io->op].kind == HIST_WRITE)
        complete_op(io);
    io_free(io);
}

void recorder_client_died(struct recorder *r)
{
    sim_loop_drop(r->loop, r, finish_silently);
    r->announced = BLK_EVENT_NONE;
}

/* ---- submission ---- */

static void post(struct recorder *r, struct rec_io io)
{
    struct rec_io *queued = xmalloc(sizeof(*queued));

    *queued = io;
    queued->recorder = r;
    sim_loop_post(r->loop, r, deliver, queued);
}

static void rec_readv(struct blockdev *dev, uint64_t offset_bytes, const struct iovec *iov, int niov, blk_done *done,
                      void *opaque)
{
    struct recorder *r = from_blk(dev);
    struct rec_io io = {.op = HIST_NEVER, .offset_bytes = offset_bytes, .niov = niov, .done = done, .opaque = opaque};

    take_announcement(r, &io.error);
    io.iov = sim_iov_dup(iov, niov);
    post(r, io);
}

static bool fits(const struct recorder *r, uint64_t offset_bytes, uint64_t length_bytes)
{
    return !r->history->fixed_size ||
           (offset_bytes <= r->length_bytes && length_bytes <= r->length_bytes - offset_bytes);
}

static void rec_writev(struct blockdev *dev, uint64_t offset_bytes, const struct iovec *iov, int niov, blk_done *done,
                       void *opaque)
{
    struct recorder *r = from_blk(dev);
    struct rec_io io = {.done = done, .opaque = opaque};
    struct hist_op op = {.kind = HIST_WRITE, .offset_bytes = offset_bytes, .length_bytes = sim_iov_bytes(iov, niov)};

    assert(offset_bytes % BLK_SECTOR_BYTES == 0 && op.length_bytes % BLK_SECTOR_BYTES == 0);
    op.label = take_announcement(r, &io.error);
    if (!io.error && !fits(r, offset_bytes, op.length_bytes))
        io.error = -ENOSPC;
    op.reached_disk = !io.error;
    op.data = sim_iov_flatten(iov, niov);
    io.op = history_submit(r->history, &op);
    post(r, io);
}

static void rec_flush(struct blockdev *dev, blk_done *done, void *opaque)
{
    struct recorder *r = from_blk(dev);
    struct rec_io io = {.done = done, .opaque = opaque};
    struct hist_op op = {.kind = HIST_FLUSH};

    op.label = take_announcement(r, &io.error);
    op.reached_disk = !io.error;
    io.op = history_submit(r->history, &op);
    post(r, io);
}

static int rec_resize(struct blockdev *dev, uint64_t length_bytes)
{
    struct recorder *r = from_blk(dev);
    struct hist_op op = {.kind = HIST_RESIZE, .length_bytes = length_bytes};
    int error;

    op.label = take_announcement(r, &error);
    op.reached_disk = !error;
    if (!error) {
        if (length_bytes < r->length_bytes)
            sim_pages_cut(r->live, length_bytes);
        r->length_bytes = length_bytes;
    }
    history_done(r->history, history_submit(r->history, &op), error);
    return error;
}

/* ---- the device ---- */

static int rec_length(struct blockdev *dev, uint64_t unit_bytes, uint64_t *length_bytes)
{
    *length_bytes = from_blk(dev)->length_bytes & ~(unit_bytes - 1);
    return 0;
}

static uint64_t rec_next_data(struct blockdev *dev, uint64_t offset_bytes, uint64_t end_bytes)
{
    return sim_pages_next_data(from_blk(dev)->live, offset_bytes, end_bytes);
}

static void rec_close(struct blockdev *dev)
{
    (void)dev; /* the recorder belongs to the runner, which may open it again */
}

static const struct blockdev_ops growing_ops = {
    .readv = rec_readv,
    .writev = rec_writev,
    .flush = rec_flush,
    .length = rec_length,
    .resize = rec_resize,
    .next_data = rec_next_data,
    .event = rec_event,
    .backing_gate = rec_backing_gate,
    .close = rec_close,
};

static const struct blockdev_ops fixed_ops = {
    .readv = rec_readv,
    .writev = rec_writev,
    .flush = rec_flush,
    .length = rec_length,
    .next_data = rec_next_data,
    .event = rec_event,
    .backing_gate = rec_backing_gate,
    .close = rec_close,
};

struct recorder *recorder_create(struct sim_loop *loop, struct sim_pages *base, uint64_t length_bytes,
                                 const struct sim_disk_model *model)
{
    struct recorder *r = xcalloc(1, sizeof(*r));
    bool fixed = model->size == SIM_SIZE_FIXED;

    /* Reads beyond the end are zeros, and so is what growing adds. */
    sim_pages_cut(base, length_bytes);
    r->blk.ops = fixed ? &fixed_ops : &growing_ops;
    r->blk.loop = sim_loop_blk(loop);
    r->loop = loop;
    r->history = history_create(base, length_bytes, fixed);
    r->live = sim_pages_snapshot(base);
    r->length_bytes = length_bytes;
    return r;
}

struct blockdev *recorder_blk(struct recorder *r)
{
    return &r->blk;
}

struct history *recorder_history(struct recorder *r)
{
    return r->history;
}

struct history *recorder_finish(struct recorder *r)
{
    struct history *history = r->history;

    sim_loop_drop(r->loop, r, io_free);
    sim_pages_destroy(r->live);
    free(r->rules);
    free(r);
    return history;
}
