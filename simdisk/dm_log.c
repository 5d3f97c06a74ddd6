/* dm_log.c: see dm_log.h. */
#include "simdisk/dm_log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define MAGIC   UINT64_C(0x6a736677736872)
#define VERSION 1u
#define SECTOR  BLK_SECTOR_BYTES
#define LONGEST (UINT64_C(1) << 62) /* no disk ends behind this */

static void put_le(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

bool dm_log_has(const struct hist_op *op)
{
    return op->kind == HIST_FLUSH ? !op->ret : op->kind == HIST_WRITE && op->reached_disk;
}

static void write_entry(FILE *out, const struct hist_op *op)
{
    uint8_t sector[SECTOR] = {0};
    uint64_t length = op->kind == HIST_WRITE ? op->length_bytes : 0;
    put_le(sector, length ? op->offset_bytes / SECTOR : 0, 8);
    put_le(sector + 8, length / SECTOR, 8);
    put_le(sector + 16, op->kind == HIST_FLUSH ? DM_LOG_FLUSH : 0, 8);
    put_le(sector + 24, length, 8);
    fwrite(sector, SECTOR, 1, out);
    if (length)
        fwrite(op->data, length, 1, out);
}

void dm_log_super(uint8_t sector[BLK_SECTOR_BYTES], uint64_t entries)
{
    memset(sector, 0, SECTOR);
    put_le(sector, MAGIC, 8);
    put_le(sector + 8, VERSION, 8);
    put_le(sector + 16, entries, 8);
    put_le(sector + 24, SECTOR, 4);
}

static void write_super(FILE *out, uint64_t entries)
{
    uint8_t sector[SECTOR];
    dm_log_super(sector, entries);
    fwrite(sector, SECTOR, 1, out);
}

static bool flies(const struct hist_op *op, uint32_t crash_point)
{
    return op->kind == HIST_WRITE && op->submitted < crash_point && (op->done == HIST_NEVER || op->done >= crash_point);
}

/* out NULL: only counts. */
static uint64_t walk(FILE *out, const struct history *h, uint32_t crash_point, uint64_t *in_flight)
{
    uint64_t entries = 0, flying = 0;
    for (uint32_t i = 0; i < h->event_count && i < crash_point; i++) {
        const struct hist_event *e = &h->events[i];
        if (e->kind != HIST_DONE || !dm_log_has(&h->ops[e->op]))
            continue;
        entries++;
        if (out)
            write_entry(out, &h->ops[e->op]);
    }
    for (uint32_t i = 0; i < h->op_count; i++)
        if (flies(&h->ops[i], crash_point)) {
            flying++;
            if (out)
                write_entry(out, &h->ops[i]);
        }
    if (in_flight)
        *in_flight = flying;
    return entries + flying;
}

uint64_t dm_log_write(FILE *out, const struct history *h, uint32_t crash_point, uint64_t *in_flight)
{
    write_super(out, walk(NULL, h, crash_point, NULL));
    return walk(out, h, crash_point, in_flight);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *bytes;
    size_t size, at;
    uint64_t sector_bytes, entries; /* as sector 0 says */
    struct dm_log_error *err;
};

static uint64_t get_le(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | from[bytes];
    return value;
}

uint64_t dm_log_entry_bytes(const uint8_t head[BLK_SECTOR_BYTES])
{
    bool bare = get_le(head + 16, 8) & (DM_LOG_DISCARD | DM_LOG_MARK);
    uint64_t sectors = bare ? 0 : get_le(head + 8, 8);
    return sectors > LONGEST / SECTOR ? LONGEST : (1 + sectors) * SECTOR;
}

uint64_t dm_log_drop_flushes(FILE *log)
{
    uint8_t head[SECTOR];
    uint64_t dropped = 0;
    for (long at = SECTOR; !fseek(log, at, SEEK_SET) && fread(head, sizeof(head), 1, log) == 1;
         at += (long)dm_log_entry_bytes(head))
        if (get_le(head + 16, 8) == DM_LOG_FLUSH && !get_le(head + 8, 8)) {
            head[16] = DM_LOG_MARK;
            dropped += !fseek(log, at, SEEK_SET) && fwrite(head, sizeof(head), 1, log) == 1;
        }
    return dropped;
}

static int bad(const struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int bad(const struct reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->err->text, sizeof(r->err->text), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static int read_super(struct reader *r)
{
    if (r->size < SECTOR)
        return bad(r, "the log has %zu bytes, too few for its first sector", r->size);
    if (!get_le(r->bytes, 8))
        return bad(r, "this is no dm-log-writes log: its first sector is empty (QEMU fills it with the first flush)");
    if (get_le(r->bytes, 8) != MAGIC)
        return bad(r, "this is no dm-log-writes log: its first bytes are others");
    if (get_le(r->bytes + 8, 8) != VERSION)
        return bad(r, "the log is of version %" PRIu64 "; version 1 is known here", get_le(r->bytes + 8, 8));
    r->entries = get_le(r->bytes + 16, 8);
    r->sector_bytes = get_le(r->bytes + 24, 4);
    if (r->sector_bytes < SECTOR || r->sector_bytes > 1u << 20 || r->sector_bytes & (r->sector_bytes - 1))
        return bad(r, "the log names a sector size of %" PRIu64 " bytes, which is no power of two from 512 to 1M",
                   r->sector_bytes);
    r->at = r->sector_bytes;
    if (r->at > r->size)
        return bad(r, "the log has %zu bytes, too few for its first sector", r->size);
    return 0;
}

static bool rest_is_zero(const struct reader *r)
{
    for (size_t i = r->at; i < r->size; i++)
        if (r->bytes[i])
            return false;
    return true;
}

static int read_entry(struct reader *r, struct dm_log_entry *e)
{
    const uint8_t *head = r->bytes + r->at;
    uint64_t left = r->size - r->at, number = e->number, sectors;
    assert(r->sector_bytes); /* read_super() has seen to it */
    if (left < r->sector_bytes)
        return bad(r, "the log is cut off in entry %" PRIu64, number);
    *e = (struct dm_log_entry){.number = number, .flags = get_le(head + 16, 8)};
    sectors = get_le(head + 8, 8);
    if (e->flags & ~(uint64_t)(DM_LOG_FLUSH | DM_LOG_FUA | DM_LOG_DISCARD | DM_LOG_MARK | DM_LOG_METADATA))
        return bad(r, "entry %" PRIu64 " of the log has unknown flags 0x%" PRIx64 ": the log is garbled", number,
                   e->flags);
    if (get_le(head, 8) > LONGEST / r->sector_bytes || sectors > LONGEST / r->sector_bytes)
        return bad(r, "entry %" PRIu64 " of the log lies beyond any disk: the log is garbled", number);
    e->offset_bytes = get_le(head, 8) * r->sector_bytes;
    e->length_bytes = sectors * r->sector_bytes;
    r->at += r->sector_bytes;
    if (!sectors || e->flags & (DM_LOG_DISCARD | DM_LOG_MARK))
        return 0;
    if (e->length_bytes > r->size - r->at)
        return bad(r, "the log is cut off in the data of entry %" PRIu64, number);
    e->data = r->bytes + r->at;
    r->at += e->length_bytes;
    return 0;
}

int dm_log_read(const uint8_t *bytes, size_t size, dm_log_take_fn *take, void *opaque, struct dm_log_error *err)
{
    struct reader r = {.bytes = bytes, .size = size, .err = err};
    struct dm_log_entry e = {0};
    int ret = read_super(&r);
    for (; !ret && r.at < size; e.number++) {
        if (e.number >= r.entries && rest_is_zero(&r))
            return 0; /* a log on a device ends before the device does */
        ret = read_entry(&r, &e);
        if (!ret)
            ret = take(opaque, &e);
    }
    if (!ret && e.number < r.entries)
        return bad(&r, "the log says it has %" PRIu64 " entries, and ends after %" PRIu64 ": it is cut off", r.entries,
                   e.number);
    return ret;
}
