/* finding.c: see finding.h. */
#include "harness/finding.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/story.h"
#include "simdisk/xalloc.h"

void finding_set_free(struct finding_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free(set->items[i].text);
        free(set->items[i].story);
        crash_state_free(&set->items[i].state);
    }
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
    uint32_t earliest = HIST_NEVER;
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = crash_state_version(s, st, u) + 1; v < s->units[u].version_count; v++) {
            uint32_t op = crash_unit_version(s, u, v)->op;
            if (op < limit && op < earliest && (!metadata || is_metadata(s->history->ops[op].label)))
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

static struct finding_key key_of(const struct crash_space *s, const struct crash_state *st, uint32_t cluster_sectors,
                                 const struct violation *v)
{
    struct finding_key key = {.class = v->class, .cluster = FINDING_NO_CLUSTER};
    if (v->guest_sector != JUDGE_NO_SECTOR)
        key.cluster = v->guest_sector / cluster_sectors;
    uint32_t survivor = surviving_update(s, st);
    uint32_t lost = lost_at(s, st, v->image_sector);
    if (lost == HIST_NEVER && survivor != HIST_NEVER)
        lost = lost_before(s, st, survivor, false);
    if (lost == HIST_NEVER)
        lost = lost_before(s, st, HIST_NEVER, true);
    if (lost == HIST_NEVER)
        lost = lost_before(s, st, HIST_NEVER, false);
    key.lost = label_of(s, lost);
    key.survivor = survivor == HIST_NEVER ? BLK_EVENT_FLUSH_TO_DISK : label_of(s, survivor);
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

static struct finding *find(struct finding_set *set, const struct finding_key *key)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct finding_key *k = &set->items[i].key;
        if (k->class == key->class && k->cluster == key->cluster && k->lost == key->lost &&
            k->survivor == key->survivor)
            return &set->items[i];
    }
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
    if (!f->fresh)
        return false; /* an equal one of an earlier space stays */
    int order = crash_state_compare(s, st, &f->state);
    return order < 0 || (order == 0 && v->guest_sector < f->guest_sector);
}

static void take_witness(struct finding *f, const struct crash_space *s, const struct crash_state *st,
                         const struct violation *v)
{
    if (!f->fresh) {
        crash_state_free(&f->state);
        crash_state_init(&f->state, s);
        f->fresh = true;
    }
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
    struct finding *f = find(set, &key);
    if (!f) {
        set->items = xgrow(set->items, set->count, &set->cap, sizeof(*set->items));
        f = &set->items[set->count++];
        *f = (struct finding){.key = key, .survivors = UINT32_MAX, .second_life = true, .pick_count = UINT32_MAX};
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
    r->found = true;
    memset(&r->f->words, 0, sizeof(r->f->words));
    if (v->words)
        r->f->words = *v->words;
    snprintf(r->f->what, sizeof(r->f->what), "%s", v->what);
}

/* The survivors, and after a slash the answers that made the power fail again. */
static char *survivors_text(const struct crash_space *space, const struct finding *f)
{
    char *first = crash_state_text(space, &f->state), *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    fputs(first, out);
    for (unsigned i = 0; i < f->pick_count; i++)
        fprintf(out, "%c%" PRIu32, i ? '.' : '/', f->picks[i]);
    fclose(out);
    free(first);
    return text;
}

bool finding_parse_picks(const char *survivors, size_t *survivors_length, uint32_t picks[JUDGE_MAX_PICKS], unsigned *count)
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

void finding_settle(struct finding_set *set, const struct crash_space *space, struct crash_disk *disk,
                    struct judge *judge, const struct recording *recording)
{
    for (size_t i = 0; i < set->count; i++) {
        struct finding *f = &set->items[i];
        if (!f->fresh)
            continue;
        crash_disk_rewind(disk, 0);
        crash_state_apply(space, &f->state, disk);
        struct retell r = {.f = f, .space = space, .cluster_sectors = judge_cluster_sectors(judge)};
        judge_explain(judge, true);
        judge_force(judge, f->picks, f->pick_count);
        judge_state(judge, disk, f->when, retell_violation, &r);
        judge_force(judge, NULL, 0);
        judge_explain(judge, false);
        crash_disk_rewind(disk, 0);
        free(f->text);
        free(f->story);
        f->text = survivors_text(space, f);
        f->story = story_tell(f, space, recording);
        f->fresh = false;
    }
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
