/* campaign.h: a plan's cells, judged by workers, into a store.
 *
 *     plan ──▶ what is left to judge ──▶ workers ──▶ one transaction per cell ──▶ canaries, finished
 *               not of another shard,      (a cell each;
 *               not judged before           the parent alone writes)
 */
#ifndef HARNESS_CAMPAIGN_H
#define HARNESS_CAMPAIGN_H

#include "harness/plan.h"
#include "harness/progress.h"

struct campaign {
    const char *verb; /* for messages */
    const struct options *options;
    const struct plan *plan;
    const char *command; /* as typed */
    bool canaries;       /* judge them as well */
    struct store *store;

    /* Its own. */
    bool *settled;    /* per cell of the plan: judged before, or another shard's */
    uint64_t *states; /* per cell under way: judged so far */
    size_t mine, before, done, next;
    unsigned canaries_done, canaries_caught;
    const char *canary_missed;
    struct progress progress;
    struct progress_figures figures;
    uint64_t flying; /* states of cells under way */
    double store_seconds;
    bool out_of_time;
    int code;          /* of the first cell, in order, that could not be judged */
    size_t code_index; /* its place */
    size_t died_place; /* of the cell whose worker died last */
    char message[400];
};

/* The cells of this campaign's shard. */
size_t campaign_size(const struct campaign *c);
/* Opens the store; the plan must be sealed. 0 or an exit code, after one line on stderr. The store may be there in both
 * cases, and is the caller's to close. */
int campaign_open(struct campaign *c);
/* Judges what is left. 0: all cells of the shard are in the store. EXIT_INTERRUPTED: by a signal or the time limit; or
 * another exit code; after one line on stderr that says how to go on. */
int campaign_judge(struct campaign *c);
void campaign_free(struct campaign *c);

#endif
