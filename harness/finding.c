/* finding.c: see finding.h. */
#include "harness/finding.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/minimal.h"
#include "harness/recovery.h"
#include "harness/story.h"
#include "harness/timeline.h"
#include "simdisk/xalloc.h"

static void free_finding(struct finding *f)
{
    free(f->text);
    free(f->story);
    timeline_free(&f->timeline);
    crash_state_free(&f->state);
}

void finding_set_free(struct finding_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free_finding(&set->items[i]);
    free(set->items);
    *set = (struct finding_set){0};
}

/* --- the missing order --------------------------------------------------------------------------------------------- */

static bool is_metadata(enum blk_event e)
{
    return e == BLK_EVENT_L2_UPDATE || e == BLK_EVENT_L2_ALLOC_WRITE || e == BLK_EVENT_L1_UPDATE ||
           e == BLK_EVENT_HEADER_UPDATE;
}

/* The latest table or header update of which anything survived, or HIST_NEVER. */
static uint32_t surviving_update(const struct crash_space *s, const struct crash_state *st)
{
    uint32_t latest = HIST_NEVER;
    for (uint32_t i = 0; i < s->prefix_ops; i++)
        if (is_metadata(s->history->ops[s->prefix[i]].label) && (latest == HIST_NEVER || s->prefix[i] > latest))
            latest = s->prefix[i];
    for (size_t u = 0; u < s->unit_count; u++) {
        uint32_t v = crash_state_version(s, st, u), op = crash_unit_version(s, u, v)->op;
        if (v && is_metadata(s->history->ops[op].label) && (latest == HIST_NEVER || op > latest))
            latest = op;
    }
    return latest;
}

/* The earliest operation submitted before `limit` of which something was lost; metadata only, if asked. */
static uint32_t lost_before(const struct crash_space *s, const struct crash_state *st, uint32_t limit, bool metadata)
{
    uint32_t earliest = HIST_NEVER, when = crash_state_when(s, st);
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = crash_state_version(s, st, u) + 1; v < s->units[u].version_count; v++) {
            uint32_t op = crash_unit_version(s, u, v)->op;
            if (crash_unit_version(s, u, v)->when <= when && op < limit && op < earliest &&
                (!metadata || is_metadata(s->history->ops[op].label)))
                earliest = op;
        }
    return earliest;
}

static enum blk_event label_of(const struct crash_space *s, uint32_t op)
{
    return op == HIST_NEVER ? BLK_EVENT_NONE : s->history->ops[op].label;
}

/* What the place the guest's bytes came from lost: the first version that did not make it. */
static uint32_t lost_at(const struct crash_space *s, const struct crash_state *st, uint64_t image_sector)
{
    size_t unit = image_sector == JUDGE_NO_SECTOR ? SIZE_MAX : crash_space_unit_of(s, image_sector);
    if (unit == SIZE_MAX)
        return HIST_NEVER;
    uint32_t v = crash_state_version(s, st, unit) + 1;
    return v < s->units[unit].version_count ? crash_unit_version(s, unit, v)->op : HIST_NEVER;
}

/* The two operations whose order was not kept; either may be HIST_NEVER. */
struct order {
    uint32_t lost, survivor;
};

static struct order order_of(const struct crash_space *s, const struct crash_state *st, uint64_t image_sector)
{
    struct order o = {lost_at(s, st, image_sector), surviving_update(s, st)};
    if (o.lost == HIST_NEVER && o.survivor != HIST_NEVER)
        o.lost = lost_before(s, st, o.survivor, false);
    if (o.lost == HIST_NEVER)
        o.lost = lost_before(s, st, HIST_NEVER, true);
    if (o.lost == HIST_NEVER)
        o.lost = lost_before(s, st, HIST_NEVER, false);
    return o;
}

static struct finding_key key_of(const struct crash_space *s, const struct crash_state *st, uint32_t cluster_sectors,
                                 const struct violation *v)
{
    struct finding_key key = {.class = v->class, .cluster = FINDING_NO_CLUSTER};
    if (v->guest_sector != JUDGE_NO_SECTOR)
        key.cluster = v->guest_sector / cluster_sectors;
    struct order o = order_of(s, st, v->image_sector);
    key.lost = label_of(s, o.lost);
    key.survivor = o.survivor == HIST_NEVER ? BLK_EVENT_FLUSH_TO_DISK : label_of(s, o.survivor);
    return key;
}

void finding_order_text(const struct finding_key *key, char *buf, size_t size)
{
    if (key->lost == BLK_EVENT_NONE)
        snprintf(buf, size, "%s", "");
    else
        snprintf(buf, size, "%s before %s", blk_event_name(key->lost), blk_event_name(key->survivor));
}

/* --- collecting ---------------------------------------------------------------------------------------------------- */

static bool same_key(const struct finding_key *a, const struct finding_key *b)
{
    return a->class == b->class && a->cluster == b->cluster && a->lost == b->lost && a->survivor == b->survivor;
}

/* fresh: among those of the space being explored, or among those that are settled. */
static struct finding *find(struct finding_set *set, const struct finding_key *key, bool fresh)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].fresh == fresh && same_key(&set->items[i].key, key))
            return &set->items[i];
    return NULL;
}

/* A first-life violation says more than a second-life one; then the smaller state; then the smaller sector. */
static bool better(const struct finding *f, const struct crash_space *s, const struct crash_state *st,
                   const struct violation *v)
{
    if (f->second_life != v->second_life)
        return f->second_life;
    if (f->pick_count != v->pick_count)
        return v->pick_count < f->pick_count;
    uint32_t survivors = crash_state_survivors(s, st), when = crash_state_when(s, st);
    if (survivors != f->survivors)
        return survivors < f->survivors;
    if (when != f->when)
        return when < f->when;
    int order = crash_state_compare(s, st, &f->state);
    return order < 0 || (order == 0 && v->guest_sector < f->guest_sector);
}

static void take_witness(struct finding *f, const struct crash_space *s, const struct crash_state *st,
                         const struct violation *v)
{
    crash_state_copy(&f->state, st);
    f->survivors = crash_state_survivors(s, st);
    f->when = crash_state_when(s, st);
    f->second_life = v->second_life;
    f->pick_count = v->pick_count;
    memcpy(f->picks, v->picks, v->pick_count * sizeof(*v->picks));
    f->guest_sector = v->guest_sector;
}

void finding_add(struct finding_set *set, const struct crash_space *space, const struct crash_state *state,
                 uint32_t cluster_sectors, const struct violation *v)
{
    struct finding_key key = key_of(space, state, cluster_sectors, v);
    struct finding *f = find(set, &key, true);
    if (!f) {
        set->items = xgrow(set->items, set->count, &set->cap, sizeof(*set->items));
        f = &set->items[set->count++];
        *f = (struct finding){.key = key, .survivors = UINT32_MAX, .second_life = true, .pick_count = UINT32_MAX};
        f->run = set->run;
        f->fresh = true;
        crash_state_init(&f->state, space);
    }
    if (f->last_state != set->state_number) {
        f->last_state = set->state_number;
        f->states++;
    }
    if (better(f, space, state, v))
        take_witness(f, space, state, v);
}

/* --- settling ------------------------------------------------------------------------------------------------------ */

struct retell {
    struct finding *f;
    const struct crash_space *space;
    uint32_t cluster_sectors;
    bool found;
};

static void retell_violation(void *opaque, const struct violation *v)
{
    struct retell *r = opaque;
    struct finding_key key = key_of(r->space, &r->f->state, r->cluster_sectors, v);
    if (r->found || key.class != r->f->key.class || v->guest_sector != r->f->guest_sector ||
        v->second_life != r->f->second_life)
        return;
    struct order order = order_of(r->space, &r->f->state, v->image_sector);
    r->found = true;
    r->f->lost_op = order.lost;
    r->f->survivor_op = order.survivor;
    memset(&r->f->words, 0, sizeof(r->f->words));
    if (v->words)
        r->f->words = *v->words;
    snprintf(r->f->what, sizeof(r->f->what), "%s", v->what);
}

char *finding_survivors(const struct crash_space *space, const struct crash_state *state, const uint32_t *picks,
                        unsigned pick_count)
{
    char *first = crash_state_text(space, state), *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    fputs(first, out);
    for (unsigned i = 0; i < pick_count; i++)
        fprintf(out, "%c%" PRIu32, i ? '.' : '/', picks[i]);
    fclose(out);
    free(first);
    return text;
}

bool finding_parse_picks(const char *survivors, size_t *survivors_length, uint32_t picks[JUDGE_MAX_PICKS],
                         unsigned *count)
{
    const char *slash = strchr(survivors, '/');
    *survivors_length = slash ? (size_t)(slash - survivors) : strlen(survivors);
    *count = 0;
    while (slash) {
        char *end;
        unsigned long pick = strtoul(slash + 1, &end, 10);
        if (end == slash + 1 || pick > UINT16_MAX || *count == JUDGE_MAX_PICKS || (*end && *end != '.'))
            return false;
        picks[(*count)++] = (uint32_t)pick;
        slash = *end ? end : NULL;
    }
    return true;
}

/* Runs the witness once more, for its words. */
static void tell(struct finding *f, const struct minimal *m, const struct recording *recording)
{
    struct retell r = {.f = f, .space = m->space, .cluster_sectors = judge_cluster_sectors(m->judge)};
    struct recovery recovery;
    f->lost_op = f->survivor_op = HIST_NEVER;
    crash_disk_rewind(m->disk, 0);
    crash_state_apply(m->space, &f->state, m->disk);
    judge_explain(m->judge, true);
    judge_force(m->judge, f->picks, f->pick_count);
    judge_focus(m->judge, f->guest_sector);
    judge_state(m->judge, m->disk, f->when, retell_violation, &r);
    judge_focus(m->judge, JUDGE_NO_SECTOR);
    judge_force(m->judge, NULL, 0);
    judge_explain(m->judge, false);
    free(f->text);
    free(f->story);
    f->text = finding_survivors(m->space, &f->state, f->picks, f->pick_count);
    f->story = story_tell(f, m->space, recording);
    timeline_free(&f->timeline);
    timeline_make(f, m->space, recording, &f->timeline);
    if (judge_asks_qemu(m->judge)) {
        judge_qemu_tell(m->judge, m->disk, f->recovery, sizeof(f->recovery));
        return;
    }
    recovery_watch(m->disk, recording, judge_design(m->judge), &recovery);
    recovery_tell(&recovery, f->recovery, sizeof(f->recovery));
}

/* The witness is this state of this space now. */
static void move_witness(struct finding *f, const struct minimal *m, const struct minimal_shown *shown)
{
    struct violation v = {.class = f->key.class,
                          .guest_sector = shown->guest_sector,
                          .image_sector = shown->image_sector,
                          .second_life = shown->second_life,
                          .picks = shown->picks,
                          .pick_count = shown->pick_count};
    f->key = key_of(m->space, &f->state, judge_cluster_sectors(m->judge), &v);
    f->survivors = crash_state_survivors(m->space, &f->state);
    f->when = crash_state_when(m->space, &f->state);
    f->second_life = v.second_life;
    f->guest_sector = v.guest_sector;
    f->pick_count = v.pick_count;
    memcpy(f->picks, v.picks, v.pick_count * sizeof(*v.picks));
}

static bool is_empty(const struct crash_space *s, const struct crash_state *st)
{
    return crash_state_survivors(s, st) == s->prefix_ops;
}

/* Moves the witness to `there` (taken over), where nothing but the prefix survived, if it is seen there too. `moved`: the
 * space it was moved to before. */
static bool move_to(struct finding *f, struct minimal *m, struct crash_space *there, struct crash_space **moved,
                    const struct minimal_target *target, struct minimal_shown *shown)
{
    const struct crash_space *here = m->space;
    struct crash_state nothing;
    struct minimal_shown now;
    crash_state_init(&nothing, there);
    minimal_load(m, there);
    if (!minimal_shows(m, &nothing, target, &now)) {
        minimal_load(m, here);
        crash_state_free(&nothing);
        crash_space_free(there);
        return false;
    }
    crash_state_free(&f->state);
    f->state = nothing;
    *shown = now;
    crash_space_free(*moved);
    *moved = there;
    return true;
}

/* The ordered cache: to where the prefix is first seen, and then along shorter ones. Returns the space the witness is in
 * then, if it is another one. */
static struct crash_space *shorten_prefix(struct finding *f, struct minimal *m, const struct minimal_target *target,
                                          struct minimal_shown *shown)
{
    struct crash_space *moved = NULL, *there;
    assert(m->space);
    if (m->space->model->cache != SIM_CACHE_ORDERED || !is_empty(m->space, &f->state))
        return NULL;
    there = minimal_with_prefix(m->space, m->space->prefix_ops);
    if (there->first_point < m->space->first_point)
        move_to(f, m, there, &moved, target, shown);
    else
        crash_space_free(there);
    while (m->space->prefix_ops && (there = minimal_with_prefix(m->space, m->space->prefix_ops - 1)))
        if (!move_to(f, m, there, &moved, target, shown))
            break;
    return moved;
}

/* As few survivors as possible, and the missing order read off what is left. Returns the space the witness is in, if it
 * is another one. */
static struct crash_space *minimize(struct finding *f, struct minimal *m)
{
    struct minimal_target target = {.class = f->key.class,
                                    .cluster = f->key.cluster,
                                    .second_life = f->second_life,
                                    .nested = f->pick_count > 0,
                                    .guest_sector = f->guest_sector};
    struct minimal_shown shown;
    if (!minimal_state(m, &f->state, &target, &shown))
        return NULL; /* cannot be: it was seen */
    struct crash_space *moved = shorten_prefix(f, m, &target, &shown);
    move_witness(f, m, &shown);
    return moved;
}

/* Which of two witnesses of one finding is the smaller? */
static int compare_witnesses(const struct finding *a, const struct finding *b)
{
    if (a->second_life != b->second_life)
        return a->second_life ? 1 : -1;
    if (a->pick_count != b->pick_count)
        return a->pick_count < b->pick_count ? -1 : 1;
    if (a->survivors != b->survivors)
        return a->survivors < b->survivors ? -1 : 1;
    return a->when < b->when ? -1 : a->when > b->when;
}

/* An equal one of an earlier space stays. */
static bool replaces(const struct finding *fresh, const struct finding *f)
{
    int order = compare_witnesses(fresh, f);
    if (order || !f->fresh)
        return order < 0;
    order = strcmp(fresh->text, f->text);
    return order < 0 || (order == 0 && fresh->guest_sector < f->guest_sector);
}

static void drop(struct finding_set *set, size_t index)
{
    free_finding(&set->items[index]);
    set->items[index] = set->items[--set->count];
}

/* A finding that is known, by a witness no larger, needs no telling. */
static bool is_known(struct finding_set *set, struct finding *f)
{
    struct finding *known = find(set, &f->key, false);
    if (!known || compare_witnesses(f, known) < 0)
        return false;
    known->states += f->states;
    return true;
}

/* Findings that have come to be equal are one. Those of one space may have states in common. */
static void merge(struct finding_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        for (size_t k = i + 1; k < set->count;) {
            struct finding *f = &set->items[i], *g = &set->items[k];
            if (!same_key(&f->key, &g->key)) {
                k++;
                continue;
            }
            if (!g->fresh) { /* the settled one first */
                struct finding swap = *f;
                *f = *g;
                *g = swap;
            }
            uint64_t states = !f->fresh ? f->states + g->states : f->states > g->states ? f->states : g->states;
            if (replaces(g, f)) {
                struct finding swap = *f;
                *f = *g;
                *g = swap;
            }
            f->states = states;
            drop(set, k);
        }
    for (size_t i = 0; i < set->count; i++)
        set->items[i].fresh = false;
}

void finding_settle(struct finding_set *set, const struct crash_space *space, struct crash_disk *disk,
                    struct judge *judge, const struct recording *recording, bool minimal)
{
    struct judge_counts counts = *judge_count(judge);
    struct minimal m = {.judge = judge, .disk = disk};
    bool loaded = false;
    for (size_t i = 0; i < set->count;) {
        struct finding *f = &set->items[i];
        if (!f->fresh || !is_known(set, f)) {
            i++;
            continue;
        }
        drop(set, i);
    }
    for (size_t i = 0; i < set->count; i++) {
        struct finding *f = &set->items[i];
        if (!f->fresh)
            continue;
        if (!loaded)
            minimal_load(&m, space);
        struct crash_space *moved = minimal ? minimize(f, &m) : NULL;
        tell(f, &m, recording);
        loaded = !moved;
        crash_space_free(moved);
    }
    merge(set);
    judge_count_back(judge, &counts);
}

static int compare(const void *a, const void *b)
{
    const struct finding_key *x = &((const struct finding *)a)->key, *y = &((const struct finding *)b)->key;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    if (x->cluster != y->cluster)
        return x->cluster < y->cluster ? -1 : 1;
    if (x->lost != y->lost)
        return x->lost < y->lost ? -1 : 1;
    return x->survivor < y->survivor ? -1 : x->survivor > y->survivor;
}

void finding_sort(struct finding_set *set)
{
    if (set->count)
        qsort(set->items, set->count, sizeof(*set->items), compare);
}
