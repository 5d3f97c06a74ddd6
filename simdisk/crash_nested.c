/* crash_nested.c: the power fails again while recovery is writing; see crash_disk.h.
 *
 * The crashed disk can take back what recovery wrote, sector by sector, because it keeps what each sector held before. A
 * second power failure is just that: some of it is taken back. What an open unit held before stays open.
 */
#include <string.h>

#include "simdisk/crash_disk_internal.h"

void crash_disk_log_start(struct crash_disk *d)
{
    d->logging = true;
    d->log_count = 0;
    d->log_op = d->log_epoch = 0;
}

void crash_disk_log_stop(struct crash_disk *d)
{
    d->logging = false;
    d->log_count = 0;
    d->log_epoch = 0;
}

static uint64_t piece_of(const struct crash_disk *d, uint64_t sector)
{
    switch (d->space->model->atom) {
    case SIM_ATOM_512:
        return sector;
    case SIM_ATOM_4096:
        return sector / SIM_PAGE_SECTORS;
    case SIM_ATOM_WRITE:
        break;
    }
    return d->log_op;
}

void crash_nested_log(struct crash_disk *d, uint64_t sector, size_t undo_before, const uint8_t *bytes)
{
    const struct undo *u = &d->undo[undo_before];
    while (u->kind != UNDO_BYTES && u->kind != UNDO_OVER)
        u++; /* a unit was decided first */
    d->log = crash_disk_grow(d, d->log, d->log_count + 1, &d->log_cap, sizeof(*d->log));
    d->log_bytes = crash_disk_grow(d, d->log_bytes, d->log_count + 1, &d->log_bytes_cap, BLK_SECTOR_BYTES);
    memcpy(d->log_bytes + d->log_count * BLK_SECTOR_BYTES, bytes, BLK_SECTOR_BYTES);
    d->log[d->log_count++] = (struct logged){.sector = sector,
                                             .op = d->log_op,
                                             .epoch = d->log_epoch,
                                             .saved = u->kind == UNDO_BYTES ? u->saved : SIZE_MAX,
                                             .piece = piece_of(d, sector)};
}

static bool epoch_has_writes(const struct crash_disk *d)
{
    return d->log_count && d->log[d->log_count - 1].epoch == d->log_epoch;
}

void crash_nested_next(struct crash_disk *d, bool flush)
{
    enum sim_cache cache = d->space->model->cache;
    bool each_write = cache == SIM_CACHE_ORDERED || cache == SIM_CACHE_WRITE_THROUGH;
    d->log_op++;
    if ((flush ? cache != SIM_CACHE_LYING : each_write) && epoch_has_writes(d))
        d->log_epoch++;
}

uint32_t crash_disk_log_epochs(const struct crash_disk *d)
{
    return d->log_epoch + (epoch_has_writes(d) ? 1 : 0);
}

/* The sector is again what it was before this entry was written. */
static void take_back(struct crash_disk *d, const struct logged *l)
{
    uint8_t *bytes = d->pages[l->sector / SIM_PAGE_SECTORS].own + (l->sector % SIM_PAGE_SECTORS) * BLK_SECTOR_BYTES;
    crash_disk_save_sector(d, l->sector, bytes);
    if (l->saved != SIZE_MAX) {
        memcpy(bytes, d->saved + l->saved * BLK_SECTOR_BYTES, BLK_SECTOR_BYTES);
        return;
    }
    uint32_t unit = crash_disk_unit_at(d, l->sector);
    crash_disk_log_undo(d, UNDO_NOT_OVER, unit);
    d->over[unit] = false;
}

static bool changed(const struct crash_disk *d, size_t entry)
{
    const struct logged *l = &d->log[entry];
    return l->saved == SIZE_MAX || memcmp(d->saved + l->saved * BLK_SECTOR_BYTES,
                                          d->log_bytes + entry * BLK_SECTOR_BYTES, BLK_SECTOR_BYTES) != 0;
}

/* Of this piece, in this epoch: how many operations changed it. */
static uint32_t changes_of(const struct crash_disk *d, uint64_t piece, uint32_t epoch)
{
    uint32_t n = 0, last = UINT32_MAX;
    for (size_t i = 0; i < d->log_count; i++)
        if (d->log[i].epoch == epoch && d->log[i].piece == piece && d->log[i].op != last && changed(d, i)) {
            n++;
            last = d->log[i].op;
        }
    return n;
}

/* Marks the entries of the piece done, and takes back those beyond its first `kept` changes, latest first. */
static void settle_piece(struct crash_disk *d, uint64_t piece, uint32_t epoch, uint32_t changes, uint32_t kept)
{
    uint32_t n = changes, last = UINT32_MAX;
    for (size_t i = d->log_count; i-- > 0;) {
        struct logged *l = &d->log[i];
        if (l->epoch != epoch || l->piece != piece)
            continue;
        l->done = true;
        if (!changed(d, i))
            continue;
        if (l->op != last) {
            if (n == kept)
                return;
            n--;
            last = l->op;
        }
        take_back(d, l);
    }
}

void crash_disk_fail_again(struct crash_disk *d, uint32_t epoch, uint32_t (*choose)(void *opaque, uint32_t n),
                           void *opaque)
{
    d->logging = false;
    for (size_t i = d->log_count; i-- > 0 && d->log[i].epoch > epoch;)
        take_back(d, &d->log[i]);
    for (size_t i = 0; i < d->log_count; i++)
        d->log[i].done = d->log[i].epoch != epoch;
    for (size_t i = 0; i < d->log_count; i++) {
        if (d->log[i].done)
            continue;
        uint64_t piece = d->log[i].piece;
        uint32_t changes = changes_of(d, piece, epoch);
        settle_piece(d, piece, epoch, changes, changes ? choose(opaque, changes + 1) : 0);
        for (size_t k = i; k < d->log_count; k++)
            d->log[k].done |= d->log[k].epoch == epoch && d->log[k].piece == piece;
    }
    crash_disk_log_stop(d);
}
