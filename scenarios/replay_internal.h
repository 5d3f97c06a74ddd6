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
    size_t submitted; /* flushes: before which entry */
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
    char format[16]; /* "qed", or another of QEMU's drivers: then header and geometry are empty, and bytes stay bytes */
    uint64_t image_bytes, cluster_bytes, max_bytes; /* max: of any image of this geometry */
    struct sim_pages *before; /* of other formats: what the guest saw in the base image; image_bytes of it */
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
    bool other_reading;
    bool by_kernel;   /* the log was made by dm-log-writes, which puts behind a flush what the flush does not cover */
    size_t uncovered; /* writes that completed while a flush was in flight and stand before it */
    uint64_t unknown_sectors;
};

int replay_fail(struct scn_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* guest.jsonl: one object a line. Members nobody knows are skipped. 0 or -EINVAL with the line's number. */
int replay_parse_guest(struct replay *r, const char *name, const char *text, size_t length, struct scn_error *err);

/* Of another format than QED: labels the entries as far as can be told, and notes what the guest saw. */
void replay_identify_other(struct replay *r);
/* One more sector of a list that grows upwards. */
struct replay_range *replay_add_range(struct replay_range *list, size_t *count, size_t *cap, uint64_t first,
                                      uint64_t sectors);
/* The latest write of the guest, begun when the log had `entry` entries, that has this sector and this byte. */
const struct replay_guest *replay_find_write(const struct replay *r, size_t entry, uint64_t sector,
                                             const uint8_t *bytes);
/* All of the sector this byte? */
bool replay_is_filled(const uint8_t *bytes, uint8_t with);
/* What the backing file has there? */
bool replay_is_of_backing(const struct replay *r, uint64_t sector, const uint8_t *bytes);
/* Labels each entry, and turns the bytes of base image, backing file and log into tags (replay.h). */
void replay_identify(struct replay *r);

/* A device has room for all that was written to the file, and some more for a second life. */
uint64_t replay_device_bytes(const struct scenario *s);
/* What an earlier owner left behind the base image, except on the way of a leap of more than 2M. */
void replay_fill_stale(const struct scenario *s, struct sim_pages *pages, uint64_t device_bytes);

#endif
