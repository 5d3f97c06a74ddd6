/* crash_disk_internal.h: what the crashed disk is made of; for crash_disk.c and crash_nested.c alone. */
#ifndef SIMDISK_CRASH_DISK_INTERNAL_H
#define SIMDISK_CRASH_DISK_INTERNAL_H

#include "simdisk/crash_disk.h"

#define NO_UNITS         UINT32_MAX
#define NO_UNIT          UINT32_MAX
#define QUIET_UNIT_BYTES 4096u            /* a length asked for no finer than this is only compared, not used */
#define HIDDEN           (UINT32_MAX - 1) /* lies beyond the length that persisted: zeros */

enum atom_state { ATOM_OPEN, ATOM_OUT, ATOM_IN };

struct cpage {
    const uint8_t *bytes; /* the base's page, or own */
    uint8_t *own;         /* NULL until written or a unit lies in it */
    uint32_t units;       /* index into sector_units of its first sector's entry, or NO_UNITS */
};

/* One step back. */
enum undo_kind { UNDO_BYTES, UNDO_UNIT, UNDO_OVER, UNDO_NOT_OVER, UNDO_ATOM, UNDO_LENGTH };
struct undo {
    enum undo_kind kind;
    uint32_t index; /* sector-in-disk / unit / atom */
    uint32_t old;
    uint32_t old_when;
    size_t saved; /* bytes: slot in `saved` */
};

/* What became of the length since the first failure left it: it was set anew or not, and then grew to at least so
 * much. */
struct length_moved {
    bool resized;
    uint64_t resized_bytes, grown;
};

/* What is known of the length of a file that follows its data: every end < hi; if need, some end >= lo. */
struct length_known {
    uint64_t hi, lo;
    bool resolved, need;
    uint32_t choice;   /* lengths of their own: index, or CRASH_OPEN */
    uint64_t compared; /* resolved: as the first failure left it, as far as known */
    struct length_moved moved;
    uint64_t bytes; /* now: what comes of these two */
    uint32_t when;
};

/* A unit version or an atom that would make the file longer than its floor; by `when`. */
struct provider {
    uint64_t end;
    uint32_t when;
    uint32_t unit, version, atom;
};

/* What a second failure made of what was written. */
enum fate {
    FATE_OPEN,
    FATE_LOST,
    FATE_KEPT,
    FATE_EITHER /* it changed no contents, and may be there or not */
};

/* One sector that recovery wrote. */
struct logged {
    uint64_t sector;
    uint32_t op, epoch;
    size_t saved;   /* slot of what it held before, or SIZE_MAX: an open unit */
    uint64_t piece; /* what persists together: the sector, its 4 KiB block, or the operation */
    bool changes;   /* contents other than before, or than nobody knows */
    uint32_t nth;   /* changes of its piece in its epoch, up to this one */
    enum fate fate;
    bool cut_off; /* a later cut shows in what its piece holds */
};

/* One write or resize of recovery. */
struct logged_op {
    uint32_t epoch;
    uint64_t length; /* of the file after it */
    bool resizes;
    bool in; /* a resize: the second failure kept it */
};

/* One sector of a piece that a second failure asked for: has anybody looked at what it holds since? */
struct watched {
    uint64_t sector;
    uint32_t asked;
    bool read;
};

/* A length on offer, and the first crash point at which it can exist. */
struct bucket {
    uint64_t bytes;
    uint32_t when;
};

struct crash_disk {
    struct blockdev blk; /* first */
    const struct crash_space *space;
    struct crash_chooser *chooser;
    struct cpage *pages;
    size_t page_count, page_cap;
    const uint8_t *zero_page;
    uint8_t **spare; /* own pages not in use */
    size_t spare_count, spare_cap;
    uint32_t *sector_units; /* 8 per page that has units */
    size_t sector_unit_count, sector_unit_cap;
    uint32_t *chosen; /* per unit: version, CRASH_OPEN or HIDDEN */
    size_t chosen_cap;
    bool *unit_zero; /* per unit: every version is zeros */
    size_t unit_zero_cap;
    bool *provides; /* per unit: some version of it is a provider */
    size_t provides_cap;
    bool *over; /* per unit: open, and overwritten unread: nobody will ever know */
    size_t over_cap;
    uint64_t (*used)[CRASH_USED_WORDS];
    size_t used_cap;
    uint32_t *used_units; /* those with any bit set */
    size_t used_count, used_units_cap;
    struct crash_length_use length_use;
    enum blk_event event; /* announced last */
    uint8_t *atoms;
    size_t atom_cap;
    struct provider *providers;
    size_t provider_count, provider_cap;
    struct provider *by_end; /* the same, by end */
    size_t by_end_cap;
    size_t known_providers; /* units that provide and are no longer open */
    struct bucket *buckets;
    size_t bucket_cap;
    struct bucket *first_buckets; /* those on offer while no provider is known, for lengths in first_unit_bytes */
    size_t first_bucket_cap;
    uint32_t first_bucket_count;
    uint64_t first_unit_bytes; /* 0: not collected yet */
    uint32_t *alternatives;
    size_t alternative_cap;
    struct length_known length;
    struct length_known *lengths_saved;
    size_t lengths_saved_count, lengths_saved_cap;
    struct undo *undo;
    size_t undo_count, undo_cap;
    uint8_t *saved; /* 512 bytes per slot */
    size_t saved_count, saved_cap;
    uint32_t when;
    struct logged *log; /* what recovery wrote, sector by sector */
    size_t log_count, log_cap;
    uint8_t *log_bytes; /* 512 bytes per entry: what it wrote */
    size_t log_bytes_cap;
    bool logging;
    struct logged_op *log_ops;
    size_t log_op_count, log_op_cap;
    struct length_moved log_moved; /* when logging began */
    uint32_t log_epoch;
    bool log_resized;        /* some operation of the log is a resize */
    struct watched *watched; /* since the last rewind to 0 */
    size_t watched_count, watched_cap;
    uint32_t asked_count, asking; /* pieces asked for; the one being asked for, from 1, or 0 */
    uint64_t writes, flushes, allocations;
};

/* A step back; the caller fills in what it needs. */
struct undo *crash_disk_log_undo(struct crash_disk *d, enum undo_kind kind, uint32_t index);
/* Keeps what is known of the length for the way back. */
void crash_disk_save_length(struct crash_disk *d);
/* Keeps the sector's bytes for the way back. */
void crash_disk_save_sector(struct crash_disk *d, uint64_t sector, const uint8_t *bytes);
void *crash_disk_grow(struct crash_disk *d, void *array, size_t need, size_t *cap, size_t size);
/* crash_nested.c: recovery wrote this sector; undo_before: where its steps back begin. */
void crash_nested_log(struct crash_disk *d, uint64_t sector, size_t undo_before, const uint8_t *bytes);
/* The same of a cut, of which a second failure asks once for all sectors. */
void crash_nested_log_cut(struct crash_disk *d, uint64_t sector, size_t undo_before, const uint8_t *bytes);
/* The longest that the file may be if the power fails now: a cut takes away all up to there. */
uint64_t crash_nested_reach(const struct crash_disk *d);
/* Somebody is about to look at these sectors. */
void crash_nested_read(struct crash_disk *d, uint64_t first, uint64_t end);
/* One write is over; a resize; a flush. */
void crash_nested_wrote(struct crash_disk *d);
void crash_nested_resized(struct crash_disk *d);
void crash_nested_flushed(struct crash_disk *d);
/* The file's length, moved so from where the first failure left it; and makes it that. */
uint64_t crash_disk_length_after(const struct crash_disk *d, const struct length_moved *moved);
void crash_disk_move_length(struct crash_disk *d, const struct length_moved *moved);
/* A sector is about to be overwritten, wholly or not: its bytes, kept for the way back. */
uint8_t *crash_disk_sector_for_write(struct crash_disk *d, uint64_t sector, bool whole);

static inline uint32_t crash_disk_unit_at(const struct crash_disk *d, uint64_t sector)
{
    const struct cpage *p = &d->pages[sector / SIM_PAGE_SECTORS];
    return p->units == NO_UNITS ? NO_UNIT : d->sector_units[p->units + sector % SIM_PAGE_SECTORS];
}

#endif
