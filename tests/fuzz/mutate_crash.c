/* mutate_crash.c: changes inputs of fuzz_crash by their grammar (crash_layout.h): words, schedule, picks and survivors are
 * lists, of which one element at a time is put in, taken out, moved or changed. What comes out is again a head and its
 * lists, whatever came in.
 */
#include <string.h>

#include "tests/fuzz/crash_layout.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutate_kit.h"

#define LIST_MAX CRASH_SURVIVORS_MAX
#define NEW_RUNS 33 /* of 100 inputs */

struct list {
    uint8_t items[LIST_MAX][2];
    unsigned count, max, width; /* of an item, in bytes */
};

struct input {
    uint8_t head[CRASH_HEAD];
    struct list words, choices, picks, survivors;
};

/* --- there and back ------------------------------------------------------------------------------------------------ */

static void load_list(struct list *l, unsigned count, unsigned max, unsigned width, const uint8_t **at, size_t *left)
{
    *l = (struct list){.count = count < max ? count : max, .max = max, .width = width};
    for (unsigned i = 0; i < l->count; i++)
        for (unsigned k = 0; k < width && *left; k++, ++*at, --*left)
            l->items[i][k] = **at;
}

static void load(struct input *in, const uint8_t *data, size_t size)
{
    size_t head = size < CRASH_HEAD ? size : CRASH_HEAD;
    memset(in, 0, sizeof(*in));
    if (head)
        memcpy(in->head, data, head);
    data += head;
    size -= head;
    load_list(&in->words, in->head[CRASH_WORDS], CRASH_WORDS_MAX, 2, &data, &size);
    load_list(&in->choices, in->head[CRASH_CHOICES], CRASH_CHOICES_MAX, 1, &data, &size);
    load_list(&in->picks, in->head[CRASH_PICKS], CRASH_PICKS_MAX, 1, &data, &size);
    load_list(&in->survivors, (unsigned)(size < LIST_MAX ? size : LIST_MAX), CRASH_SURVIVORS_MAX, 1, &data, &size);
}

static void store_bytes(uint8_t *out, size_t max, size_t *at, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count && *at < max; i++)
        out[(*at)++] = bytes[i];
}

static size_t store(struct input *in, uint8_t *out, size_t max)
{
    const struct list *lists[] = {&in->words, &in->choices, &in->picks, &in->survivors};
    size_t at = 0;
    in->head[CRASH_WORDS] = (uint8_t)in->words.count;
    in->head[CRASH_CHOICES] = (uint8_t)in->choices.count;
    in->head[CRASH_PICKS] = (uint8_t)in->picks.count;
    store_bytes(out, max, &at, in->head, CRASH_HEAD);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        for (unsigned k = 0; k < lists[i]->count; k++)
            store_bytes(out, max, &at, lists[i]->items[k], lists[i]->width);
    return at;
}

/* --- lists --------------------------------------------------------------------------------------------------------- */

/* The new item, zeroed, or NULL if the list is full. */
static uint8_t *insert(struct list *l, unsigned at)
{
    if (l->count == l->max)
        return NULL;
    memmove(l->items[at + 1], l->items[at], (l->count - at) * sizeof(l->items[0]));
    l->count++;
    memset(l->items[at], 0, sizeof(l->items[0]));
    return l->items[at];
}

static void erase(struct list *l, unsigned at)
{
    l->count--;
    memmove(l->items[at], l->items[at + 1], (l->count - at) * sizeof(l->items[0]));
}

static void move(struct list *l, unsigned from, unsigned to)
{
    uint8_t item[2];
    memcpy(item, l->items[from], sizeof(item));
    erase(l, from);
    memcpy(insert(l, to), item, sizeof(item));
}

/* --- words --------------------------------------------------------------------------------------------------------- */

static bool names_place(const uint8_t *word)
{
    return (word[0] & ~CRASH_BESIDE) % CRASH_KINDS <= CRASH_READ;
}

/* Mostly a place that is in use. */
static uint8_t pick_place(const struct list *words, struct mutate_rng *rng)
{
    if (words->count && mutate_below(rng, 3)) {
        const uint8_t *other = words->items[mutate_below(rng, words->count)];
        if (names_place(other))
            return other[1] & 15;
    }
    return (uint8_t)mutate_below(rng, mutate_below(rng, 2) ? 4 : CRASH_PLACES);
}

/* Writes and flushes are what most stories are made of. */
static uint8_t pick_kind(struct mutate_rng *rng)
{
    static const uint8_t often[] = {CRASH_WRITE, CRASH_WRITE, CRASH_WRITE, CRASH_WRITE,   CRASH_FLUSH,
                                    CRASH_FLUSH, CRASH_ZERO,  CRASH_ZERO,  CRASH_DISCARD, CRASH_CRASH};
    if (mutate_below(rng, 3))
        return often[mutate_below(rng, sizeof(often))];
    return (uint8_t)mutate_below(rng, CRASH_KINDS);
}

static void fill_word(const struct list *words, uint8_t *word, uint8_t kind, struct mutate_rng *rng)
{
    word[0] = kind | (mutate_below(rng, 5) ? 0 : CRASH_BESIDE);
    word[1] = (uint8_t)mutate_below(rng, 32);
    if (kind <= CRASH_READ)
        word[1] = (uint8_t)(pick_place(words, rng) + 16 * mutate_below(rng, CRASH_SHAPES));
}

static void change_words(struct list *l, struct mutate_rng *rng)
{
    unsigned what = l->count ? mutate_below(rng, 12) : 0, at = mutate_below(rng, l->count), to;
    uint8_t *word = l->items[at], *fresh;
    switch (what) {
    case 0:
    case 1:
    case 2:
        to = mutate_below(rng, l->count + 1);
        if ((fresh = insert(l, to)))
            fill_word(l, fresh, pick_kind(rng), rng);
        break;
    case 3:
        to = mutate_below(rng, l->count + 1);
        if ((fresh = insert(l, to)))
            fresh[0] = CRASH_FLUSH | (mutate_below(rng, 3) ? 0 : CRASH_BESIDE);
        break;
    case 4:
    case 5:
        erase(l, at);
        break;
    case 6:
        move(l, at, mutate_below(rng, l->count));
        break;
    case 7: /* again, at a place in use */
        if ((fresh = insert(l, at))) {
            memcpy(fresh, l->items[at + 1], 2);
            if (names_place(fresh))
                fresh[1] = (uint8_t)((fresh[1] & 0xf0) | pick_place(l, rng));
        }
        break;
    case 8:
        word[0] ^= CRASH_BESIDE;
        break;
    case 9:
        if (names_place(word))
            word[1] = (uint8_t)((word[1] & 0xf0) | pick_place(l, rng));
        break;
    case 10:
        word[1] = (uint8_t)((word[1] & 15) + 16 * mutate_below(rng, CRASH_SHAPES));
        break;
    default:
        fill_word(l, word, pick_kind(rng), rng);
        break;
    }
}

/* Every flush goes, or the one somewhere. */
static void remove_flushes(struct list *l, struct mutate_rng *rng)
{
    unsigned from = mutate_below(rng, l->count + 1), all = !mutate_below(rng, 4);
    for (unsigned i = all ? 0 : from; i < l->count;)
        if ((l->items[i][0] & ~CRASH_BESIDE) == CRASH_FLUSH) {
            erase(l, i);
            if (!all)
                return;
        } else {
            i++;
        }
}

/* --- numbers ------------------------------------------------------------------------------------------------------- */

static void change_numbers(struct list *l, struct mutate_rng *rng, uint8_t (*pick)(struct mutate_rng *rng))
{
    unsigned what = l->count ? mutate_below(rng, 6) : 0;
    uint8_t *fresh;
    switch (what) {
    case 0:
    case 1:
        if ((fresh = insert(l, mutate_below(rng, l->count + 1))))
            fresh[0] = pick(rng);
        break;
    case 2:
        erase(l, mutate_below(rng, l->count));
        break;
    case 3:
        move(l, mutate_below(rng, l->count), mutate_below(rng, l->count));
        break;
    default:
        l->items[mutate_below(rng, l->count)][0] = pick(rng);
        break;
    }
}

static uint8_t pick_small(struct mutate_rng *rng)
{
    return (uint8_t)mutate_below(rng, 1 + mutate_below(rng, 5));
}

/* Lost, survived, one piece alone, or all but one. */
static uint8_t pick_fate(struct mutate_rng *rng)
{
    return (uint8_t)mutate_below(rng, mutate_below(rng, 3) ? 2 : 2 + 2 * 16);
}

/* All anew: each operation is lost or survives, one of the two more often. */
static void draw_survivors(struct list *l, struct mutate_rng *rng)
{
    unsigned odds = 1 + mutate_below(rng, 4), kind = mutate_below(rng, 2);
    l->count = 4 + mutate_below(rng, 12);
    for (unsigned i = 0; i < l->count; i++)
        l->items[i][0] = mutate_below(rng, odds) ? (uint8_t)kind : pick_fate(rng);
}

/* Of the head, what asks for another run. */
static void change_setup(struct input *in, struct mutate_rng *rng)
{
    switch (mutate_below(rng, 4)) {
    case 0:
        in->head[CRASH_SETUP] = (uint8_t)mutate_below(rng, 6);
        break;
    case 1:
        in->head[CRASH_DESIGN] = (uint8_t)mutate_below(rng, 16);
        break;
    default:
        in->head[CRASH_DISK] = (uint8_t)mutate_below(rng, 8);
        break;
    }
}

static void change_run(struct input *in, struct mutate_rng *rng)
{
    switch (mutate_below(rng, 9)) {
    case 0:
        change_setup(in, rng);
        break;
    case 1:
    case 2:
        change_numbers(&in->choices, rng, pick_small);
        break;
    case 3:
        remove_flushes(&in->words, rng);
        break;
    default:
        change_words(&in->words, rng);
        break;
    }
}

/* Of the same run, another crash state. */
static void change_state(struct input *in, struct mutate_rng *rng)
{
    switch (mutate_below(rng, 10)) {
    case 0:
        in->head[CRASH_FOCUS] = (uint8_t)mutate_below(rng, 8);
        break;
    case 1:
        in->head[CRASH_EPOCH] += 1;
        break;
    case 2:
        in->head[CRASH_EPOCH] -= in->head[CRASH_EPOCH] > 0;
        break;
    case 3:
        in->head[CRASH_EPOCH] = (uint8_t)mutate_below(rng, mutate_below(rng, 3) ? 8 : 64);
        break;
    case 4:
        change_numbers(&in->picks, rng, pick_small);
        break;
    case 5:
        draw_survivors(&in->survivors, rng);
        break;
    default:
        change_numbers(&in->survivors, rng, pick_fate);
        break;
    }
}

/* Recording costs several times what judging does: most runs serve more than one state (crash_keep.h). */
static bool is_new_run(struct mutate_rng *rng)
{
    return mutate_below(rng, 100) < NEW_RUNS;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max, uint32_t seed)
{
    struct mutate_rng rng = mutate_rng(seed);
    struct input in;
    load(&in, data, size);
    unsigned n = 1 + mutate_below(&rng, 1 + mutate_below(&rng, 6));
    bool new_run = is_new_run(&rng);
    if (new_run)
        change_run(&in, &rng);
    for (; n > 0; n--)
        if (new_run && mutate_below(&rng, 2))
            change_run(&in, &rng);
        else
            change_state(&in, &rng);
    return store(&in, data, max);
}

/* --- two inputs ---------------------------------------------------------------------------------------------------- */

/* The beginning of a's and the end of b's. */
static void join(struct list *out, const struct list *a, const struct list *b, struct mutate_rng *rng)
{
    unsigned from = mutate_below(rng, b->count + 1);
    *out = *a;
    out->count = mutate_below(rng, a->count + 1);
    while (out->count < out->max && from < b->count)
        memcpy(out->items[out->count++], b->items[from++], sizeof(out->items[0]));
}

static void one_or_join(struct list *out, const struct list *a, const struct list *b, struct mutate_rng *rng)
{
    switch (mutate_below(rng, 4)) {
    case 0:
        *out = *b;
        break;
    case 1:
        join(out, a, b, rng);
        break;
    default:
        *out = *a;
        break;
    }
}

static void join_heads(uint8_t *out, const uint8_t *b, unsigned first, unsigned last, struct mutate_rng *rng)
{
    for (unsigned i = first; i <= last; i++)
        if (!mutate_below(rng, 3))
            out[i] = b[i];
}

size_t fuzz_crossover(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out, size_t max,
                      uint32_t seed)
{
    struct mutate_rng rng = mutate_rng(seed);
    struct input x, y, child;
    load(&x, a, a_size);
    load(&y, b, b_size);
    child = x;
    if (is_new_run(&rng)) {
        join_heads(child.head, y.head, CRASH_SETUP, CRASH_DISK, &rng);
        join(&child.words, &x.words, &y.words, &rng);
        one_or_join(&child.choices, &x.choices, &y.choices, &rng);
    }
    join_heads(child.head, y.head, CRASH_EPOCH, CRASH_FOCUS, &rng);
    one_or_join(&child.picks, &x.picks, &y.picks, &rng);
    one_or_join(&child.survivors, &x.survivors, &y.survivors, &rng);
    return store(&child, out, max);
}
