/* tag.h: every sector says who wrote it.
 *
 * A tagged sector is 16 cells of 32 bytes, each naming the kind, the sector it was meant for, the write and the cell's
 * own number, with a checksum. One cell is enough to say whose bytes these are; cells that disagree show a mix inside one
 * sector; a sector of zeros is "zero" and nobody's.
 *
 *   cell  | magic+kind 4 | cell number 4 | sector 8 | write id 4 | generation 4 | checksum 8 |
 */
#ifndef ORACLE_TAG_H
#define ORACLE_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAG_SECTOR_BYTES 512u

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

void tag_fill(uint8_t bytes[TAG_SECTOR_BYTES], const struct tag *tag);
/* Whose bytes are these? For TAG_MIXED, `tag` holds the first tagged cell's identity with kind TAG_MIXED. */
void tag_identify(const uint8_t bytes[TAG_SECTOR_BYTES], struct tag *tag);
bool tag_equal(const struct tag *a, const struct tag *b);
/* "zero", "guest write 3 of sector 9", "backing sector 12", ... Returns buf. */
const char *tag_describe(const struct tag *tag, char *buf, size_t size);

#endif
