/* img_info.c: `qedcrash img info`: what the header says. Read-only, and the backing file need not be there. */
#include <inttypes.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"
#include "harness/json_text.h"

static const char *backing_format(const struct qed_header *h)
{
    return h->features & QED_F_BACKING_FORMAT_NO_PROBE ? "raw" : "probed";
}

static void print_json(const struct img_args *args, const struct qed *q, uint64_t file_bytes)
{
    const struct qed_geometry *g = qed_get_geometry(q);
    const struct qed_header *h = qed_get_header(q);
    const char *backing = qed_backing_name(q);

    printf("{\"file\": ");
    json_string(stdout, args->file);
    printf(", \"format\": \"qed\", \"image_bytes\": %" PRIu64 ", \"file_bytes\": %" PRIu64
           ", \"cluster_bytes\": %" PRIu32 ", \"table_clusters\": %" PRIu32 ", \"table_entries\": %" PRIu64
           ", \"header_clusters\": %" PRIu32 ", \"l1_table_offset\": %" PRIu64 ", \"max_image_bytes\": %" PRIu64,
           h->image_size, file_bytes, g->cluster_bytes, g->table_clusters, g->table_entries, h->header_size,
           h->l1_table_offset, g->max_image_bytes);
    printf(", \"features\": %" PRIu64 ", \"compat_features\": %" PRIu64 ", \"autoclear_features\": %" PRIu64
           ", \"marked\": %s, \"backing\": ",
           h->features, h->compat_features, h->autoclear_features, qed_need_check(q) ? "true" : "false");
    json_string(stdout, backing);
    printf(", \"backing_format\": ");
    json_string(stdout, backing ? backing_format(h) : NULL);
    printf("}\n");
}

static void print_safely(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void print_text(const struct img_args *args, const struct qed *q, uint64_t file_bytes)
{
    const struct qed_geometry *g = qed_get_geometry(q);
    const struct qed_header *h = qed_get_header(q);
    const char *backing = qed_backing_name(q);

    printf("file:            ");
    print_safely(args->file);
    printf("\nformat:          qed\n"
           "image size:      %" PRIu64 " bytes\n"
           "file length:     %" PRIu64 " bytes\n"
           "cluster size:    %" PRIu32 " bytes\n"
           "table size:      %" PRIu32 " clusters, %" PRIu64 " entries\n"
           "header:          %" PRIu32 " clusters, L1 table at %" PRIu64 "\n"
           "largest image:   %" PRIu64 " bytes\n"
           "features:        0x%" PRIx64 " (compat 0x%" PRIx64 ", autoclear 0x%" PRIx64 ")\n"
           "marked:          %s\n",
           h->image_size, file_bytes, g->cluster_bytes, g->table_clusters, g->table_entries, h->header_size,
           h->l1_table_offset, g->max_image_bytes, h->features, h->compat_features, h->autoclear_features,
           qed_need_check(q) ? "yes (to be checked before it is written)" : "no");
    if (!backing)
        return;
    printf("backing file:    ");
    print_safely(backing);
    printf("\nbacking format:  %s\n", backing_format(h));
}

static int run(const struct img_args *args)
{
    struct img_image image;
    uint64_t file_bytes;
    int ret = img_open(args, IMG_READ_ONLY | IMG_NO_BACKING, &image);

    if (ret)
        return img_exit_code(ret);
    ret = image.dev->ops->length(image.dev, 1, &file_bytes);
    if (ret)
        img_error(args, "failed to get file length: %s", strerror(-ret));
    else if (args->json)
        print_json(args, image.q, file_bytes);
    else
        print_text(args, image.q, file_bytes);
    img_close(args, &image);
    return img_exit_code(ret);
}

static const struct argp_option options[] = {IMG_OPTION_JSON, IMG_OPTION_HELP, {0}};

static const char *const examples[] = {
    "qedcrash img info disk.qed",
    "qedcrash img info --json disk.qed",
    "qedcrash img info --json disk.qed | jq .marked",
    NULL,
};

const struct img_verb img_info_verb = {
    .name = "info",
    .run = run,
    .options = options,
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .what = "show geometry, sizes, features, backing file and mark\nNothing is written, and the backing file need not "
            "be there. Exits 0, or 2 and 3 for errors.",
    .examples = examples,
};
