/* cmd_report.c: report: what a store says, as files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/options.h"
#include "reports/report.h"

static const char report_doc[] =
    "What a store says, as files: index.html (one page; works from the disk, without network), junit.xml, "
    "summary.md.\n\nExamples:\n"
    "  qedcrash matrix --store night.db; qedcrash report night.db -o report\n"
    "  qedcrash report night.db -o report && xdg-open report/index.html\n"
    "  GITHUB_ACTIONS=true qedcrash report night.db -o report    (annotations too)\n\v"
    "The newest campaign of the store is reported; the trend goes over all. Where GITHUB_ACTIONS is set, what was not "
    "expected is printed as annotations. Exit status: 0 the files are written, whatever they say; 2 usage, or no such "
    "store; 3 I/O error.";

static const struct {
    const char *name;
    int (*write)(struct store *s, FILE *out, struct store_error *err);
} files[] = {{"index.html", report_html}, {"junit.xml", report_junit}, {"summary.md", report_markdown}};

static int cannot(const char *what, const char *path, int why)
{
    return complain("report", EXIT_INTERNAL, "cannot %s %s: %s", what, path, strerror(why));
}

/* Whole, or not at all: a reader never sees half a file. */
static int write_file(struct store *s, const char *directory, size_t which)
{
    struct store_error err = {""};
    char *path = NULL, *final = NULL;
    int code = 0;
    if (asprintf(&final, "%s/%s", directory, files[which].name) < 0 || asprintf(&path, "%s.new", final) < 0)
        return complain("report", EXIT_INTERNAL, "out of memory");
    FILE *out = fopen(path, "w");
    if (!out)
        code = cannot("write", path, errno);
    else if (files[which].write(s, out, &err))
        code = complain("report", EXIT_INTERNAL, "%s", err.text);
    if (out && fclose(out) && !code)
        code = cannot("write", path, errno);
    if (!code && rename(path, final))
        code = cannot("write", final, errno);
    if (code && out)
        remove(path);
    free(path);
    free(final);
    return code;
}

static int report(const struct options *o)
{
    struct store *s;
    struct store_error err = {""};
    int ret = store_open(o->arguments[0], NULL, &s, &err);
    if (ret)
        return complain("report",
                        ret == -ENOENT || ret == -EINVAL || ret == -ENOTSUP || ret == -ENODATA ? EXIT_USAGE
                                                                                               : EXIT_INTERNAL,
                        "%s", err.text);
    int code = mkdir(o->output, 0777) && errno != EEXIST ? cannot("make the directory", o->output, errno) : 0;
    for (size_t i = 0; !code && i < sizeof(files) / sizeof(files[0]); i++)
        code = write_file(s, o->output, i);
    if (!code && getenv("GITHUB_ACTIONS") && report_github(s, stdout, &err))
        code = complain("report", EXIT_INTERNAL, "%s", err.text);
    if (!code && !o->quiet)
        printf("%s/index.html\n", o->output);
    store_close(s, &err);
    return code;
}

int cmd_report(int argc, char **argv)
{
    struct options o;
    bool help;
    int ret = options_parse(argc, argv, "STORE -o DIR", report_doc, &o, &help);
    if (ret || help)
        return ret;
    if (o.argument_count != 1 || !o.output)
        ret = complain("report", EXIT_USAGE, "takes a store and a directory: qedcrash report STORE -o DIR");
    else
        ret = report(&o);
    options_free(&o);
    return ret;
}
