/* img_io.c: `qedcrash img io`: qemu-io's commands on an image.
 *
 * Nothing is executed before everything has been looked at: the words, then each range against the image's size as the
 * commands before it leave it. Bad input never changes a file.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"
#include "simdisk/xalloc.h"

#define PIECE_BYTES (UINT64_C(16) << 20)

/* ---- before anything runs ---- */

static bool writes(enum img_io_op op)
{
    return op == IMG_IO_WRITE || op == IMG_IO_ZERO || op == IMG_IO_DISCARD || op == IMG_IO_TRUNCATE;
}

/* The backing file's bytes, 0 without one. 0 or an exit code. */
static int backing_bytes(const struct img_args *args, const struct qed *q, uint64_t *bytes)
{
    bool raw = qed_get_header(q)->features & QED_F_BACKING_FORMAT_NO_PROBE;
    struct qed_error err = {.text = ""};
    struct blockdev *dev;
    struct img_host host;
    int ret;

    *bytes = 0;
    if (!qed_backing_name(q))
        return 0;
    img_host_init(&host, args->file, NULL);
    ret = img_host_open_next(&host, qed_backing_name(q), raw, &dev, &err);
    if (!ret) {
        ret = img_host_measure(&host, dev, false, &raw, bytes, &err);
        dev->ops->close(dev);
    }
    if (ret)
        img_error(args, "%s", err.text);
    img_host_free(&host);
    return img_exit_code(ret);
}

static int review_truncate(const struct img_args *args, const struct img_io_command *c, const struct qed *q,
                           uint64_t *size)
{
    uint64_t most = qed_get_geometry(q)->max_image_bytes;

    if (c->length % BLK_SECTOR_BYTES || c->length > most) {
        img_error(args, "-c '%s': an image's size is a multiple of 512 of at most %" PRIu64, c->text, most);
        return EXIT_USAGE;
    }
    if (c->length < *size) {
        img_error(args, "-c '%s': QED images can only grow; expected at least %" PRIu64, c->text, *size);
        return EXIT_USAGE;
    }
    if (c->length > *size) {
        uint64_t below;
        int code = backing_bytes(args, q, &below);

        if (code)
            return code;
        if (below > *size) {
            img_error(args,
                      "-c '%s': growing would show the guest more of the backing file, which is %" PRIu64
                      " bytes long; expected one no longer than the image",
                      c->text, below);
            return EXIT_USAGE;
        }
    }
    *size = c->length;
    return 0;
}

static int review(const struct img_args *args, const struct img_io_command *commands, const struct qed *q)
{
    uint64_t size = qed_image_bytes(q);

    for (size_t i = 0; i < args->command_count; i++) {
        const struct img_io_command *c = &commands[i];
        int code = 0;

        if (args->read_only && writes(c->op)) {
            img_error(args, "-c '%s': writes, and -r asks for read-only; leave out one of them", c->text);
            code = EXIT_USAGE;
        } else if (c->op == IMG_IO_TRUNCATE) {
            code = review_truncate(args, c, q, &size);
        } else if (c->offset > size || c->length > size - c->offset) {
            img_error(args, "-c '%s': beyond the image's end; expected a range below %" PRIu64, c->text, size);
            code = EXIT_USAGE;
        }
        if (code)
            return code;
    }
    return 0;
}

/* ---- running ---- */

static void dump(uint64_t offset, const uint8_t *buf, size_t length)
{
    for (size_t at = 0; at < length; at += 16) {
        size_t n = length - at < 16 ? length - at : 16;

        printf("%08" PRIx64 ":  ", offset + at);
        for (size_t i = 0; i < 16; i++)
            i < n ? printf("%02x ", buf[at + i]) : printf("   ");
        putchar(' ');
        for (size_t i = 0; i < n; i++)
            putchar(buf[at + i] >= 0x20 && buf[at + i] < 0x7f ? buf[at + i] : '.');
        putchar('\n');
    }
}

/* Bytes that differ from the pattern; the first of them. */
struct mismatch {
    uint64_t count, offset;
    uint8_t found;
};

static void compare(struct mismatch *m, uint64_t offset, const uint8_t *buf, size_t length, uint8_t pattern)
{
    if (length == 0 || (buf[0] == pattern && memcmp(buf, buf + 1, length - 1) == 0))
        return;
    for (size_t i = 0; i < length; i++) {
        if (buf[i] == pattern)
            continue;
        if (m->count++ == 0) {
            m->offset = offset + i;
            m->found = buf[i];
        }
    }
}

static int run_read(const struct img_args *args, const struct img_io_command *c, struct qed *q, bool *mismatched)
{
    uint8_t *buf = xmalloc(c->length < PIECE_BYTES ? c->length : PIECE_BYTES);
    struct mismatch m = {0};
    int ret = 0;

    for (uint64_t done = 0, part; done < c->length && !ret; done += part) {
        part = c->length - done < PIECE_BYTES ? c->length - done : PIECE_BYTES;
        ret = img_guest_read(q, c->offset + done, buf, part);
        if (!ret && c->has_pattern)
            compare(&m, c->offset + done, buf, part, c->pattern);
        if (!ret && c->dump)
            dump(c->offset + done, buf, part);
    }
    free(buf);
    if (!ret && m.count) {
        *mismatched = true;
        img_error(args, "-c '%s': byte %" PRIu64 " is 0x%02x, expected 0x%02x; %" PRIu64 " of %" PRIu64 " bytes differ",
                  c->text, m.offset, m.found, c->pattern, m.count, c->length);
    }
    return ret;
}

static int run_truncate(const struct img_args *args, const struct img_io_command *c, struct qed *q)
{
    struct qed_error err = {.text = ""};
    int ret = qed_truncate(q, c->length, &err);

    if (ret)
        img_error(args, "-c '%s': %s", c->text, err.text);
    return ret;
}

static int run_one(const struct img_args *args, const struct img_io_command *c, struct qed *q, bool *mismatched)
{
    int ret = 0;

    switch (c->op) {
    case IMG_IO_WRITE:
        ret = img_guest_fill(q, c->offset, c->length, c->pattern);
        break;
    case IMG_IO_ZERO:
        ret = img_guest_zero(q, c->offset, c->length);
        break;
    case IMG_IO_READ:
        ret = run_read(args, c, q, mismatched);
        break;
    case IMG_IO_FLUSH:
        ret = img_guest_flush(q);
        break;
    case IMG_IO_DISCARD:
        ret = img_guest_discard(q, c->offset, c->length);
        break;
    case IMG_IO_TRUNCATE:
        return run_truncate(args, c, q); /* has spoken for itself */
    case IMG_IO_LENGTH:
        break;
    }
    if (ret)
        img_error(args, "-c '%s': %s", c->text,
                  ret == -EINVAL
                      ? "a table entry on the way points to no cluster of this file; see `qedcrash img check`"
                      : strerror(-ret));
    return ret;
}

static void report(const struct img_io_command *c, const struct qed *q)
{
    static const char *const done[] = {
        [IMG_IO_WRITE] = "wrote", [IMG_IO_ZERO] = "zeroed", [IMG_IO_READ] = "read", [IMG_IO_DISCARD] = "discarded"};

    switch (c->op) {
    case IMG_IO_WRITE:
    case IMG_IO_ZERO:
    case IMG_IO_READ:
    case IMG_IO_DISCARD:
        printf("%s %" PRIu64 " bytes at offset %" PRIu64 "\n", done[c->op], c->length, c->offset);
        break;
    case IMG_IO_FLUSH:
        puts("flushed");
        break;
    case IMG_IO_TRUNCATE:
    case IMG_IO_LENGTH:
        printf("%" PRIu64 "\n", qed_image_bytes(q));
        break;
    }
}

/* Stops at an I/O error; a pattern that does not match is told and the rest still runs, as in qemu-io. */
static int run_all(const struct img_args *args, const struct img_io_command *commands, struct qed *q)
{
    bool mismatched = false;

    for (size_t i = 0; i < args->command_count; i++) {
        int ret = run_one(args, &commands[i], q, &mismatched);

        if (ret)
            return img_exit_code(ret);
        if (!args->quiet)
            report(&commands[i], q);
    }
    return mismatched ? EXIT_FINDINGS : EXIT_CLEAN;
}

/* Exit code. Two opens of one locked file: the first only to see how large the image is. */
static int open_and_run(const struct img_args *args, const struct img_io_command *commands, struct img_image *image)
{
    int ret = img_open_engine(args, IMG_READ_ONLY | IMG_NO_BACKING, image);
    int code;

    if (ret)
        return img_exit_code(ret);
    code = review(args, commands, image->q);
    qed_abandon(image->q);
    image->q = NULL;
    if (code)
        return code;
    ret = img_open_engine(args, args->read_only ? IMG_READ_ONLY : 0, image);
    return ret ? img_exit_code(ret) : run_all(args, commands, image->q);
}

static int run(const struct img_args *args)
{
    struct img_io_command *commands;
    struct img_image image;
    int code, ret;

    if (args->command_count == 0) {
        img_error(args, "no command given; expected at least one, such as -c 'read 0 4k'");
        return EXIT_USAGE;
    }
    code = img_io_parse(args, &commands);
    if (code)
        return code;
    ret = img_open_file(args, args->read_only, &image);
    if (ret) {
        code = img_exit_code(ret);
    } else {
        code = open_and_run(args, commands, &image);
        ret = img_close(args, &image);
        code = code ? code : img_exit_code(ret);
    }
    free(commands);
    return code;
}

static const struct argp_option options[] = {
    {"command", 'c', "COMMAND", 0, "a command; may be given more than once", 0},
    {"read-only", 'r', NULL, 0, "open read-only: nothing is written, not even a repair", 0},
    {"quiet", 'q', NULL, 0, "print nothing but errors and dumps", 0},
    IMG_OPTION_DESIGN,
    IMG_OPTION_HELP,
    {0},
};

static const char *const examples[] = {
    "qedcrash img io disk.qed -c 'write -P 0x11 4k 4k' -c 'read -P 0x11 4k 4k' -c flush",
    "qedcrash img io -r disk.qed -c 'read -v 0 512'",
    "qedcrash img io disk.qed -c 'write -z 8k 4k' -c 'discard 0 4k' -c 'truncate 2M' -c length",
    NULL,
};

const struct img_verb img_io_verb = {
    .name = "io",
    .run = run,
    .options = options,
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .what =
        "read and write with qemu-io's commands\nwrite [-P PATTERN] OFFSET LENGTH, write -z OFFSET LENGTH, read [-P "
        "PATTERN] [-v] OFFSET LENGTH, flush, discard OFFSET LENGTH, truncate LENGTH, length. All are checked before "
        "the first one runs. Exits 0; 1 if a pattern did not match; 2 and 3 for errors.",
    .examples = examples,
};
