/* replay.h: a recording as a directory, taken for a scenario: somebody else's engine wrote to an image, and its log says
 * what. From here on nobody downstream knows the difference: scenario_record() gives history and promise.
 *
 *   base.qed ────────┐ before event 0
 *   backing.raw ─────┤ contents that nobody wrote          ┌▶ struct scenario (statements: the guest's operations)
 *   writes.log ──────┤ entries (simdisk/dm_log.h)  ────────┤        │ scenario_record()
 *   guest.jsonl ─────┘ what the guest asked, and when      └▶ struct replay ──▶ history + promise
 *
 * The guest's bytes become tags. A recorder fills a write with one byte, which says little; the judge wants tags
 * (oracle/tag.h). So each sector that is written to a data cluster is taken for what it is, once, while the recording is
 * loaded: the latest write of the guest that covers it and has this byte; the backing file's sector; zeros; or nobody's.
 * Which guest sector a cluster belongs to, the tables say, those of the base image and those in the log. What is in the
 * base image's clusters is a write of the time before (write 1 of life 0). Each sector of the backing file reads as the tag
 * of its place.
 *
 * A log knows only completions: a write is pending from there on, which for requests one at a time is the whole truth. Of
 * requests that overlapped, a flush may cover less than the log's order says: QEMU's blklogwrites enters write and flush
 * when each completes, so a write that completed while a flush was in flight stands before it, covered or not. Such a
 * recording has two readings, DIR (the flush covers it) and DIR+uncovered (it does not, the flush was submitted when the
 * guest asked for it). The kernel's dm-log-writes enters such a write behind the flush: one reading. REPLAY_META says which
 * of the two made the log; without it, blklogwrites did.
 *
 * Of another format than QED only bytes are known here (replay_other.c): history and promise are the same, but who
 * recovers and reads must be QEMU, and what it reads becomes tags then, by replay_tag_sector().
 *
 * Without guest.jsonl nobody knows what was promised: replay_structure_only().
 */
#ifndef SCENARIOS_REPLAY_H
#define SCENARIOS_REPLAY_H

#include "scenarios/runner.h"

#define REPLAY_BASE    "base.qed"
#define REPLAY_BACKING "backing.raw"
#define REPLAY_LOG     "writes.log"
#define REPLAY_GUEST   "guest.jsonl"
#define REPLAY_META    "recording.json" /* {"log":"blklogwrites"} or {"log":"dm-log-writes"} */

#define REPLAY_UNCOVERED "+uncovered" /* behind a directory's name: the other reading of it */
#define REPLAY_IMAGE     "image.json" /* of another format than QED; its image is base.FORMAT */
#define REPLAY_BEFORE    "before.raw" /* and what the guest saw in it */

struct replay;

/* A directory, or a reading of one? (Nothing else of it is looked at.) */
bool replay_is_directory(const char *path);
/* 0, or -EINVAL (-EIO, -ENOMEM) with one sentence. *out is the caller's, for scenario_free(). */
int replay_load(const char *dir, struct scenario **out, struct scn_error *err);
void replay_free(struct replay *r);

/* What scenario_record() does for such a scenario. */
int replay_record(const struct scenario *s, const struct run_options *options, struct recording *out,
                  struct scn_error *err);
/* The backing file as the guest sees it; NULL if there is none. The caller's. */
struct sim_pages *replay_backing(const struct replay *r, uint64_t *length_bytes);

bool replay_structure_only(const struct replay *r);
/* QEMU's name of the image's format; is it QED? Others than QED are QEMU's to recover. */
const char *replay_format(const struct replay *r);
bool replay_is_qed(const struct replay *r);
/* A guest sector as QEMU read it, its bytes made tags where they are not (of QED all are, see above). */
void replay_tag_sector(const struct replay *r, uint64_t sector, uint8_t bytes[BLK_SECTOR_BYTES]);
/* Writes that completed while a flush was in flight and stand before it in the log: if there are any, the readings
 * differ. */
size_t replay_uncovered(const struct replay *r);
bool replay_is_uncovered(const struct replay *r); /* is it the other reading? */
/* Sectors written to data clusters whose bytes are nobody's. */
uint64_t replay_unknown_sectors(const struct replay *r);
size_t replay_entries(const struct replay *r);

#endif
