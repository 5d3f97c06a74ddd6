/* space_digest.h: telling crash spaces apart across schedules.
 *
 * What is judged in a space is a set of pairs: an image that the power failure can leave, and what the guest was promised
 * at the first crash point at which it can. The digest covers exactly that, and neither positions nor names: two spaces
 * with one digest, whatever schedules they come from, show the same. docs/schedules.md says why that is sound.
 */
#ifndef HARNESS_SPACE_DIGEST_H
#define HARNESS_SPACE_DIGEST_H

#include "scenarios/runner.h"
#include "simdisk/crash_space.h"
#include "simdisk/digest.h"

struct space_digester;

/* For the spaces of one recording, which must outlive it. */
struct space_digester *space_digester_create(const struct recording *recording);
void space_digester_destroy(struct space_digester *d);
struct digest space_digest(struct space_digester *d, const struct crash_space *space);

#endif
