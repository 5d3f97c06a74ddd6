/* crash_sample.h: some states of a space that is too large for all of them.
 *
 * First those at the edge, where bugs like to be: nothing survived; everything did; one thing alone did, each in turn.
 * Then states drawn at random, every choice on its own and all its values alike. The seed decides; a state may come
 * twice. What a sample finds is there; what it does not find is no proof.
 */
#ifndef SIMDISK_CRASH_SAMPLE_H
#define SIMDISK_CRASH_SAMPLE_H

#include "simdisk/crash_state.h"

struct crash_sample;
/* Sets the disk, loaded with the space, to the first of `count` states. */
struct crash_sample *crash_sample_create(const struct crash_space *space, struct crash_disk *disk, uint64_t seed,
                                         uint64_t count);
void crash_sample_destroy(struct crash_sample *s);
/* The state the disk is set to now. */
const struct crash_state *crash_sample_state(const struct crash_sample *s);
/* Rewinds the disk and goes to the next state; false after the last. */
bool crash_sample_next(struct crash_sample *s);

#endif
