/* recorder.h: the recording disk. A live disk in memory, completing I/O through a sim_loop, writing a history.
 *
 * A read returns the contents at the moment it completes; a write changes them at the moment it completes, so the
 * completion order of overlapping writes is their order. Errors are injected by rules in blkdebug's words: a rule names
 * an event; the first I/O after that event is announced fails.
 *
 *   event(l2_update) ─▶ announced ─▶ writev ─▶ labelled l2_update; a rule on l2_update makes it fail when it completes
 *   event(cow_read)  ─▶ announced ─▶ backing_gate ─▶ a rule on cow_read fails the read of the backing file
 *
 * An announcement labels one I/O: the next one on this device, or the gate, takes it. The next announcement replaces
 * one that nothing took. Events that no I/O follows (cluster_alloc, cluster_free) label nothing and fail nothing.
 */
#ifndef SIMDISK_RECORDER_H
#define SIMDISK_RECORDER_H

#include "simdisk/disk_model.h"
#include "simdisk/history.h"
#include "simdisk/mem_disk.h"
#include "simdisk/sim_loop.h"

struct recorder;

/* A recording disk over these contents; what they hold beyond length_bytes is cut off. `base` is taken over (it becomes
 * history->base; the live disk works on a snapshot). The loop must outlive the recorder; the history is the caller's
 * after recorder_finish. Writes must be whole sectors. On a model of fixed size, writes beyond the end fail with
 * -ENOSPC and ops->resize is NULL. ops->discard is always NULL. */
struct recorder *recorder_create(struct sim_loop *loop, struct sim_pages *base, uint64_t length_bytes,
                                 const struct sim_disk_model *model);
struct blockdev *recorder_blk(struct recorder *r);
struct history *recorder_history(struct recorder *r); /* while recording */
/* Ends the recording: what is in flight stays in flight for ever. Returns the history, which is the caller's. Destroys
 * the recorder. (ops->close on the blockdev does nothing: the recorder belongs to the runner.) */
struct history *recorder_finish(struct recorder *r);
/* The client died: completions in flight are not delivered to it. Each of its writes in flight reaches the disk or not:
 * here the disk completes them silently (they become done events with ret 0), oldest first; one that was going to fail
 * becomes done with its error. A flush in flight is never done: nobody was told of it, so it need not have happened.
 * The recorder then serves the next client; rules stay. Timers are the loop's: see sim_loop_drop_timers. */
void recorder_client_died(struct recorder *r);
/* Trace: called at every announced event; may be NULL. */
void recorder_trace(struct recorder *r, void (*trace)(void *opaque, enum blk_event event), void *opaque);

struct inject_rule {
    enum blk_event event;
    int error;      /* -EIO, -ENOSPC, ... */
    bool once;      /* removed after one failure; otherwise: always */
    uint32_t after; /* let this many matching I/Os pass first */
};
/* An I/O that a rule fails does not reach the disk. Rules are asked in the order they were added; the first that is due
 * fails the I/O, and the ones after it do not see it. */
void recorder_inject(struct recorder *r, const struct inject_rule *rule); /* copied */
/* How many I/Os injected rules have failed so far. */
uint32_t recorder_injected(const struct recorder *r);
/* How many flushes the disk has told its client have failed. */
uint32_t recorder_failed_flushes(const struct recorder *r);

#endif
