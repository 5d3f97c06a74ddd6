/* recorder.h: the recording disk. A live disk in memory, completing I/O through a sim_loop, writing a history.
 *
 * A read returns the contents at the moment it completes; a write changes them at the moment it completes, so the
 * completion order of overlapping writes is their order. Errors are injected by rules in blkdebug's words: a rule names
 * an event; the first I/O after that event is announced fails.
 */
#ifndef SIMDISK_RECORDER_H
#define SIMDISK_RECORDER_H

#include "simdisk/disk_model.h"
#include "simdisk/history.h"
#include "simdisk/sim_loop.h"

struct recorder;

/* A recording disk over these contents. `base` is taken over (it becomes history->base; the live disk works on a
 * snapshot). The loop must outlive the recorder; the history is the caller's after recorder_finish. */
struct recorder *recorder_create(struct sim_loop *loop, struct sim_pages *base, uint64_t length_bytes,
                                 const struct sim_disk_model *model);
struct blockdev *recorder_blk(struct recorder *r);
struct history *recorder_history(struct recorder *r); /* while recording */
/* Ends the recording: what is in flight stays in flight for ever. Returns the history, which is the caller's. Destroys
 * the recorder. (ops->close on the blockdev does nothing: the recorder belongs to the runner.) */
struct history *recorder_finish(struct recorder *r);
/* The client died: completions in flight are not delivered to it. Each of its writes in flight reaches the disk or not:
 * here the disk completes them silently (they become done events with ret 0), oldest first. */
void recorder_client_died(struct recorder *r);
/* Trace: called at every announced event; may be NULL. */
void recorder_trace(struct recorder *r, void (*trace)(void *opaque, enum blk_event event), void *opaque);

struct inject_rule {
    enum blk_event event;
    int error;         /* -EIO, -ENOSPC, ... */
    bool once;         /* otherwise: always */
    uint32_t after;    /* let this many matching I/Os pass first */
};
void recorder_inject(struct recorder *r, const struct inject_rule *rule); /* copied */
/* How many I/Os injected rules have failed so far. */
uint32_t recorder_injected(const struct recorder *r);

/* A simple inline in-memory device over pages (backing files, prepared images). ops->close frees it, not the pages.
 * `read_only`: writes fail with -EACCES. `length` is kept in the device; see mem_disk_length. */
struct blockdev *mem_disk_create(struct sim_pages *pages, uint64_t length_bytes, bool read_only);
uint64_t mem_disk_length(const struct blockdev *dev);
/* The same, completing through a loop (a backing file while recording). */
struct blockdev *mem_disk_create_async(struct sim_loop *loop, struct sim_pages *pages, uint64_t length_bytes,
                                       bool read_only);

/* Bytes of never-written space on a reused host device: tagged by `fill`, which the host sets (the oracle's stale tag).*/
typedef void sim_stale_fill(uint8_t sector[BLK_SECTOR_BYTES], uint64_t image_sector);

#endif
