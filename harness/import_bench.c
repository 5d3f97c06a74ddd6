/* import_bench.c: see import_bench.h. */
#include "harness/import_bench.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/import_text.h"
#include "reports/store.h"
#include "simdisk/xalloc.h"

#define LINE_BYTES 1024

static const struct {
    const char *word, *tool;
} tools[] = {{"lib", "libFuzzer"}, {"afl", "AFL++"}, {"gen", "generator"}};

struct runs {
    const char *path;
    unsigned line;
    struct store_fuzz_run *items; /* each owns its design */
    size_t count, cap;
};

static bool take_seconds(const char *word, double *value)
{
    char *end;
    *value = strtod(word, &end);
    return end != word && !*end && isfinite(*value) && *value >= 0;
}

static const char *find_tool(const char *word)
{
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        if (!strcmp(word, tools[i].word))
            return tools[i].tool;
    return NULL;
}

static int take_line(struct runs *r, char *line)
{
    char *words[8];
    unsigned count = 0;
    struct store_fuzz_run run;
    uint64_t found;
    line[strcspn(line, "\n")] = 0;
    for (char *rest = line; rest && count < 8; count++)
        words[count] = strsep(&rest, "\t");
    if (count < 6 || count > 7 || !*words[0])
        return import_complain(r->path, r->line,
                               "expected: design, tool, seed, found, CPU seconds, executions and, of the generator, "
                               "workloads, with tabs between");
    run = (struct store_fuzz_run){.tool = find_tool(words[1]), .has_workloads = count == 7};
    if (!run.tool)
        return import_complain(r->path, r->line, "the tool is none of lib, afl and gen");
    if (run.has_workloads && strcmp(words[1], "gen") != 0)
        return import_complain(r->path, r->line, "only the generator has workloads");
    if (!import_number(words[2], INT64_MAX, &run.seed) || !import_number(words[3], INT64_MAX, &found) || found > 1 ||
        !take_seconds(words[4], &run.cpu_seconds) || !import_number(words[5], INT64_MAX, &run.executions) ||
        (run.has_workloads && !import_number(words[6], INT64_MAX, &run.workloads)))
        return import_complain(r->path, r->line,
                               "seed, found (0 or 1), CPU seconds, executions and workloads must be numbers");
    run.found = found;
    run.design = xalloc_check(strdup(words[0]));
    r->items = xgrow(r->items, r->count, &r->cap, sizeof(*r->items));
    r->items[r->count++] = run;
    return 0;
}

static int read_runs(struct runs *r)
{
    char line[LINE_BYTES];
    int code = 0;
    FILE *in = fopen(r->path, "r");
    if (!in)
        return import_complain(r->path, r->line, strerror(errno));
    while (!code && fgets(line, sizeof(line), in)) {
        r->line++;
        code = strlen(line) == sizeof(line) - 1 ? import_complain(r->path, r->line, "the line is too long")
                                                : take_line(r, line);
    }
    if (!code && ferror(in)) {
        r->line = 0;
        import_complain(r->path, r->line, strerror(errno));
        code = EXIT_INTERNAL;
    }
    fclose(in);
    r->line = 0;
    return code || r->count ? code : import_complain(r->path, r->line, "no runs in it");
}

static int put_runs(const struct runs *r, const char *path)
{
    struct store *s;
    struct store_error err, ignored;
    int ret = store_open_beside(path, &s, &err);
    if (!ret) {
        ret = store_put_fuzz_runs(s, r->items, r->count, &err);
        int closed = store_close(s, ret ? &ignored : &err);
        ret = ret ? ret : closed;
    }
    if (!ret)
        return EXIT_CLEAN;
    bool usage = ret == -ENOENT || ret == -EINVAL || ret == -ENOTSUP || ret == -ENODATA;
    return complain("import", usage ? EXIT_USAGE : EXIT_INTERNAL, "%s", err.text);
}

int import_bench(const char *path, const char *store)
{
    struct runs r = {.path = path};
    int code = read_runs(&r);
    if (!code)
        code = put_runs(&r, store);
    for (size_t i = 0; i < r.count; i++)
        free((char *)r.items[i].design);
    free(r.items);
    return code;
}
