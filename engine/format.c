/* format.c: the header's bytes and the arithmetic of tables and offsets. */
#include "engine/qed_format.h"

#include <stddef.h>

/* One field of the header after another; the cursor is the offset. */
struct cursor {
    const uint8_t *at;
};

static uint64_t get_le(struct cursor *c, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)c->at[i] << (8 * i);
    c->at += bytes;
    return value;
}

static uint8_t *put_le(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    return at + bytes;
}

void qed_header_decode(const uint8_t bytes[QED_HEADER_BYTES], struct qed_header *header)
{
    struct cursor c = {.at = bytes};

    header->magic = (uint32_t)get_le(&c, 4);
    header->cluster_size = (uint32_t)get_le(&c, 4);
    header->table_size = (uint32_t)get_le(&c, 4);
    header->header_size = (uint32_t)get_le(&c, 4);
    header->features = get_le(&c, 8);
    header->compat_features = get_le(&c, 8);
    header->autoclear_features = get_le(&c, 8);
    header->l1_table_offset = get_le(&c, 8);
    header->image_size = get_le(&c, 8);
    header->backing_filename_offset = (uint32_t)get_le(&c, 4);
    header->backing_filename_size = (uint32_t)get_le(&c, 4);
}

void qed_header_encode(const struct qed_header *header, uint8_t bytes[QED_HEADER_BYTES])
{
    uint8_t *at = bytes;

    at = put_le(at, header->magic, 4);
    at = put_le(at, header->cluster_size, 4);
    at = put_le(at, header->table_size, 4);
    at = put_le(at, header->header_size, 4);
    at = put_le(at, header->features, 8);
    at = put_le(at, header->compat_features, 8);
    at = put_le(at, header->autoclear_features, 8);
    at = put_le(at, header->l1_table_offset, 8);
    at = put_le(at, header->image_size, 8);
    at = put_le(at, header->backing_filename_offset, 4);
    put_le(at, header->backing_filename_size, 4);
}

static bool power_of_two_within(uint32_t value, uint32_t min, uint32_t max)
{
    return value >= min && value <= max && (value & (value - 1)) == 0;
}

bool qed_cluster_size_valid(uint32_t cluster_bytes)
{
    return power_of_two_within(cluster_bytes, QED_MIN_CLUSTER_BYTES, QED_MAX_CLUSTER_BYTES);
}

bool qed_table_size_valid(uint32_t table_clusters)
{
    return power_of_two_within(table_clusters, QED_MIN_TABLE_CLUSTERS, QED_MAX_TABLE_CLUSTERS);
}

/* n * n * cluster_bytes, at most the largest sector multiple a signed file offset can hold. */
static uint64_t max_image_bytes(uint32_t cluster_bits, uint32_t table_bits)
{
    uint32_t bits = cluster_bits + 2 * table_bits;

    if (bits >= 63)
        return (UINT64_C(1) << 63) - 512;
    return UINT64_C(1) << bits;
}

void qed_geometry_init(struct qed_geometry *g, uint32_t cluster_bytes, uint32_t table_clusters,
                       uint32_t header_clusters)
{
    *g = (struct qed_geometry){
        .cluster_bytes = cluster_bytes,
        .cluster_bits = (uint32_t)__builtin_ctz(cluster_bytes),
        .table_clusters = table_clusters,
        .table_bytes = (uint64_t)cluster_bytes * table_clusters,
        .header_bytes = (uint64_t)cluster_bytes * header_clusters,
    };
    g->table_entries = g->table_bytes / sizeof(uint64_t);
    g->table_bits = (uint32_t)__builtin_ctzll(g->table_entries);
    g->max_image_bytes = max_image_bytes(g->cluster_bits, g->table_bits);
}

bool qed_data_offset_valid(const struct qed_geometry *g, uint64_t file_size_bytes, uint64_t offset)
{
    return (offset & (g->cluster_bytes - 1)) == 0 && offset >= g->header_bytes && offset < file_size_bytes;
}

/* The first cluster is valid, so what is left of the file behind it cannot underflow. */
bool qed_table_offset_valid(const struct qed_geometry *g, uint64_t file_size_bytes, uint64_t offset)
{
    uint64_t last_from_first = g->table_bytes - g->cluster_bytes;

    return qed_data_offset_valid(g, file_size_bytes, offset) && file_size_bytes - offset > last_from_first;
}
