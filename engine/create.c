/* create.c: making an empty image, growing it, changing the name of its backing file. Spec 2 and 8. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/internal.h"

#define NAME_OFFSET QED_HEADER_BYTES /* the name follows the header at once */

static size_t whole_sectors(size_t bytes)
{
    return (bytes + BLK_SECTOR_BYTES - 1) & ~(size_t)(BLK_SECTOR_BYTES - 1);
}

static int check_create(const struct qed_create_options *o, struct qed_header *h, struct qed_error *err)
{
    *h = (struct qed_header){.magic = QED_MAGIC, .header_size = 1};
    h->cluster_size = o->cluster_bytes ? o->cluster_bytes : QED_DEFAULT_CLUSTER_BYTES;
    h->table_size = o->table_clusters ? o->table_clusters : QED_DEFAULT_TABLE_CLUSTERS;
    if (!qed_cluster_size_valid(h->cluster_size))
        return qed_fail(err, -EINVAL, "QED cluster size must be a power of two from %u to %u, not %u",
                        QED_MIN_CLUSTER_BYTES, QED_MAX_CLUSTER_BYTES, h->cluster_size);
    if (!qed_table_size_valid(h->table_size))
        return qed_fail(err, -EINVAL, "QED table size must be a power of two from %u to %u, not %u",
                        QED_MIN_TABLE_CLUSTERS, QED_MAX_TABLE_CLUSTERS, h->table_size);
    struct qed_geometry g;
    qed_geometry_init(&g, h->cluster_size, h->table_size, 1);
    if (o->image_bytes > g.max_image_bytes)
        return qed_fail(err, -EINVAL, "QED image size must be at most %" PRIu64 " with this geometry, not %" PRIu64,
                        g.max_image_bytes, o->image_bytes);
    h->image_size = (o->image_bytes + BLK_SECTOR_BYTES - 1) & ~(uint64_t)(BLK_SECTOR_BYTES - 1);
    h->l1_table_offset = h->cluster_size;
    size_t name = o->backing_name ? strlen(o->backing_name) : 0;
    if (name > QED_MAX_BACKING_NAME_BYTES || NAME_OFFSET + name > h->cluster_size)
        return qed_fail(err, -EINVAL, "The backing file's name is %zu bytes long; the header has room for %zu", name,
                        (size_t)h->cluster_size - NAME_OFFSET < QED_MAX_BACKING_NAME_BYTES
                            ? (size_t)h->cluster_size - NAME_OFFSET
                            : (size_t)QED_MAX_BACKING_NAME_BYTES);
    if (name) {
        h->features = QED_F_BACKING_FILE | (o->backing_raw ? QED_F_BACKING_FORMAT_NO_PROBE : 0);
        h->backing_filename_offset = NAME_OFFSET;
        h->backing_filename_size = (uint32_t)name;
    }
    return 0;
}

static int write_zeros(struct blockdev *file, uint64_t offset, uint64_t bytes)
{
    size_t piece = bytes < (1u << 20) ? (size_t)bytes : 1u << 20;
    struct qed_pool *pool = qed_pool_create();
    uint8_t *zeros = pool ? qed_pool_get_zeroed(pool, piece) : NULL;
    int ret = zeros ? 0 : -ENOMEM;
    while (!ret && bytes) {
        size_t part = bytes < piece ? (size_t)bytes : piece;
        ret = qed_dev_write(file, file->loop, offset, zeros, part);
        offset += part;
        bytes -= part;
    }
    if (zeros)
        qed_pool_put_zeroed(pool, zeros, 0, 0);
    if (pool)
        qed_pool_destroy(pool);
    return ret;
}

int qed_create(struct blockdev *file, const struct qed_create_options *options, struct qed_error *err)
{
    struct qed_header h;
    int ret = check_create(options, &h, err);
    if (ret)
        return ret;
    if (!file->ops->resize)
        return qed_fail(err, -ENOTSUP, "QED images live in files that grow; this device has a fixed size");
    uint8_t head[BLK_SECTOR_BYTES + QED_MAX_BACKING_NAME_BYTES] = {0};
    qed_header_encode(&h, head);
    if (h.backing_filename_size)
        memcpy(head + NAME_OFFSET, options->backing_name, h.backing_filename_size);
    ret = file->ops->resize(file, 0);
    if (!ret)
        ret = qed_dev_write(file, file->loop, 0, head, whole_sectors(NAME_OFFSET + h.backing_filename_size));
    if (!ret)
        ret = write_zeros(file, h.l1_table_offset, (uint64_t)h.table_size * h.cluster_size);
    if (!ret)
        ret = qed_dev_flush(file, file->loop);
    return ret ? qed_fail(err, ret, "Failed to write the new image: %s", strerror(-ret)) : 0;
}

/* --- growing ------------------------------------------------------------------------------------------------------- */

int qed_truncate(struct qed *q, uint64_t image_bytes, struct qed_error *err)
{
    uint64_t old = q->header.image_size;
    if (q->read_only)
        return qed_fail(err, -EACCES, "The image is open read-only");
    if (image_bytes % BLK_SECTOR_BYTES || image_bytes > q->g.max_image_bytes)
        return qed_fail(err, -EINVAL, "QED image size must be a multiple of 512 of at most %" PRIu64 ", not %" PRIu64,
                        q->g.max_image_bytes, image_bytes);
    if (image_bytes < old)
        return qed_fail(err, -ENOTSUP, "QED images can only grow: %" PRIu64 " is less than %" PRIu64, image_bytes, old);
    if (q->backing.dev && q->backing.bytes > old && image_bytes > old)
        return qed_fail(err, -ENOTSUP,
                        "Growing would show the guest %" PRIu64
                        " bytes of the longer backing file; expected one no longer "
                        "than the image",
                        (q->backing.bytes < image_bytes ? q->backing.bytes : image_bytes) - old);
    /* The header's sector is read, changed and written: not while a request may be doing the same to set the mark. */
    int ret = qed_wait_for_requests(q);
    if (ret)
        return qed_fail(err, ret, "Failed to wait for the requests in flight: %s", strerror(-ret));
    q->header.image_size = image_bytes;
    ret = qed_header_write_sync(q);
    if (ret) {
        q->header.image_size = old;
        return qed_fail(err, ret, "Failed to update header: %s", strerror(-ret));
    }
    return 0;
}

/* --- the backing file's name --------------------------------------------------------------------------------------- */

static void describe_backing(struct qed_header *h, size_t name, bool raw)
{
    h->features &= ~(uint64_t)(QED_F_BACKING_FILE | QED_F_BACKING_FORMAT_NO_PROBE);
    if (name)
        h->features |= QED_F_BACKING_FILE | (raw ? QED_F_BACKING_FORMAT_NO_PROBE : 0);
    h->backing_filename_offset = NAME_OFFSET;
    h->backing_filename_size = (uint32_t)name;
}

/* Header and name in one write, so that no crash between two writes can leave a header that names half of each. */
static int write_header_and_name(struct qed *q, const struct qed_header *h, const char *name)
{
    uint8_t head[BLK_SECTOR_BYTES + QED_MAX_BACKING_NAME_BYTES];
    size_t bytes = whole_sectors(NAME_OFFSET + h->backing_filename_size);
    int ret = qed_read_sync(q, BLK_EVENT_HEADER_READ, 0, head, bytes);
    if (ret)
        return ret;
    qed_header_encode(h, head);
    if (h->backing_filename_size)
        memcpy(head + NAME_OFFSET, name, h->backing_filename_size);
    /* Ordering point "backing-name-flush": guest data that replaces what the backing file held, before its name goes. */
    if (qed_design_is(q->design, QED_FIELD_backing_name_flush, true))
        ret = qed_flush_sync(q);
    if (!ret)
        ret = qed_write_sync(q, BLK_EVENT_HEADER_UPDATE, 0, head, bytes);
    return ret ? ret : qed_flush_sync(q);
}

static uint64_t unknown_compat(const struct qed *q)
{
    uint64_t known = q->header.compat_features & QED_COMPAT_PHYS_SIZE;
    return known && qed_phys_size_in(q, QED_PHYS_SIZE_ANY) ? q->header.compat_features & ~known
                                                           : q->header.compat_features;
}

int qed_change_backing(struct qed *q, const char *name, bool raw, struct qed_error *err)
{
    size_t bytes = name ? strlen(name) : 0;
    if (q->read_only)
        return qed_fail(err, -EACCES, "The image is open read-only");
    uint64_t unknown = unknown_compat(q);
    if (bytes && unknown)
        return qed_fail(err, -ENOTSUP,
                        "Unknown compat features %" PRIx64 ": what follows the header is not ours to change", unknown);
    if (bytes > QED_MAX_BACKING_NAME_BYTES || NAME_OFFSET + bytes > q->g.header_bytes)
        return qed_fail(err, -ENOSPC, "The backing file's name is %zu bytes long, more than the header has room for",
                        bytes);
    if (NAME_OFFSET + bytes > QED_PHYS_SIZE_OFFSET && qed_phys_size_in(q, QED_PHYS_SIZE_ANY))
        return qed_fail(err, -ENOSPC,
                        "The backing file's name is %zu bytes long; up to %u leave room for the image's end", bytes,
                        QED_PHYS_SIZE_OFFSET - NAME_OFFSET);
    char *copy = NULL;
    if (bytes) {
        copy = qed_pool_get(q->pool, bytes + 1);
        if (!copy)
            return qed_fail(err, -ENOMEM, "Out of memory");
        memcpy(copy, name, bytes + 1);
    }
    int ret = qed_wait_for_requests(q); /* one of them may be writing the header */
    struct qed_header h = q->header;
    describe_backing(&h, bytes, raw);
    if (!ret)
        ret = write_header_and_name(q, &h, name);
    if (ret) {
        qed_pool_put(q->pool, copy);
        return qed_fail(err, ret, "Failed to update header: %s", strerror(-ret));
    }
    q->header = h;
    qed_pool_put(q->pool, q->backing_name);
    q->backing_name = copy;
    return 0;
}
