/* run_backing.c: the backing file of a scenario, and the host that resolves its name. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "scenarios/replay.h"
#include "simdisk/iov.h"

/* --- the device that completes inline: recovery opens it once per crash state, so opening it allocates nothing ---- */

static const struct run_backing *owner(const struct blockdev *dev)
{
    return (const struct run_backing *)((const char *)dev - offsetof(struct run_backing, inline_dev));
}

static void inline_readv(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                         void *opaque)
{
    sim_iov_from_pages(owner(dev)->pages, offset, iov, niov);
    done(opaque, 0);
}

static void inline_writev(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                          void *opaque)
{
    (void)dev;
    (void)offset;
    (void)iov;
    (void)niov;
    done(opaque, -EACCES);
}

static void inline_flush(struct blockdev *dev, blk_done *done, void *opaque)
{
    (void)dev;
    done(opaque, 0);
}

static int inline_length(struct blockdev *dev, uint64_t unit_bytes, uint64_t *length_bytes)
{
    *length_bytes = owner(dev)->length_bytes & ~(unit_bytes - 1);
    return 0;
}

static uint64_t inline_next_data(struct blockdev *dev, uint64_t offset, uint64_t end)
{
    return sim_pages_next_data(owner(dev)->pages, offset, end);
}

static void inline_close(struct blockdev *dev)
{
    (void)dev;
}

static const struct blockdev_ops inline_ops = {
    .readv = inline_readv,
    .writev = inline_writev,
    .flush = inline_flush,
    .length = inline_length,
    .next_data = inline_next_data,
    .close = inline_close,
};

/* --- the host ------------------------------------------------------------------------------------------------------ */

static int backing_open(struct qed_backing_host *host, const char *name, struct blockdev **dev, struct qed_error *err)
{
    struct run_backing *b = (struct run_backing *)host;

    *dev = NULL;
    if (!b->pages || (b->name && strcmp(name, b->name) != 0)) {
        if (err)
            snprintf(err->text, sizeof(err->text), "no backing file is named '%.200s'; this scenario has %s", name,
                     b->pages ? "only '" RUN_BACKING_NAME "'" : "none");
        return -ENOENT;
    }
    b->inline_dev.ops = &inline_ops;
    *dev = b->loop ? mem_disk_create_async(b->loop, b->pages, b->length_bytes, true) : &b->inline_dev;
    return 0;
}

static void fill_tagged(struct sim_pages *pages, uint64_t length_bytes)
{
    for (uint64_t sector = 0; sector < length_bytes / BLK_SECTOR_BYTES; sector++) {
        struct tag tag = {.kind = TAG_BACKING, .sector = sector};
        uint8_t bytes[BLK_SECTOR_BYTES];

        tag_fill(bytes, &tag);
        sim_pages_write(pages, sector * BLK_SECTOR_BYTES, bytes, sizeof(bytes));
    }
}

/* Its contents follow from its length, nobody writes to it, and filling it takes longer than judging a small cell: the
 * last ones are kept, for this thread, and everybody gets a snapshot. */
static struct sim_pages *tagged(uint64_t length_bytes)
{
    enum { KEPT = 2 };
    static _Thread_local struct kept {
        struct sim_pages *pages;
        uint64_t bytes;
    } kept[KEPT]; /* the one used last first */
    struct kept found;
    unsigned i = 0;

    while (i < KEPT - 1 && kept[i].bytes != length_bytes)
        i++;
    found = kept[i];
    if (!found.pages || found.bytes != length_bytes) {
        if (found.pages)
            sim_pages_destroy(found.pages);
        found.pages = sim_pages_create();
        found.bytes = length_bytes;
        fill_tagged(found.pages, length_bytes);
    }
    memmove(&kept[1], &kept[0], i * sizeof(kept[0]));
    kept[0] = found;
    return sim_pages_snapshot(found.pages);
}

void run_backing_init(struct run_backing *b, const struct scenario *s, struct sim_loop *loop)
{
    *b = (struct run_backing){.host = {.open = backing_open}, .name = RUN_BACKING_NAME, .loop = loop};
    if (s->replay) {
        b->name = NULL;
        b->pages = replay_backing(s->replay, &b->length_bytes);
        return;
    }
    if (s->backing == SCN_BACKING_NONE)
        return;
    b->pages = s->backing == SCN_BACKING_TAGGED ? tagged(s->backing_bytes) : sim_pages_create();
    b->length_bytes = s->backing_bytes;
}

void run_backing_destroy(struct run_backing *b)
{
    if (b->pages)
        sim_pages_destroy(b->pages);
    b->pages = NULL;
}
