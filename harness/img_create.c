/* img_create.c: `qedcrash img create`: an empty image. All that can be wrong is found before a byte is written. */
#include <errno.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"
#include "scenarios/scenario.h"

/* What the image will stand on. */
struct base {
    uint64_t bytes;
    bool raw;
};

static int open_base(const struct img_args *args, struct base *base)
{
    struct qed_error err = {.text = ""};
    struct blockdev *dev;
    struct img_host host;
    int ret;

    img_host_init(&host, args->file, NULL);
    ret = img_host_open_next(&host, args->backing, args->backing_format == IMG_FORMAT_RAW, &dev, &err);
    if (ret) {
        img_error(args, "%s", err.text);
    } else {
        base->raw = args->backing_format == IMG_FORMAT_RAW;
        ret = img_host_measure(&host, dev, args->backing_format == IMG_FORMAT_QED, &base->raw, &base->bytes, &err);
        if (ret)
            img_error(args, "backing file '%s': %s", args->backing, err.text[0] ? err.text : strerror(-ret));
        dev->ops->close(dev);
    }
    img_host_free(&host);
    return ret;
}

/* 0, or an exit code. */
static int choose_size(const struct img_args *args, const struct base *base, uint64_t *bytes)
{
    if (args->operand) {
        if (scn_parse_size(args->operand, strlen(args->operand), bytes))
            return 0;
        img_error(args, "'%s' is no size; expected a number such as 512, 64K or 1G", args->operand);
        return EXIT_USAGE;
    }
    if (!args->backing) {
        img_error(args,
                  "no size given; expected: qedcrash img create [OPTION...] FILE SIZE (or --backing, for its size)");
        return EXIT_USAGE;
    }
    *bytes = base->bytes;
    return 0;
}

static int create(const struct img_args *args, const struct base *base, uint64_t bytes)
{
    struct qed_create_options options = {
        .image_bytes = bytes,
        .cluster_bytes = args->cluster_bytes,
        .table_clusters = args->table_clusters,
        .backing_name = args->backing,
        .backing_raw = base->raw,
    };
    struct qed_error err = {.text = ""};
    struct img_target target;
    int ret = img_target_open(args, args->file, &target);

    if (ret)
        return img_exit_code(ret);
    ret = qed_create(target.dev, &options, &err);
    if (ret)
        img_error(args, "%s", err.text);
    img_target_close(&target, ret == 0);
    return img_exit_code(ret);
}

static int run(const struct img_args *args)
{
    struct base base = {0};
    uint64_t bytes = 0;
    int code;

    if (args->backing && !args->backing[0]) {
        img_error(args, "an empty backing file name; expected a file");
        return EXIT_USAGE;
    }
    if (args->backing_format != IMG_FORMAT_PROBE && !args->backing) {
        img_error(args, "--backing-format without --backing; name the backing file, or leave its format out");
        return EXIT_USAGE;
    }
    if (args->backing) {
        int ret = open_base(args, &base);

        if (ret)
            return img_exit_code(ret);
    }
    code = choose_size(args, &base, &bytes);
    return code ? code : create(args, &base, bytes);
}

static const struct argp_option options[] = {
    {"cluster", IMG_KEY_CLUSTER, "SIZE", 0, "bytes of a cluster, a power of two from 4K to 64M (default: 64K)", 0},
    {"table", IMG_KEY_TABLE, "N", 0, "clusters of a table, a power of two from 1 to 16 (default: 4)", 0},
    {"backing", 'b', "FILE", 0, "what is not written reads from FILE; a relative name starts at the image", 0},
    {"backing-format", IMG_KEY_BACKING_FORMAT, "raw|qed", 0, "FILE's format (default: looked at once, now)", 0},
    IMG_OPTION_FORCE,
    IMG_OPTION_HELP,
    {0},
};

static const char *const examples[] = {
    "qedcrash img create disk.qed 1G",
    "qedcrash img create small.qed 8M --cluster 4K --table 2",
    "qedcrash img create overlay.qed --backing base.raw --backing-format raw",
    NULL,
};

const struct img_verb img_create_verb = {
    .name = "create",
    .run = run,
    .options = options,
    .operands = "FILE [SIZE]",
    .min_operands = 1,
    .max_operands = 2,
    .what = "make an empty image\nWithout SIZE it is as large as its backing file. Exits 0, or 2 and 3 for errors.",
    .examples = examples,
};
