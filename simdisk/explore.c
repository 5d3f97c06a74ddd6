/* explore.c: see explore.h. */
#include "simdisk/explore.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "simdisk/xalloc.h"

/* What mattered of one explored answer, over all runs below it. */
struct mattered {
    uint64_t used[CRASH_USED_WORDS];
    struct crash_length_use length;
    uint64_t bucket;
    bool read; /* a piece that a second failure asked for */
};

/* One question on the way of the current run. */
struct node {
    enum crash_choice kind;
    size_t index;
    uint32_t first; /* its answers start here in x->answers, and what mattered of them in x->mattered */
    uint32_t count;
    uint32_t current;  /* the answer being explored, in the order of x->answers */
    bool moment;       /* data apart: the answers are moments, and the first is that all is durable */
    uint32_t explored; /* the last answer that had a run, or NONE_EXPLORED; the others follow by before */
};

struct answer {
    uint32_t pick;    /* index into the alternatives on offer */
    uint32_t version; /* unit: the version */
    uint64_t bucket;  /* length: bytes */
    uint32_t when;
    uint32_t before; /* explored: the one explored before it, or NONE_EXPLORED */
};

#define NONE_EXPLORED UINT32_MAX

/* When a version can exist, and which it is of those of its unit that can from then on. */
struct moment {
    uint32_t when, rank;
};

struct explorer {
    struct crash_chooser chooser; /* first */
    struct crash_disk *disk;
    uint64_t granule;
    struct explore_mode mode;
    struct node *nodes;
    size_t node_count, node_cap, depth;
    struct answer *answers;
    struct mattered *mattered;
    size_t answer_count, answer_cap, mattered_cap;
    uint32_t *component; /* per unit: which table sectors it can meet */
    size_t component_cap;
    uint32_t *deviated; /* table units that are not at their first answer in this run */
    size_t deviated_count, deviated_cap;
    struct named *named;
    size_t named_cap;
    bool components_known;
    bool moved; /* data apart: in this run, to the versions of this moment: */
    struct moment moment;
    uint64_t allocations;
};

/* A cluster that some version of a unit names. */
struct named {
    uint64_t cluster;
    uint32_t unit;
};

static void *room(struct explorer *x, void *array, size_t need, size_t *cap, size_t size)
{
    if (need <= *cap)
        return array;
    x->allocations++;
    *cap = need * 2 < 64 ? 64 : need * 2;
    return xreallocarray(array, *cap, size);
}

/* --- which table sectors can meet ---------------------------------------------------------------------------------- */

static uint32_t root_of(uint32_t *parent, uint32_t unit)
{
    while (parent[unit] != unit)
        unit = parent[unit] = parent[parent[unit]];
    return unit;
}

static int named_compare(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    if (x->cluster != y->cluster)
        return x->cluster < y->cluster ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static size_t collect_named(struct explorer *x)
{
    const struct crash_space *s = crash_disk_space(x->disk);
    size_t n = 0, words = (size_t)s->unit_sectors * BLK_SECTOR_BYTES / 8;
    for (uint32_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = 0; v < s->units[u].version_count; v++)
            for (size_t i = 0; i < words; i++) {
                uint64_t value;
                memcpy(&value, crash_unit_version(s, u, v)->data + i * 8, 8);
                value = le64toh(value) / x->granule;
                if (!value)
                    continue;
                if (n && x->named[n - 1].unit == u && x->named[n - 1].cluster == value)
                    continue;
                x->named = room(x, x->named, n + 1, &x->named_cap, sizeof(*x->named));
                x->named[n++] = (struct named){.cluster = value, .unit = u};
            }
    return n;
}

/* Units connected by a cluster that both can name. */
static void find_components(struct explorer *x)
{
    const struct crash_space *s = crash_disk_space(x->disk);
    x->component = room(x, x->component, s->unit_count, &x->component_cap, sizeof(*x->component));
    for (uint32_t u = 0; u < s->unit_count; u++)
        x->component[u] = u;
    size_t n = collect_named(x);
    if (n)
        qsort(x->named, n, sizeof(*x->named), named_compare);
    for (size_t i = 1; i < n; i++)
        if (x->named[i].cluster == x->named[i - 1].cluster)
            x->component[root_of(x->component, x->named[i].unit)] = root_of(x->component, x->named[i - 1].unit);
    for (uint32_t u = 0; u < s->unit_count; u++)
        x->component[u] = root_of(x->component, u);
    x->components_known = true;
}

static bool may_deviate(const struct explorer *x, size_t unit)
{
    for (size_t i = 0; i < x->deviated_count; i++)
        if (x->component[x->deviated[i]] == x->component[unit])
            return true;
    return !x->deviated_count;
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static int answer_compare(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;
    if (x->when != y->when)
        return x->when < y->when ? -1 : 1;
    return x->pick < y->pick ? -1 : x->pick > y->pick;
}

static void fill_answer(const struct explorer *x, enum crash_choice kind, size_t index, uint32_t alternative,
                        struct answer *a)
{
    const struct crash_space *s = crash_disk_space(x->disk);
    switch (kind) {
    case CRASH_CHOICE_UNIT:
        a->version = alternative;
        a->when = crash_unit_version(s, index, alternative)->when;
        return;
    case CRASH_CHOICE_LENGTH:
        a->bucket = s->lengths ? s->lengths[alternative].bytes : crash_disk_bucket(x->disk, alternative);
        a->when = s->lengths ? s->lengths[alternative].when : a->pick; /* buckets come earliest first */
        return;
    case CRASH_CHOICE_CUT:
    case CRASH_CHOICE_NESTED:
        a->when = alternative;
        return;
    }
}

static struct node *push_node(struct explorer *x, enum crash_choice kind, size_t index, const uint32_t *alternatives,
                              uint32_t n)
{
    x->nodes = room(x, x->nodes, x->node_count + 1, &x->node_cap, sizeof(*x->nodes));
    x->answers = room(x, x->answers, x->answer_count + n, &x->answer_cap, sizeof(*x->answers));
    x->mattered = room(x, x->mattered, x->answer_count + n, &x->mattered_cap, sizeof(*x->mattered));
    struct node *node = &x->nodes[x->node_count++];
    *node = (struct node){.kind = kind, .index = index, .first = (uint32_t)x->answer_count, .count = n};
    node->explored = NONE_EXPLORED;
    bool sorted = true;
    for (uint32_t i = 0; i < n; i++) {
        struct answer *a = &x->answers[x->answer_count];
        *a = (struct answer){.pick = i};
        fill_answer(x, kind, index, alternatives[i], a);
        sorted &= !i || answer_compare(a - 1, a) < 0;
        x->mattered[x->answer_count++] = (struct mattered){.length.at_most = UINT64_MAX, .bucket = 0};
    }
    if (!sorted)
        qsort(&x->answers[node->first], n, sizeof(*x->answers), answer_compare);
    for (uint32_t i = 0; i < n; i++)
        x->mattered[node->first + i].bucket = x->answers[node->first + i].bucket;
    return node;
}

/* --- data apart ---------------------------------------------------------------------------------------------------- */

static struct moment moment_of(const struct crash_space *s, size_t unit, uint32_t version)
{
    struct moment m = {.when = crash_unit_version(s, unit, version)->when};
    for (uint32_t v = 1; v < version; v++)
        m.rank += crash_unit_version(s, unit, v)->when == m.when;
    return m;
}

/* The unit's version of that moment; 0, the durable one, if it has none. */
static uint32_t version_of(const struct crash_space *s, size_t unit, struct moment m)
{
    for (uint32_t v = 1; v < s->units[unit].version_count; v++) {
        struct moment its = moment_of(s, unit, v);
        if (its.when == m.when && its.rank == m.rank)
            return v;
    }
    return 0;
}

/* Has a unit that was asked for earlier in this run got a version of it? Then that one's turn is this one's too. */
static bool offered_before(const struct explorer *x, struct moment m)
{
    for (size_t i = 0; i < x->depth; i++)
        if (x->nodes[i].moment && version_of(crash_disk_space(x->disk), x->nodes[i].index, m))
            return true;
    return false;
}

/* The moments that are new with this unit. */
static struct node *push_moments(struct explorer *x, size_t unit, const uint32_t *versions, uint32_t n)
{
    struct node *node = push_node(x, CRASH_CHOICE_UNIT, unit, versions, n);
    struct answer *answers = &x->answers[node->first];
    assert(!answers[0].version && "the durable version can exist first");
    node->moment = true;
    node->count = 1;
    for (uint32_t i = 1; i < n; i++)
        if (!offered_before(x, moment_of(crash_disk_space(x->disk), unit, answers[i].version)))
            answers[node->count++] = answers[i];
    x->answer_count = node->first + node->count;
    return node;
}

static uint32_t choose_apart(struct explorer *x, size_t unit, const uint32_t *versions, uint32_t n)
{
    const struct crash_space *s = crash_disk_space(x->disk);
    assert(n == s->units[unit].version_count && "what has no say in the length is free");
    if (x->moved)
        return version_of(s, unit, x->moment);
    struct node *node = x->depth < x->node_count ? &x->nodes[x->depth] : push_moments(x, unit, versions, n);
    assert(node->moment && node->index == unit && "a script must be deterministic");
    x->depth++;
    const struct answer *a = &x->answers[node->first + node->current];
    x->moved = a->version;
    x->moment = x->moved ? moment_of(s, unit, a->version) : (struct moment){0};
    return a->pick;
}

static uint32_t choose(struct crash_chooser *chooser, enum crash_choice kind, size_t index,
                       const uint32_t *alternatives, uint32_t n)
{
    struct explorer *x = (struct explorer *)chooser;
    if (x->mode.data_apart && kind == CRASH_CHOICE_UNIT && crash_disk_decides_bytes_alone(x->disk, index))
        return choose_apart(x, index, alternatives, n);
    bool table = x->mode.tables_apart && kind == CRASH_CHOICE_UNIT && crash_disk_reads_table(x->disk);
    if (table && !may_deviate(x, index))
        return 0; /* the durable version, or the first that is left */
    struct node *node = x->depth < x->node_count ? &x->nodes[x->depth] : push_node(x, kind, index, alternatives, n);
    assert(!node->moment && node->kind == kind && node->index == index && node->count == n &&
           "a script must be deterministic");
    x->depth++;
    uint32_t pick = x->answers[node->first + node->current].pick;
    if (table && pick) {
        x->deviated = room(x, x->deviated, x->deviated_count + 1, &x->deviated_cap, sizeof(*x->deviated));
        x->deviated[x->deviated_count++] = (uint32_t)index;
    }
    return pick;
}

/* --- what mattered ------------------------------------------------------------------------------------------------- */

static void merge_use(struct explorer *x, const struct node *node)
{
    struct mattered *m = &x->mattered[node->first + node->current];
    if (node->kind == CRASH_CHOICE_UNIT) {
        const uint64_t *used = crash_disk_used(x->disk, node->index);
        for (int i = 0; i < CRASH_USED_WORDS; i++)
            m->used[i] |= used[i];
        return;
    }
    if (node->kind == CRASH_CHOICE_NESTED)
        m->read |= !node->index || crash_disk_asked_was_read(x->disk, (uint32_t)node->index);
    if (node->kind != CRASH_CHOICE_LENGTH)
        return;
    struct crash_length_use use = crash_disk_length_use(x->disk);
    m->length.exact |= use.exact;
    if (use.at_least > m->length.at_least)
        m->length.at_least = use.at_least;
    if (use.at_most < m->length.at_most)
        m->length.at_most = use.at_most;
}

/* Choosing a version may decide more than this unit's bytes: whether operations with a say elsewhere survived, and how far
 * the file reaches. */
static bool decides_elsewhere(const struct crash_space *s, size_t unit)
{
    for (uint32_t v = 1; v < s->units[unit].version_count; v++) {
        uint32_t atom = crash_unit_version(s, unit, v)->atom;
        if (atom != CRASH_NO_ATOM && (s->atoms[atom].unit_count > 1 || s->atoms[atom].end_bytes || s->atoms[atom].cuts))
            return true;
    }
    return false;
}

static bool same_bytes(const struct crash_space *s, size_t unit, uint32_t a, uint32_t b, const uint64_t *used)
{
    const struct crash_version *x = crash_unit_version(s, unit, a), *y = crash_unit_version(s, unit, b);
    if (x->end_bytes != y->end_bytes)
        return false;
    for (uint32_t i = 0; i < s->unit_sectors; i++)
        for (uint64_t bits = used[i]; bits; bits &= bits - 1) {
            size_t at = ((size_t)i * 64 + (size_t)__builtin_ctzll(bits)) * 8;
            if (memcmp(x->data + at, y->data + at, 8) != 0)
                return false;
        }
    return true;
}

/* Does the answer lead nowhere new, given one that was explored? */
static bool stands_for(const struct explorer *x, const struct node *node, uint32_t explored, uint32_t other)
{
    const struct crash_space *s = crash_disk_space(x->disk);
    const struct answer *a = &x->answers[node->first + explored], *b = &x->answers[node->first + other];
    const struct mattered *m = &x->mattered[node->first + explored];
    if (node->moment)
        return false;
    switch (node->kind) {
    case CRASH_CHOICE_UNIT:
        return !decides_elsewhere(s, node->index) && same_bytes(s, node->index, a->version, b->version, m->used);
    case CRASH_CHOICE_LENGTH:
        return !m->length.exact && b->bucket >= m->length.at_least && b->bucket < m->length.at_most;
    case CRASH_CHOICE_CUT:
        return false;
    case CRASH_CHOICE_NESTED:
        return !m->read;
    }
    return false;
}

/* Are equivalent answers skipped? With tables apart, units are not asked for unless they must be. */
static bool prunes(const struct explorer *x, const struct node *node)
{
    return x->mode.prune || (x->mode.tables_apart && node->kind == CRASH_CHOICE_NESTED);
}

static void merge_uses(struct explorer *x)
{
    for (size_t i = 0; i < x->node_count; i++)
        if (prunes(x, &x->nodes[i]))
            merge_use(x, &x->nodes[i]);
}

static bool next_answer(struct explorer *x, struct node *node)
{
    while (++node->current < node->count) {
        bool skip = false;
        for (uint32_t i = node->explored; prunes(x, node) && i != NONE_EXPLORED && !skip;
             i = x->answers[node->first + i].before)
            skip = stands_for(x, node, i, node->current);
        if (!skip)
            return true;
    }
    return false;
}

/* To the next set of answers; false when there is none. */
static bool advance(struct explorer *x)
{
    while (x->node_count) {
        struct node *node = &x->nodes[x->node_count - 1];
        x->answers[node->first + node->current].before = node->explored;
        node->explored = node->current;
        if (next_answer(x, node))
            return true;
        x->answer_count = node->first;
        x->node_count--;
    }
    return false;
}

uint64_t explorer_run(struct explorer *x, struct explore_mode mode, explore_script *script, void *opaque, bool *stopped)
{
    uint64_t runs = 0;
    x->mode = mode;
    x->node_count = x->answer_count = 0;
    if (mode.tables_apart && !x->components_known)
        find_components(x);
    *stopped = false;
    do {
        crash_disk_rewind(x->disk, 0);
        x->depth = x->deviated_count = 0;
        x->moved = false;
        runs++;
        if (!script(opaque, x->disk)) {
            *stopped = true;
            break;
        }
        assert(x->depth == x->node_count);
        merge_uses(x);
    } while (advance(x));
    crash_disk_rewind(x->disk, 0);
    return runs;
}

void explorer_again(struct explorer *x)
{
    merge_uses(x); /* what mattered so far has led here */
    crash_disk_rewind(x->disk, 0);
    x->depth = x->deviated_count = 0;
    x->moved = false;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct explorer *explorer_create(void)
{
    struct explorer *x = xcalloc(1, sizeof(*x));
    x->chooser.choose = choose;
    return x;
}

void explorer_destroy(struct explorer *x)
{
    if (!x)
        return;
    free(x->nodes);
    free(x->answers);
    free(x->mattered);
    free(x->component);
    free(x->deviated);
    free(x->named);
    free(x);
}

void explorer_load(struct explorer *x, struct crash_disk *disk, uint64_t granule_bytes)
{
    x->disk = disk;
    x->granule = granule_bytes;
    x->components_known = false;
}

struct crash_chooser *explorer_chooser(struct explorer *x)
{
    return &x->chooser;
}

uint64_t explorer_allocations(const struct explorer *x)
{
    return x->allocations;
}
