/* crash_nested.c: the power fails again while recovery is writing; see crash_disk.h.
 *
 * The crashed disk can take back what recovery wrote, sector by sector, because it keeps what each sector held before. A
 * second power failure takes back all of the epoch it happens in and of those after it, asks what of that epoch persisted,
 * and plays just that once more, in order. What an open unit held before is open again.
 *
 * What is asked for is a *piece*: a sector, a block of 4 KiB or a whole operation. Of a piece the first `kept` changes
 * persisted. A cut of the file is asked for by itself, before the pieces: where it persisted, no piece beyond it is older,
 * and where it did not, none is as the cut left it.
 */
#include <assert.h>
#include <string.h>

#include "simdisk/crash_disk_internal.h"

/* --- who reads what was asked for ---------------------------------------------------------------------------------- */

static uint32_t begin_asking(struct crash_disk *d)
{
    return d->asking = ++d->asked_count;
}

static void watch_sector(struct crash_disk *d, uint32_t asked, uint64_t sector)
{
    d->watched = crash_disk_grow(d, d->watched, d->watched_count + 1, &d->watched_cap, sizeof(*d->watched));
    d->watched[d->watched_count++] = (struct watched){.sector = sector, .asked = asked};
}

void crash_nested_read(struct crash_disk *d, uint64_t first, uint64_t end)
{
    for (size_t i = 0; i < d->watched_count; i++)
        if (d->watched[i].sector >= first && d->watched[i].sector < end)
            d->watched[i].read = true;
}

/* Is it part of a piece that nobody has looked at? */
static bool unseen(const struct crash_disk *d, uint64_t sector)
{
    for (size_t i = 0; i < d->watched_count; i++)
        if (d->watched[i].sector == sector && !d->watched[i].read)
            return true;
    return false;
}

uint32_t crash_disk_asking(const struct crash_disk *d)
{
    return d->asking;
}

bool crash_disk_asked_was_read(const struct crash_disk *d, uint32_t asked)
{
    for (size_t i = 0; i < d->watched_count; i++)
        if (d->watched[i].asked == asked && d->watched[i].read)
            return true;
    return false;
}

/* --- remembering --------------------------------------------------------------------------------------------------- */

void crash_disk_log_start(struct crash_disk *d)
{
    crash_disk_log_stop(d);
    d->logging = true;
    d->log_moved = d->length.moved;
}

void crash_disk_log_stop(struct crash_disk *d)
{
    d->logging = false;
    d->log_count = d->log_op_count = 0;
    d->log_epoch = 0;
    d->log_resized = false;
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
    return d->log_op_count;
}

/* Was the sector cut away in this epoch? Then what is written there is a change also if it is zeros: the cut may be lost. */
static bool was_cut(const struct crash_disk *d, uint64_t sector)
{
    for (size_t i = d->log_count; d->log_resized && i-- > 0 && d->log[i].epoch == d->log_epoch;)
        if (d->log[i].sector == sector && d->log[i].op < d->log_op_count && d->log_ops[d->log[i].op].resizes)
            return true;
    return false;
}

void crash_nested_log(struct crash_disk *d, uint64_t sector, size_t undo_before, const uint8_t *bytes)
{
    const struct undo *u = &d->undo[undo_before];
    while (u->kind != UNDO_BYTES && u->kind != UNDO_OVER)
        u++; /* a unit was decided first */
    bool open = u->kind == UNDO_OVER;
    bool changes = open || unseen(d, sector) || was_cut(d, sector) ||
                   memcmp(d->saved + u->saved * BLK_SECTOR_BYTES, bytes, BLK_SECTOR_BYTES) != 0;
    d->log = crash_disk_grow(d, d->log, d->log_count + 1, &d->log_cap, sizeof(*d->log));
    d->log_bytes = crash_disk_grow(d, d->log_bytes, d->log_count + 1, &d->log_bytes_cap, BLK_SECTOR_BYTES);
    memcpy(d->log_bytes + d->log_count * BLK_SECTOR_BYTES, bytes, BLK_SECTOR_BYTES);
    d->log[d->log_count++] = (struct logged){.sector = sector,
                                             .op = (uint32_t)d->log_op_count,
                                             .epoch = d->log_epoch,
                                             .saved = open ? SIZE_MAX : u->saved,
                                             .piece = piece_of(d, sector),
                                             .changes = changes};
}

/* A change also where the sector is zeros: what made it so may be lost, or nobody has looked. */
void crash_nested_log_cut(struct crash_disk *d, uint64_t sector, size_t undo_before, const uint8_t *bytes)
{
    crash_nested_log(d, sector, undo_before, bytes);
    d->log[d->log_count - 1].changes = true;
}

uint64_t crash_nested_reach(const struct crash_disk *d)
{
    uint64_t before = crash_disk_length_after(d, &d->log_moved), reach = d->length.bytes;
    for (size_t i = 0; i < d->log_op_count; i++) {
        if (d->log_ops[i].epoch < d->log_epoch)
            before = d->log_ops[i].length;
        else if (d->log_ops[i].length > reach)
            reach = d->log_ops[i].length;
    }
    return before > reach ? before : reach;
}

static void end_op(struct crash_disk *d, const struct logged_op *op)
{
    enum sim_cache cache = d->space->model->cache;
    d->log_ops = crash_disk_grow(d, d->log_ops, d->log_op_count + 1, &d->log_op_cap, sizeof(*d->log_ops));
    d->log_ops[d->log_op_count] = *op;
    d->log_ops[d->log_op_count++].epoch = d->log_epoch;
    if (cache == SIM_CACHE_ORDERED || cache == SIM_CACHE_WRITE_THROUGH)
        d->log_epoch++;
}

void crash_nested_wrote(struct crash_disk *d)
{
    end_op(d, &(struct logged_op){.length = d->length.bytes});
}

void crash_nested_resized(struct crash_disk *d)
{
    d->log_resized = true;
    end_op(d, &(struct logged_op){.length = d->length.bytes, .resizes = true});
}

static bool epoch_has_writes(const struct crash_disk *d)
{
    return d->log_op_count && d->log_ops[d->log_op_count - 1].epoch == d->log_epoch;
}

void crash_nested_flushed(struct crash_disk *d)
{
    if (d->space->model->cache != SIM_CACHE_LYING && epoch_has_writes(d))
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

/* --- back and forth ------------------------------------------------------------------------------------------------ */

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

static void play_again(struct crash_disk *d, size_t entry)
{
    uint8_t *bytes = crash_disk_sector_for_write(d, d->log[entry].sector, true);
    memcpy(bytes, d->log_bytes + entry * BLK_SECTOR_BYTES, BLK_SECTOR_BYTES);
}

/* --- what persisted ------------------------------------------------------------------------------------------------ */

struct failure {
    struct crash_disk *d;
    size_t first, end;       /* the epoch's entries, */
    size_t first_op, end_op; /* and operations */
    uint64_t start;          /* the file's length without the epoch's writes */
    bool length_first;       /* the length is known before the pieces are asked for: */
    uint64_t length;         /* exactly so much */
    uint32_t (*choose)(void *opaque, uint32_t n);
    void *opaque;
};

static uint32_t ask(const struct failure *f, uint32_t n)
{
    return n > 1 ? f->choose(f->opaque, n) : 0;
}

static bool whole_writes(const struct failure *f)
{
    return f->d->space->model->atom == SIM_ATOM_WRITE;
}

/* Does anything depend on whether this resize persisted? Where the length persists on its own, only the bytes that it took
 * away. */
static bool resize_shows(const struct failure *f, size_t op)
{
    if (!f->d->space->lengths)
        return true;
    for (size_t i = f->first; i < f->end; i++)
        if (f->d->log[i].op == op)
            return true;
    return false;
}

static void ask_resizes(const struct failure *f)
{
    struct logged_op *ops = f->d->log_ops;
    for (size_t i = f->first_op; i < f->end_op; i++)
        ops[i].in = ops[i].resizes && resize_shows(f, i) && ask(f, 2);
}

static uint64_t end_of(const struct logged *l)
{
    return (l->sector + 1) * BLK_SECTOR_BYTES;
}

/* Asks for a piece, which is an operation or what its first entry says, in such a way that an explorer can tell whether
 * anybody reads it. Not where it says how long the file is. */
static uint32_t ask_watched(const struct failure *f, uint32_t n, size_t entry, uint64_t piece, bool op)
{
    const struct logged *log = f->d->log;
    bool watch = n > 1;
    for (size_t i = entry; i < f->end && !f->length_first; i++)
        if ((op ? log[i].op : log[i].piece) == piece && end_of(&log[i]) > f->start)
            watch = false;
    if (!watch)
        return ask(f, n);
    uint32_t asked = begin_asking(f->d);
    for (size_t i = entry; i < f->end; i++)
        if ((op ? log[i].op : log[i].piece) == piece)
            watch_sector(f->d, asked, log[i].sector);
    uint32_t pick = ask(f, n);
    f->d->asking = 0;
    return pick;
}

/* Whole writes: one that changes nothing, over nothing that this epoch wrote, is the same there or not. */
static bool write_shows(const struct failure *f, size_t op)
{
    const struct logged *log = f->d->log;
    for (size_t i = f->first; i < f->end; i++) {
        if (log[i].op != op)
            continue;
        if (log[i].changes)
            return true;
        for (size_t k = f->first; k < i; k++)
            if (log[k].sector == log[i].sector)
                return true;
    }
    return false;
}

static void ask_whole_writes(const struct failure *f)
{
    for (size_t op = f->first_op; op < f->end_op; op++) {
        bool resizes = f->d->log_ops[op].resizes, shows = resizes || write_shows(f, op);
        bool in = resizes ? f->d->log_ops[op].in : shows && ask_watched(f, 2, f->first, op, true);
        for (size_t i = f->first; i < f->end; i++)
            if (f->d->log[i].op == op)
                f->d->log[i].fate = !shows ? FATE_EITHER : in ? FATE_KEPT : FATE_LOST;
    }
}

/* The piece that begins with this entry: numbers its entries by the changes of the piece up to them, and marks them asked
 * for. Returns how many there are. */
static uint32_t number_changes(const struct failure *f, size_t entry)
{
    struct logged *log = f->d->log;
    uint32_t n = 0, last = UINT32_MAX;
    for (size_t i = entry; i < f->end; i++) {
        if (log[i].piece != log[entry].piece)
            continue;
        if (log[i].changes && log[i].op != last) {
            n++;
            last = log[i].op;
        }
        log[i].nth = n;
        log[i].fate = FATE_LOST;
    }
    return n;
}

/* How far the entry reaches if it persisted: what a later cut took away, it does not provide. */
static uint64_t reach_of(const struct failure *f, const struct logged *l)
{
    uint64_t end = f->d->log_ops[l->op].resizes ? 0 : end_of(l);
    for (size_t op = l->op + 1; f->d->log_resized && op < f->end_op; op++)
        if (f->d->log_ops[op].resizes && f->d->log_ops[op].in && f->d->log_ops[op].length < end)
            end = f->d->log_ops[op].length;
    return end;
}

/* A sector, where the length is known: it may not reach beyond, and the one at the end must reach so far. */
static bool fits_length(const struct failure *f, size_t entry, uint32_t kept)
{
    const struct logged *log = f->d->log;
    uint64_t reach = 0;
    if (!f->length_first || end_of(&log[entry]) <= f->start || end_of(&log[entry]) < f->length)
        return true;
    for (size_t i = entry; i < f->end; i++)
        if (log[i].piece == log[entry].piece && log[i].nth <= kept && reach_of(f, &log[i]) > reach)
            reach = reach_of(f, &log[i]);
    return end_of(&log[entry]) == f->length ? reach == f->length : !kept || reach <= f->length;
}

/* May just the piece's first `kept` changes have persisted, as far as the cuts and the length say? */
static bool may_keep(const struct failure *f, size_t entry, uint32_t kept)
{
    if (!fits_length(f, entry, kept))
        return false;
    const struct logged *log = f->d->log;
    for (size_t i = entry; i < f->end; i++) {
        const struct logged_op *op = &f->d->log_ops[log[i].op];
        if (log[i].piece != log[entry].piece || !log[i].changes || !op->resizes)
            continue;
        if (op->in ? log[i].nth > kept : log[i].nth == kept)
            return false;
    }
    return true;
}

static uint32_t ask_kept(const struct failure *f, size_t entry, uint32_t changes)
{
    uint32_t n = 0, kept = 0;
    for (uint32_t k = 0; k <= changes; k++)
        n += may_keep(f, entry, k);
    assert(n && "the cuts left a piece nothing it could be");
    for (uint32_t pick = ask_watched(f, n, entry, f->d->log[entry].piece, false);; kept++)
        if (may_keep(f, entry, kept) && !pick--)
            return kept;
}

/* Contents that have seen a cut go no further than it, be the file itself cut or not. */
static void end_at_cut(const struct failure *f, size_t cut)
{
    struct logged *log = f->d->log;
    if (!f->d->log_ops[log[cut].op].resizes)
        return;
    for (size_t i = f->first; i < cut; i++)
        log[i].cut_off |= log[i].sector == log[cut].sector;
}

static void ask_piece(const struct failure *f, size_t entry)
{
    struct logged *log = f->d->log;
    uint32_t changes = number_changes(f, entry);
    uint32_t kept = ask_kept(f, entry, changes);
    for (size_t i = entry; i < f->end; i++)
        if (log[i].piece == log[entry].piece && log[i].nth <= kept) {
            log[i].fate = kept ? FATE_KEPT : FATE_EITHER;
            end_at_cut(f, i);
        }
}

static void ask_pieces(const struct failure *f)
{
    if (whole_writes(f)) {
        ask_whole_writes(f);
        return;
    }
    for (size_t i = f->first; i < f->end; i++)
        if (f->d->log[i].fate == FATE_OPEN)
            ask_piece(f, i);
}

/* --- the file's length --------------------------------------------------------------------------------------------- */

static void grow_to(struct length_moved *m, uint64_t bytes)
{
    if (bytes > m->grown)
        m->grown = bytes;
}

/* Where the file ends, as far as it is known what persisted: all before the epoch, and of it what was asked for. */
static struct length_moved known_length(const struct failure *f)
{
    const struct crash_disk *d = f->d;
    struct length_moved m = d->log_moved;
    size_t entry = 0;
    for (size_t op = 0; op < f->end_op; op++) {
        bool durable = op < f->first_op;
        if (d->log_ops[op].resizes && (durable || d->log_ops[op].in))
            m = (struct length_moved){.resized = true, .resized_bytes = d->log_ops[op].length};
        for (; entry < f->end && d->log[entry].op == op; entry++)
            if (!d->log_ops[op].resizes && (durable || (d->log[entry].fate == FATE_KEPT && !d->log[entry].cut_off)))
                grow_to(&m, end_of(&d->log[entry]));
    }
    return m;
}

/* The next length above `above` that this epoch may have given the file, in steps of 4 KiB: what was not asked for, since
 * it changed no contents, may be there or not. 0: none. */
static uint64_t next_length(const struct failure *f, uint64_t above)
{
    uint64_t next = 0;
    for (size_t i = f->first; i < f->end; i++) {
        uint64_t end = f->d->log[i].fate == FATE_EITHER ? reach_of(f, &f->d->log[i]) : 0;
        if (end > above && end / SIM_PAGE_BYTES != above / SIM_PAGE_BYTES && (!next || end < next))
            next = end;
    }
    return next;
}

/* The next length above `above` that any sector of this epoch may give the file; 0: none. */
static uint64_t next_end(const struct failure *f, uint64_t above)
{
    uint64_t next = 0;
    for (size_t i = f->first; i < f->end; i++) {
        uint64_t end = reach_of(f, &f->d->log[i]);
        if (end > above && (!next || end < next))
            next = end;
    }
    return next;
}

/* Where sectors choose, the length is asked for before them: then they decide nothing but their contents. */
static void ask_length(struct failure *f)
{
    uint32_t n = 1;
    f->length = f->start;
    for (uint64_t at = f->start; (at = next_end(f, at)); n++)
        ;
    for (uint32_t pick = ask(f, n); pick; pick--)
        f->length = next_end(f, f->length);
}

static void settle_length(const struct failure *f)
{
    struct length_moved m = known_length(f);
    uint64_t known = crash_disk_length_after(f->d, &m), length = f->length_first ? f->length : known;
    uint32_t n = 1;
    assert(length >= known && "a sector reaches beyond the length that was chosen");
    if (length > known)
        grow_to(&m, length);
    if (f->length_first) {
        crash_disk_move_length(f->d, &m);
        return;
    }
    for (uint64_t at = length; (at = next_length(f, at)); n++)
        ;
    for (uint32_t pick = ask(f, n); pick; pick--)
        length = next_length(f, length);
    if (length > known)
        grow_to(&m, length);
    crash_disk_move_length(f->d, &m);
}

/* A length of its own: that before the epoch, or one that it had since. The next such length above `above` (or the lowest, where
 * that is UINT64_MAX), but for the first one; UINT64_MAX: none. */
static uint64_t next_own_length(const struct failure *f, uint64_t above, uint64_t before)
{
    uint64_t next = UINT64_MAX;
    for (size_t op = f->first_op; op < f->end_op; op++) {
        uint64_t length = f->d->log_ops[op].length;
        if (length != before && (above == UINT64_MAX || length > above) && length < next)
            next = length;
    }
    return next;
}

static void hide_beyond(struct crash_disk *d, uint64_t length)
{
    for (size_t i = 0; i < d->log_count; i++)
        if (end_of(&d->log[i]) > length)
            memset(crash_disk_sector_for_write(d, d->log[i].sector, true), 0, BLK_SECTOR_BYTES);
}

static void settle_own_length(const struct failure *f)
{
    struct crash_disk *d = f->d;
    uint64_t before = f->first_op ? d->log_ops[f->first_op - 1].length : crash_disk_length_after(d, &d->log_moved);
    uint64_t length = before, next = UINT64_MAX;
    uint32_t n = 1;
    for (; (next = next_own_length(f, next, before)) != UINT64_MAX; n++)
        ;
    next = UINT64_MAX;
    for (uint32_t pick = ask(f, n); pick; pick--)
        length = next = next_own_length(f, next, before);
    hide_beyond(d, length);
    crash_disk_move_length(d, &(struct length_moved){.resized = true, .resized_bytes = length});
}

/* ------------------------------------------------------------------------------------------------------------------- */

static void find_epoch(struct failure *f, uint32_t epoch)
{
    const struct crash_disk *d = f->d;
    while (f->first < d->log_count && d->log[f->first].epoch < epoch)
        f->first++;
    for (f->end = f->first; f->end < d->log_count && d->log[f->end].epoch == epoch;)
        f->end++;
    while (f->first_op < d->log_op_count && d->log_ops[f->first_op].epoch < epoch)
        f->first_op++;
    for (f->end_op = f->first_op; f->end_op < d->log_op_count && d->log_ops[f->end_op].epoch == epoch;)
        f->end_op++;
}

static bool follows_data(const struct crash_disk *d)
{
    return !d->space->history->fixed_size && !d->space->lengths;
}

static void settle_start(struct failure *f)
{
    struct length_moved m = known_length(f);
    f->start = follows_data(f->d) ? crash_disk_length_after(f->d, &m) : UINT64_MAX;
    f->length_first = follows_data(f->d) && f->d->length.resolved && f->d->space->model->atom == SIM_ATOM_512;
    if (f->length_first)
        ask_length(f);
}

void crash_disk_fail_again(struct crash_disk *d, uint32_t epoch, uint32_t (*choose)(void *opaque, uint32_t n),
                           void *opaque)
{
    struct failure f = {.d = d, .choose = choose, .opaque = opaque};
    d->logging = false;
    d->asking = 0;
    find_epoch(&f, epoch);
    for (size_t i = d->log_count; i-- > f.first;)
        take_back(d, &d->log[i]);
    ask_resizes(&f);
    for (size_t i = f.first; i < f.end; i++)
        d->log[i].fate = FATE_OPEN;
    settle_start(&f);
    ask_pieces(&f);
    for (size_t i = f.first; i < f.end; i++)
        if (d->log[i].fate == FATE_KEPT)
            play_again(d, i);
    if (!follows_data(d)) {
        if (d->space->lengths && d->length.resolved)
            settle_own_length(&f);
    } else if (d->length.resolved) {
        settle_length(&f);
    }
    crash_disk_log_stop(d);
}
