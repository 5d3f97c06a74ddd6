/* replay_other.c: recordings of QEMU's other formats. Nobody here reads their tables, so a cluster's guest sector is not
 * known before QEMU has opened the image and read it. Bytes become tags then, one sector at a time:
 *
 *     filled with 0x11     the guest's latest write of this sector that has this byte; else another place's bytes
 *     as in before.raw     a write of the time before (write 1 of life 0)
 *     as in backing.raw    the backing file's
 *     anything else        nobody's
 *
 * A write's label is a guess by its bytes, and for qcow2 by the places that the header and the L1 table name. It is for
 * telling; no verdict rests on it.
 */
#include <string.h>

#include "oracle/tag.h"
#include "scenarios/replay_internal.h"
#include "simdisk/xalloc.h"

#define SECTOR       BLK_SECTOR_BYTES
#define QCOW2_MAGIC  0x514649fbu
#define QCOW2_OFFSET UINT64_C(0x00fffffffffffe00)
#define QCOW2_L1_MAX 4096u

/* --- bytes --------------------------------------------------------------------------------------------------------- */

/* The first write of any place with this byte. */
static const struct replay_guest *find_elsewhere(const struct replay *r, const uint8_t *bytes)
{
    for (size_t i = 0; i < r->guest_count; i++)
        if (r->guest[i].op == SCN_WRITE && replay_is_filled(bytes, r->guest[i].byte))
            return &r->guest[i];
    return NULL;
}

static bool is_as_before(const struct replay *r, uint64_t sector, const uint8_t *bytes)
{
    uint8_t there[SECTOR];
    if ((sector + 1) * SECTOR > r->image_bytes)
        return false;
    sim_pages_read(r->before, sector * SECTOR, there, SECTOR);
    return !memcmp(there, bytes, SECTOR);
}

void replay_tag_sector(const struct replay *r, uint64_t sector, uint8_t bytes[BLK_SECTOR_BYTES])
{
    struct tag tag;
    if (!r->before || replay_is_filled(bytes, 0))
        return;
    const struct replay_guest *g = replay_find_write(r, SIZE_MAX, sector, bytes);
    const struct replay_guest *other = g ? NULL : find_elsewhere(r, bytes);
    if (g)
        tag = (struct tag){.kind = TAG_GUEST, .sector = sector, .write_id = g->write_id, .generation = 1};
    else if (replay_is_of_backing(r, sector, bytes))
        tag = (struct tag){.kind = TAG_BACKING, .sector = sector};
    else if (is_as_before(r, sector, bytes))
        tag = (struct tag){.kind = TAG_GUEST, .sector = sector, .write_id = 1};
    else if (other)
        tag = (struct tag){
            .kind = TAG_GUEST, .sector = other->offset_bytes / SECTOR, .write_id = other->write_id, .generation = 1};
    else
        return; /* it may be a tag: a second life's */
    tag_fill(bytes, &tag);
}

/* --- labels -------------------------------------------------------------------------------------------------------- */

struct qcow2 {
    bool is;
    uint64_t cluster_bytes, l1_offset, l1_bytes;
    uint64_t l2[QCOW2_L1_MAX];
    size_t l2_count;
};

static uint64_t big_endian(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* The entries of the L1 table that [offset, offset+length) has. */
static void note_l2(struct qcow2 *q, uint64_t offset, uint64_t length, const uint8_t *bytes)
{
    for (uint64_t at = 0; at + 8 <= length; at += 8) {
        uint64_t value = big_endian(bytes + at, 8) & QCOW2_OFFSET;
        if (offset + at >= q->l1_offset && offset + at < q->l1_offset + q->l1_bytes && value &&
            q->l2_count < QCOW2_L1_MAX)
            q->l2[q->l2_count++] = value;
    }
}

static void read_qcow2(const struct replay *r, struct qcow2 *q)
{
    uint8_t header[SECTOR], sector[SECTOR];
    *q = (struct qcow2){.is = false};
    sim_pages_read(r->base, 0, header, SECTOR);
    unsigned bits = (unsigned)big_endian(header + 20, 4);
    if (big_endian(header, 4) != QCOW2_MAGIC || bits < 9 || bits > 21)
        return;
    q->is = true;
    q->cluster_bytes = UINT64_C(1) << bits;
    q->l1_bytes = 8 * big_endian(header + 36, 4);
    q->l1_offset = big_endian(header + 40, 8);
    if (q->l1_bytes > 8 * QCOW2_L1_MAX)
        q->l1_bytes = 8 * QCOW2_L1_MAX;
    for (uint64_t at = 0; at < q->l1_bytes; at += SECTOR) {
        sim_pages_read(r->base, q->l1_offset + at, sector, SECTOR);
        note_l2(q, q->l1_offset + at, SECTOR, sector);
    }
    for (size_t i = 0; i < r->entry_count; i++)
        if (r->entries[i].kind == HIST_WRITE)
            note_l2(q, r->entries[i].offset_bytes, r->entries[i].length_bytes, r->entries[i].data);
}

static enum blk_event qcow2_label(const struct qcow2 *q, const struct replay_entry *e)
{
    if (!q->is)
        return BLK_EVENT_NONE;
    if (e->offset_bytes < SECTOR)
        return BLK_EVENT_HEADER_UPDATE;
    if (e->offset_bytes < q->l1_offset + q->l1_bytes && e->offset_bytes + e->length_bytes > q->l1_offset)
        return BLK_EVENT_L1_UPDATE;
    for (size_t i = 0; i < q->l2_count; i++)
        if (e->offset_bytes >= q->l2[i] && e->offset_bytes < q->l2[i] + q->cluster_bytes)
            return BLK_EVENT_L2_UPDATE;
    return BLK_EVENT_NONE;
}

/* A cluster's worth of the guest's bytes, somewhere in it? Of the backing file's? */
static enum blk_event label_by_bytes(const struct replay *r, size_t number)
{
    const struct replay_entry *e = &r->entries[number];
    bool copied = false;
    for (uint64_t at = 0; at < e->length_bytes; at += SECTOR) {
        const uint8_t *bytes = e->data + at;
        struct tag tag;
        tag_identify(bytes, &tag);
        copied |= tag.kind == TAG_BACKING;
        if (bytes[0] && replay_is_filled(bytes, bytes[0]) && find_elsewhere(r, bytes))
            return BLK_EVENT_WRITE_AIO;
    }
    return copied ? BLK_EVENT_COW_WRITE : BLK_EVENT_NONE;
}

void replay_identify_other(struct replay *r)
{
    struct qcow2 *q = xcalloc(1, sizeof(*q));
    uint8_t bytes[SECTOR];
    read_qcow2(r, q);
    for (size_t i = 0; i < r->entry_count; i++)
        if (r->entries[i].kind == HIST_WRITE) {
            enum blk_event label = qcow2_label(q, &r->entries[i]);
            r->entries[i].label = label == BLK_EVENT_NONE ? label_by_bytes(r, i) : label;
        }
    for (uint64_t sector = 0; sector < r->image_bytes / SECTOR; sector++) {
        sim_pages_read(r->before, sector * SECTOR, bytes, SECTOR);
        bool in_backing = r->backing && (sector + 1) * SECTOR <= r->backing_bytes;
        bool zero = replay_is_filled(bytes, 0);
        if (!zero && !replay_is_of_backing(r, sector, bytes))
            r->held = replay_add_range(r->held, &r->held_count, &r->held_cap, sector, 1);
        if (zero && in_backing) /* also where the backing file has zeros itself: zeros are nobody's */
            r->zeroed = replay_add_range(r->zeroed, &r->zeroed_count, &r->zeroed_cap, sector, 1);
    }
    free(q);
}
