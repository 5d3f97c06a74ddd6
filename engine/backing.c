/* backing.c: the chain below an image: a raw file or another QED image, whatever its length.
 *
 * The backing file is only ever read. Where it ends, zeros begin; in the 2010 driver an I/O error did (design field
 * backing_clip).
 */
#include <errno.h>
#include <string.h>

#include "engine/internal.h"

#define MAX_CHAIN 64u

static int open_backing_image(struct qed *q, const struct qed_open_options *options, unsigned depth,
                              struct qed_error *err)
{
    struct qed_open_options below = *options;
    below.read_only = true;
    below.check_mode = false;
    below.pool = q->pool;
    int ret = qed_open_depth(q->backing.dev, &below, depth + 1, &q->backing.image, err);
    if (!ret)
        q->backing.bytes = q->backing.image->header.image_size;
    return ret;
}

static int probe_backing(struct qed *q, bool *is_qed)
{
    uint8_t head[BLK_SECTOR_BYTES];
    *is_qed = false;
    if (q->header.features & QED_F_BACKING_FORMAT_NO_PROBE)
        return 0;
    int ret = qed_dev_read(q->backing.dev, q->file->loop, 0, head, sizeof(head));
    *is_qed = !ret && qed_probe(head, sizeof(head)) > 0;
    return ret;
}

static int open_device(struct qed *q, const struct qed_open_options *options, unsigned depth, struct qed_error *err)
{
    if (depth >= MAX_CHAIN)
        return qed_fail(err, -ELOOP,
                        "Backing chain is deeper than %u images; expected an end: does it loop? Backing file: '%s'",
                        MAX_CHAIN, q->backing_name);
    if (!options->backing_host)
        return qed_fail(err, -ENOENT, "The image has the backing file '%s', and there is no way to open one here",
                        q->backing_name);
    return options->backing_host->open(options->backing_host, q->backing_name, &q->backing.dev, err);
}

int qed_backing_open(struct qed *q, const struct qed_open_options *options, unsigned depth, struct qed_error *err)
{
    if (!q->backing_name || options->no_backing)
        return 0;
    int ret = open_device(q, options, depth, err);
    if (ret)
        return ret;
    bool is_qed = false;
    ret = probe_backing(q, &is_qed);
    if (!ret && is_qed)
        return open_backing_image(q, options, depth, err);
    if (!ret)
        ret = q->backing.dev->ops->length(q->backing.dev, 1, &q->backing.bytes);
    if (ret)
        return qed_fail(err, ret, "Failed to read backing file '%s': %s", q->backing_name, strerror(-ret));
    return 0;
}

void qed_backing_close(struct qed *q)
{
    if (q->backing.image)
        qed_abandon(q->backing.image); /* read-only: there is nothing to write */
    if (q->backing.dev)
        q->backing.dev->ops->close(q->backing.dev);
    q->backing = (struct qed_backing){0};
}

static int gate(struct qed *q, enum blk_event event)
{
    qed_announce(q, event);
    return q->file->ops->backing_gate ? q->file->ops->backing_gate(q->file) : 0;
}

/* The bytes of [pos, pos+bytes) that the backing file has. */
static uint64_t bytes_below_end(const struct qed *q, uint64_t pos, uint64_t bytes)
{
    if (pos >= q->backing.bytes)
        return 0;
    return bytes < q->backing.bytes - pos ? bytes : q->backing.bytes - pos;
}

void qed_backing_read(struct qed_req *r, enum blk_event event, uint64_t pos, struct iovec *iov, int niov,
                      qed_step *next)
{
    struct qed *q = r->q;
    uint64_t bytes = 0;
    for (int i = 0; i < niov; i++)
        bytes += iov[i].iov_len;
    uint64_t inside = q->backing.dev ? bytes_below_end(q, pos, bytes) : 0;
    if (q->backing.dev && inside < bytes && qed_design_is(q->design, QED_FIELD_backing_clip, false)) {
        next(r, -EIO);
        return;
    }
    /* A length that is no multiple of a sector: the device reads zeros beyond its end by itself. */
    uint64_t sectors = (inside + BLK_SECTOR_BYTES - 1) & ~(uint64_t)(BLK_SECTOR_BYTES - 1);
    if (sectors < bytes)
        qed_iov_zero(iov, niov, sectors, bytes - sectors);
    int ret = inside ? gate(q, event) : 0;
    if (ret || !inside) {
        next(r, ret);
        return;
    }
    int n = qed_iov_slice(iov, niov, 0, sectors, iov); /* in place: a prefix only shortens */
    r->next = next;
    if (q->backing.image)
        qed_readv(q->backing.image, pos, iov, n, qed_req_io_done, r);
    else
        q->backing.dev->ops->readv(q->backing.dev, pos, iov, n, qed_req_io_done, r);
}
