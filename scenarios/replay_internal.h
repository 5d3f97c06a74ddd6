/* replay_internal.h: a recording between its files and the judge. */
#ifndef SCENARIOS_REPLAY_INTERNAL_H
#define SCENARIOS_REPLAY_INTERNAL_H

#include "engine/qed_format.h"
#include "scenarios/replay.h"

/* One entry of the log that is a write or a flush. */
struct replay_entry {
    enum hist_kind kind;
    enum blk_event label;
    uint64_t offset_bytes, length_bytes;
    uint8_t *data;
};

/* One line of guest.jsonl. */
struct replay_guest {
    enum scn_op op; /* write, zero, flush, discard, truncate, close, open */
    uint64_t offset_bytes, length_bytes;
    uint8_t byte;
    uint64_t log_start, log_end; /* in entries of the log; after loading, in ours */
    uint32_t write_id;           /* writes: from 2; 1 is what the base image held */
};

struct replay_range {
    uint64_t first_sector, count;
};

struct replay {
    struct qed_header header;
    struct qed_geometry geometry;
    struct sim_pages *base, *backing; /* backing: NULL if there is none */
    uint64_t base_bytes, backing_bytes;
    struct replay_entry *entries;
    size_t entry_count, entry_cap;
    struct replay_guest *guest;
    size_t guest_count, guest_cap;
    bool has_guest;
    /* What the guest sees before event 0, other than the backing file's tags. */
    struct replay_range *held, *zeroed;
    size_t held_count, held_cap, zeroed_count, zeroed_cap;
    size_t overlaps;
    uint64_t unknown_sectors;
};

int replay_fail(struct scn_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* guest.jsonl: one object a line. Members nobody knows are skipped. 0 or -EINVAL with the line's number. */
int replay_parse_guest(struct replay *r, const char *name, const char *text, size_t length, struct scn_error *err);

/* Labels each entry, and turns the bytes of base image, backing file and log into tags (replay.h). */
void replay_identify(struct replay *r);

#endif
