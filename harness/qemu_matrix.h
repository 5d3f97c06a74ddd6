/* qemu_matrix.h: matrix --engine qemu: scenarios recorded from the installed QEMU, each cell beside that of our own engine
 * under `upstream`.
 *
 *   x.scn ─┬▶ qedcrash record ─▶ a recording ─▶ cell ─┐
 *          └▶ our engine ──────────────────────▶ cell ─┴▶ verdict, classes, states: the same? else: is the reason known?
 *
 * Reasons for differences stand in a file, qemu-reasons.txt, in the scenarios' directory: one a line,
 *
 *   SCENARIO DISK|all WHAT: why           WHAT: verdict, classes, states
 *
 * A reason that explains nothing any more is told of. A planted bug, a recording without its flushes, must be found unsafe.
 */
#ifndef HARNESS_QEMU_MATRIX_H
#define HARNESS_QEMU_MATRIX_H

#include "harness/options.h"

#define QEMU_REASONS "qemu-reasons.txt"

/* The whole command, as far as options have been parsed: `directories` hold the scenarios. Returns the exit code. */
int qemu_matrix(const struct options *o, char *const *directories, size_t count);

#endif
