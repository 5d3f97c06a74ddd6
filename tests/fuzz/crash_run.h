/* crash_run.h: plays a case and judges its crash state. */
#ifndef TESTS_FUZZ_CRASH_RUN_H
#define TESTS_FUZZ_CRASH_RUN_H

#include <stdio.h>

#include "tests/fuzz/crash_case.h"

struct crash_run;

/* design: a name or a name with fields changed; NULL: the safe ones, by the case's byte. NULL with one sentence in why
 * (of at least 200 bytes). */
struct crash_run *crash_run_create(const char *design, char *why);
void crash_run_destroy(struct crash_run *r);
/* True if the state shows anything wrong. */
bool crash_run_case(struct crash_run *r, const struct crash_case *c);
/* After that: what was wrong, and the line that shows it again. With a folder, the workload is written there as a scenario,
 * and the line names that; else it names the generated workload. */
void crash_run_tell(struct crash_run *r, const struct crash_case *c, const char *folder, FILE *out);

#endif
