/* dm_log.c: see dm_log.h. */
#include "simdisk/dm_log.h"

#include <string.h>

#define MAGIC      UINT64_C(0x6a736677736872)
#define VERSION    1u
#define SECTOR     BLK_SECTOR_BYTES
#define FLAG_FLUSH 1u

static void put_le(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static bool is_logged(const struct hist_op *op)
{
    return op->kind == HIST_FLUSH ? !op->ret : op->kind == HIST_WRITE && op->reached_disk;
}

static void write_entry(FILE *out, const struct hist_op *op)
{
    uint8_t sector[SECTOR] = {0};
    uint64_t length = op->kind == HIST_WRITE ? op->length_bytes : 0;
    put_le(sector, length ? op->offset_bytes / SECTOR : 0, 8);
    put_le(sector + 8, length / SECTOR, 8);
    put_le(sector + 16, op->kind == HIST_FLUSH ? FLAG_FLUSH : 0, 8);
    put_le(sector + 24, length, 8);
    fwrite(sector, SECTOR, 1, out);
    if (length)
        fwrite(op->data, length, 1, out);
}

static void write_super(FILE *out, uint64_t entries)
{
    uint8_t sector[SECTOR] = {0};
    put_le(sector, MAGIC, 8);
    put_le(sector + 8, VERSION, 8);
    put_le(sector + 16, entries, 8);
    put_le(sector + 24, SECTOR, 4);
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
        if (e->kind != HIST_DONE || !is_logged(&h->ops[e->op]))
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
