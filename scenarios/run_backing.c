/* run_backing.c: the backing file of a scenario, and the host that resolves its name. */
#include <errno.h>
#include <string.h>

#include "scenarios/runner.h"

static int backing_open(struct qed_backing_host *host, const char *name, struct blockdev **dev, struct qed_error *err)
{
    struct run_backing *b = (struct run_backing *)host;

    *dev = NULL;
    if (!b->pages || strcmp(name, RUN_BACKING_NAME) != 0) {
        if (err)
            snprintf(err->text, sizeof(err->text), "no backing file is named '%.200s'; this scenario has %s", name,
                     b->pages ? "only '" RUN_BACKING_NAME "'" : "none");
        return -ENOENT;
    }
    *dev = b->loop ? mem_disk_create_async(b->loop, b->pages, b->length_bytes, true)
                   : mem_disk_create(b->pages, b->length_bytes, true);
    return 0;
}

void run_backing_init(struct run_backing *b, const struct scenario *s, struct sim_loop *loop)
{
    *b = (struct run_backing){.host = {.open = backing_open}, .loop = loop};
    if (s->backing == SCN_BACKING_NONE)
        return;
    b->pages = sim_pages_create();
    b->length_bytes = s->backing_bytes;
    if (s->backing == SCN_BACKING_ZERO)
        return;
    for (uint64_t sector = 0; sector < s->backing_bytes / BLK_SECTOR_BYTES; sector++) {
        struct tag tag = {.kind = TAG_BACKING, .sector = sector};
        uint8_t bytes[BLK_SECTOR_BYTES];

        tag_fill(bytes, &tag);
        sim_pages_write(b->pages, sector * BLK_SECTOR_BYTES, bytes, sizeof(bytes));
    }
}

void run_backing_destroy(struct run_backing *b)
{
    if (b->pages)
        sim_pages_destroy(b->pages);
    b->pages = NULL;
}
