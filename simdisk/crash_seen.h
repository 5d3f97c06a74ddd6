/* crash_seen.h: which images have been judged already.
 *
 * Different choices can leave the same image: an atom that a later one hides, a sector beyond the length that persisted,
 * a torn write that is whole. An image is known by a sum over its sectors that follows each step of an enumeration:
 *
 *     hash(image) = length  xor  XXH3(sector 0, its bytes)  xor  XXH3(sector 1, its bytes)  xor ...     (128 bits)
 *
 * A sector of zeros counts nothing, so the sum does not depend on how a space came to the image: spaces over different
 * bases agree. Inside an epoch (and only there) an equal image at an earlier point is judged by a tighter promise; so a
 * state may be passed over if its image was judged at its own `when` or earlier.
 */
#ifndef SIMDISK_CRASH_SEEN_H
#define SIMDISK_CRASH_SEEN_H

#include "simdisk/crash_state.h"

struct crash_hash {
    uint64_t low, high;
};

/* The hash of one image of a space at a time. */
struct crash_hasher;
struct crash_hasher *crash_hasher_create(const struct crash_space *space);
void crash_hasher_destroy(struct crash_hasher *h);
/* Starts from this state. */
void crash_hasher_set(struct crash_hasher *h, const struct crash_state *st);
/* This unit shows this version now, or the length has changed; the rest is as it was. */
void crash_hasher_unit(struct crash_hasher *h, size_t unit, uint32_t version);
void crash_hasher_length(struct crash_hasher *h, const struct crash_state *st);
struct crash_hash crash_hasher_value(const struct crash_hasher *h, const struct crash_state *st);

/* Images with the earliest point at which each was judged, in bounded memory: when it is full, it takes up no more. */
struct crash_seen;
struct crash_seen *crash_seen_create(size_t max_bytes);
void crash_seen_destroy(struct crash_seen *seen);
/* An epoch has ended: forgets all. */
void crash_seen_clear(struct crash_seen *seen);
/* Is this image here, at `when` or earlier? If not, it is from now on (memory allowing). *distinct: the image, at any
 * point, is new here; false if that cannot be told any more. */
bool crash_seen_before(struct crash_seen *seen, struct crash_hash hash, uint32_t when, bool *distinct);
/* It was full once: what came after was not told apart. */
bool crash_seen_full(const struct crash_seen *seen);

/* The file's length in this state. */
uint64_t crash_state_length(const struct crash_space *space, const struct crash_state *st);

#endif
