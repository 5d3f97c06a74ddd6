/* img_convert.c: `qedcrash img convert`: what the guest sees, as a plain file. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"
#include "simdisk/xalloc.h"

#define PIECE_BYTES (UINT64_C(1) << 20)
#define PAGE        4096u

static void write_done(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static int write_out(struct blockdev *out, uint64_t offset, uint8_t *buf, size_t length)
{
    struct iovec iov = {.iov_base = buf, .iov_len = length};
    int ret = -EIO;

    out->ops->writev(out, offset, &iov, 1, write_done, &ret);
    return ret;
}

static bool is_zero(const uint8_t *buf, size_t length)
{
    return length == 0 || (buf[0] == 0 && memcmp(buf, buf + 1, length - 1) == 0);
}

/* Pages of zeros stay holes. */
static int write_sparse(struct blockdev *out, uint64_t offset, uint8_t *buf, size_t length)
{
    int ret = 0;

    for (size_t at = 0, next; at < length && !ret; at = next) {
        bool zero = is_zero(buf + at, length - at < PAGE ? length - at : PAGE);

        for (next = at; next < length; next += length - next < PAGE ? length - next : PAGE)
            if (is_zero(buf + next, length - next < PAGE ? length - next : PAGE) != zero)
                break;
        if (!zero)
            ret = write_out(out, offset + at, buf + at, next - at);
    }
    return ret;
}

/* Ranges that certainly read as zeros are not read. */
static int next_range(const struct img_args *args, struct qed *q, uint64_t pos, uint64_t *length, bool *zero)
{
    enum qed_map_kind kind;
    uint64_t offset;
    int ret = qed_map(q, pos, qed_image_bytes(q) - pos, &kind, &offset, length);

    *zero = !ret && (kind == QED_MAP_ZERO || (kind == QED_MAP_UNALLOCATED && !qed_backing_name(q)));
    if (ret)
        img_error(args, "the table entry for guest byte %" PRIu64 " cannot be used: %s; see `qedcrash img check`", pos,
                  ret == -EINVAL ? "it points to no cluster of this file" : strerror(-ret));
    return ret;
}

static int copy(const struct img_args *args, struct qed *q, struct blockdev *out)
{
    uint64_t end = qed_image_bytes(q), length;
    uint8_t *buf = xmalloc(PIECE_BYTES);
    int ret = out->ops->resize ? out->ops->resize(out, 0) : -ENOTSUP;
    bool zero;

    if (!ret)
        ret = out->ops->resize(out, end);
    if (ret)
        img_error(args, "'%s' cannot be made %" PRIu64 " bytes long: %s", args->operand, end, strerror(-ret));
    for (uint64_t pos = 0; pos < end && !ret; pos += length) {
        ret = next_range(args, q, pos, &length, &zero);
        if (ret || zero)
            continue;
        length = length < PIECE_BYTES ? length : PIECE_BYTES;
        ret = img_guest_read(q, pos, buf, length);
        if (ret) {
            img_error(args, "reading at %" PRIu64 " failed: %s", pos, strerror(-ret));
            break;
        }
        ret = write_sparse(out, pos, buf, length);
        if (ret)
            img_error(args, "writing '%s' at %" PRIu64 " failed: %s", args->operand, pos, strerror(-ret));
    }
    free(buf);
    return ret;
}

static int run(const struct img_args *args)
{
    struct img_target target;
    struct img_image image;
    int ret = img_open(args, IMG_READ_ONLY, &image);

    if (ret)
        return img_exit_code(ret);
    if (img_host_has(&image.host, args->operand)) {
        img_error(args, "'%s' is the image or one of its backing files; expected another file", args->operand);
        img_close(args, &image);
        return EXIT_USAGE;
    }
    ret = img_target_open(args, args->operand, &target);
    if (!ret) {
        ret = copy(args, image.q, target.dev);
        img_target_close(&target, ret == 0);
    }
    img_close(args, &image);
    return img_exit_code(ret);
}

static const struct argp_option options[] = {IMG_OPTION_FORCE, IMG_OPTION_HELP, {0}};

static const char *const examples[] = {
    "qedcrash img convert disk.qed disk.raw",
    "qedcrash img convert --force disk.qed old.raw",
    "qedcrash img convert overlay.qed all.raw",
    NULL,
};

const struct img_verb img_convert_verb = {
    .name = "convert",
    .run = run,
    .options = options,
    .operands = "FILE OUT",
    .min_operands = 2,
    .max_operands = 2,
    .what =
        "write what the guest sees to the plain file OUT\nBacking files included; zeros stay holes. Exits 0, or 2 and "
        "3 for errors.",
    .examples = examples,
};
