/* dm_log.h: a history as a log in the format of the kernel's dm-log-writes target, version 1, as QEMU's blklogwrites writes
 * it too, so that other tools can replay it.
 *
 *     sector 0    magic 0x6a736677736872, version 1, number of entries (u64 each), sector size (u32)
 *     sector 1    entry: sector, number of sectors, flags, bytes of data (u64 each); then its data; then the next entry
 *
 * All numbers are little-endian; a sector is 512 bytes. The format knows no file length, so a change of it leaves no
 * entry.
 */
#ifndef SIMDISK_DM_LOG_H
#define SIMDISK_DM_LOG_H

#include <stdio.h>

#include "simdisk/history.h"

/* Writes and flushes that completed before the crash point, in the order of completion, then the writes that were in flight
 * there, in the order of submission; *in_flight (may be NULL) is how many those are. Returns the number of entries. Errors
 * are the stream's. */
uint64_t dm_log_write(FILE *out, const struct history *h, uint32_t crash_point, uint64_t *in_flight);

#endif
