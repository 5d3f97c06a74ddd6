/* demonstrate.h: a finding's crash state, shown on the installed QEMU: the image is written out, checked, opened, read,
 * written to beside the place and at it, and read again. What QEMU answers is printed as a transcript, and what it means
 * to the guest in a sentence.
 */
#ifndef HARNESS_DEMONSTRATE_H
#define HARNESS_DEMONSTRATE_H

#include "harness/cell.h"

/* The state that the id names, of a recording; guest_sector: the place, or UINT64_MAX where the finding has none. 0, or
 * -errno with one sentence. */
int demonstrate(const char *id, uint64_t guest_sector, const struct cell_options *options, FILE *out,
                struct scn_error *err);

#endif
