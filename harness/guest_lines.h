/* guest_lines.h: a run of ours as guest.jsonl has it (docs/cli.md, Recordings): what the guest asked, and between which
 * entries of the log.
 *
 * There a write is filled with one byte; ours are filled with tags. So each sector of the history that a write of this run
 * tagged becomes its byte, and a prefix of the log is the image of a guest that wrote such bytes.
 */
#ifndef HARNESS_GUEST_LINES_H
#define HARNESS_GUEST_LINES_H

#include <stdio.h>

#include "scenarios/runner.h"

/* Has guest.jsonl words for all that the guest did? It has none for a request that failed or never ended, for kill, reopen
 * and rebase. */
bool guest_lines_possible(const struct recording *r);
/* One line for each operation that may change the image, in the order of asking. Errors are the stream's. */
void guest_lines_write(FILE *out, const struct recording *r);
/* Tags of this run's writes in the history become fill bytes. */
void guest_lines_fill(struct recording *r);

#endif
