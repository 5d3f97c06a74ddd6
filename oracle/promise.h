/* promise.h: what each guest sector may hold after a crash.
 *
 * Fed by whoever drives the guest, with the guest's own view: requests as they are submitted and acknowledged, at
 * positions ("when") in the disk's history. From that alone it says, for a crash at any position, which contents a guest
 * sector may show:
 *
 *   - A completed flush makes durable every write that completed before the flush was submitted.
 *   - A write after that, completed or in flight, may be seen old or new, sector by sector.
 *   - A failed write may have happened or not; a failed flush promises nothing.
 *   - Write-zeroes is a write of zeros. After a discard a sector reads zeros or what it held.
 *   - A sector never written reads the backing file's bytes, or zeros beyond its end or without one.
 *   - After a crash the size is one that was set; what growing adds reads zeros.
 *
 * Positions never decrease from call to call. A query may be about any position, also a past one.
 */
#ifndef ORACLE_PROMISE_H
#define ORACLE_PROMISE_H

#include <stddef.h>

#include "oracle/tag.h"
#include "oracle/verdict.h"

struct promise;

enum promise_op { PROMISE_WRITE, PROMISE_ZERO, PROMISE_DISCARD };

struct promise *promise_create(uint64_t image_bytes);
void promise_destroy(struct promise *p);
struct promise *promise_clone(const struct promise *p);

/* The backing file as the guest sees it: sectors [0, sectors) are backing-tagged (or zeros if zero), beyond them zeros.
 * Only before the first request. */
void promise_backing(struct promise *p, uint64_t sectors, bool zero);

/* A request over [first_sector, first_sector+count) was submitted at `when`. For PROMISE_WRITE its sectors carry the tag
 * {TAG_GUEST, sector, write_id, generation}. Returns its handle. */
uint32_t promise_begin(struct promise *p, uint64_t when, enum promise_op op, uint64_t first_sector, uint64_t count,
                       uint32_t write_id, uint32_t generation);
/* Acknowledged at `when`, successfully or not. Never called for one that is in flight for ever. */
void promise_end(struct promise *p, uint64_t when, uint32_t handle, bool ok);
uint32_t promise_flush_begin(struct promise *p, uint64_t when);
void promise_flush_end(struct promise *p, uint64_t when, uint32_t flush, bool ok);
uint32_t promise_resize_begin(struct promise *p, uint64_t when, uint64_t image_bytes);
void promise_resize_end(struct promise *p, uint64_t when, uint32_t resize, bool ok);
/* A change of the backing file (rebase none): from `when` on, sectors that were never written may read their old backing
 * bytes or zeros, until a flush covers the change (use promise_end / promise_flush_* with the handle). */
uint32_t promise_rebase_begin(struct promise *p, uint64_t when);

/* Judges one guest sector's contents (found by reading it with ret == 0) at a crash at `when`. VERDICT_OK, or the class;
 * `expected` and `found` (each may be NULL) then describe the tightest expectation and what was found. The fast path
 * allocates nothing and formats nothing. */
struct promise_explanation {
    char expected[80];
    char found[80];
};
enum verdict_class promise_judge(const struct promise *p, uint64_t when, uint64_t sector,
                                 const uint8_t bytes[TAG_SECTOR_BYTES], struct promise_explanation *explanation);
/* The same for a live read submitted at `from` and completed at `to`: VERDICT_OK, or VERDICT_WRONG_READ. */
enum verdict_class promise_judge_live(const struct promise *p, uint64_t from, uint64_t to, uint64_t sector,
                                      const uint8_t bytes[TAG_SECTOR_BYTES], struct promise_explanation *explanation);
bool promise_size_allowed(const struct promise *p, uint64_t when, uint64_t image_bytes);

/* The guest sectors that any request touched, as sorted ranges merged to whole units of unit_sectors (a cluster), clipped
 * to the largest size the image ever had. Returns the count; *ranges is the caller's to free(). */
struct promise_range {
    uint64_t first_sector, count;
};
size_t promise_touched(const struct promise *p, uint64_t unit_sectors, struct promise_range **ranges);
/* Did the guest ever write (zero, discard) this sector? */
bool promise_written(const struct promise *p, uint64_t sector);

#endif
