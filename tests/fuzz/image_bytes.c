/* image_bytes.c: see image_bytes.h. */
#include "tests/fuzz/image_bytes.h"

#include <endian.h>
#include <string.h>

#include "engine/qed_format.h"

#define NAME_AT   64u
#define SECTOR    512u
#define TOO_LARGE (UINT64_C(1) << 27)

static const uint32_t cluster_choices[16] = {4096,  4096,  4096, 4096, 4096, 8192,  8192,      16384,
                                             32768, 65536, 4096, 8192, 2048, 12288, TOO_LARGE, 0};
static const uint32_t table_choices[16] = {1, 1, 1, 2, 2, 2, 2, 4, 4, 8, 16, 16, 0, 3, 32, UINT32_MAX};
static const uint32_t header_choices[8] = {1, 1, 1, 1, 2, 3, 0, UINT32_MAX / 2};

struct maker {
    struct image_bytes image;
    struct qed_header header;
    uint64_t clusters, entries;
};

static void put_le64(struct maker *m, uint64_t offset, uint64_t value)
{
    uint64_t le = htole64(value);
    if (offset < m->image.length_bytes && m->image.length_bytes - offset >= sizeof(le))
        sim_pages_write(m->image.pages, offset, &le, sizeof(le));
}

static uint64_t image_size(const struct maker *m, unsigned choice)
{
    uint64_t cluster = m->image.cluster_bytes, reach = m->entries * cluster, most = reach * m->entries;
    const uint64_t choices[16] = {reach,
                                  16 * cluster,
                                  3 * cluster,
                                  3 * cluster + SECTOR,
                                  SECTOR,
                                  0,
                                  reach + cluster,
                                  2 * reach,
                                  most,
                                  most - SECTOR,
                                  most + SECTOR,
                                  cluster - SECTOR,
                                  777,
                                  INT64_MAX - 511,
                                  UINT64_MAX - 511,
                                  64 * cluster};
    return choices[choice & 15];
}

/* Name sizes and places: inside the header, over E, at its end, beyond it, near 2^32, too long. */
static void choose_name(struct maker *m, unsigned choice)
{
    static const struct {
        uint32_t offset, size;
    } choices[8] = {{0, 0}, {64, 7}, {64, 7}, {500, 20}, {4096 - 7, 7}, {4096 - 6, 7}, {UINT32_MAX - 2, 7}, {64, 4096}};
    m->header.backing_filename_offset = choices[choice & 7].offset;
    m->header.backing_filename_size = choices[choice & 7].size;
}

static void choose_header(struct maker *m, const uint8_t *c)
{
    struct qed_header *h = &m->header;
    uint64_t l1 = c[IMAGE_AT_L1] & 63;
    h->magic = QED_MAGIC;
    h->cluster_size = cluster_choices[c[IMAGE_AT_CLUSTER] & 15];
    h->table_size = table_choices[c[IMAGE_AT_TABLE] & 15];
    h->header_size = header_choices[c[IMAGE_AT_HEADER] & 7];
    h->features = (c[IMAGE_AT_FEATURES] & 7u) | (c[IMAGE_AT_FEATURES] & 0x40 ? 8 : 0) |
                  (c[IMAGE_AT_FEATURES] & 0x80 ? UINT64_C(1) << 63 : 0);
    h->autoclear_features = (c[IMAGE_AT_BITS] & 1u) | (c[IMAGE_AT_BITS] & 2 ? QED_AUTOCLEAR_PHYS_SIZE : 0);
    h->compat_features = (c[IMAGE_AT_BITS] & 4 ? 1u : 0u) | (c[IMAGE_AT_BITS] & 8 ? QED_COMPAT_PHYS_SIZE : 0);
    m->image.cluster_bytes = qed_cluster_size_valid(h->cluster_size) ? h->cluster_size : 4096;
    m->image.table_bytes = m->image.cluster_bytes * (qed_table_size_valid(h->table_size) ? h->table_size : 1);
    m->entries = m->image.table_bytes / sizeof(uint64_t);
    h->l1_table_offset = l1 * m->image.cluster_bytes + (c[IMAGE_AT_L1] & 0x40 ? SECTOR : 0);
    if (c[IMAGE_AT_L1] & 0x80)
        h->l1_table_offset = UINT64_MAX - l1 * m->image.cluster_bytes + 1;
    h->image_size = image_size(m, c[IMAGE_AT_SIZE]);
    choose_name(m, c[IMAGE_AT_NAME]);
}

static void choose_length(struct maker *m, const uint8_t *c)
{
    uint64_t cluster = m->image.cluster_bytes, most = IMAGE_BYTES_MAX / cluster - 1;
    uint8_t stale[SECTOR];
    m->clusters = c[IMAGE_AT_LENGTH] < most ? c[IMAGE_AT_LENGTH] : most;
    m->image.length_bytes = m->clusters * cluster;
    memset(stale, c[IMAGE_AT_FILL] | 1, sizeof(stale));
    if (c[IMAGE_AT_TAIL] == 0xff) {
        sim_pages_write(m->image.pages, m->image.length_bytes++, stale, 1);
        return;
    }
    for (uint64_t left = c[IMAGE_AT_TAIL] % (cluster / SECTOR); left; left--, m->image.length_bytes += SECTOR)
        sim_pages_write(m->image.pages, m->image.length_bytes, stale, SECTOR);
}

static void write_header(struct maker *m, const uint8_t *c)
{
    uint8_t bytes[QED_HEADER_BYTES];
    uint64_t e = (c[IMAGE_AT_E] & 0x7fu) * m->image.cluster_bytes + (c[IMAGE_AT_E] & 0x80 ? SECTOR : 0);
    if (m->image.length_bytes < SECTOR)
        return;
    qed_header_encode(&m->header, bytes);
    sim_pages_write(m->image.pages, 0, bytes, sizeof(bytes));
    if (m->header.backing_filename_offset == NAME_AT)
        sim_pages_write(m->image.pages, NAME_AT, "backing", 7);
    if (e)
        put_le64(m, QED_PHYS_SIZE_OFFSET, e);
}

static uint64_t entry_value(const struct maker *m, unsigned target, unsigned how)
{
    uint64_t offset = target * m->image.cluster_bytes;
    switch ((enum image_how)(how % IMAGE_HOW_COUNT)) {
    case IMAGE_HOW_CLUSTER:
        return offset;
    case IMAGE_HOW_ZERO_CLUSTER:
        return QED_ENTRY_ZERO;
    case IMAGE_HOW_NOTHING:
        return QED_ENTRY_UNALLOCATED;
    case IMAGE_HOW_OFF_BY_SECTOR:
        return offset + SECTOR;
    case IMAGE_HOW_OFF_BY_ONE:
        return offset + 1;
    case IMAGE_HOW_HUGE:
        return 0 - offset;
    case IMAGE_HOW_HIGH:
        return (UINT64_C(1) << 63) + offset;
    case IMAGE_HOW_END:
        return m->clusters * m->image.cluster_bytes + offset;
    case IMAGE_HOW_COUNT:
        break;
    }
    return 0;
}

static uint64_t index_of(const struct maker *m, const uint8_t *r)
{
    uint64_t index = (r[2] | (r[3] & ~IMAGE_INDEX_FROM_END) << 8) % m->entries;
    return r[3] & IMAGE_INDEX_FROM_END ? m->entries - 1 - index : index;
}

static void take_record(struct maker *m, const uint8_t *r)
{
    uint64_t index = index_of(m, r), table = r[1] * m->image.cluster_bytes;
    uint8_t fill[SECTOR];
    switch ((enum image_what)(r[0] % IMAGE_WHAT_COUNT)) {
    case IMAGE_WHAT_L1:
        put_le64(m, m->header.l1_table_offset + index * 8, entry_value(m, r[4], r[5]));
        break;
    case IMAGE_WHAT_ENTRY:
        put_le64(m, table + index * 8, entry_value(m, r[4], r[5]));
        break;
    case IMAGE_WHAT_RUN:
        for (uint64_t i = 0; i <= (r[5] & 15u) && index + i < m->entries; i++)
            put_le64(m, table + (index + i) * 8, (r[4] + i) * m->image.cluster_bytes);
        break;
    case IMAGE_WHAT_FILL:
        memset(fill, r[4], sizeof(fill));
        table += index * SECTOR % m->image.cluster_bytes;
        if (table < m->image.length_bytes && m->image.length_bytes - table >= SECTOR)
            sim_pages_write(m->image.pages, table, fill, SECTOR);
        break;
    case IMAGE_WHAT_PATCH:
        if (m->image.length_bytes >= SECTOR)
            sim_pages_write(m->image.pages, (r[2] | r[3] << 8) % SECTOR, r + 4, 1);
        break;
    case IMAGE_WHAT_COUNT:
        break;
    }
}

static struct image_bytes make_raw(struct maker *m, const uint8_t *data, size_t size)
{
    m->image.length_bytes = size > IMAGE_BYTES_MAX ? IMAGE_BYTES_MAX : size;
    sim_pages_write(m->image.pages, 0, data, (size_t)m->image.length_bytes);
    return m->image;
}

struct image_bytes image_bytes_make(const uint8_t *data, size_t size)
{
    struct maker m = {.image = {.pages = sim_pages_create(), .cluster_bytes = 4096, .table_bytes = 4096}};
    uint8_t choices[IMAGE_HEAD_BYTES] = {0};
    memcpy(choices, data, size < sizeof(choices) ? size : sizeof(choices));
    m.image.use[0] = choices[IMAGE_AT_USE];
    m.image.use[1] = choices[IMAGE_AT_USE_MORE];
    if (choices[IMAGE_AT_KIND] >= IMAGE_BYTES_RAW) {
        m.image.use[0] = size > 1 ? data[1] : 0;
        m.image.use[1] = size > 2 ? data[2] : 0;
        return make_raw(&m, data + (size > 3 ? 3 : size), size > 3 ? size - 3 : 0);
    }
    choose_header(&m, choices);
    choose_length(&m, choices);
    write_header(&m, choices);
    m.image.records = data + (size < sizeof(choices) ? size : sizeof(choices));
    m.image.record_count = size < sizeof(choices) ? 0 : (size - sizeof(choices)) / IMAGE_RECORD_BYTES;
    for (size_t i = 0; i < m.image.record_count; i++)
        take_record(&m, m.image.records + i * IMAGE_RECORD_BYTES);
    return m.image;
}
