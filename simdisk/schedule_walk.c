/* schedule_walk.c: see schedule_walk.h. */
#include "simdisk/schedule_walk.h"

#include <assert.h>
#include <string.h>

#include "simdisk/xalloc.h"

#define MOST_ALTERNATIVES 255u /* a choice among so many may have been one among more, see sim_loop_choose() */

struct script {
    uint8_t *choices;
    size_t length;
};

struct schedule_walk {
    struct script *queue; /* still to hand out: [next, count) */
    size_t next, count, cap;
    struct script current;
    uint64_t limit, run;
    uint64_t dropped; /* known of, but beyond the limit */
    bool crowded;     /* a choice had more alternatives than are told apart */
};

static void enqueue(struct schedule_walk *w, const uint8_t *choices, size_t length, uint8_t last)
{
    struct script *s;

    if (w->limit - w->run <= w->count - w->next) {
        w->dropped++;
        return;
    }
    w->queue = xgrow(w->queue, w->count, &w->cap, sizeof(*w->queue));
    s = &w->queue[w->count++];
    s->length = length + 1;
    s->choices = xmalloc(s->length);
    if (length)
        memcpy(s->choices, choices, length);
    s->choices[length] = last;
}

struct schedule_walk *schedule_walk_create(uint64_t limit)
{
    struct schedule_walk *w = xcalloc(1, sizeof(*w));

    w->limit = limit ? limit : 1;
    w->queue = xgrow(NULL, 0, &w->cap, sizeof(*w->queue));
    w->queue[w->count++] = (struct script){.choices = xmalloc(0)};
    return w;
}

void schedule_walk_destroy(struct schedule_walk *w)
{
    if (!w)
        return;
    for (size_t i = w->next; i < w->count; i++)
        free(w->queue[i].choices);
    free(w->queue);
    free(w->current.choices);
    free(w);
}

bool schedule_walk_next(struct schedule_walk *w, const uint8_t **script, size_t *length)
{
    if (w->next == w->count || w->run == w->limit)
        return false;
    free(w->current.choices);
    w->current = w->queue[w->next++];
    w->run++;
    if (w->next == w->count)
        w->next = w->count = 0;
    *script = w->current.choices;
    *length = w->current.length;
    return true;
}

bool schedule_walk_ran(struct schedule_walk *w, const uint8_t *choices, const uint8_t *alternatives, size_t count)
{
    size_t length = w->current.length;

    if (count < length || (length && memcmp(choices, w->current.choices, length) != 0))
        return false;
    for (size_t i = 0; i < count; i++) {
        w->crowded |= alternatives[i] >= MOST_ALTERNATIVES;
        if (i >= length && choices[i])
            return false;
    }
    for (size_t i = length; i < count; i++)
        for (unsigned choice = 1; choice < alternatives[i]; choice++)
            enqueue(w, choices, i, (uint8_t)choice);
    return true;
}

struct schedule_figures schedule_walk_figures(const struct schedule_walk *w)
{
    uint64_t left = w->count - w->next;

    return (struct schedule_figures){
        .run = w->run,
        .possible = w->run + left + w->dropped,
        .complete = !left && !w->dropped && !w->crowded,
    };
}
