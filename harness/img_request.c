/* img_request.c: guest requests of any byte range that wait for their end. The engine takes whole sectors; the sectors
 * at both ends of an odd range are read, patched and written back here, as QEMU's block layer does above its driver.
 */
#include <errno.h>
#include <string.h>

#include "harness/img.h"
#include "simdisk/xalloc.h"

#define SECTOR           BLK_SECTOR_BYTES
#define PIECE_BYTES      (UINT64_C(16) << 20)
#define ZERO_PIECE_BYTES (UINT64_C(1) << 30)

struct wait {
    bool done;
    int ret;
};

static void wait_done(void *opaque, int ret)
{
    struct wait *w = opaque;

    w->done = true;
    w->ret = ret;
}

/* Real files complete inline, so the request is over when the engine returns. */
static int result(const struct wait *w)
{
    return w->done ? w->ret : -EDEADLK;
}

static uint64_t round_down(uint64_t value, uint64_t unit)
{
    return value / unit * unit;
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return round_down(value + unit - 1, unit);
}

/* Where the piece that starts at pos ends. */
static uint64_t piece_end(uint64_t pos, uint64_t end, uint64_t piece_bytes)
{
    uint64_t next = round_down(pos, piece_bytes) + piece_bytes;

    return next < end ? next : end;
}

static int read_sectors(struct qed *q, uint64_t offset, void *buf, size_t length)
{
    struct iovec iov = {.iov_base = buf, .iov_len = length};
    struct wait w = {0};

    qed_readv(q, offset, &iov, 1, wait_done, &w);
    return result(&w);
}

static int write_sectors(struct qed *q, uint64_t offset, void *buf, size_t length)
{
    struct iovec iov = {.iov_base = buf, .iov_len = length};
    struct wait w = {0};

    qed_writev(q, offset, &iov, 1, wait_done, &w);
    return result(&w);
}

int img_guest_read(struct qed *q, uint64_t offset, void *buf, size_t length)
{
    uint64_t from = round_down(offset, SECTOR), to = round_up(offset + length, SECTOR);
    uint8_t *whole;
    int ret;

    if (from == offset && to == offset + length)
        return length ? read_sectors(q, offset, buf, length) : 0;
    whole = xmalloc(to - from);
    ret = read_sectors(q, from, whole, to - from);
    if (!ret)
        memcpy(buf, whole + (offset - from), length);
    free(whole);
    return ret;
}

/* One piece; buf has room for it rounded out to sectors. */
static int fill_piece(struct qed *q, uint64_t offset, uint64_t end, uint8_t pattern, uint8_t *buf)
{
    uint64_t from = round_down(offset, SECTOR), to = round_up(end, SECTOR);
    bool patch_head = from != offset, patch_tail = to != end;
    int ret = 0;

    if (patch_head)
        ret = read_sectors(q, from, buf, SECTOR);
    if (!ret && patch_tail && !(patch_head && to - from == SECTOR))
        ret = read_sectors(q, to - SECTOR, buf + (to - SECTOR - from), SECTOR);
    if (ret)
        return ret;
    memset(buf + (offset - from), pattern, end - offset);
    return write_sectors(q, from, buf, to - from);
}

int img_guest_fill(struct qed *q, uint64_t offset, uint64_t length, uint8_t pattern)
{
    uint64_t end = offset + length;
    uint64_t room = length < PIECE_BYTES ? length : PIECE_BYTES;
    uint8_t *buf = xmalloc(room + 2 * SECTOR);
    int ret = 0;

    for (uint64_t next; offset < end && !ret; offset = next) {
        next = piece_end(offset, end, PIECE_BYTES);
        ret = fill_piece(q, offset, next, pattern, buf);
    }
    free(buf);
    return ret;
}

int img_guest_zero(struct qed *q, uint64_t offset, uint64_t length)
{
    uint64_t end = offset + length;
    uint64_t from = round_up(offset, SECTOR), to = round_down(end, SECTOR);
    int ret = 0;

    if (from > to)
        return img_guest_fill(q, offset, length, 0);
    if (offset < from)
        ret = img_guest_fill(q, offset, from - offset, 0);
    for (uint64_t next; from < to && !ret; from = next) {
        struct wait w = {0};

        next = piece_end(from, to, ZERO_PIECE_BYTES);
        qed_write_zeroes(q, from, next - from, wait_done, &w);
        ret = result(&w);
    }
    if (!ret && to < end)
        ret = img_guest_fill(q, to, end - to, 0);
    return ret;
}

int img_guest_discard(struct qed *q, uint64_t offset, uint64_t length)
{
    uint64_t from = round_up(offset, SECTOR), to = round_down(offset + length, SECTOR);
    struct wait w = {0};

    if (from >= to)
        return 0; /* a hint about less than a sector */
    qed_discard(q, from, to - from, wait_done, &w);
    return result(&w);
}

int img_guest_flush(struct qed *q)
{
    struct wait w = {0};

    qed_flush(q, wait_done, &w);
    return result(&w);
}
