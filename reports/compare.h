/* compare.h: the findings of a campaign, held against those of an earlier one.
 *
 * Two findings are the same if scenario, design, disk model, schedule, class, guest cluster and missing order are; their
 * witnesses may differ. A known finding that is not there any more is fixed only if its cell was judged completely;
 * otherwise nobody can tell.
 */
#ifndef REPORTS_COMPARE_H
#define REPORTS_COMPARE_H

#include "reports/store.h"

struct compare_counts {
    uint64_t fresh, fresh_unexpected, open, fixed, not_judged;
    uint64_t fresh_safe; /* cells that are safe and should not be, and did as they should before, or were not there */
};

/* Reads the newest finished campaign of the store `path` as what is known; of the store s itself, one before its own. Once,
 * after s has all its cells for what follows. 0 or -errno with err. */
int compare_with(struct store *s, const char *path, struct store_error *err);
int compare_count(struct store *s, struct compare_counts *counts, struct store_error *err);
/* New and fixed findings one by one, the rest as numbers. `open`: those too. */
int compare_print(struct store *s, FILE *out, bool open, struct store_error *err);
/* {"counts":{..},"new":[..],"fixed":[..],"open":[..],"not_judged":[..]} */
int compare_print_json(struct store *s, FILE *out, struct store_error *err);

#endif
