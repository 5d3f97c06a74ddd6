/* img_map.c: `qedcrash img map`: where the guest's bytes are. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"
#include "harness/json_text.h"

struct range {
    uint64_t start, length, offset;
    enum qed_map_kind kind;
};

static const char *kind_word(enum qed_map_kind kind)
{
    switch (kind) {
    case QED_MAP_UNALLOCATED:
        return "unallocated";
    case QED_MAP_ZERO:
        return "zero";
    case QED_MAP_DATA:
        return "data";
    }
    return "?";
}

static bool continues(const struct range *a, const struct range *b)
{
    return a->kind == b->kind && (a->kind != QED_MAP_DATA || a->offset + a->length == b->offset);
}

static void print_range(const struct range *r, bool json, bool first)
{
    if (json)
        printf("%s\n    {\"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"kind\": \"%s\"", first ? "" : ",", r->start,
               r->length, kind_word(r->kind));
    else
        printf("%-20" PRIu64 " %-20" PRIu64 " %-11s", r->start, r->length, kind_word(r->kind));
    if (r->kind != QED_MAP_DATA)
        fputs(json ? "}" : " -\n", stdout);
    else if (json)
        printf(", \"offset\": %" PRIu64 "}", r->offset);
    else
        printf(" %" PRIu64 "\n", r->offset);
}

static int print_ranges(const struct img_args *args, struct qed *q)
{
    uint64_t end = qed_image_bytes(q);
    struct range run = {0}, next;
    bool first = true;

    for (next.start = 0; next.start < end; next.start += next.length) {
        int ret = qed_map(q, next.start, end - next.start, &next.kind, &next.offset, &next.length);

        if (ret) {
            img_error(args, "the table entry for guest byte %" PRIu64 " cannot be used: %s; see `qedcrash img check`",
                      next.start, ret == -EINVAL ? "it points to no cluster of this file" : strerror(-ret));
            return ret;
        }
        if (run.length && continues(&run, &next)) {
            run.length += next.length;
            continue;
        }
        if (run.length) {
            print_range(&run, args->json, first);
            first = false;
        }
        run = next;
    }
    if (run.length)
        print_range(&run, args->json, first);
    return 0;
}

static int run(const struct img_args *args)
{
    struct img_image image;
    int ret = img_open(args, IMG_READ_ONLY | IMG_NO_BACKING, &image);

    if (ret)
        return img_exit_code(ret);
    if (args->json) {
        printf("{\"file\": ");
        json_string(stdout, args->file);
        printf(", \"ranges\": [");
    } else {
        printf("%-20s %-20s %-11s %s\n", "start", "length", "kind", "offset");
    }
    ret = print_ranges(args, image.q);
    if (args->json)
        printf("]}\n");
    img_close(args, &image);
    return img_exit_code(ret);
}

static const struct argp_option options[] = {IMG_OPTION_JSON, IMG_OPTION_HELP, {0}};

static const char *const examples[] = {
    "qedcrash img map disk.qed",
    "qedcrash img map --json disk.qed",
    "qedcrash img map disk.qed | awk '$3 == \"data\" { bytes += $2 } END { print bytes }'",
    NULL,
};

const struct img_verb img_map_verb = {
    .name = "map",
    .run = run,
    .options = options,
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .what =
        "show where the guest's bytes are in the file\nOne range a line: start, length, data|zero|unallocated, offset "
        "in the file. Unallocated bytes read from the backing file, or as zeros. Exits 0, or 2 and 3 for errors.",
    .examples = examples,
};
