/* replay_identify.c: what each write of a log is, and whose bytes it carries (see replay.h). */
#include <string.h>

#include "scenarios/replay_internal.h"
#include "simdisk/xalloc.h"

#define SECTOR BLK_SECTOR_BYTES

/* A table's or data cluster's place in the file, and what it belongs to. */
struct place {
    uint64_t offset; /* bytes */
    uint64_t index;  /* L2 tables: of the L1 entry; data clusters: the guest cluster */
};

struct places {
    struct place *items;
    size_t count, cap;
};

struct map {
    struct replay *r;
    const struct qed_geometry *g;
    struct places tables, clusters; /* sorted by offset once complete; the first to come names a place */
};

static void add_place(struct places *p, uint64_t offset, uint64_t index)
{
    p->items = xgrow(p->items, p->count, &p->cap, sizeof(*p->items));
    p->items[p->count++] = (struct place){offset, index};
}

static int by_offset(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void sort_places(struct places *p)
{
    size_t kept = 0;
    if (p->count)
        qsort(p->items, p->count, sizeof(*p->items), by_offset);
    for (size_t i = 0; i < p->count; i++)
        if (!kept || p->items[i].offset != p->items[kept - 1].offset)
            p->items[kept++] = p->items[i];
    p->count = kept;
}

/* The place of `size` bytes that has this offset in it, or NULL. */
static const struct place *find_place(const struct places *p, uint64_t offset, uint64_t size)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->items[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low && offset - p->items[low - 1].offset < size ? &p->items[low - 1] : NULL;
}

static uint64_t load_entry(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

/* The entries of the table at `table`, as far as [offset, offset+length) has them. */
static void note_entries(const struct map *m, const struct place *table, uint64_t offset, uint64_t length,
                         const uint8_t *data, struct places *out)
{
    uint64_t first = table->offset, end = table->offset + m->g->table_bytes;
    for (uint64_t at = offset; at + 8 <= offset + length; at += 8) {
        if (at < first || at >= end)
            continue;
        uint64_t value = load_entry(data + (at - offset));
        if (value > QED_ENTRY_ZERO && value % m->g->cluster_bytes == 0)
            add_place(out, value, table->index * m->g->table_entries + (at - first) / 8);
    }
}

/* Behind the base image's end there are no entries: a log can name any number of tables there. */
static void note_base_table(const struct map *m, const struct place *table, struct places *out)
{
    uint64_t bytes = table->offset < m->r->base_bytes ? m->r->base_bytes - table->offset : 0;
    bytes = bytes < m->g->table_bytes ? bytes : m->g->table_bytes;
    uint8_t *entries = xmalloc(bytes);
    sim_pages_read(m->r->base, table->offset, entries, bytes);
    note_entries(m, table, table->offset, bytes, entries, out);
    free(entries);
}

static void note_written_tables(const struct map *m, const struct place *table, struct places *out)
{
    for (size_t i = 0; i < m->r->entry_count; i++) {
        const struct replay_entry *e = &m->r->entries[i];
        if (e->kind == HIST_WRITE)
            note_entries(m, table, e->offset_bytes, e->length_bytes, e->data, out);
    }
}

/* Every write, against the tables it reaches. */
static void note_written_l2(const struct map *m, struct places *out)
{
    for (size_t i = 0; i < m->r->entry_count; i++) {
        const struct replay_entry *e = &m->r->entries[i];
        for (uint64_t at = 0; e->kind == HIST_WRITE && at < e->length_bytes; at += SECTOR) {
            const struct place *table = find_place(&m->tables, e->offset_bytes + at, m->g->table_bytes);
            if (table)
                note_entries(m, table, e->offset_bytes + at, SECTOR, e->data + at, out);
        }
    }
}

static void make_map(struct map *m)
{
    const struct place l1 = {m->r->header.l1_table_offset, 0};
    note_base_table(m, &l1, &m->tables);
    note_written_tables(m, &l1, &m->tables);
    sort_places(&m->tables);
    for (size_t i = 0; i < m->tables.count; i++)
        note_base_table(m, &m->tables.items[i], &m->clusters);
    note_written_l2(m, &m->clusters);
    sort_places(&m->clusters);
}

/* --- whose bytes --------------------------------------------------------------------------------------------------- */

bool replay_is_filled(const uint8_t *bytes, uint8_t with)
{
    return bytes[0] == with && !memcmp(bytes, bytes + 1, SECTOR - 1);
}

const struct replay_guest *replay_find_write(const struct replay *r, size_t entry, uint64_t sector,
                                             const uint8_t *bytes)
{
    for (size_t i = r->guest_count; i-- > 0;) {
        const struct replay_guest *g = &r->guest[i];
        uint64_t first = g->offset_bytes / SECTOR;
        if (g->op == SCN_WRITE && g->log_start <= entry && sector >= first &&
            sector - first < g->length_bytes / SECTOR && replay_is_filled(bytes, g->byte))
            return g;
    }
    return NULL;
}

bool replay_is_of_backing(const struct replay *r, uint64_t sector, const uint8_t *bytes)
{
    uint8_t there[SECTOR];
    if (!r->backing || (sector + 1) * SECTOR > r->backing_bytes)
        return false;
    sim_pages_read(r->backing, sector * SECTOR, there, SECTOR);
    return !memcmp(there, bytes, SECTOR);
}

static uint64_t guest_sector(const struct map *m, const struct place *cluster, uint64_t offset)
{
    return (cluster->index * m->g->cluster_bytes + (offset - cluster->offset)) / SECTOR;
}

/* Had the guest asked for zeros here, when the log had `entry` entries? under_way: and not been answered yet? */
static bool is_zeroing(const struct replay *r, size_t entry, uint64_t sector, bool under_way)
{
    for (size_t i = 0; i < r->guest_count; i++) {
        const struct replay_guest *g = &r->guest[i];
        uint64_t first = g->offset_bytes / SECTOR;
        if (g->op == SCN_ZERO && g->log_start <= entry && (!under_way || entry < g->log_end) && sector >= first &&
            sector - first < g->length_bytes / SECTOR)
            return true;
    }
    return false;
}

/* One sector that the log wrote to a data cluster. */
static enum blk_event identify_sector(const struct map *m, size_t entry, uint64_t sector, uint8_t *bytes)
{
    const struct replay_guest *g = replay_find_write(m->r, entry, sector, bytes);
    struct tag tag = {.kind = TAG_BACKING, .sector = sector};
    if (g)
        tag = (struct tag){.kind = TAG_GUEST, .sector = sector, .write_id = g->write_id, .generation = 1};
    else if (replay_is_filled(bytes, 0) && is_zeroing(m->r, entry, sector, false))
        tag.kind = TAG_ZERO;
    else if (!replay_is_of_backing(m->r, sector, bytes))
        tag.kind = replay_is_filled(bytes, 0) ? TAG_ZERO : TAG_FOREIGN;
    m->r->unknown_sectors += tag.kind == TAG_FOREIGN;
    if (tag.kind != TAG_FOREIGN)
        tag_fill(bytes, &tag);
    return g ? BLK_EVENT_WRITE_AIO : BLK_EVENT_COW_WRITE;
}

static void identify_entry(const struct map *m, size_t number)
{
    struct replay_entry *e = &m->r->entries[number];
    const struct place *table = find_place(&m->tables, e->offset_bytes, m->g->table_bytes);
    uint64_t l1 = m->r->header.l1_table_offset;
    if (e->offset_bytes < m->g->header_bytes)
        e->label = BLK_EVENT_HEADER_UPDATE;
    else if (e->offset_bytes >= l1 && e->offset_bytes - l1 < m->g->table_bytes)
        e->label = BLK_EVENT_L1_UPDATE;
    else if (table)
        e->label = e->length_bytes == m->g->table_bytes ? BLK_EVENT_L2_ALLOC_WRITE : BLK_EVENT_L2_UPDATE;
    else
        e->label = BLK_EVENT_WRITE_AIO;
    if (e->label != BLK_EVENT_WRITE_AIO)
        return;
    for (uint64_t at = 0; at < e->length_bytes; at += SECTOR) {
        const struct place *cluster = find_place(&m->clusters, e->offset_bytes + at, m->g->cluster_bytes);
        if (!cluster)
            continue; /* nothing ever named it, so nobody reads it */
        uint64_t sector = guest_sector(m, cluster, e->offset_bytes + at);
        enum blk_event label = identify_sector(m, number, sector, e->data + at);
        if (at == 0 && m->r->has_guest && !is_zeroing(m->r, number, sector, true))
            e->label = label;
    }
}

/* --- before event 0 ------------------------------------------------------------------------------------------------ */

struct replay_range *replay_add_range(struct replay_range *list, size_t *count, size_t *cap, uint64_t first,
                                      uint64_t sectors)
{
    if (*count && list[*count - 1].first_sector + list[*count - 1].count == first) {
        list[*count - 1].count += sectors;
        return list;
    }
    list = xgrow(list, *count, cap, sizeof(*list));
    list[(*count)++] = (struct replay_range){first, sectors};
    return list;
}

static void note_zero(struct replay *r, uint64_t first, uint64_t sectors)
{
    r->zeroed = replay_add_range(r->zeroed, &r->zeroed_count, &r->zeroed_cap, first, sectors);
}

static void identify_base_sector(struct replay *r, uint64_t offset, uint64_t sector)
{
    uint8_t bytes[SECTOR];
    struct tag tag = {.kind = TAG_BACKING, .sector = sector};
    sim_pages_read(r->base, offset, bytes, SECTOR);
    if (!replay_is_of_backing(r, sector, bytes)) {
        if (replay_is_filled(bytes, 0)) {
            note_zero(r, sector, 1);
            return;
        }
        tag = (struct tag){.kind = TAG_GUEST, .sector = sector, .write_id = 1};
        r->held = replay_add_range(r->held, &r->held_count, &r->held_cap, sector, 1);
    }
    tag_fill(bytes, &tag);
    sim_pages_write(r->base, offset, bytes, SECTOR);
}

static bool in_base(const struct map *m, uint64_t entry)
{
    return entry > QED_ENTRY_ZERO && entry % m->g->cluster_bytes == 0 && entry < m->r->base_bytes;
}

/* A guest cluster's sectors that the image has. */
static uint64_t sectors_of(const struct map *m, uint64_t guest_cluster)
{
    uint64_t sectors = m->g->cluster_bytes / SECTOR, last = m->r->header.image_size / SECTOR;
    uint64_t first = guest_cluster * sectors;
    return first >= last ? 0 : sectors < last - first ? sectors : last - first;
}

/* The tables that L1 names, or the data clusters that a table names. */
static void base_places(struct map *m, const struct place *table, bool is_l1, struct places *out)
{
    uint64_t bytes = table->offset < m->r->base_bytes ? m->r->base_bytes - table->offset : 0;
    bytes = bytes < m->g->table_bytes ? bytes : m->g->table_bytes;
    uint8_t *entries = xmalloc(bytes);
    sim_pages_read(m->r->base, table->offset, entries, bytes);
    for (uint64_t i = 0; i < bytes / 8; i++) {
        uint64_t entry = load_entry(entries + 8 * i), index = table->index * m->g->table_entries + i;
        if (in_base(m, entry))
            add_place(out, entry, index);
        else if (!is_l1 && entry == QED_ENTRY_ZERO && sectors_of(m, index))
            note_zero(m->r, index * (m->g->cluster_bytes / SECTOR), sectors_of(m, index));
    }
    free(entries);
}

/* Each table once, and each cluster: in a broken image they may have many names. */
static void identify_base(struct map *m)
{
    const struct place l1 = {m->r->header.l1_table_offset, 0};
    struct places tables = {0}, clusters = {0};
    base_places(m, &l1, true, &tables);
    sort_places(&tables);
    for (size_t i = 0; i < tables.count; i++)
        base_places(m, &tables.items[i], false, &clusters);
    sort_places(&clusters);
    for (size_t i = 0; i < clusters.count; i++) {
        const struct place *c = &clusters.items[i];
        for (uint64_t s = 0; s < sectors_of(m, c->index); s++)
            identify_base_sector(m->r, c->offset + s * SECTOR, c->index * (m->g->cluster_bytes / SECTOR) + s);
    }
    free(tables.items);
    free(clusters.items);
}

/* Last: until then the others are compared with its bytes. */
static void identify_backing(struct replay *r)
{
    uint8_t bytes[SECTOR];
    for (uint64_t sector = 0; r->backing && sector < r->backing_bytes / SECTOR; sector++) {
        const struct tag tag = {.kind = TAG_BACKING, .sector = sector};
        tag_fill(bytes, &tag);
        sim_pages_write(r->backing, sector * SECTOR, bytes, SECTOR);
    }
}

void replay_identify(struct replay *r)
{
    struct map m = {.r = r, .g = &r->geometry};
    make_map(&m);
    for (size_t i = 0; i < r->entry_count; i++)
        if (r->entries[i].kind == HIST_WRITE)
            identify_entry(&m, i);
    if (r->has_guest) { /* else contents are not judged, and stay what they are */
        identify_base(&m);
        identify_backing(r);
    }
    free(m.tables.items);
    free(m.clusters.items);
}
