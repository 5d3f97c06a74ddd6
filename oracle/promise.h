/* promise.h: what each guest sector may hold after a crash.
 *
 * Fed by whoever drives the guest, with the guest's own view: requests as they are submitted and acknowledged, at
 * positions ("when") in the disk's history. From that alone it says, for a crash at any position, which contents a
 * guest sector may show:
 *
 *   - A completed flush makes durable every write that completed before the flush was submitted.
 *   - A write after that, completed or in flight, may be seen old or new, sector by sector.
 *   - A failed write may have happened or not; a failed flush promises nothing.
 *   - What a failed flush left open may be lost once its session is over: if the image is closed, or the process killed,
 *     before a flush that was submitted after the failure has succeeded, then what was not durable by then may be seen
 *     old or new for ever, and no flush of a later session promises it; until it is written again. The next program to
 *     open the image knows of no failure, and its flush may succeed with nothing to write. Within the session a later
 *     flush that succeeds promises everything, as always: who has seen the failure can write again, or go on failing.
 *     That does not depend on the disk, which the guest does not know.
 *   - Write-zeroes is a write of zeros. After a discard a sector reads zeros or what it held.
 *   - A sector never written reads the backing file's bytes, or zeros beyond its end or without one.
 *   - After a crash the size is one that was set; what growing adds reads zeros.
 *
 * Positions. Position p means: the history's events 0..p-1 have happened. A request is announced with the position at
 * which it is submitted (before its first event is recorded) and acknowledged with the position after its last one. At
 * a crash at p, then, a request begun at b may be visible if b <= p, and what was acknowledged at e holds if e <= p.
 * (At p == b none of its I/O has happened yet; allowing it there does no harm, for nothing can show it.)
 * Positions never decrease from call to call; calls at one position count in the order they are made. A query may be
 * about any position, also a past one.
 *
 * In one rule. A request O is *firm* at p if it succeeded and a successful flush, submitted after O was acknowledged,
 * was itself acknowledged at or before p; and no session that gave it up (the fourth line above) ended between O and that
 * flush. A sector may show every request begun at or before p, except those that were
 * acknowledged (successfully or not) before a firm write or write-zeroes of the same sector was submitted. It may show
 * its initial content unless some write or write-zeroes of it is firm. A discard stands for zeros; it and a failed
 * request remove nothing. A live read follows the same rule with "firm" meaning "succeeded before the read was
 * submitted": while the power is on, what was given up is still what the disk shows.
 *
 * Memory: proportional to the requests and to the distinct ranges they make, not to the image. Running out of it
 * aborts. Queries are pure functions: they may run in many threads while nobody feeds.
 */
#ifndef ORACLE_PROMISE_H
#define ORACLE_PROMISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oracle/tag.h"
#include "oracle/verdict.h"

struct promise;

enum promise_op { PROMISE_WRITE, PROMISE_ZERO, PROMISE_DISCARD };

/* image_bytes: the size before the first request. What lies beyond it, and is grown later, initially reads zeros. */
struct promise *promise_create(uint64_t image_bytes);
void promise_destroy(struct promise *p);
struct promise *promise_clone(const struct promise *p);
/* dst becomes a copy of src; allocates nothing once dst has been as large. */
void promise_reset_to(struct promise *dst, const struct promise *src);

/* The backing file as the guest sees it: sectors [0, sectors) are backing-tagged (or zeros if zero), beyond them zeros.
 * Only before the first request. */
void promise_backing(struct promise *p, uint64_t sectors, bool zero);

/* A request over [first_sector, first_sector+count) was submitted at `when`. For PROMISE_WRITE its sectors carry the
 * tag {TAG_GUEST, sector, write_id, generation}. Returns its handle. */
uint32_t promise_begin(struct promise *p, uint64_t when, enum promise_op op, uint64_t first_sector, uint64_t count,
                       uint32_t write_id, uint32_t generation);
/* Acknowledged at `when`, successfully or not. Never called for one that is in flight for ever. */
void promise_end(struct promise *p, uint64_t when, uint32_t handle, bool ok);
/* Flushes and resizes have handles of the same kind, each with its own end. */
uint32_t promise_flush_begin(struct promise *p, uint64_t when);
void promise_flush_end(struct promise *p, uint64_t when, uint32_t flush, bool ok);
/* Another request was told at `when` that it failed, because of a flush it needed: for what was not durable, that is a
 * flush that failed. */
void promise_flush_failed(struct promise *p, uint64_t when);
uint32_t promise_resize_begin(struct promise *p, uint64_t when, uint64_t image_bytes);
void promise_resize_end(struct promise *p, uint64_t when, uint32_t resize, bool ok);
/* A change of the backing file (rebase none): from `when` on, sectors that were never written may read their old
 * backing bytes or zeros, until a flush covers the change, and zeros only from then on. Returns a handle as
 * promise_begin() does, for promise_end(); flushes cover it as they cover writes. */
uint32_t promise_rebase_begin(struct promise *p, uint64_t when);

/* The guest's session ended at `when`, and the power did not fail: its image was closed, well or badly, or its process was
 * killed. If a flush of the session had failed, what that left open is given up (see above). */
void promise_session_end(struct promise *p, uint64_t when);

/* The power fails at `when`: p becomes the promise of the guest's second life. Requests begun later are forgotten
 * (their handles are free again); whatever is not firm by then may have happened or not, cannot happen any more, and no
 * later flush covers it. The second life goes on at positions >= when. */
void promise_cut(struct promise *p, uint64_t when);
/* Recovery has shown the guest this sector's bytes: from now on they do not change by themselves, as if written and
 * flushed at `when`. Records nothing and returns false for bytes that are nobody's right content (they were judged). */
bool promise_observe(struct promise *p, uint64_t when, uint64_t sector, const uint8_t bytes[TAG_SECTOR_BYTES]);

/* Judges one guest sector's contents (found by reading it with ret == 0) at a crash at `when`. VERDICT_OK, or the
 * class; `explanation` (may be NULL, untouched on VERDICT_OK) then says what was expected ("backing 12", "zero", "guest
 * write 3 (flushed)", "backing 12 or guest write 3") and found ("zero", "guest write 2", "guest write 5 of sector 40",
 * "stale image sector 88"). Allocates nothing; on VERDICT_OK formats nothing.
 *
 *   disclosure    another guest sector's, a stale or a foreign sector's bytes, alone or in a mix; or a write of this
 *                 sector that was not begun at `when`
 *   torn          a mix of this sector's own contents and zeros
 *   lost-flushed  this sector's own content or zeros, but a firm request had replaced them
 *   lost-cow      zeros or this sector's backing bytes, not allowed although nothing firm had replaced them
 */
struct promise_explanation {
    char expected[80];
    char found[80];
};
enum verdict_class promise_judge(const struct promise *p, uint64_t when, uint64_t sector,
                                 const uint8_t bytes[TAG_SECTOR_BYTES], struct promise_explanation *explanation);
/* The same for a live read submitted at `from` and completed at `to`: VERDICT_OK, or VERDICT_WRONG_READ. */
enum verdict_class promise_judge_live(const struct promise *p, uint64_t from, uint64_t to, uint64_t sector,
                                      const uint8_t bytes[TAG_SECTOR_BYTES], struct promise_explanation *explanation);
/* May the image have this size after a crash at `when`? */
bool promise_size_allowed(const struct promise *p, uint64_t when, uint64_t image_bytes);

/* All that the two judgements above, after a crash at `when`, and a second life from there on depend on: two promises
 * with one digest judge alike (promise_cut'ed or not), whatever the requests' order and positions were. The inverse need
 * not hold. */
struct promise_digest {
    uint64_t half[2];
};
struct promise_digest promise_digest(const struct promise *p, uint64_t when);

/* The guest sectors that any request touched, as sorted ranges merged to whole units of unit_sectors (a cluster),
 * clipped to the largest size the image ever had or was asked to have. Returns the count; *ranges is the caller's to
 * free(). */
struct promise_range {
    uint64_t first_sector, count;
};
size_t promise_touched(const struct promise *p, uint64_t unit_sectors, struct promise_range **ranges);
/* Did the guest ever write (zero, discard) this sector? */
bool promise_written(const struct promise *p, uint64_t sector);
/* Could a live read at `when` show this sector's initial content? A discard, a failed write, and one that a power failure
 * may have taken back do not rule that out. */
bool promise_maybe_initial(const struct promise *p, uint64_t when, uint64_t sector);

#endif
