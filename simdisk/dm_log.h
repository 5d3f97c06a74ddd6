/* dm_log.h: logs in the format of the kernel's dm-log-writes target, version 1, as QEMU's blklogwrites writes it too: a
 * history as such a log, so that other tools can replay it; and what others logged, read back.
 *
 *     sector 0    magic 0x6a736677736872, version 1, number of entries (u64 each), sector size (u32)
 *     sector 1    entry: sector, number of sectors, flags, bytes of data (u64 each); then its data; then the next entry
 *
 * All numbers are little-endian. A sector is as large as sector 0 says (512 bytes where we write). The format knows no
 * file length, so a change of it leaves no entry. A discard and a mark have no data behind them: a mark's text stands in
 * the entry's own sector. QEMU brings the number of entries up to date on a flush only, so there may be more.
 */
#ifndef SIMDISK_DM_LOG_H
#define SIMDISK_DM_LOG_H

#include <stdio.h>

#include "simdisk/history.h"

/* Writes and flushes that completed before the crash point, in the order of completion, then the writes that were in flight
 * there, in the order of submission; *in_flight (may be NULL) is how many those are. Returns the number of entries. Errors
 * are the stream's. */
uint64_t dm_log_write(FILE *out, const struct history *h, uint32_t crash_point, uint64_t *in_flight);

/* Does this operation, once completed, have an entry? */
bool dm_log_has(const struct hist_op *op);

/* What an entry takes in a log of 512-byte sectors, with its data, by its first sector. */
uint64_t dm_log_entry_bytes(const uint8_t head[BLK_SECTOR_BYTES]);

/* Makes marks of the flushes in a log of 512-byte sectors that is open for reading and writing: the bug to plant in a
 * recording. Returns how many. Errors are the stream's. */
uint64_t dm_log_drop_flushes(FILE *log);

/* The log's first sector. QEMU writes it with the first flush: until then it is zeros. */
void dm_log_super(uint8_t sector[BLK_SECTOR_BYTES], uint64_t entries);

enum dm_log_flag {
    DM_LOG_FLUSH = 1, /* with data: the flush comes first */
    DM_LOG_FUA = 2,   /* this write is durable when it completes */
    DM_LOG_DISCARD = 4,
    DM_LOG_MARK = 8,
    DM_LOG_METADATA = 16, /* no difference to us */
};

struct dm_log_entry {
    uint64_t number; /* from 0 */
    uint64_t flags;
    uint64_t offset_bytes, length_bytes;
    const uint8_t *data; /* length_bytes; NULL for a discard and where length_bytes is 0 */
};

struct dm_log_error {
    char text[200]; /* one sentence */
};

/* Not 0 ends the reading. */
typedef int dm_log_take_fn(void *opaque, const struct dm_log_entry *entry);
/* All entries of the log that `bytes` holds, in their order. The bytes may be anybody's. 0; what take() returned; or -EINVAL
 * with err for what is no log, is cut off or is garbled: entries before the fault were taken then. */
int dm_log_read(const uint8_t *bytes, size_t size, dm_log_take_fn *take, void *opaque, struct dm_log_error *err);

#endif
