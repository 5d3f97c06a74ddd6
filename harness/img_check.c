/* img_check.c: `qedcrash img check`, which exits as `qemu-img check` does. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"
#include "harness/json_text.h"

enum { CHECK_CLEAN = 0, CHECK_FAILED = 1, CHECK_CORRUPT = 2, CHECK_LEAKS = 3 };

/* What there is to say. */
struct finding {
    struct qed_check_result left;
    uint64_t fixed;
    bool marked; /* after all */
    uint64_t file_bytes;
};

static int exit_code(const struct finding *f)
{
    return f->left.check_errors  ? CHECK_FAILED
           : f->left.corruptions ? CHECK_CORRUPT
           : f->left.leaks       ? CHECK_LEAKS
                                 : CHECK_CLEAN;
}

static void print_json(const struct img_args *args, const struct finding *f)
{
    static const char *const words[] = {"clean", "failed", "corrupt", "leaks"};

    printf("{\"file\": ");
    json_string(stdout, args->file);
    printf(", \"result\": \"%s\", \"corruptions\": %" PRIu64 ", \"corruptions_fixed\": %" PRIu64 ", \"leaks\": %" PRIu64
           ", \"check_errors\": %" PRIu64,
           words[exit_code(f)], f->left.corruptions, f->fixed, f->left.leaks, f->left.check_errors);
    printf(", \"allocated_clusters\": %" PRIu64 ", \"fragmented_clusters\": %" PRIu64 ", \"total_clusters\": %" PRIu64
           ", \"marked\": %s, \"file_bytes\": %" PRIu64 "}\n",
           f->left.allocated_clusters, f->left.fragmented_clusters, f->left.total_clusters,
           f->marked ? "true" : "false", f->file_bytes);
}

static void print_text(const struct img_args *args, const struct finding *f)
{
    const struct qed_check_result *r = &f->left;

    if (f->fixed)
        printf("%" PRIu64 " corruptions fixed\n", f->fixed);
    if (r->corruptions)
        printf("%" PRIu64 " corruptions: data may be lost, and writing may lose more%s\n", r->corruptions,
               args->repair ? "; what is left cannot be repaired: copy what reads well with `qedcrash img convert`"
                            : "; `qedcrash img check -r` repairs what can be repaired");
    if (r->leaks)
        printf("%" PRIu64 " leaked clusters: space is wasted, nothing else\n", r->leaks);
    if (r->check_errors)
        printf("%" PRIu64 " errors kept the check from being complete\n", r->check_errors);
    if (exit_code(f) == CHECK_CLEAN)
        printf("clean\n");
    if (f->marked)
        printf("marked: to be checked before it is written\n");
    printf("%" PRIu64 " of %" PRIu64 " clusters allocated, %" PRIu64 " fragmented\n", r->allocated_clusters,
           r->total_clusters, r->fragmented_clusters);
}

/* One pass; an I/O error inside is in the result as well. */
static int pass(const struct img_args *args, struct qed *q, bool fix, struct qed_check_result *result)
{
    int ret = qed_check(q, fix, result);

    if (ret)
        img_error(args, "the check could not finish: %s", strerror(-ret));
    return ret;
}

/* Repairs, then looks again. */
static int repair(const struct img_args *args, struct qed *q, struct finding *f)
{
    struct qed_check_result first;
    int ret = pass(args, q, true, &first);

    f->fixed = first.corruptions_fixed;
    if (!ret)
        ret = pass(args, q, false, &f->left);
    return ret;
}

/* Closing for good would clear the mark. What is still broken keeps it. */
static int leave_marked(const struct img_args *args, struct img_image *image)
{
    int ret = img_guest_flush(image->q);

    if (ret)
        img_error(args, "flushing the repair failed: %s", strerror(-ret));
    qed_abandon(image->q);
    image->q = NULL;
    return ret;
}

static int run(const struct img_args *args)
{
    struct finding f = {.fixed = 0};
    struct img_image image;
    int ret, closed;

    ret = img_open(args, IMG_NO_BACKING | (args->repair ? IMG_CHECK_MODE : IMG_READ_ONLY), &image);
    if (ret)
        return CHECK_FAILED;
    ret = args->repair ? repair(args, image.q, &f) : pass(args, image.q, false, &f.left);
    f.marked = qed_need_check(image.q);
    closed = args->repair && f.marked ? leave_marked(args, &image) : 0;
    if (!ret && !closed)
        ret = image.dev->ops->length(image.dev, 1, &f.file_bytes);
    if (img_close(args, &image) || closed || ret)
        return CHECK_FAILED;
    if (args->json)
        print_json(args, &f);
    else
        print_text(args, &f);
    return exit_code(&f);
}

static const struct argp_option options[] = {
    {"repair", 'r', NULL, 0, "clear invalid entries, and the mark once all is well", 0},
    IMG_OPTION_DESIGN,
    IMG_OPTION_JSON,
    IMG_OPTION_HELP,
    {0},
};

static const char *const examples[] = {
    "qedcrash img check disk.qed",
    "qedcrash img check --json disk.qed",
    "qedcrash img check --repair disk.qed",
    NULL,
};

const struct img_verb img_check_verb = {
    .name = "check",
    .run = run,
    .options = options,
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .what =
        "look for corruption and leaks\nNothing is written without --repair. Exits as qemu-img check does: 0 clean, "
        "2 corrupt, 3 leaks only, 1 could not check.",
    .examples = examples,
};
