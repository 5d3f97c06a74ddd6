/* crash_state.h: one crash state as data: which version of every unit survived; and the plain way through all of them.
 *
 * A state is written down as its *survivors*, operation by operation, in names a person can read and paste back:
 *
 *     L2+C#2.6        the L2 update survived, and of the second copy write its sector 6; nothing else
 *     D+len=12288     the data write, and the file's length (where that persists on its own)
 *
 * Enumeration goes in mixed-radix Gray order: neighbours differ in one choice, so stepping costs one sector.
 */
#ifndef SIMDISK_CRASH_STATE_H
#define SIMDISK_CRASH_STATE_H

#include "simdisk/crash_disk.h"

struct crash_state {
    uint32_t *own;   /* per unit: the version chosen among those no atom owns (0: durable) */
    uint8_t *atom;   /* per atom: survived? */
    uint32_t length; /* index into space->lengths */
    size_t unit_count, atom_count;
};

/* The state in which nothing survived. */
void crash_state_init(struct crash_state *st, const struct crash_space *space);
void crash_state_free(struct crash_state *st);
void crash_state_copy(struct crash_state *to, const struct crash_state *from);
/* The version the unit then shows: the latest of its own choice and its surviving atoms. */
uint32_t crash_state_version(const struct crash_space *space, const struct crash_state *st, size_t unit);
/* First crash point at which the state can exist. */
uint32_t crash_state_when(const struct crash_space *space, const struct crash_state *st);
/* Image sectors (of units) and lengths that are not as durable. */
uint32_t crash_state_survivors(const struct crash_space *space, const struct crash_state *st);
/* Fewer survivors first, then earlier, then by the choices themselves: a total order, for witnesses. */
int crash_state_compare(const struct crash_space *space, const struct crash_state *a, const struct crash_state *b);
/* Sets the whole disk, which must be rewound and loaded with the space. */
void crash_state_apply(const struct crash_space *space, const struct crash_state *st, struct crash_disk *disk);
/* What is known on the disk (after crash_disk_settle) as a state. */
void crash_state_from_disk(struct crash_state *st, const struct crash_space *space, const struct crash_disk *disk);

/* The survivors as text, "+L2+C#2.6" ("" for none); the caller frees. */
char *crash_state_text(const struct crash_space *space, const struct crash_state *st);
/* The inverse. False if the text names something this space does not hold, or an operation twice. st is initialised. */
bool crash_state_parse(const struct crash_space *space, const char *text, size_t length, struct crash_state *st);
/* Where the text names an operation that it has named before; its length if it does not. */
size_t crash_state_named_twice(const struct history *history, const char *text, size_t length);

/* All states of a space, one step at a time. */
struct crash_enum;
struct crash_hasher;
struct crash_enum *crash_enum_create(const struct crash_space *space, struct crash_disk *disk);
void crash_enum_destroy(struct crash_enum *e);
/* From now on keeps the hash (crash_seen.h) in step with the state. */
void crash_enum_hash(struct crash_enum *e, struct crash_hasher *h);
/* The state the disk is set to now; the first is the one in which nothing survived. */
const struct crash_state *crash_enum_state(const struct crash_enum *e);
/* Rewinds the disk and goes to the next state; false after the last. Called again after that, it goes through all of
 * them once more, back the way it came. */
bool crash_enum_next(struct crash_enum *e);

#endif
