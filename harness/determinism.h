/* determinism.h: is a run really a function of its scenario, design, disk and schedule?
 *
 * Everything rests on that: a finding is only worth what its id can show again. So a share of the cells, chosen by their
 * name, is recorded twice, and the final state of the random generator, the choices and every event, operation, byte and
 * mark of the two histories are held against each other.
 */
#ifndef HARNESS_DETERMINISM_H
#define HARNESS_DETERMINISM_H

#include "scenarios/runner.h"
#include "simdisk/digest.h"

#define DETERMINISM_ONE_IN 8

/* Is the cell of this id among those recorded twice? A function of the id alone. */
bool determinism_due(const char *id);
/* Every event, operation, byte and mark of the history. */
struct digest determinism_history(const struct history *h);
/* True if the two recordings are equal; else false, with one sentence in why. */
bool determinism_equal(const struct recording *a, const struct recording *b, char *why, size_t size);

#endif
