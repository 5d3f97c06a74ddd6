/* canary.h: planted bugs that every matrix must catch. A campaign that misses one has shown nothing. */
#ifndef HARNESS_CANARY_H
#define HARNESS_CANARY_H

#include <stdbool.h>

unsigned canary_count(void);
/* One of them, 0 .. canary_count() - 1. False if it was missed, or did not run. */
bool canary_caught(unsigned number);
/* What was planted. */
const char *canary_what(unsigned number);

/* Judges every canary. 0 or -errno (a canary that does not run); *caught of *of, and what was planted in the first that
 * was missed (NULL: none). Caught means: unsafe, with the class that was planted. */
int canary_run(unsigned *caught, unsigned *of, const char **missed);

#endif
