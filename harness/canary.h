/* canary.h: planted bugs that every matrix must catch. A campaign that misses one has shown nothing. */
#ifndef HARNESS_CANARY_H
#define HARNESS_CANARY_H

#include <stddef.h>

/* Judges every canary. 0 or -errno (a canary that does not run); *caught of *of. */
int canary_run(unsigned *caught, unsigned *of);
/* Name and what was planted, for a person; NULL past the last. missed: whether the last canary_run missed it. */
const char *canary_describe(size_t index);

#endif
