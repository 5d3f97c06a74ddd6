/* sim_loop.h: the deterministic event loop all simulated disks of one run share.
 *
 * Pending completions wait in the loop; which one is delivered next is a *choice*. Schedule 1 always takes the oldest
 * (first in, first out); other schedules draw from a seeded generator; a scripted schedule follows a list of choices.
 * Every schedule records its choices and how many alternatives each had, so that any run can be replayed as a script and
 * an explorer can walk all of them. Nothing else in a run is random, and no clock, address or hash order reaches a
 * result.
 *
 * Time is virtual: it moves only in sim_loop_sleep. I/O takes no time.
 */
#ifndef SIMDISK_SIM_LOOP_H
#define SIMDISK_SIM_LOOP_H

#include "engine/blockdev.h"

struct sim_loop;

/* How choices are made. */
struct sim_schedule {
    uint64_t number; /* 1: FIFO; N > 1: seeded by (seed, N); ignored when script is set */
    uint64_t seed;
    const uint8_t *script; /* the first script_len choices (copied); later ones are 0, too large ones the last */
    size_t script_len;
};

struct sim_loop *sim_loop_create(const struct sim_schedule *schedule);
void sim_loop_destroy(struct sim_loop *loop); /* drops what is pending */
struct blk_loop *sim_loop_blk(struct sim_loop *loop);

/* One of n alternatives (n >= 1), as the schedule says; n == 1 makes no choice. The runner uses it too (when to submit
 * an aio). At most 255 alternatives are told apart. */
unsigned sim_loop_choose(struct sim_loop *loop, unsigned n);
/* The choices made so far, and how many alternatives each had. Owned by the loop. */
const uint8_t *sim_loop_choices(const struct sim_loop *loop, const uint8_t **alternatives, size_t *count);
/* Final state of the random generator: two runs of one schedule must agree on it. */
uint64_t sim_loop_rng_state(const struct sim_loop *loop);

/* Queues a completion: when chosen, `deliver(opaque)` runs. `owner` is for sim_loop_drop. */
void sim_loop_post(struct sim_loop *loop, void *owner, void (*deliver)(void *opaque), void *opaque);
/* Number of completions pending. */
size_t sim_loop_pending(const struct sim_loop *loop);
/* Delivers one pending completion, chosen by the schedule; false if there is none. */
bool sim_loop_poll(struct sim_loop *loop);
/* Delivers the pending completion at index (< sim_loop_pending, 0 the oldest); for who made the choice himself. */
void sim_loop_deliver(struct sim_loop *loop, size_t index);
/* Forgets the pending completions of that owner without running them (its device has died, or its client has); `drop`,
 * if not NULL, is called with each one's opaque, oldest first. */
void sim_loop_drop(struct sim_loop *loop, void *owner, void (*drop)(void *opaque));
/* Disarms all timers (their owner has died). */
void sim_loop_drop_timers(struct sim_loop *loop);

/* Lets virtual time pass: delivers pending completions and fires timers in deadline order (ties: order of arming),
 * until duration_ns has passed and no completion is left. */
void sim_loop_sleep(struct sim_loop *loop, uint64_t duration_ns);
uint64_t sim_loop_now_ns(const struct sim_loop *loop);

/* splitmix64: the one random generator of the project; also for tests and workloads. */
static inline uint64_t sim_rng_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
