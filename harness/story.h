/* story.h: a finding in words. */
#ifndef HARNESS_STORY_H
#define HARNESS_STORY_H

#include "harness/finding.h"

/* Lines, each ended by a newline: what the guest did until the power failed, what survived of what was pending, what was
 * lost, and what the guest then sees. The caller frees. */
char *story_tell(const struct finding *f, const struct crash_space *space, const struct recording *recording);

#endif
