/* image_bytes.h: a few bytes as an image file, so that small inputs make plausible images, and near inputs near ones.
 *
 *     | kind | geometry ... 14 bytes | record | record | ...
 *
 *     kind >= 0xf0     raw: the bytes behind it are the file, as it is
 *     else             the header's fields are choices from tables of good and bad values; then each record of 6 bytes sets
 *                      one entry of a table, fills a cluster, or changes a byte of the header
 *
 * Numbers that do not fit wrap into what fits: every input is an image. A file is at most IMAGE_BYTES_MAX long.
 */
#ifndef TESTS_FUZZ_IMAGE_BYTES_H
#define TESTS_FUZZ_IMAGE_BYTES_H

#include "simdisk/pages.h"

#define IMAGE_BYTES_RAW 0xf0u
#define IMAGE_BYTES_MAX (UINT64_C(8) << 20)

/* Where the choices stand. */
enum image_at {
    IMAGE_AT_KIND,
    IMAGE_AT_CLUSTER,  /* & 15: 4K 8K 16K 32K 64K, then bad ones; mostly 4K */
    IMAGE_AT_TABLE,    /* & 15: 1 2 4 8 16, then bad ones */
    IMAGE_AT_HEADER,   /* & 7: 1 2 3, then bad ones */
    IMAGE_AT_FEATURES, /* bits 0..2 as they are; 0x40 and 0x80: unknown ones */
    IMAGE_AT_BITS,     /* 1, 2: autoclear 0 and E's; 4, 8: compat 0 and E's */
    IMAGE_AT_L1,       /* & 63: cluster; 0x40: + 512; 0x80: near 2^64 */
    IMAGE_AT_SIZE,     /* & 15: which of the image sizes */
    IMAGE_AT_LENGTH,   /* of the file, in clusters */
    IMAGE_AT_TAIL,     /* and sectors behind the last one; 0xff: one byte */
    IMAGE_AT_NAME,     /* & 7: the backing file's name: none, good, and bad ones */
    IMAGE_AT_E,        /* cluster of the last allocation's end; 0x80: + 512 */
    IMAGE_AT_FILL,     /* what the tail's sectors hold; not 0 */
    IMAGE_AT_USE,      /* for the target: what is done with the image */
    IMAGE_AT_USE_MORE,
    IMAGE_HEAD_BYTES
};

/* A record: | what | cluster of the table | index | index >> 8 | target cluster | how | */
#define IMAGE_RECORD_BYTES 6u
enum image_what {
    IMAGE_WHAT_L1,    /* an entry of the L1 table */
    IMAGE_WHAT_ENTRY, /* an entry of whatever stands at that cluster, taken for a table */
    IMAGE_WHAT_RUN,   /* entries in a row, naming clusters in a row; `how` & 15 of them, and one */
    IMAGE_WHAT_FILL,  /* a sector of the cluster, with the byte */
    IMAGE_WHAT_PATCH, /* header byte `index` becomes the target's */
    IMAGE_WHAT_COUNT
};
/* An entry's value: the target cluster's offset, or: */
enum image_how {
    IMAGE_HOW_CLUSTER,
    IMAGE_HOW_ZERO_CLUSTER, /* 1 */
    IMAGE_HOW_NOTHING,      /* 0 */
    IMAGE_HOW_OFF_BY_SECTOR,
    IMAGE_HOW_OFF_BY_ONE,
    IMAGE_HOW_HUGE, /* counted down from 2^64 */
    IMAGE_HOW_HIGH, /* counted up from 2^63 */
    IMAGE_HOW_END,  /* counted up from the file's end */
    IMAGE_HOW_COUNT
};
/* An index with this bit in its high byte counts from the table's end. */
#define IMAGE_INDEX_FROM_END 0x80u

struct image_bytes {
    struct sim_pages *pages; /* the caller's */
    uint64_t length_bytes;
    uint8_t use[2];         /* for the target */
    const uint8_t *records; /* NULL for a raw image */
    size_t record_count;
    uint64_t cluster_bytes, table_bytes; /* 4096 where the header's makes no sense */
};

/* Never fails. */
struct image_bytes image_bytes_make(const uint8_t *data, size_t size);

#endif
