/* cmd_store.c: merge and diff: stores made of stores, and held against each other. */
#include <errno.h>
#include <string.h>

#include "harness/command_line.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/options.h"
#include "reports/compare.h"
#include "reports/merge.h"
#include "simdisk/xalloc.h"

static const char merge_doc[] = "The stores of a campaign's shards, as one store.\n\nExamples:\n"
                                "  qedcrash merge night.db part1.db part2.db part3.db\n"
                                "  qedcrash merge night.db parts/*.db\n"
                                "  qedcrash merge all-nights.db parts/*.db         (one more campaign in it)\n\v"
                                "All shards must be there once, finished, and of one version, seed, options and set of "
                                "cells. Exit status: 0 merged, "
                                "2 they do not fit (nothing is written), 3 I/O error.";

int cmd_merge(int argc, char **argv)
{
    struct options o;
    struct store_error err;
    bool help;
    char *command = command_line(argc, argv);
    int ret = options_parse(argc, argv, "OUT IN...", merge_doc, &o, &help);
    if (!ret && !help && o.argument_count < 2)
        ret = complain(argv[0], EXIT_USAGE, "takes a store to write and the stores of the shards");
    else if (!ret && !help) {
        ret = store_merge(o.arguments[0], (const char *const *)o.arguments + 1, (size_t)o.argument_count - 1, command,
                          &err);
        if (ret)
            ret = complain(argv[0], ret == -EINVAL || ret == -ENODATA || ret == -ENOENT ? EXIT_USAGE : EXIT_INTERNAL,
                           "%s", err.text);
    }
    options_free(&o);
    free(command);
    return ret;
}

static const char diff_doc[] =
    "New, fixed and still-open findings between two stores: of the newest campaign in each, of OLD the newest finished "
    "one.\n\nExamples:\n"
    "  qedcrash diff last-night.db night.db\n"
    "  qedcrash diff last-night.db night.db --json | jq .new\n"
    "  qedcrash diff all-nights.db all-nights.db       (the newest campaign in it with the one before)\n\v"
    "A finding is the same if its cell, class, guest cluster and missing order are. Exit status: 0 nothing new, 1 new "
    "findings, 2 usage, or one of them is no store, 3 I/O error.";

static int print_diff(struct store *s, const struct options *o, struct compare_counts *n, struct store_error *err)
{
    int ret = compare_with(s, o->arguments[0], err);
    if (!ret)
        ret = compare_count(s, n, err);
    if (!ret && o->json) {
        printf("{\"qedcrash\":\"" QEDCRASH_VERSION "\",\"diff\":");
        ret = compare_print_json(s, stdout, err);
        puts("}");
    } else if (!ret) {
        ret = compare_print(s, stdout, o->verbose, err);
    }
    if (!ret && (fflush(stdout) || ferror(stdout))) {
        snprintf(err->text, sizeof(err->text), "cannot write to standard output: %s", strerror(errno));
        return -EIO;
    }
    return ret;
}

static int diff(const struct options *o)
{
    struct store *s;
    struct store_error err, ignored;
    struct compare_counts n = {0};
    int ret = store_open(o->arguments[1], NULL, &s, &err);
    if (!ret) {
        ret = print_diff(s, o, &n, &err);
        store_close(s, &ignored);
    }
    if (ret)
        return complain("diff", ret == -EIO || ret == -ENOMEM || ret == -EBUSY ? EXIT_INTERNAL : EXIT_USAGE, "%s",
                        err.text);
    return n.fresh ? EXIT_FINDINGS : EXIT_CLEAN;
}

int cmd_diff(int argc, char **argv)
{
    struct options o;
    bool help;
    int ret = options_parse(argc, argv, "OLD NEW", diff_doc, &o, &help);
    if (!ret && !help)
        ret = o.argument_count == 2 ? diff(&o) : complain(argv[0], EXIT_USAGE, "takes two stores, the older one first");
    options_free(&o);
    return ret;
}
