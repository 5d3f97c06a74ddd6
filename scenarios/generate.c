/* generate.c: the enumeration: depth first over the words, for each number of words anew, so that small ones come first; and
 * of one number first those in which nothing is side by side, for they have one schedule. */
#include <string.h>

#include "scenarios/generate_internal.h"
#include "simdisk/xalloc.h"

#define SETUPS 6u

struct gen {
    struct gen_bound bound;
    unsigned length; /* words of the workloads under way */
    bool beside;     /* they have words side by side; else none */
    unsigned setup;
    struct gen_workload w;                      /* its first w.count words are chosen */
    struct gen_state states[GEN_WORDS_MAX + 1]; /* [i]: before word i */
    unsigned next[GEN_WORDS_MAX + 1];           /* [i]: the next alternative for word i: word * 2 + beside */
};

static bool begin_setup(struct gen *g)
{
    g->w.backing = (enum gen_backing)(g->setup / 2);
    g->w.prepared = g->setup % 2;
    g->w.count = 0;
    g->next[0] = 0;
    gen_state_begin(&g->states[0], &g->w);
    return g->w.backing != GEN_BACKING_SHORT || (g->bound.classes & GEN_SHORT);
}

struct gen *gen_begin(const struct gen_bound *bound)
{
    struct gen *g = xcalloc(1, sizeof(*g));
    g->bound = *bound;
    g->length = 1;
    begin_setup(g);
    return g;
}

void gen_end(struct gen *g)
{
    free(g);
}

/* The next alternative for the word behind those chosen; false when there is none left. */
static bool choose(struct gen *g)
{
    unsigned at = g->w.count;
    for (unsigned *n = &g->next[at]; *n < 2 * gen_word_count;) {
        const struct gen_word *word = &gen_words[*n / 2];
        bool beside = *n % 2;
        ++*n;
        if (beside && !g->beside)
            continue;
        if (!gen_may_follow(&g->bound, &g->w, &g->states[at], word, beside))
            continue;
        g->w.steps[at] = (struct gen_step){.word = (uint8_t)(word - gen_words), .beside = beside};
        g->states[at + 1] = g->states[at];
        gen_state_step(&g->states[at + 1], word, beside);
        g->w.count++;
        g->next[at + 1] = 0;
        return true;
    }
    return false;
}

/* All words are used up: the next setup, or one word more. */
static bool go_on(struct gen *g)
{
    unsigned most = g->bound.ops + g->bound.events;
    do {
        if (++g->setup == SETUPS) {
            g->setup = 0;
            g->length += g->beside;
            g->beside = !g->beside;
        }
    } while (g->length <= most && g->length <= GEN_WORDS_MAX && !begin_setup(g));
    return g->length <= most && g->length <= GEN_WORDS_MAX;
}

static bool has_beside(const struct gen_workload *w)
{
    bool any = false;
    for (unsigned i = 0; i < w->count; i++)
        any |= w->steps[i].beside;
    return any;
}

const struct gen_workload *gen_next(struct gen *g)
{
    while (true) {
        if (g->w.count == g->length)
            g->w.count--; /* the one handed out last */
        while (g->w.count < g->length) {
            if (choose(g))
                continue;
            if (!g->w.count) {
                if (!go_on(g))
                    return NULL;
                continue;
            }
            g->w.count--;
        }
        if (has_beside(&g->w) == g->beside && gen_may_end(&g->bound, &g->states[g->w.count]))
            return &g->w;
    }
}

uint64_t gen_count(const struct gen_bound *bound)
{
    struct gen *g = gen_begin(bound);
    uint64_t count = 0;
    while (gen_next(g))
        count++;
    gen_end(g);
    return count;
}

unsigned gen_ops(const struct gen_workload *w)
{
    unsigned ops = 0;
    for (unsigned i = 0; i < w->count; i++)
        ops += !gen_is_event(gen_words[w->steps[i].word].kind);
    return ops;
}
