/* event.c: the names of events, the ones QEMU's blkdebug uses. */
#include "engine/blockdev.h"

#include <assert.h>
#include <string.h>

static const char *const event_names[BLK_EVENT_COUNT] = {
    [BLK_EVENT_NONE] = "none",
    [BLK_EVENT_HEADER_READ] = "header_read",
    [BLK_EVENT_HEADER_UPDATE] = "header_update",
    [BLK_EVENT_L1_LOAD] = "l1_load",
    [BLK_EVENT_L1_UPDATE] = "l1_update",
    [BLK_EVENT_L2_LOAD] = "l2_load",
    [BLK_EVENT_L2_UPDATE] = "l2_update",
    [BLK_EVENT_L2_ALLOC_WRITE] = "l2_alloc_write",
    [BLK_EVENT_READ_AIO] = "read_aio",
    [BLK_EVENT_READ_BACKING_AIO] = "read_backing_aio",
    [BLK_EVENT_COW_READ] = "cow_read",
    [BLK_EVENT_COW_WRITE] = "cow_write",
    [BLK_EVENT_WRITE_AIO] = "write_aio",
    [BLK_EVENT_CLUSTER_ALLOC] = "cluster_alloc",
    [BLK_EVENT_CLUSTER_FREE] = "cluster_free",
    [BLK_EVENT_FLUSH_TO_DISK] = "flush_to_disk",
    [BLK_EVENT_TRUNCATE] = "truncate",
};

static const struct {
    const char *name;
    enum blk_event event;
} aliases[] = {
    {"read_backing", BLK_EVENT_READ_BACKING_AIO},
    {"flush", BLK_EVENT_FLUSH_TO_DISK},
};

const char *blk_event_name(enum blk_event event)
{
    assert((unsigned)event < BLK_EVENT_COUNT);
    return event_names[event];
}

enum blk_event blk_event_parse(const char *name)
{
    for (unsigned i = 0; i < BLK_EVENT_COUNT; i++) {
        if (!strcmp(name, event_names[i]))
            return (enum blk_event)i;
    }
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (!strcmp(name, aliases[i].name))
            return aliases[i].event;
    }
    return BLK_EVENT_COUNT;
}
