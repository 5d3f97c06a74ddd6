/* design_load.h: the design that somebody named: one of the engine's, one with fields changed, or a file of one's own.
 *
 *   careful      upstream,data_flush=never      ./mine.design      designs/mine.design
 */
#ifndef HARNESS_DESIGN_LOAD_H
#define HARNESS_DESIGN_LOAD_H

#include "engine/design_text.h"

/* Does it name a file? Then no fields can be changed behind it. */
bool design_is_file(const char *text);
/* What holds a '/' or ends in ".design" is a file of at most 64 KiB. *out lives until design_unload(). 0, -EINVAL or the
 * file's error, with one sentence in err. */
int design_load(const char *text, const struct qed_design **out, struct qed_design_error *err);
/* Does nothing to the engine's own. */
void design_unload(const struct qed_design *design);

/* The installed QEMU, where ids and tables name a design: it is no design of ours, and recovers recordings alone. Its
 * fields are upstream's. */
const struct qed_design *design_qemu(void);
bool design_is_qemu(const struct qed_design *design);

#endif
