/* tag.h: every sector says who wrote it.
 *
 * A tagged sector is 16 cells of 32 bytes, each naming the kind, the sector it was meant for, the write and the cell's
 * own number, with a checksum. One cell is enough to say whose bytes these are; cells that disagree show a mix inside
 * one sector; a sector of zeros is "zero" and nobody's.
 *
 *   cell  | magic+kind 4 | cell number 4 | sector 8 | write id 4 | generation 4 | checksum 8 |
 *
 * All little-endian; a hex dump shows "tagG", "tagB" or "tagS" every 32 bytes. Backing and stale bytes have no writer:
 * in their cells write id and generation are 0, and nobody compares them.
 */
#ifndef ORACLE_TAG_H
#define ORACLE_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAG_SECTOR_BYTES 512u
#define TAG_CELL_BYTES   32u
#define TAG_CELLS        (TAG_SECTOR_BYTES / TAG_CELL_BYTES)

enum tag_kind {
    TAG_ZERO,    /* all bytes zero */
    TAG_GUEST,   /* a guest write: sector is the guest sector */
    TAG_BACKING, /* the backing file's bytes: sector is the guest sector */
    TAG_STALE,   /* never-written space of a reused device: sector is the image sector */
    TAG_MIXED,   /* cells of several tags, or a tag and zeros */
    TAG_FOREIGN, /* no tag of ours: metadata, garbage */
};

struct tag {
    enum tag_kind kind;
    uint64_t sector;
    uint32_t write_id;   /* TAG_GUEST: which write, from 1 */
    uint32_t generation; /* run of the engine (life) in which it was written, 0 for prepared */
};

/* Only for kinds that are contents: TAG_ZERO, TAG_GUEST, TAG_BACKING, TAG_STALE. */
void tag_fill(uint8_t bytes[TAG_SECTOR_BYTES], const struct tag *tag);
/* Whose bytes are these? For TAG_MIXED, `tag` holds the first tagged cell's identity with kind TAG_MIXED. */
void tag_identify(const uint8_t bytes[TAG_SECTOR_BYTES], struct tag *tag);
/* Exactly the bytes tag_fill() makes of `tag`? Faster than identifying; false for TAG_MIXED and TAG_FOREIGN. */
bool tag_is(const uint8_t bytes[TAG_SECTOR_BYTES], const struct tag *tag);
/* What one cell (below TAG_CELLS) says of itself, wherever it now stands: TAG_ZERO, a tag, or TAG_FOREIGN. Returns the
 * kind. */
enum tag_kind tag_cell(const uint8_t bytes[TAG_SECTOR_BYTES], unsigned cell, struct tag *tag);
/* The same identity. Two TAG_FOREIGN count as equal, whatever their bytes. */
bool tag_equal(const struct tag *a, const struct tag *b);
/* "zero", "guest write 3 of sector 9", "backing sector 12", ... Returns buf. */
const char *tag_describe(const struct tag *tag, char *buf, size_t size);

#endif
