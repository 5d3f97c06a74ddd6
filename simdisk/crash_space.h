/* crash_space.h: all the images a power failure can leave behind, as a product of independent choices.
 *
 * The model in prose stands in disk_model.h. From a history and a model, a crash_walk derives one *space* after the other:
 *
 *     history   w w F w w w  F  ack w w ...
 *     epochs   |-----|--------|---|-------    a boundary is a completed flush, or a promise that tightened
 *                 │
 *                 ▼
 *     space    base (durable pages)  x  unit 0: {durable, v1, v2}  x  unit 1: {durable, v1}  x ...  x  {lengths}
 *
 * Inside an epoch the set of possible images only grows and the promises only loosen. So the images at its end are the
 * images of all its crash points, and an image is judged by the promise at the first point at which it can exist: the
 * latest `when` among its versions. (tests/unit/test_explore_differential.c holds this against point-by-point enumeration.)
 *
 * A *unit* is an atomic piece of the disk (512 or 4096 bytes) with pending versions. Equal contents collapse. Where whole
 * operations persist or not (the whole-write model; a cut of the file), the operation is an *atom*: choosing a version
 * then decides the atoms it stands on, see crash_disk.c.
 *
 * The ordered cache is no product. There the walk yields several small spaces per epoch: a prefix of the completed
 * writes, folded into the base, and the units of the one write that is torn.
 */
#ifndef SIMDISK_CRASH_SPACE_H
#define SIMDISK_CRASH_SPACE_H

#include "simdisk/bignum.h"
#include "simdisk/disk_model.h"
#include "simdisk/history.h"

#define CRASH_NO_ATOM UINT32_MAX

struct crash_version {
    const uint8_t *data; /* the unit's contents; owned by the space or the history */
    uint32_t op;         /* history operation that brought it; HIST_NEVER: durable */
    uint32_t when;       /* first crash point at which it can exist */
    uint32_t atom;       /* index into atoms, or CRASH_NO_ATOM */
    uint64_t end_bytes;  /* if it survives, a growing file reaches at least here; 0: nothing added to base_length */
};

struct crash_unit {
    uint64_t first_sector;
    uint32_t first_version; /* index into versions; version 0 of a unit is the durable one */
    uint32_t version_count; /* >= 2 */
};

/* An operation that persists whole or not at all. */
struct crash_atom {
    uint32_t op;
    uint32_t when;
    uint64_t end_bytes; /* as crash_version; 0 for a cut */
    bool cuts;          /* a resize to cut_bytes: what was durable beyond is gone */
    uint64_t cut_bytes;
    uint32_t *units; /* the units it has a version in */
    uint32_t unit_count;
};

/* Models whose length persists on its own: one more choice. */
struct crash_length {
    uint64_t bytes;
    uint32_t op; /* HIST_NEVER: durable */
    uint32_t when;
};

struct crash_space {
    const struct history *history;
    const struct sim_disk_model *model;
    bool one_order; /* writes in flight together share an atomic unit: only one of their orders is in here */
    uint32_t first_point, last_point; /* crash points it stands for */
    uint32_t epoch;                   /* first crash point of its epoch */
    struct sim_pages *base;
    uint64_t base_length;     /* durable length of the file */
    uint32_t unit_sectors;    /* 1 or 8 */
    struct crash_unit *units; /* by first_sector */
    size_t unit_count, unit_cap;
    struct crash_version *versions;
    size_t version_count, version_cap;
    struct crash_atom *atoms;
    size_t atom_count, atom_cap;
    struct crash_length *lengths; /* NULL unless the length is a choice; [0] durable, ascending */
    size_t length_count, length_cap;
    uint32_t prefix_ops; /* ordered cache: completed writes folded into the base */
    uint32_t *prefix;    /* those operations */
    uint8_t **buffers;   /* contents of 4 KiB units */
    size_t buffer_count, buffer_cap;
};

struct crash_walk;

/* every_point: a space per crash point instead of per epoch (the plain way, for the differential test). The history must
 * outlive walk and spaces. */
struct crash_walk *crash_walk_create(const struct history *h, const struct sim_disk_model *model, bool every_point);
void crash_walk_destroy(struct crash_walk *w);
/* The next space, the caller's; NULL after the last. */
struct crash_space *crash_walk_next(struct crash_walk *w);
void crash_space_free(struct crash_space *s);

static inline const struct crash_version *crash_unit_version(const struct crash_space *s, size_t unit, uint32_t v)
{
    return &s->versions[s->units[unit].first_version + v];
}

/* The exact number of choices: the product of the units' version counts (of the atoms' two values each, where atoms
 * decide) and the lengths. */
void crash_space_count(const struct crash_space *s, struct bignum *count);
/* Index of the unit that holds the image sector, or SIZE_MAX. */
size_t crash_space_unit_of(const struct crash_space *s, uint64_t sector);

#endif
