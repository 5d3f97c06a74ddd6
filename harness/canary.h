/* canary.h: planted bugs that every matrix must catch. A campaign that misses one has shown nothing. */
#ifndef HARNESS_CANARY_H
#define HARNESS_CANARY_H

/* Judges every canary. 0 or -errno (a canary that does not run); *caught of *of, and what was planted in the first that
 * was missed (NULL: none). Caught means: unsafe, with the class that was planted. */
int canary_run(unsigned *caught, unsigned *of, const char **missed);

#endif
