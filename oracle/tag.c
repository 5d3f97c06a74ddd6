/* tag.c: making and reading the tags. The judge looks at every guest sector of every crash state through these
 * functions: they take a sector as 64 words and never hash bytes. */
#include "oracle/tag.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Odd constants with well-spread bits: the golden ratio, and two of splitmix64's. */
#define SPREAD_CELL   0x9e3779b97f4a7c15u
#define SPREAD_SECTOR 0xbf58476d1ce4e5b9u
#define SPREAD_WRITER 0x94d049bb133111ebu

/* A cell as its four words, in host order. */
struct words {
    uint64_t id; /* magic and kind in the low half, cell number in the high half */
    uint64_t sector;
    uint64_t writer; /* write id in the low half, generation in the high half */
    uint64_t checksum;
};

static uint32_t magic_of(enum tag_kind kind)
{
    uint32_t letter = kind == TAG_GUEST ? 'G' : kind == TAG_BACKING ? 'B' : 'S';

    return (uint32_t)'t' | (uint32_t)'a' << 8 | (uint32_t)'g' << 16 | letter << 24;
}

static enum tag_kind kind_of(uint32_t magic)
{
    if (magic == magic_of(TAG_GUEST))
        return TAG_GUEST;
    if (magic == magic_of(TAG_BACKING))
        return TAG_BACKING;
    if (magic == magic_of(TAG_STALE))
        return TAG_STALE;
    return TAG_FOREIGN;
}

/* Checksum of cell 0; the cell of number n has n * SPREAD_CELL more. One finalizer round is plenty: it need not resist
 * anyone, only be missed by metadata and by torn cells. */
static uint64_t checksum_base(uint32_t magic, uint64_t sector, uint64_t writer)
{
    uint64_t x = magic + sector * SPREAD_SECTOR + writer * SPREAD_WRITER;

    x = (x ^ (x >> 30)) * SPREAD_SECTOR;
    x = (x ^ (x >> 27)) * SPREAD_WRITER;
    return x ^ (x >> 31);
}

/* The words of cell 0 of that tag. */
static inline struct words first_words(const struct tag *tag)
{
    struct words w = {.id = magic_of(tag->kind), .sector = tag->sector};

    if (tag->kind == TAG_GUEST)
        w.writer = tag->write_id | (uint64_t)tag->generation << 32;
    w.checksum = checksum_base((uint32_t)w.id, w.sector, w.writer);
    return w;
}

static inline uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return le64toh(word);
}

static inline void store_le64(uint8_t *bytes, uint64_t word)
{
    word = htole64(word);
    memcpy(bytes, &word, sizeof(word));
}

static bool has_content(enum tag_kind kind)
{
    return kind != TAG_MIXED && kind != TAG_FOREIGN;
}

void tag_fill(uint8_t bytes[TAG_SECTOR_BYTES], const struct tag *tag)
{
    assert(has_content(tag->kind));
    if (tag->kind == TAG_ZERO) {
        memset(bytes, 0, TAG_SECTOR_BYTES);
        return;
    }
    struct words w = first_words(tag);
    for (uint64_t cell = 0; cell < TAG_CELLS; cell++, bytes += TAG_CELL_BYTES) {
        store_le64(bytes, w.id | cell << 32);
        store_le64(bytes + 8, w.sector);
        store_le64(bytes + 16, w.writer);
        store_le64(bytes + 24, w.checksum + cell * SPREAD_CELL);
    }
}

static bool is_zero(const uint8_t *bytes)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, TAG_SECTOR_BYTES - 1);
}

/* Half a cell: two words side by side, in host order. Every machine's vectors are as wide as that. */
typedef uint64_t word_pair __attribute__((vector_size(2 * sizeof(uint64_t))));

static inline word_pair load_pair(const uint8_t *bytes)
{
    return (word_pair){load_le64(bytes), load_le64(bytes + 8)};
}

/* No early exit: the callers expect a match, and a straight line is the fastest way to one. */
static inline bool is_words(const uint8_t *bytes, struct words w)
{
    word_pair front = {w.id, w.sector}, back = {w.writer, w.checksum}, differs_front = {0}, differs_back = {0};

    for (unsigned cell = 0; cell < TAG_CELLS; cell++, bytes += TAG_CELL_BYTES) {
        differs_front |= load_pair(bytes) ^ front;
        differs_back |= load_pair(bytes + TAG_CELL_BYTES / 2) ^ back;
        front += (word_pair){UINT64_C(1) << 32, 0};
        back += (word_pair){0, SPREAD_CELL};
    }
    differs_front |= differs_back;
    return (differs_front[0] | differs_front[1]) == 0;
}

bool tag_is(const uint8_t bytes[TAG_SECTOR_BYTES], const struct tag *tag)
{
    if (tag->kind == TAG_ZERO)
        return is_zero(bytes);
    return has_content(tag->kind) && is_words(bytes, first_words(tag));
}

enum tag_kind tag_cell(const uint8_t bytes[TAG_SECTOR_BYTES], unsigned cell, struct tag *tag)
{
    assert(cell < TAG_CELLS);
    bytes += cell * TAG_CELL_BYTES;

    uint64_t id = load_le64(bytes);
    uint64_t sector = load_le64(bytes + 8);
    uint64_t writer = load_le64(bytes + 16);
    uint64_t checksum = load_le64(bytes + 24);
    *tag = (struct tag){.kind = (id | sector | writer | checksum) == 0 ? TAG_ZERO : kind_of((uint32_t)id)};
    if (tag->kind == TAG_ZERO || tag->kind == TAG_FOREIGN)
        return tag->kind;

    /* The number it carries, not the place it stands in: shifted bytes still say whose they are. */
    uint64_t number = id >> 32;
    if (number >= TAG_CELLS || checksum != checksum_base((uint32_t)id, sector, writer) + number * SPREAD_CELL)
        return tag->kind = TAG_FOREIGN;
    tag->sector = sector;
    tag->write_id = (uint32_t)writer;
    tag->generation = (uint32_t)(writer >> 32);
    return tag->kind;
}

/* The sector is no single content: a mix if any cell is tagged, else foreign. */
static void identify_by_cells(const uint8_t *bytes, struct tag *tag)
{
    for (unsigned cell = 0; cell < TAG_CELLS; cell++) {
        enum tag_kind kind = tag_cell(bytes, cell, tag);
        if (kind != TAG_ZERO && kind != TAG_FOREIGN) {
            tag->kind = TAG_MIXED;
            return;
        }
    }
    *tag = (struct tag){.kind = TAG_FOREIGN};
}

void tag_identify(const uint8_t bytes[TAG_SECTOR_BYTES], struct tag *tag)
{
    tag_cell(bytes, 0, tag);
    if (!tag_is(bytes, tag))
        identify_by_cells(bytes, tag);
}

bool tag_equal(const struct tag *a, const struct tag *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case TAG_ZERO:
    case TAG_FOREIGN:
        return true;
    case TAG_BACKING:
    case TAG_STALE:
        return a->sector == b->sector;
    case TAG_GUEST:
    case TAG_MIXED:
        break;
    }
    return a->sector == b->sector && a->write_id == b->write_id && a->generation == b->generation;
}

const char *tag_describe(const struct tag *tag, char *buf, size_t size)
{
    switch (tag->kind) {
    case TAG_ZERO:
        snprintf(buf, size, "zero");
        break;
    case TAG_GUEST:
        snprintf(buf, size, "guest write %" PRIu32 " of sector %" PRIu64, tag->write_id, tag->sector);
        break;
    case TAG_BACKING:
        snprintf(buf, size, "backing sector %" PRIu64, tag->sector);
        break;
    case TAG_STALE:
        snprintf(buf, size, "stale image sector %" PRIu64, tag->sector);
        break;
    case TAG_MIXED:
        snprintf(buf, size, "a mix with bytes of sector %" PRIu64, tag->sector);
        break;
    case TAG_FOREIGN:
        snprintf(buf, size, "foreign bytes");
        break;
    }
    return buf;
}
