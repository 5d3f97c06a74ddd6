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
    d->log_length = d->length.resolved ? d->length.bytes : UINT64_MAX;
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

uint32_t crash_disk_log_closed(const struct crash_disk *d)
{
    return d->log_epoch;
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
        l->lost = true;
        take_back(d, l);
    }
}

/* --- the file's length --------------------------------------------------------------------------------------------- */

static uint64_t end_of(const struct logged *l)
{
    return (l->sector + 1) * BLK_SECTOR_BYTES;
}

static void set_length(struct crash_disk *d, uint64_t bytes)
{
    crash_disk_save_length(d);
    d->length.bytes = bytes;
}

/* How long the file is at least: as long as before, and as what is known to be kept. Sectors whose contents did not change
 * were not asked about; those of this epoch, beyond that length, may be there or not. */
static uint64_t known_length(const struct crash_disk *d, uint32_t epoch, uint64_t before, bool own)
{
    uint64_t length = before;
    for (size_t i = 0; i < d->log_count; i++) {
        const struct logged *l = &d->log[i];
        bool kept = l->epoch < epoch || (!own && l->epoch == epoch && !l->lost && changed(d, i));
        if (kept && end_of(l) > length)
            length = end_of(l);
    }
    return length;
}

/* The next length above `above` that this epoch may have given the file: in steps of 4 KiB where only the reach of
 * unchanged sectors is at stake, exactly where the length persists on its own. 0: none. */
static uint64_t next_length(const struct crash_disk *d, uint32_t epoch, uint64_t above, bool own)
{
    uint64_t next = 0;
    for (size_t i = 0; i < d->log_count; i++) {
        const struct logged *l = &d->log[i];
        if (l->epoch != epoch || (!own && changed(d, i)) || end_of(l) <= above)
            continue;
        bool last_of_op = i + 1 == d->log_count || d->log[i + 1].op != l->op;
        if (own ? !last_of_op : end_of(l) / SIM_PAGE_BYTES == above / SIM_PAGE_BYTES)
            continue;
        if (!next || end_of(l) < next)
            next = end_of(l);
    }
    return next;
}

static void hide_beyond(struct crash_disk *d, uint64_t length)
{
    for (size_t i = 0; i < d->log_count; i++) {
        const struct logged *l = &d->log[i];
        if (end_of(l) <= length)
            continue;
        uint8_t *bytes = d->pages[l->sector / SIM_PAGE_SECTORS].own + (l->sector % SIM_PAGE_SECTORS) * BLK_SECTOR_BYTES;
        crash_disk_save_sector(d, l->sector, bytes);
        memset(bytes, 0, BLK_SECTOR_BYTES);
    }
}

static void settle_length(struct crash_disk *d, uint32_t epoch, uint32_t (*choose)(void *opaque, uint32_t n),
                          void *opaque)
{
    if (d->space->history->fixed_size || !d->length.resolved)
        return;
    bool own = d->space->model->length == SIM_LENGTH_OWN;
    uint64_t before = d->log_length == UINT64_MAX ? d->length.compared : d->log_length;
    uint64_t length = known_length(d, epoch, before, own);
    uint32_t n = 1;
    for (uint64_t at = length; (at = next_length(d, epoch, at, own)); n++)
        ;
    for (uint32_t pick = n > 1 ? choose(opaque, n) : 0; pick; pick--)
        length = next_length(d, epoch, length, own);
    if (own)
        hide_beyond(d, length);
    if (length != d->length.bytes)
        set_length(d, length);
}

void crash_disk_fail_again(struct crash_disk *d, uint32_t epoch, uint32_t (*choose)(void *opaque, uint32_t n),
                           void *opaque)
{
    d->logging = false;
    for (size_t i = d->log_count; i-- > 0 && d->log[i].epoch > epoch;)
        take_back(d, &d->log[i]);
    for (size_t i = 0; i < d->log_count; i++)
        d->log[i].done = d->log[i].lost = d->log[i].epoch > epoch;
    for (size_t i = 0; i < d->log_count && d->log[i].epoch < epoch; i++)
        d->log[i].done = true;
    for (size_t i = 0; i < d->log_count; i++) {
        if (d->log[i].done)
            continue;
        uint64_t piece = d->log[i].piece;
        uint32_t changes = changes_of(d, piece, epoch);
        settle_piece(d, piece, epoch, changes, changes ? choose(opaque, changes + 1) : 0);
        for (size_t k = i; k < d->log_count; k++)
            d->log[k].done |= d->log[k].epoch == epoch && d->log[k].piece == piece;
    }
    settle_length(d, epoch, choose, opaque);
    crash_disk_log_stop(d);
}
