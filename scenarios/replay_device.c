/* replay_device.c: a recording on a device of fixed size: how large it is, and what an earlier owner left on it.
 *
 *     base image | leap | write | leap ... | room for a second life
 *                 ~~                    ~~~~~~~~~~~~~~~~~~~~~~~~~~~~  stale bytes (~~): around what is written, and the room
 *
 * Stale bytes are held in memory, so the far side of a long leap has none: a short log may name a far place.
 */
#include "scenarios/player_internal.h"
#include "scenarios/replay_internal.h"
#include "simdisk/xalloc.h"

#define NEAR_BYTES (UINT64_C(1) << 20)

struct extent {
    uint64_t from, to;
};

static int by_place(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

uint64_t replay_device_bytes(const struct scenario *s)
{
    uint64_t end = s->replay->base_bytes;
    for (size_t i = 0; i < s->replay->entry_count; i++) {
        const struct replay_entry *e = &s->replay->entries[i];
        if (e->offset_bytes + e->length_bytes > end)
            end = e->offset_bytes + e->length_bytes;
    }
    return run_device_bytes(s, end);
}

/* Where the log writes, with what is near; and first the end of the base image. Returns how many, in the order of their
 * places. */
static size_t near_writes(const struct replay *r, struct extent *out)
{
    size_t count = 0;
    out[count++] = (struct extent){r->base_bytes, r->base_bytes + NEAR_BYTES};
    for (size_t i = 0; i < r->entry_count; i++) {
        const struct replay_entry *e = &r->entries[i];
        if (e->kind == HIST_WRITE)
            out[count++] = (struct extent){e->offset_bytes > NEAR_BYTES ? e->offset_bytes - NEAR_BYTES : 0,
                                           e->offset_bytes + e->length_bytes + NEAR_BYTES};
    }
    qsort(out, count, sizeof(*out), by_place);
    return count;
}

void replay_fill_stale(const struct scenario *s, struct sim_pages *pages, uint64_t device_bytes)
{
    const struct replay *r = s->replay;
    struct extent *extents = xcalloc(r->entry_count + 1, sizeof(*extents));
    size_t count = near_writes(r, extents);
    uint64_t done = r->base_bytes, end = r->base_bytes;
    for (size_t i = 0; i < count; i++) {
        uint64_t from = extents[i].from > done ? extents[i].from : done;
        uint64_t to = extents[i].to < device_bytes ? extents[i].to : device_bytes;
        if (from < to) {
            run_fill_stale(pages, from, to);
            done = to;
        }
        if (extents[i].to - NEAR_BYTES > end)
            end = extents[i].to - NEAR_BYTES;
    }
    run_fill_stale(pages, end > done ? end : done, device_bytes);
    free(extents);
}
