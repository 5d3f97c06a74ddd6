/* test_simdisk_crash_kit.h: tiny histories, and the crash model said a second time, as plainly as can be.
 *
 * A disk of 16 sectors; every sector is filled with one byte, so an image is 16 bytes and a length. naive_images() restates
 * the prose of simdisk/disk_model.h with nothing shared with simdisk/crash_*.c: it lists every image a power failure can
 * leave at one crash point.
 */
#ifndef TEST_SIMDISK_CRASH_KIT_H
#define TEST_SIMDISK_CRASH_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simdisk/crash_state.h"

#define KIT_SECTORS 16u

struct image {
    uint8_t sector[KIT_SECTORS];
    uint32_t length; /* in sectors */
    uint32_t when;   /* earliest crash point seen */
};

struct image_set {
    struct image *items;
    size_t count, cap;
};

void image_set_free(struct image_set *set);
void image_set_add(struct image_set *set, const struct image *image);
/* Sorts, and keeps each image once, with its earliest `when`. */
void image_set_finish(struct image_set *set);
/* Both finished. Leaves in `set` only what `other` has too, and takes over its `when`. */
void image_set_restrict(struct image_set *set, const struct image_set *other);
bool image_set_has(const struct image_set *set, const struct image *image);
/* Both finished. Prints what one has and the other has not; with_when: also where `when` differs. */
bool image_set_same(const struct image_set *a, const struct image_set *b, bool with_when, const char *name_a,
                    const char *name_b);

/* --- histories ---- */

/* A history over a disk of base_sectors sectors, the n-th filled with 'a' + n. */
struct history *tiny_history(uint32_t base_sectors, bool fixed);
/* Submits a write that fills `count` sectors with these bytes. Returns the operation. */
uint32_t tiny_write(struct history *h, enum blk_event label, uint32_t sector, const char *bytes);
uint32_t tiny_flush(struct history *h);
/* Submitted and done. */
uint32_t tiny_write_done(struct history *h, uint32_t sector, const char *bytes);
void tiny_flush_done(struct history *h, int ret);
void tiny_resize(struct history *h, uint32_t sectors);
void tiny_print(const struct history *h);

/* --- what is possible ---- */

/* Every image possible at this crash point, with when = point. Adds to the set. */
void naive_images(const struct history *h, const struct sim_disk_model *model, uint32_t point, struct image_set *set);
/* Were two writes that share an atomic unit larger than a sector, or a write and a resize, ever in flight together? Then
 * the spaces settle for one of their two orders, and do not show what only the other leaves. */
bool naive_order_matters(const struct history *h, const struct sim_disk_model *model);
/* Would an epoch end before this event? */
bool naive_boundary(const struct history *h, const struct sim_disk_model *model, uint32_t event);

/* Length first, then all sectors. */
void tiny_read(struct crash_disk *disk, struct image *image);
/* The byte that fills the sector. */
uint8_t tiny_read_sector(struct crash_disk *disk, uint32_t sector);
uint32_t tiny_length(struct crash_disk *disk, uint32_t unit_sectors);
/* Every state of the space, by plain enumeration. Returns how many. */
size_t tiny_enumerate(const struct crash_space *space, struct crash_disk *disk, struct image_set *set);

/* A chooser that goes through all sequences of choices, one run each. */
struct tiny_dfs {
    struct crash_chooser chooser; /* first */
    uint32_t pick[64], of[64];
    uint32_t depth, at;
    uint32_t asked_length;
};

void tiny_dfs_start(struct tiny_dfs *dfs);
/* Before each run: true while there is one more. */
bool tiny_dfs_next(struct tiny_dfs *dfs, bool first);

#endif
