/* merge.h: the stores of a campaign's shards, as one store. */
#ifndef REPORTS_MERGE_H
#define REPORTS_MERGE_H

#include "reports/store.h"

/* The newest campaigns of the stores `in` must be all shards of one: of one version, seed, options and inputs, each finished
 * and there once. They become one campaign more in the store `out`, equal to that of a single machine; `command` goes with
 * it. Nothing is written unless all is well with them. 0; -EINVAL where they do not fit; or -errno; with one sentence. */
int store_merge(const char *out, const char *const *in, size_t count, const char *command, struct store_error *err);

#endif
