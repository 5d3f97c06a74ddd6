/* gen_jobs.h: job files for a campaign in shards: Slurm, Kubernetes, or many processes on one machine. */
#ifndef HARNESS_GEN_JOBS_H
#define HARNESS_GEN_JOBS_H

#include <stdbool.h>

/* Is this word the name of a kind of job file? */
bool gen_jobs_is_kind(const char *word);
/* `gen slurm|k8s|parallel ...`; argv[1] is the kind. Returns the exit code. */
int gen_jobs(int argc, char **argv);

#endif
