/* crash_case.c: see crash_case.h. */
#include "tests/fuzz/crash_case.h"

#include <stdlib.h>
#include <string.h>

#include "scenarios/generate_internal.h"

static const char places[CRASH_PLACES + 1] = "pabcejtul";
static const char shapes[CRASH_SHAPES + 1] = "mfhtd";

static const struct gen_bound anything = {
    .ops = GEN_WORDS_MAX, .events = GEN_WORDS_MAX, .classes = GEN_ALL, .unreduced = true};

/* --- words --------------------------------------------------------------------------------------------------------- */

#define NO_WORD 0xff

/* Requests by place and shape, others by their number within the kind: [kind][what] -> index into gen_words. */
static uint8_t words[CRASH_KINDS][256];
static bool words_made;

static unsigned number_in_kind(size_t index)
{
    unsigned n = 0;
    for (size_t i = 0; i < index; i++)
        n += gen_words[i].kind == gen_words[index].kind;
    return n;
}

/* What stands for a word in its second byte. */
static uint8_t what_of(size_t index)
{
    const struct gen_word *w = &gen_words[index];
    if (!w->shape)
        return (uint8_t)number_in_kind(index);
    return (uint8_t)((strchr(places, w->place) - places) + 16 * (strchr(shapes, w->shape) - shapes));
}

/* The one there is of a kind at a place, whatever the shape; else the kind's first. */
static uint8_t nearest(unsigned kind, unsigned what)
{
    uint8_t first = NO_WORD;
    unsigned place = (what & 15) % CRASH_PLACES, count = 0;
    for (size_t i = 0; i < gen_word_count; i++) {
        if (gen_words[i].kind != (enum gen_kind)kind)
            continue;
        if (gen_words[i].shape && gen_words[i].place == places[place])
            return (uint8_t)i;
        if (first == NO_WORD)
            first = (uint8_t)i;
        count++;
    }
    if (first != NO_WORD && !gen_words[first].shape) /* counted */
        for (size_t i = first; i < gen_word_count; i++)
            if (gen_words[i].kind == (enum gen_kind)kind && number_in_kind(i) == what % count)
                return (uint8_t)i;
    return first;
}

static void make_words(void)
{
    memset(words, NO_WORD, sizeof(words));
    for (size_t i = 0; i < gen_word_count; i++)
        words[gen_words[i].kind][what_of(i)] = (uint8_t)i;
    for (unsigned kind = 0; kind < CRASH_KINDS; kind++)
        for (unsigned what = 0; what < 256; what++) {
            unsigned known = (what & 15) % CRASH_PLACES + 16 * ((what >> 4) % CRASH_SHAPES);
            if (words[kind][what] == NO_WORD)
                words[kind][what] =
                    known < what && words[kind][known] != NO_WORD ? words[kind][known] : nearest(kind, what);
        }
    words_made = true;
}

/* --- there --------------------------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *data;
    size_t size, at;
};

static uint8_t next(struct reader *r)
{
    return r->at < r->size ? r->data[r->at++] : 0;
}

static void read_words(struct reader *r, unsigned count, struct gen_workload *w)
{
    struct gen_state states[GEN_WORDS_MAX + 1];
    gen_state_begin(&states[0], w);
    for (unsigned i = 0; i < count; i++) {
        uint8_t kind = next(r), what = next(r);
        bool beside = kind & CRASH_BESIDE;
        uint8_t index = words[(kind & ~CRASH_BESIDE) % CRASH_KINDS][what];
        const struct gen_word *word = &gen_words[index];
        beside = beside && gen_may_follow(&anything, w, &states[w->count], word, true);
        if (!beside && !gen_may_follow(&anything, w, &states[w->count], word, false))
            continue;
        w->steps[w->count] = (struct gen_step){.word = index, .beside = beside};
        states[w->count + 1] = states[w->count];
        gen_state_step(&states[w->count + 1], word, beside);
        w->count++;
    }
    while (w->count && !gen_may_end(&anything, &states[w->count]))
        w->count--;
}

static unsigned at_most(unsigned value, unsigned most)
{
    return value < most ? value : most;
}

void crash_case_decode(const uint8_t *data, size_t size, struct crash_case *c)
{
    struct reader r = {data, size, CRASH_HEAD};
    uint8_t head[CRASH_HEAD] = {0};
    if (!words_made)
        make_words();
    if (size)
        memcpy(head, data, size < CRASH_HEAD ? size : CRASH_HEAD);
    memset(c, 0, sizeof(*c));
    c->design = head[CRASH_DESIGN];
    c->disk = head[CRASH_DISK];
    c->epoch = head[CRASH_EPOCH];
    c->focus = head[CRASH_FOCUS];
    c->workload.backing = (enum gen_backing)(head[CRASH_SETUP] % 6 / 2);
    c->workload.prepared = head[CRASH_SETUP] % 2;
    read_words(&r, at_most(head[CRASH_WORDS], CRASH_WORDS_MAX), &c->workload);
    c->schedule_len = at_most(head[CRASH_CHOICES], CRASH_CHOICES_MAX);
    for (unsigned i = 0; i < c->schedule_len; i++)
        c->schedule[i] = next(&r);
    c->pick_count = at_most(head[CRASH_PICKS], CRASH_PICKS_MAX);
    for (unsigned i = 0; i < c->pick_count; i++)
        c->picks[i] = next(&r);
    while (r.at < size && c->survivor_count < CRASH_SURVIVORS_MAX)
        c->survivors[c->survivor_count++] = next(&r);
}

/* --- and back ------------------------------------------------------------------------------------------------------ */

size_t crash_case_encode(const struct crash_case *c, uint8_t out[CRASH_INPUT_MAX])
{
    size_t at = CRASH_HEAD;
    memset(out, 0, CRASH_HEAD);
    out[CRASH_SETUP] = (uint8_t)(c->workload.backing * 2 + c->workload.prepared);
    out[CRASH_DESIGN] = c->design;
    out[CRASH_DISK] = c->disk;
    out[CRASH_EPOCH] = c->epoch;
    out[CRASH_FOCUS] = c->focus;
    out[CRASH_WORDS] = (uint8_t)c->workload.count;
    out[CRASH_CHOICES] = (uint8_t)c->schedule_len;
    out[CRASH_PICKS] = (uint8_t)c->pick_count;
    for (unsigned i = 0; i < c->workload.count; i++) {
        const struct gen_step *step = &c->workload.steps[i];
        out[at++] = (uint8_t)(gen_words[step->word].kind | (step->beside ? CRASH_BESIDE : 0));
        out[at++] = what_of(step->word);
    }
    for (unsigned i = 0; i < c->schedule_len; i++)
        out[at++] = c->schedule[i];
    for (unsigned i = 0; i < c->pick_count; i++)
        out[at++] = (uint8_t)c->picks[i];
    for (unsigned i = 0; i < c->survivor_count; i++)
        out[at++] = c->survivors[i];
    return at;
}

/* --- the crash state ----------------------------------------------------------------------------------------------- */

/* The byte for an operation: the first belongs to the first operation pending here. */
struct ranks {
    uint32_t ops[CRASH_SURVIVORS_MAX];
    uint32_t pieces[CRASH_SURVIVORS_MAX]; /* seen so far */
    unsigned count;
};

static unsigned rank_of(struct ranks *r, uint32_t op)
{
    for (unsigned i = 0; i < r->count; i++)
        if (r->ops[i] == op)
            return i;
    if (r->count == CRASH_SURVIVORS_MAX)
        return CRASH_SURVIVORS_MAX - 1;
    r->ops[r->count] = op;
    r->pieces[r->count] = 0;
    return r->count++;
}

static bool survives(uint8_t byte, uint32_t piece)
{
    bool that = (unsigned)(byte - 2) / 2 == piece;
    return byte < 2 ? byte == 1 : byte % 2 ? !that : that;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* All operations with anything pending here, in their order. */
static void rank_operations(const struct crash_space *space, struct ranks *r)
{
    for (size_t i = 0; i < space->atom_count; i++)
        rank_of(r, space->atoms[i].op);
    for (size_t u = 0; u < space->unit_count; u++)
        for (uint32_t v = 1; v < space->units[u].version_count; v++)
            rank_of(r, crash_unit_version(space, u, v)->op);
    qsort(r->ops, r->count, sizeof(r->ops[0]), by_number);
}

void crash_case_state(const struct crash_case *c, const struct crash_space *space, struct crash_state *st)
{
    struct ranks r = {.count = 0};
    crash_state_init(st, space);
    rank_operations(space, &r);
    for (size_t i = 0; i < space->atom_count; i++)
        st->atom[i] = c->survivors[rank_of(&r, space->atoms[i].op)] % 2;
    for (size_t u = 0; u < space->unit_count; u++)
        for (uint32_t v = 1; v < space->units[u].version_count; v++) {
            const struct crash_version *version = crash_unit_version(space, u, v);
            unsigned rank = rank_of(&r, version->op);
            if (version->atom == CRASH_NO_ATOM && survives(c->survivors[rank], r.pieces[rank]++))
                st->own[u] = v;
        }
    if (space->length_count && c->survivor_count)
        st->length = c->survivors[c->survivor_count - 1] % (uint32_t)space->length_count;
}
