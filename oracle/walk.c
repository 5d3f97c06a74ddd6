/* walk.c: the structural walk. The second of the two judges: it decodes and validates by itself and must not borrow a
 * line from engine/, or a mistake there would be believed here. */
#include "oracle/walk.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/qed_format.h"

/* Files of more clusters are refused: 8 GiB of bits, for 256 TiB in the smallest clusters. No QED image needs so many;
 * only a sparse file that claims a monstrous length has them. */
#define MOST_NAMED_WORDS (UINT64_C(1) << 30)

/* A table is read a piece at a time. Where the device can tell data from holes the pieces start small and grow while
 * there is data: the tables of small images are all but empty. */
#define PIECE_BYTES       65536u
#define FIRST_PIECE_BYTES BLK_SECTOR_BYTES
#define ENTRY_BYTES       8u
#define ENTRIES_PER_GROUP (BLK_SECTOR_BYTES / ENTRY_BYTES)

struct walk {
    uint64_t *named;       /* a bit per cluster of the file */
    size_t named_capacity; /* in words */
    bool silent;

    /* The image being walked. */
    struct blockdev *dev;
    struct walk_result *result;
    uint64_t file_bytes; /* whole clusters */
    uint64_t header_bytes;
    uint64_t cluster_bytes, table_bytes;
    unsigned cluster_bits;
    uint64_t clusters_named;

    uint8_t l1_piece[PIECE_BYTES], l2_piece[PIECE_BYTES]; /* not zeroed: that would take longer than a small walk */
};

struct walk *walk_create(void)
{
    struct walk *w = malloc(sizeof(*w));
    if (w)
        memset(w, 0, offsetof(struct walk, l1_piece));
    return w;
}

void walk_destroy(struct walk *w)
{
    if (!w)
        return;
    free(w->named);
    free(w);
}

void walk_silent(struct walk *w, bool on)
{
    w->silent = on;
}

/* Only the first fault is put into words: on a broken image formatting would dwarf the walk. */
static __attribute__((format(printf, 2, 3))) void say_fault(struct walk *w, const char *format, ...)
{
    va_list args;

    if (w->silent || w->result->first_fault[0])
        return;
    va_start(args, format);
    vsnprintf(w->result->first_fault, sizeof(w->result->first_fault), format, args);
    va_end(args);
}

/* ---- reading ---- */

struct completion {
    bool done;
    int ret;
};

static void complete(void *opaque, int ret)
{
    *(struct completion *)opaque = (struct completion){.done = true, .ret = ret};
}

static int read_bytes(struct blockdev *dev, enum blk_event event, uint64_t offset, uint8_t *bytes, uint64_t length)
{
    struct completion completion = {.done = false};
    struct iovec iov = {.iov_base = bytes, .iov_len = length};

    if (dev->ops->event)
        dev->ops->event(dev, event);
    dev->ops->readv(dev, offset, &iov, 1, complete, &completion);
    assert(completion.done);
    return completion.ret;
}

static inline uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof(value));
    return le64toh(value);
}

static inline uint32_t load_le32(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return le32toh(value);
}

/* ---- the header ---- */

static void decode_header(const uint8_t *bytes, struct qed_header *h)
{
    *h = (struct qed_header){
        .magic = load_le32(bytes),
        .cluster_size = load_le32(bytes + 4),
        .table_size = load_le32(bytes + 8),
        .header_size = load_le32(bytes + 12),
        .features = load_le64(bytes + 16),
        .compat_features = load_le64(bytes + 24),
        .autoclear_features = load_le64(bytes + 32),
        .l1_table_offset = load_le64(bytes + 40),
        .image_size = load_le64(bytes + 48),
        .backing_filename_offset = load_le32(bytes + 56),
        .backing_filename_size = load_le32(bytes + 60),
    };
}

static bool is_power_of_two_in(uint32_t value, uint32_t low, uint32_t high)
{
    return value >= low && value <= high && (value & (value - 1)) == 0;
}

/* Bytes that the tables can map; saturates just below 2^63. */
static uint64_t largest_image(uint64_t cluster_bytes, uint64_t table_bytes)
{
    uint64_t entries = table_bytes / ENTRY_BYTES, bytes;

    if (__builtin_mul_overflow(entries * entries, cluster_bytes, &bytes) || bytes > INT64_MAX)
        return INT64_MAX - (BLK_SECTOR_BYTES - 1);
    return bytes;
}

/* What makes the header nonsense; NULL if nothing does. The table offset is looked at later, against the file. */
static const char *header_fault(const struct qed_header *h)
{
    if (h->magic != QED_MAGIC)
        return "the magic is not QED's";
    if (h->features & ~(uint64_t)QED_F_KNOWN)
        return "unknown feature bits are set";
    if (!is_power_of_two_in(h->cluster_size, QED_MIN_CLUSTER_BYTES, QED_MAX_CLUSTER_BYTES))
        return "the cluster size is invalid";
    if (!is_power_of_two_in(h->table_size, QED_MIN_TABLE_CLUSTERS, QED_MAX_TABLE_CLUSTERS))
        return "the table size is invalid";
    if (h->header_size == 0 || (uint64_t)h->header_size * h->cluster_size > UINT32_MAX)
        return "the header size is invalid";
    if (h->image_size % BLK_SECTOR_BYTES ||
        h->image_size > largest_image(h->cluster_size, (uint64_t)h->table_size * h->cluster_size))
        return "the image size is invalid";
    if (!(h->features & QED_F_BACKING_FILE))
        return NULL;
    if ((uint64_t)h->backing_filename_offset + h->backing_filename_size > (uint64_t)h->header_size * h->cluster_size ||
        h->backing_filename_size > QED_MAX_BACKING_NAME_BYTES)
        return "the backing file name is invalid";
    return NULL;
}

static int read_header(struct walk *w, struct qed_header *h)
{
    uint8_t sector[BLK_SECTOR_BYTES];
    int ret = read_bytes(w->dev, BLK_EVENT_HEADER_READ, 0, sector, sizeof(sector));
    if (ret)
        return ret;

    decode_header(sector, h);
    const char *fault = header_fault(h);
    if (fault) {
        say_fault(w, "header: %s", fault);
        return -EINVAL;
    }
    w->cluster_bytes = h->cluster_size;
    w->cluster_bits = (unsigned)__builtin_ctz(h->cluster_size);
    w->table_bytes = (uint64_t)h->table_size * h->cluster_size;
    w->header_bytes = (uint64_t)h->header_size * h->cluster_size;
    ret = w->dev->ops->length(w->dev, w->cluster_bytes, &w->file_bytes);
    if (ret)
        return ret;
    w->file_bytes &= ~(w->cluster_bytes - 1);
    return 0;
}

/* ---- naming clusters ---- */

static int clear_named(struct walk *w)
{
    uint64_t words = ((w->file_bytes >> w->cluster_bits) + 63) / 64;

    w->clusters_named = 0;
    if (words <= w->named_capacity) {
        memset(w->named, 0, words * sizeof(*w->named));
        return 0;
    }
    free(w->named);
    /* calloc: a large bitmap costs only the pages that are used. */
    w->named = words <= MOST_NAMED_WORDS ? calloc(words, sizeof(*w->named)) : NULL;
    w->named_capacity = w->named ? words : 0;
    if (w->named)
        return 0;
    say_fault(w, "no memory for a file of %" PRIu64 " bytes", w->file_bytes);
    return -ENOMEM;
}

/* False if somebody named it before. */
static inline bool name_cluster(struct walk *w, uint64_t cluster)
{
    uint64_t bit = UINT64_C(1) << (cluster % 64);
    uint64_t *word = &w->named[cluster / 64];

    if (*word & bit)
        return false;
    *word |= bit;
    w->clusters_named++;
    return true;
}

/* [offset, offset + length) lies between the header and the end of the file. length is at least a cluster. */
static inline bool is_in_bounds(const struct walk *w, uint64_t offset, uint64_t length)
{
    return offset >= w->header_bytes && w->file_bytes >= length && offset <= w->file_bytes - length;
}

static inline bool is_aligned(const struct walk *w, uint64_t offset)
{
    return (offset & (w->cluster_bytes - 1)) == 0;
}

/* Where an entry stands: in L1, or in the L2 table of that L1 index. */
struct place {
    bool in_l1;
    uint64_t l1_index, l2_index;
};

static void describe_place(const struct place *at, char *text, size_t size)
{
    if (at->in_l1)
        snprintf(text, size, "L1 entry %" PRIu64, at->l1_index);
    else
        snprintf(text, size, "L2 entry %" PRIu64 " of L1 entry %" PRIu64, at->l2_index, at->l1_index);
}

static __attribute__((noinline)) void say_entry_fault(struct walk *w, const struct place *at, uint64_t entry,
                                                      const char *what)
{
    char place[64];

    if (w->silent || w->result->first_fault[0])
        return;
    describe_place(at, place, sizeof(place));
    say_fault(w, "%s (0x%" PRIx64 ") %s", place, entry, what);
}

/* Counts what is wrong with the entry as an offset; false if it is not to be followed. */
static bool check_offset(struct walk *w, const struct place *at, uint64_t entry, uint64_t length)
{
    if (!is_aligned(w, entry)) {
        w->result->misaligned++;
        say_entry_fault(w, at, entry, "is no multiple of the cluster size");
        return false;
    }
    if (!is_in_bounds(w, entry, length)) {
        w->result->dangling++;
        say_entry_fault(w, at, entry,
                        entry < w->header_bytes ? "points into the header" : "points beyond the end of the file");
        return false;
    }
    return true;
}

/* Names every cluster of [entry, entry + length); false if one was named before. */
static bool name_range(struct walk *w, const struct place *at, uint64_t entry, uint64_t length)
{
    uint64_t before = w->result->cross_linked;

    for (uint64_t offset = entry; offset < entry + length; offset += w->cluster_bytes) {
        if (!name_cluster(w, offset >> w->cluster_bits))
            w->result->cross_linked++;
    }
    if (w->result->cross_linked == before)
        return true;
    say_entry_fault(w, at, entry, "names a cluster that is already in use");
    return false;
}

/* ---- the tables ---- */

typedef int entry_visitor(struct walk *w, const struct place *at, uint64_t entry);

static int visit_data(struct walk *w, const struct place *at, uint64_t entry)
{
    if (entry != QED_ENTRY_ZERO && check_offset(w, at, entry, w->cluster_bytes) &&
        name_range(w, at, entry, w->cluster_bytes))
        w->result->data_clusters++;
    return 0;
}

/* Most of most tables is 0, and that is what a walk's time goes into: a sector at a glance. */
static inline bool is_zero_group(const uint8_t *bytes)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, BLK_SECTOR_BYTES - 1);
}

/* The entries other than 0 of one piece, which is whole sectors. `first_index` is that of its first entry. */
static int walk_piece(struct walk *w, struct place at, const uint8_t *piece, uint64_t length, uint64_t first_index,
                      entry_visitor *visit)
{
    uint64_t *index = at.in_l1 ? &at.l1_index : &at.l2_index;

    for (uint64_t i = 0; i < length / ENTRY_BYTES; i++) {
        if (i % ENTRIES_PER_GROUP == 0 && is_zero_group(piece + i * ENTRY_BYTES)) {
            i += ENTRIES_PER_GROUP - 1;
            continue;
        }
        uint64_t entry = load_le64(piece + i * ENTRY_BYTES);
        if (entry == QED_ENTRY_UNALLOCATED)
            continue;
        *index = first_index + i;
        int ret = visit(w, &at, entry);
        if (ret)
            return ret;
    }
    return 0;
}

/* The next offset in [offset, end) worth reading, or end. Whole sectors, whatever the device says. */
static uint64_t skip_holes(struct walk *w, uint64_t offset, uint64_t end)
{
    uint64_t data = w->dev->ops->next_data(w->dev, offset, end);

    if (data >= end)
        return end;
    data &= ~(uint64_t)(BLK_SECTOR_BYTES - 1);
    return data > offset ? data : offset;
}

static int walk_table(struct walk *w, struct place at, uint64_t table_offset, uint8_t *piece, entry_visitor *visit)
{
    bool sparse = w->dev->ops->next_data != NULL;
    uint64_t end = table_offset + w->table_bytes;
    uint64_t length = sparse ? FIRST_PIECE_BYTES : PIECE_BYTES;

    for (uint64_t offset = table_offset; offset < end; offset += length) {
        if (sparse) {
            uint64_t data = skip_holes(w, offset, end);
            if (data == end)
                break;
            length = data > offset || offset == table_offset ? FIRST_PIECE_BYTES : length * 2;
            offset = data;
        }
        length = length < PIECE_BYTES ? length : PIECE_BYTES;
        length = length < end - offset ? length : end - offset;
        int ret =
            read_bytes(w->dev, visit == visit_data ? BLK_EVENT_L2_LOAD : BLK_EVENT_L1_LOAD, offset, piece, length);
        if (ret)
            return ret;
        ret = walk_piece(w, at, piece, length, (offset - table_offset) / ENTRY_BYTES, visit);
        if (ret)
            return ret;
    }
    return 0;
}

static int visit_table(struct walk *w, const struct place *at, uint64_t entry)
{
    if (!check_offset(w, at, entry, w->table_bytes) || !name_range(w, at, entry, w->table_bytes))
        return 0;
    w->result->l2_tables++;
    return walk_table(w, (struct place){.l1_index = at->l1_index}, entry, w->l2_piece, visit_data);
}

static int walk_from_l1(struct walk *w, uint64_t l1_offset)
{
    const struct place l1 = {.in_l1 = true};

    if (!is_aligned(w, l1_offset) || !is_in_bounds(w, l1_offset, w->table_bytes)) {
        say_fault(w, "header: the L1 table's offset (0x%" PRIx64 ") is invalid", l1_offset);
        return -EINVAL;
    }
    int ret = clear_named(w);
    if (ret)
        return ret;
    name_range(w, &l1, l1_offset, w->table_bytes);
    ret = walk_table(w, l1, l1_offset, w->l1_piece, visit_table);
    if (ret) {
        w->result->first_fault[0] = '\0'; /* whatever it says, it is not why the walk failed */
        return ret;
    }
    /* Every named cluster lies after the header, so what is left over was named by nobody. */
    w->result->leaked = ((w->file_bytes - w->header_bytes) >> w->cluster_bits) - w->clusters_named;
    return 0;
}

static void clear_result(struct walk_result *result)
{
    result->marked = false;
    result->dangling = result->misaligned = result->cross_linked = result->leaked = 0;
    result->data_clusters = result->l2_tables = 0;
}

int walk_image(struct walk *w, struct blockdev *dev, struct walk_result *result)
{
    struct qed_header header;

    clear_result(result);
    result->first_fault[0] = '\0';
    w->dev = dev;
    w->result = result;
    int ret = read_header(w, &header);
    if (ret)
        return ret;
    ret = walk_from_l1(w, header.l1_table_offset);
    if (ret)
        clear_result(result);
    else
        result->marked = (header.features & QED_F_NEED_CHECK) != 0;
    return ret;
}
