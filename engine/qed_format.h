/* qed_format.h: the QED on-disk format and nothing else; shared by the engine and by the oracle's own walk.
 *
 *   cluster 0 .. header_size-1    header cluster(s): 64 bytes of header, backing file name, slack
 *   l1_table_offset               L1 table: table_size clusters of little-endian u64
 *   anywhere after the header     L2 tables (table_size clusters each) and data clusters, in any order
 *
 *   guest address  pos = | l1 index | l2 index | offset in cluster |
 *                          table_bits table_bits  cluster_bits
 *
 * There is no checksum, no reference count and no free list: free space is what lies beyond the file's end, rounded
 * down to a cluster. Source: docs/format.md (our words), QED specification.
 */
#ifndef ENGINE_QED_FORMAT_H
#define ENGINE_QED_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#define QED_MAGIC                  0x00444551u /* "QED\0", little-endian */
#define QED_HEADER_BYTES           64u
#define QED_MIN_CLUSTER_BYTES      4096u
#define QED_MAX_CLUSTER_BYTES      67108864u
#define QED_MIN_TABLE_CLUSTERS     1u
#define QED_MAX_TABLE_CLUSTERS     16u
#define QED_DEFAULT_CLUSTER_BYTES  65536u
#define QED_DEFAULT_TABLE_CLUSTERS 4u
#define QED_MAX_BACKING_NAME_BYTES 4095u

/* header.features: unknown bits refuse the open. */
#define QED_F_BACKING_FILE            1u
#define QED_F_NEED_CHECK              2u
#define QED_F_BACKING_FORMAT_NO_PROBE 4u
#define QED_F_KNOWN                   7u

/* Our experimental extension (docs/format.md 1.8): the last 8 bytes of the header's first sector hold E, the end of the
 * last allocation in bytes. Announced by one of these, high up, where the format has no bits. */
#define QED_PHYS_SIZE_OFFSET    504u
#define QED_COMPAT_PHYS_SIZE    (UINT64_C(1) << 62) /* of compat_features: E holds while the image is not marked */
#define QED_AUTOCLEAR_PHYS_SIZE (UINT64_C(1) << 62) /* of autoclear_features: E holds and the tables are consistent */

/* L2 entry values that are not offsets. In L1 only 0 is special. */
#define QED_ENTRY_UNALLOCATED 0u
#define QED_ENTRY_ZERO        1u

/* The header in host byte order. */
struct qed_header {
    uint32_t magic;
    uint32_t cluster_size;    /* bytes, a power of two */
    uint32_t table_size;      /* clusters per table, a power of two */
    uint32_t header_size;     /* clusters before the first regular one */
    uint64_t features;        /* incompatible: QED_F_* */
    uint64_t compat_features; /* ignorable, preserved */
    uint64_t autoclear_features;
    uint64_t l1_table_offset; /* bytes */
    uint64_t image_size;      /* guest-visible bytes */
    uint32_t backing_filename_offset;
    uint32_t backing_filename_size;
};

/* Derived, so that nobody computes it twice. */
struct qed_geometry {
    uint32_t cluster_bytes;
    uint32_t cluster_bits;
    uint32_t table_clusters;
    uint64_t table_bytes;
    uint64_t table_entries; /* per table */
    uint32_t table_bits;    /* log2 table_entries */
    uint64_t header_bytes;  /* header_size * cluster_size: first byte a table or data cluster may have */
    uint64_t max_image_bytes;
};

void qed_header_decode(const uint8_t bytes[QED_HEADER_BYTES], struct qed_header *header);
void qed_header_encode(const struct qed_header *header, uint8_t bytes[QED_HEADER_BYTES]);

bool qed_cluster_size_valid(uint32_t cluster_bytes);
bool qed_table_size_valid(uint32_t table_clusters);
/* Only for valid sizes. The image bound saturates at 2^63-512 instead of wrapping (spec 1.5). */
void qed_geometry_init(struct qed_geometry *g, uint32_t cluster_bytes, uint32_t table_clusters,
                       uint32_t header_clusters);

/* Spec 1.6: cluster aligned, not in the header, below file_size_bytes (itself a multiple of the cluster size). */
bool qed_data_offset_valid(const struct qed_geometry *g, uint64_t file_size_bytes, uint64_t offset);
/* The same for all table_clusters clusters of a table, without overflow. */
bool qed_table_offset_valid(const struct qed_geometry *g, uint64_t file_size_bytes, uint64_t offset);

static inline uint64_t qed_l1_index(const struct qed_geometry *g, uint64_t pos)
{
    return pos >> (g->cluster_bits + g->table_bits);
}

static inline uint64_t qed_l2_index(const struct qed_geometry *g, uint64_t pos)
{
    return (pos >> g->cluster_bits) & (g->table_entries - 1);
}

#endif
