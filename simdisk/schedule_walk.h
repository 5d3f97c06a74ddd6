/* schedule_walk.h: every schedule of a deterministic run, each once, as a script of choices.
 *
 * A run that follows a script makes choice 0 wherever the script has ended, and says afterwards what it chose and among
 * how many. So the tree of choices need not be known: each run shows the alternatives it passed by, and each of them is
 * the last entry of another script.
 *
 *     script ""      chose 0 0 0 of 2 3 1     ->  "1", "0 1", "0 2"
 *     script "0 2"   chose 0 2 0 of 2 3 2     ->  "0 2 1"
 *
 * A schedule is its choices without the zeros at the end, and its script is found from the one with the last entry taken
 * off: so each comes up exactly once. They are handed out by how many choices differ from first in, first out, the
 * fewest first: where a limit cuts the walk, it has seen all mild disorder instead of all orders of the last few I/Os;
 * and what a schedule shows is shown by the simplest one first.
 */
#ifndef SIMDISK_SCHEDULE_WALK_H
#define SIMDISK_SCHEDULE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule_walk;

/* At most `limit` schedules (at least 1) are handed out. */
struct schedule_walk *schedule_walk_create(uint64_t limit);
void schedule_walk_destroy(struct schedule_walk *w);
/* The next script, valid until the next call; false: all were handed out, or as many as the limit allows. */
bool schedule_walk_next(struct schedule_walk *w, const uint8_t **script, size_t *length);
/* The script handed out last was run: its choices, as sim_loop_choices() gives them. Once after each next. False: the run
 * did not follow its script, so it does not depend on its choices alone, and nothing it showed can be trusted. */
bool schedule_walk_ran(struct schedule_walk *w, const uint8_t *choices, const uint8_t *alternatives, size_t count);

struct schedule_figures {
    uint64_t run;      /* handed out */
    uint64_t possible; /* all there are; if not complete: as many as are known of, there are more */
    bool complete;
};
struct schedule_figures schedule_walk_figures(const struct schedule_walk *w);

#endif
