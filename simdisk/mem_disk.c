#include "simdisk/mem_disk.h"

#include <errno.h>

#include "simdisk/iov.h"

struct mem_disk {
    struct blockdev blk;   /* first: the disk is found from it */
    struct sim_loop *loop; /* NULL: completes inline */
    struct sim_pages *pages;
    uint64_t length_bytes;
    bool read_only;
};

enum mem_io_kind { MEM_READ, MEM_WRITE, MEM_FLUSH };

struct mem_io {
    struct mem_disk *disk;
    enum mem_io_kind kind;
    uint64_t offset_bytes;
    const struct iovec *iov; /* queued: read_iov or data_iov */
    int niov;
    blk_done *done;
    void *opaque;
    struct iovec *read_iov; /* queued reads: a copy of the caller's array */
    struct iovec data_iov;  /* queued writes: the bytes, copied */
};

static int write_now(struct mem_disk *disk, uint64_t offset_bytes, const struct iovec *iov, int niov)
{
    uint64_t end = offset_bytes + sim_iov_bytes(iov, niov);

    if (disk->read_only)
        return -EACCES;
    sim_iov_to_pages(disk->pages, offset_bytes, iov, niov);
    if (end > disk->length_bytes)
        disk->length_bytes = end;
    return 0;
}

static int perform(const struct mem_io *io)
{
    switch (io->kind) {
    case MEM_READ:
        sim_iov_from_pages(io->disk->pages, io->offset_bytes, io->iov, io->niov);
        return 0;
    case MEM_WRITE:
        return write_now(io->disk, io->offset_bytes, io->iov, io->niov);
    case MEM_FLUSH:
        break;
    }
    return 0;
}

static void mem_io_free(void *opaque)
{
    struct mem_io *io = opaque;

    free(io->read_iov);
    free(io->data_iov.iov_base);
    free(io);
}

static void deliver(void *opaque)
{
    struct mem_io *io = opaque;
    blk_done *done = io->done;
    void *done_opaque = io->opaque;
    int ret = perform(io);

    mem_io_free(io);
    done(done_opaque, ret);
}

static void finish_silently(void *opaque)
{
    struct mem_io *io = opaque;

    if (io->kind == MEM_WRITE)
        perform(io);
    mem_io_free(io);
}

/* Nothing a queued request needs may belong to a client that can die: except the buffers a read goes to, which are then
 * not touched. */
static struct mem_io *dup_io(const struct mem_io *io)
{
    struct mem_io *copy = xmalloc(sizeof(*copy));

    *copy = *io;
    if (io->kind == MEM_READ) {
        copy->iov = copy->read_iov = sim_iov_dup(io->iov, io->niov);
    } else if (io->kind == MEM_WRITE) {
        copy->data_iov.iov_base = sim_iov_flatten(io->iov, io->niov);
        copy->data_iov.iov_len = sim_iov_bytes(io->iov, io->niov);
        copy->iov = &copy->data_iov;
        copy->niov = 1;
    }
    return copy;
}

static void submit(struct blockdev *dev, struct mem_io io, blk_done *done, void *opaque)
{
    struct mem_disk *disk = (struct mem_disk *)dev;

    io.disk = disk;
    io.done = done;
    io.opaque = opaque;
    if (disk->loop)
        sim_loop_post(disk->loop, disk, deliver, dup_io(&io));
    else
        io.done(io.opaque, perform(&io));
}

static void mem_readv(struct blockdev *dev, uint64_t offset_bytes, const struct iovec *iov, int niov, blk_done *done,
                      void *opaque)
{
    struct mem_io io = {.kind = MEM_READ, .offset_bytes = offset_bytes, .iov = iov, .niov = niov};

    submit(dev, io, done, opaque);
}

static void mem_writev(struct blockdev *dev, uint64_t offset_bytes, const struct iovec *iov, int niov, blk_done *done,
                       void *opaque)
{
    struct mem_io io = {.kind = MEM_WRITE, .offset_bytes = offset_bytes, .iov = iov, .niov = niov};

    submit(dev, io, done, opaque);
}

static void mem_flush(struct blockdev *dev, blk_done *done, void *opaque)
{
    submit(dev, (struct mem_io){.kind = MEM_FLUSH}, done, opaque);
}

static int mem_length(struct blockdev *dev, uint64_t unit_bytes, uint64_t *length_bytes)
{
    *length_bytes = mem_disk_length(dev) & ~(unit_bytes - 1);
    return 0;
}

static int mem_resize(struct blockdev *dev, uint64_t length_bytes)
{
    struct mem_disk *disk = (struct mem_disk *)dev;

    if (disk->read_only)
        return -EACCES;
    if (length_bytes < disk->length_bytes)
        sim_pages_cut(disk->pages, length_bytes);
    disk->length_bytes = length_bytes;
    return 0;
}

static uint64_t mem_next_data(struct blockdev *dev, uint64_t offset_bytes, uint64_t end_bytes)
{
    return sim_pages_next_data(((struct mem_disk *)dev)->pages, offset_bytes, end_bytes);
}

static void mem_close(struct blockdev *dev)
{
    struct mem_disk *disk = (struct mem_disk *)dev;

    if (disk->loop)
        sim_loop_drop(disk->loop, disk, mem_io_free);
    free(disk);
}

static const struct blockdev_ops mem_disk_ops = {
    .readv = mem_readv,
    .writev = mem_writev,
    .flush = mem_flush,
    .length = mem_length,
    .resize = mem_resize,
    .next_data = mem_next_data,
    .close = mem_close,
};

struct blockdev *mem_disk_create_async(struct sim_loop *loop, struct sim_pages *pages, uint64_t length_bytes,
                                       bool read_only)
{
    struct mem_disk *disk = xcalloc(1, sizeof(*disk));

    disk->blk.ops = &mem_disk_ops;
    disk->blk.loop = loop ? sim_loop_blk(loop) : NULL;
    disk->loop = loop;
    disk->pages = pages;
    disk->length_bytes = length_bytes;
    disk->read_only = read_only;
    return &disk->blk;
}

struct blockdev *mem_disk_create(struct sim_pages *pages, uint64_t length_bytes, bool read_only)
{
    return mem_disk_create_async(NULL, pages, length_bytes, read_only);
}

uint64_t mem_disk_length(const struct blockdev *dev)
{
    return ((const struct mem_disk *)dev)->length_bytes;
}

void mem_disk_client_died(struct blockdev *dev)
{
    struct mem_disk *disk = (struct mem_disk *)dev;

    if (disk->loop)
        sim_loop_drop(disk->loop, disk, finish_silently);
}
