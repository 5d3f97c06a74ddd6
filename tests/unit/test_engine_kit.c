/* test_engine_kit.c: see the header. */
#include "tests/unit/test_engine_kit.h"

static int host_open(struct qed_backing_host *host, const char *name, struct blockdev **dev, struct qed_error *err)
{
    struct kit_host *h = (struct kit_host *)host;

    h->opens++;
    for (size_t i = 0; i < h->count; i++) {
        if (strcmp(h->files[i].name, name) != 0)
            continue;
        if (h->files[i].error) {
            if (err)
                snprintf(err->text, sizeof(err->text), "planned");
            return -h->files[i].error;
        }
        *dev = &test_dev_clone(h->world, h->files[i].dev)->dev;
        return 0;
    }
    if (err)
        snprintf(err->text, sizeof(err->text), "no such file");
    return -ENOENT;
}

void kit_begin(struct kit *k, const char *design)
{
    memset(k, 0, sizeof(*k));
    k->world = test_world_create();
    k->file = test_dev_create(k->world, 0);
    k->design = *qed_design_find(design);
    k->host.host.open = host_open;
    k->host.world = k->world;
    k->options.design = &k->design;
    k->options.backing_host = &k->host.host;
}

void kit_end(struct kit *k)
{
    test_world_no_errors(k->world);
    if (k->q)
        kit_close(k);
    assert_int_equal(k->world->npending, 0);
    assert_int_equal(k->world->changed_buffers, 0);
    assert_null(k->world->timers);
    while (k->ops) {
        struct kit_op *next = k->ops->next;

        free(k->ops->buf);
        free(k->ops);
        k->ops = next;
    }
    for (size_t i = 0; i < k->host.count; i++)
        test_dev_destroy(k->host.files[i].dev);
    test_dev_destroy(k->file);
    test_world_destroy(k->world);
}

void kit_create(struct kit *k, uint64_t image_bytes, uint32_t cluster_bytes, uint32_t table_clusters,
                const char *backing)
{
    struct qed_create_options o = {
        .image_bytes = image_bytes,
        .cluster_bytes = cluster_bytes,
        .table_clusters = table_clusters,
        .backing_name = backing,
        .backing_raw = backing != NULL,
    };

    ok(qed_create(&k->file->dev, &o, &k->err));
}

struct test_dev *kit_backing(struct kit *k, const char *name, uint64_t length, uint8_t byte)
{
    struct test_dev *dev = test_dev_create(k->world, length);

    if (length)
        memset(dev->bytes, byte, length);
    k->host.files[k->host.count].name = name;
    k->host.files[k->host.count++].dev = dev;
    return dev;
}

int kit_try_open(struct kit *k)
{
    memset(&k->err, 0, sizeof(k->err));
    return qed_open(&k->file->dev, &k->options, &k->q, &k->err);
}

void kit_open(struct kit *k)
{
    int ret;

    k->options.read_only = false;
    ret = kit_try_open(k);
    if (ret)
        fail_msg("open: %d %s", ret, k->err.text);
    k->file->logged = true;
}

void kit_open_read_only(struct kit *k)
{
    k->options.read_only = true;
    ok(kit_try_open(k));
    k->file->logged = true;
}

void kit_close(struct kit *k)
{
    struct qed *q = k->q;

    k->q = NULL;
    ok(qed_close(q));
}

void kit_reopen(struct kit *k)
{
    kit_close(k);
    kit_open(k);
    kit_log_clear(k);
}

void kit_abandon(struct kit *k)
{
    qed_abandon(k->q);
    k->q = NULL;
    test_world_drop(k->world);
}

static struct kit_op *op_new(struct kit *k, size_t length)
{
    struct kit_op *op = calloc(1, sizeof(*op));

    assert_non_null(op);
    op->kit = k;
    op->length = length;
    op->buf = malloc(length ? length : 1);
    assert_non_null(op->buf);
    op->next = k->ops;
    k->ops = op;
    return op;
}

static void op_done(void *opaque, int ret)
{
    struct kit_op *op = opaque;

    assert_false(op->done);
    op->done = true;
    op->ret = ret;
    op->finished_as = ++op->kit->finished;
}

/* Three pieces, so that slicing is exercised. */
static int cut(struct kit_op *op, struct iovec iov[3])
{
    size_t third = op->length / 3 / BLK_SECTOR_BYTES * BLK_SECTOR_BYTES;
    int n = 0;

    if (third) {
        iov[n++] = (struct iovec){op->buf, third};
        iov[n++] = (struct iovec){op->buf + third, third};
    }
    iov[n++] = (struct iovec){op->buf + 2 * third, op->length - 2 * third};
    return n;
}

struct kit_op *kit_start_write(struct kit *k, uint64_t pos, size_t length, uint8_t byte)
{
    struct kit_op *op = op_new(k, length);
    struct iovec iov[3];

    memset(op->buf, byte, length);
    op->req = qed_writev(k->q, pos, iov, cut(op, iov), op_done, op);
    return op;
}

struct kit_op *kit_start_read(struct kit *k, uint64_t pos, size_t length)
{
    struct kit_op *op = op_new(k, length);
    struct iovec iov[3];

    memset(op->buf, 0xdb, length);
    op->req = qed_readv(k->q, pos, iov, cut(op, iov), op_done, op);
    return op;
}

struct kit_op *kit_start_zero(struct kit *k, uint64_t pos, uint64_t length)
{
    struct kit_op *op = op_new(k, 0);

    op->req = qed_write_zeroes(k->q, pos, length, op_done, op);
    return op;
}

struct kit_op *kit_start_discard(struct kit *k, uint64_t pos, uint64_t length)
{
    struct kit_op *op = op_new(k, 0);

    op->req = qed_discard(k->q, pos, length, op_done, op);
    return op;
}

struct kit_op *kit_start_flush(struct kit *k)
{
    struct kit_op *op = op_new(k, 0);

    op->req = qed_flush(k->q, op_done, op);
    return op;
}

int kit_wait(struct kit_op *op)
{
    struct blk_loop *loop = &op->kit->world->loop;

    while (!op->done) {
        if (!loop->ops->poll(loop))
            fail_msg("stuck: nothing is pending and the request has not finished");
    }
    return op->ret;
}

int kit_write(struct kit *k, uint64_t pos, size_t length, uint8_t byte)
{
    return kit_wait(kit_start_write(k, pos, length, byte));
}

int kit_read(struct kit *k, uint64_t pos, size_t length, uint8_t *into)
{
    struct kit_op *op = kit_start_read(k, pos, length);
    int ret = kit_wait(op);

    memcpy(into, op->buf, length);
    return ret;
}

int kit_zero(struct kit *k, uint64_t pos, uint64_t length)
{
    return kit_wait(kit_start_zero(k, pos, length));
}

int kit_discard(struct kit *k, uint64_t pos, uint64_t length)
{
    return kit_wait(kit_start_discard(k, pos, length));
}

int kit_flush(struct kit *k)
{
    return kit_wait(kit_start_flush(k));
}

void kit_expect_at(struct kit *k, uint64_t pos, size_t length, uint8_t byte, const char *file, int line)
{
    struct kit_op *op = kit_start_read(k, pos, length);
    int ret = kit_wait(op);

    _assert_int_equal((LargestIntegralType)ret, 0, file, line);
    for (size_t i = 0; i < length; i++) {
        if (op->buf[i] == byte)
            continue;
        print_error("guest byte %llx is %02x, not %02x\n", (unsigned long long)(pos + i), op->buf[i], byte);
        _fail(file, line);
    }
}

void kit_log_at(struct kit *k, const char *expected, const char *file, int line)
{
    if (strcmp(test_world_log(k->world), expected) != 0) {
        print_error("wrote    %s\nexpected %s\n", test_world_log(k->world), expected);
        _fail(file, line);
    }
    test_world_log_clear(k->world);
}

void kit_log_clear(struct kit *k)
{
    test_world_log_clear(k->world);
}

bool kit_marked(const struct kit *k)
{
    return test_dev_peek64(k->file, 16) & QED_F_NEED_CHECK;
}

void kit_check_is_at(struct kit *k, uint64_t corruptions, uint64_t leaks, const char *file, int line)
{
    struct qed_check_result r;

    ok(qed_check(k->q, false, &r));
    _assert_int_equal(r.corruptions, corruptions, file, line);
    _assert_int_equal(r.leaks, leaks, file, line);
    _assert_int_equal(r.check_errors, 0, file, line);
}
