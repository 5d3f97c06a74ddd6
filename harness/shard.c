/* shard.c: see shard.h. */
#include "harness/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static bool parse_number(const char *text, char stop, unsigned long *value, const char **end)
{
    char *after;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoul(text, &after, 10);
    *end = after + (*after == stop && stop);
    return !errno && *after == stop;
}

bool shard_parse(const char *text, struct shard *out)
{
    unsigned long number, of;
    const char *rest;
    if (!parse_number(text, '/', &number, &rest) || !parse_number(rest, 0, &of, &rest))
        return false;
    *out = (struct shard){(unsigned)number, (unsigned)of};
    return of >= 1 && of <= SHARD_MAX && number >= 1 && number <= of;
}

static bool read_variable(const char *name, unsigned long fallback, unsigned long *value)
{
    const char *text = getenv(name), *end;
    *value = fallback;
    return text ? parse_number(text, 0, value, &end) : fallback != (unsigned long)-1;
}

#define NONE ((unsigned long)-1) /* no fallback */

/* The tasks of an array may be numbered from anywhere, in steps; but all of them must be there: of an array that was cut
 * down to a few tasks nobody could tell which part of the campaign they are. */
static bool from_slurm(struct shard *out, char *why, size_t size)
{
    unsigned long id, count, min, max, step;
    if (!read_variable("SLURM_ARRAY_TASK_ID", NONE, &id) || !read_variable("SLURM_ARRAY_TASK_COUNT", NONE, &count) ||
        !read_variable("SLURM_ARRAY_TASK_MIN", 0, &min) || !read_variable("SLURM_ARRAY_TASK_STEP", 1, &step) ||
        !read_variable("SLURM_ARRAY_TASK_MAX", min + (count - 1) * step, &max) || !count || !step || id < min ||
        count > SHARD_MAX || (id - min) / step >= count || max != min + (count - 1) * step) {
        snprintf(why, size,
                 "SLURM_ARRAY_TASK_ID is set, but the array's numbers do not run through (SLURM_ARRAY_TASK_MIN, _MAX, "
                 "_COUNT): say which part this is with --shard K/N");
        return false;
    }
    *out = (struct shard){(unsigned)((id - min) / step) + 1, (unsigned)count};
    return true;
}

static bool from_kubernetes(struct shard *out, char *why, size_t size)
{
    unsigned long index, count;
    if (!read_variable("JOB_COMPLETION_INDEX", NONE, &index) || !read_variable("JOB_COMPLETION_COUNT", NONE, &count) ||
        count > SHARD_MAX || index >= count) {
        snprintf(why, size,
                 "JOB_COMPLETION_INDEX is set, but JOB_COMPLETION_COUNT does not say of how many: set it to the job's "
                 "completions, or say which part this is with --shard K/N");
        return false;
    }
    *out = (struct shard){(unsigned)index + 1, (unsigned)count};
    return true;
}

bool shard_from_environment(struct shard *out, const char **source, char *why, size_t size)
{
    *source = NULL;
    if (getenv("SLURM_ARRAY_TASK_ID")) {
        *source = "SLURM_ARRAY_TASK_ID";
        return from_slurm(out, why, size);
    }
    if (getenv("JOB_COMPLETION_INDEX")) {
        *source = "JOB_COMPLETION_INDEX";
        return from_kubernetes(out, why, size);
    }
    return true;
}

bool shard_has(const struct shard *shard, const char *cell_id)
{
    return shard->of <= 1 || XXH3_64bits(cell_id, strlen(cell_id)) % shard->of == shard->number - 1;
}
