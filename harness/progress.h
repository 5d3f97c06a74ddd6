/* progress.h: how far a campaign is, on standard error: a bar on a terminal, elsewhere a plain line every 30 s. */
#ifndef HARNESS_PROGRESS_H
#define HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *verb;
    bool terminal, quiet, shown;
    double started, last; /* seconds */
    size_t total, before; /* cells; those that were there when it began */
};

struct progress_figures {
    size_t done; /* cells, with those from before */
    uint64_t states, findings;
};

void progress_begin(struct progress *p, const char *verb, size_t total, size_t before, bool quiet);
/* May be called often; shows something now and then. */
void progress_show(struct progress *p, const struct progress_figures *f);
/* Takes the bar away. */
void progress_end(struct progress *p);
double progress_seconds(const struct progress *p);

#endif
