/* mem_disk.h: a simple device in memory over somebody else's pages: backing files and prepared images.
 *
 * It has no cache, no history and no injected errors; it grows when written beyond its end. Completions come inline;
 * or, for a backing file while recording, through the simulator's loop: then a read returns what the pages hold when it
 * completes, and a write changes them when it completes.
 */
#ifndef SIMDISK_MEM_DISK_H
#define SIMDISK_MEM_DISK_H

#include "engine/blockdev.h"
#include "simdisk/pages.h"
#include "simdisk/sim_loop.h"

/* A simple inline in-memory device over pages (backing files, prepared images). ops->close frees it, not the pages.
 * `read_only`: writes and resizes fail with -EACCES. `length` is kept in the device; see mem_disk_length. Pages beyond
 * the length must be zero. */
struct blockdev *mem_disk_create(struct sim_pages *pages, uint64_t length_bytes, bool read_only);
uint64_t mem_disk_length(const struct blockdev *dev);
/* The same, completing through a loop (a backing file while recording). The loop must outlive it; what is in flight
 * when it is closed is never delivered. */
struct blockdev *mem_disk_create_async(struct sim_loop *loop, struct sim_pages *pages, uint64_t length_bytes,
                                       bool read_only);
/* The client died: what is in flight is never delivered; its writes reach the pages, oldest first. */
void mem_disk_client_died(struct blockdev *dev);

#endif
