/* shard.h: one part of a campaign, for one of several machines that share nothing but the command.
 *
 * A cell belongs to a shard by the sum of its id (XXH3), so every machine knows which are its own, and adding a scenario
 * moves no other cell.
 */
#ifndef HARNESS_SHARD_H
#define HARNESS_SHARD_H

#include <stdbool.h>
#include <stddef.h>

struct shard {
    unsigned number, of; /* 1 .. of; 0, 0: not given */
};

#define SHARD_MAX 100000u

/* "3/8". False if it is none. */
bool shard_parse(const char *text, struct shard *out);
/* What a job scheduler says about this task: of a Slurm array, or an indexed Kubernetes job. *source names the variable, or
 * is NULL if there is none. False with one sentence in why if there is one that does not say it all. */
bool shard_from_environment(struct shard *out, const char **source, char *why, size_t size);
bool shard_has(const struct shard *shard, const char *cell_id);

#endif
