#include "simdisk/sim_loop.h"

#include <assert.h>
#include <string.h>

#include "simdisk/xalloc.h"

#define MAX_ALTERNATIVES 255u

struct completion {
    void *owner;
    void (*deliver)(void *opaque);
    void *opaque;
};

struct sim_loop {
    struct blk_loop blk; /* first: the loop is found from it */

    struct completion *pending; /* in order of submission */
    size_t pending_count, pending_cap;

    uint8_t *script; /* NULL unless scripted */
    size_t script_len;
    bool fifo;
    uint64_t rng;
    uint8_t *choices, *alternatives; /* all made so far, whatever the schedule: any run can be replayed as a script */
    size_t choice_count, choice_cap, alternative_cap;

    uint64_t now_ns;
    struct blk_timer *timers; /* by deadline, ties in order of arming */
};

/* ---- choices ---- */

static uint64_t mix_seed(uint64_t seed, uint64_t number)
{
    uint64_t state = seed;

    /* Hash the seed before the number comes in, so that (seed, number) and (seed + 1, number - 1) have nothing in
     * common. */
    state = sim_rng_next(&state) ^ number;
    return sim_rng_next(&state);
}

static unsigned decide(struct sim_loop *loop, unsigned n)
{
    if (loop->script) {
        unsigned wanted = loop->choice_count < loop->script_len ? loop->script[loop->choice_count] : 0;

        return wanted < n ? wanted : n - 1;
    }
    if (loop->fifo)
        return 0;
    return (unsigned)(((sim_rng_next(&loop->rng) >> 32) * n) >> 32);
}

unsigned sim_loop_choose(struct sim_loop *loop, unsigned n)
{
    unsigned choice;

    assert(n >= 1);
    if (n == 1)
        return 0;
    if (n > MAX_ALTERNATIVES)
        n = MAX_ALTERNATIVES;
    choice = decide(loop, n);
    loop->choices = xgrow(loop->choices, loop->choice_count, &loop->choice_cap, 1);
    loop->alternatives = xgrow(loop->alternatives, loop->choice_count, &loop->alternative_cap, 1);
    loop->choices[loop->choice_count] = (uint8_t)choice;
    loop->alternatives[loop->choice_count] = (uint8_t)n;
    loop->choice_count++;
    return choice;
}

const uint8_t *sim_loop_choices(const struct sim_loop *loop, const uint8_t **alternatives, size_t *count)
{
    *alternatives = loop->alternatives;
    *count = loop->choice_count;
    return loop->choices;
}

uint64_t sim_loop_rng_state(const struct sim_loop *loop)
{
    return loop->rng;
}

/* ---- completions ---- */

void sim_loop_post(struct sim_loop *loop, void *owner, void (*deliver)(void *opaque), void *opaque)
{
    loop->pending = xgrow(loop->pending, loop->pending_count, &loop->pending_cap, sizeof(*loop->pending));
    loop->pending[loop->pending_count++] = (struct completion){owner, deliver, opaque};
}

size_t sim_loop_pending(const struct sim_loop *loop)
{
    return loop->pending_count;
}

static struct completion take_pending(struct sim_loop *loop, size_t index)
{
    struct completion taken = loop->pending[index];

    loop->pending_count--;
    memmove(&loop->pending[index], &loop->pending[index + 1], (loop->pending_count - index) * sizeof(taken));
    return taken;
}

void sim_loop_deliver(struct sim_loop *loop, size_t index)
{
    struct completion next;

    assert(index < loop->pending_count);
    next = take_pending(loop, index);
    next.deliver(next.opaque);
}

bool sim_loop_poll(struct sim_loop *loop)
{
    size_t n = loop->pending_count;

    if (n == 0)
        return false;
    sim_loop_deliver(loop, sim_loop_choose(loop, n < MAX_ALTERNATIVES ? (unsigned)n : MAX_ALTERNATIVES));
    return true;
}

void sim_loop_drop(struct sim_loop *loop, void *owner, void (*drop)(void *opaque))
{
    size_t i = 0;

    while (i < loop->pending_count) {
        if (loop->pending[i].owner != owner) {
            i++;
            continue;
        }
        struct completion dropped = take_pending(loop, i);

        if (drop)
            drop(dropped.opaque);
    }
}

static void drain(struct sim_loop *loop)
{
    while (sim_loop_poll(loop))
        ;
}

/* ---- time ---- */

static uint64_t later(uint64_t now_ns, uint64_t delay_ns)
{
    return delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
}

static void timer_cancel(struct blk_loop *blk, struct blk_timer *timer)
{
    struct sim_loop *loop = (struct sim_loop *)blk;

    if (!timer->armed)
        return;
    for (struct blk_timer **link = &loop->timers; *link; link = &(*link)->next) {
        if (*link == timer) {
            *link = timer->next;
            break;
        }
    }
    timer->armed = false;
    timer->next = NULL;
}

static void timer_set(struct blk_loop *blk, struct blk_timer *timer, uint64_t delay_ns)
{
    struct sim_loop *loop = (struct sim_loop *)blk;
    struct blk_timer **link = &loop->timers;

    timer_cancel(blk, timer);
    timer->deadline_ns = later(loop->now_ns, delay_ns);
    while (*link && (*link)->deadline_ns <= timer->deadline_ns)
        link = &(*link)->next;
    timer->next = *link;
    timer->armed = true;
    *link = timer;
}

void sim_loop_drop_timers(struct sim_loop *loop)
{
    while (loop->timers)
        timer_cancel(&loop->blk, loop->timers);
}

void sim_loop_sleep(struct sim_loop *loop, uint64_t duration_ns)
{
    uint64_t end_ns = later(loop->now_ns, duration_ns);

    drain(loop);
    while (loop->timers && loop->timers->deadline_ns <= end_ns) {
        struct blk_timer *due = loop->timers;

        loop->now_ns = due->deadline_ns;
        timer_cancel(&loop->blk, due); /* one shot; fire may arm it again */
        due->fire(due->opaque);
        drain(loop);
    }
    loop->now_ns = end_ns;
}

uint64_t sim_loop_now_ns(const struct sim_loop *loop)
{
    return loop->now_ns;
}

/* ---- life ---- */

static bool loop_poll(struct blk_loop *blk)
{
    return sim_loop_poll((struct sim_loop *)blk);
}

static const struct blk_loop_ops loop_ops = {
    .timer_set = timer_set,
    .timer_cancel = timer_cancel,
    .poll = loop_poll,
};

struct sim_loop *sim_loop_create(const struct sim_schedule *schedule)
{
    struct sim_loop *loop = xcalloc(1, sizeof(*loop));

    loop->blk.ops = &loop_ops;
    loop->fifo = schedule->number == 1;
    loop->rng = mix_seed(schedule->seed, schedule->number);
    if (schedule->script) {
        loop->script = xmalloc(schedule->script_len);
        memcpy(loop->script, schedule->script, schedule->script_len);
        loop->script_len = schedule->script_len;
    }
    return loop;
}

void sim_loop_destroy(struct sim_loop *loop)
{
    sim_loop_drop_timers(loop);
    free(loop->pending);
    free(loop->script);
    free(loop->choices);
    free(loop->alternatives);
    free(loop);
}

struct blk_loop *sim_loop_blk(struct sim_loop *loop)
{
    return &loop->blk;
}
