/* cmd_export.c: export: a finding as a bundle for others (bundle.h). Everything is judged before the first file is made. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/bundle.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/options.h"
#include "simdisk/xalloc.h"

static const char export_doc[] =
    "A bundle that a stranger can rerun: the crashed image, the backing file, the log of writes, scenario, design, "
    "what both checks say before and after recovery, README and repro.sh.\n\nExamples:\n"
    "  qedcrash export 'cow-partial:v2:ssd:@10+L2' bug\n"
    "  qedcrash export 'cow-partial:v2:ssd:@10+L2' bug && bug/repro.sh\n"
    "  qedcrash export cow-partial:v2:ssd run && qedcrash replay run\n\v"
    "The id of a whole cell, without a crash point, exports its run as a recording: image before, log, design. "
    "The directory must not exist, or be empty. The same id gives the same bytes. Exit status: 0 the bundle is "
    "written; 2 the id names no finding, or the directory is not empty, or usage; 3 I/O error; 130 interrupted.";

/* 0, or an exit code: is there nothing, or an empty directory? */
static int check_directory(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    bool empty = true;
    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return complain("export", EXIT_USAGE, "%s: %s; name a directory that is new or empty", path, strerror(errno));
    while ((e = readdir(dir)))
        empty &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    closedir(dir);
    return empty ? 0 : complain("export", EXIT_USAGE, "%s is not empty; name a directory that is new or empty", path);
}

static int make_directory(const char *path)
{
    if (!mkdir(path, 0777) || errno == EEXIST)
        return 0;
    return complain("export", EXIT_INTERNAL, "cannot make the directory %s: %s", path, strerror(errno));
}

/* The story, under the names that the bundle's files have. */
static int tell(struct bundle *b, struct options *o, char **story, char **story_json)
{
    struct store_campaign campaign = {.version = QEDCRASH_VERSION, .seed = b->parsed->seed, .command = "export"};
    struct qed_design design = *b->target->design;
    struct store_error store_err = {""};
    struct scn_error err = {""};
    struct store *store;
    size_t size;
    bool unsafe = false;
    design.name = BUNDLE_DESIGN;
    o->cell.id_scenario = BUNDLE_SCENARIO;
    if (store_open(NULL, &campaign, &store, &store_err))
        return complain("export", EXIT_INTERNAL, "%s", store_err.text);
    int ret = cell_repro(b->target->scenario, &design, b->target->disk, &o->cell, b->parsed->point,
                         b->parsed->survivors, store, &unsafe, &err);
    int code =
        ret ? complain("export", ret == -ENOENT || ret == -EINVAL ? EXIT_USAGE : EXIT_INTERNAL, "%s", err.text) : 0;
    if (!code && !unsafe)
        code = complain("export", EXIT_USAGE, "this state shows nothing wrong; there is nothing to export");
    if (!code) {
        struct render_options r = {.width = 100};
        FILE *out = xalloc_check(open_memstream(story, &size));
        ret = render_explain(store, out, &r, &store_err);
        fclose(out);
        out = xalloc_check(open_memstream(story_json, &size));
        ret = ret ? ret : render_explain_json(store, out, &store_err);
        fclose(out);
        code = ret ? complain("export", EXIT_INTERNAL, "%s", store_err.text) : 0;
    }
    store_close(store, &store_err);
    return code;
}

static int export(struct options *o, const struct finding_id *id)
{
    struct target target;
    struct scn_error err;
    struct bundle b = {.directory = o->arguments[1], .id = o->arguments[0], .parsed = id, .target = &target};
    char *story = NULL, *story_json = NULL;
    if (target_load(id, &target, &err))
        return complain("export", EXIT_USAGE, "%s", err.text);
    if (target.scenario->replay) {
        target_free(&target);
        return complain("export", EXIT_USAGE,
                        "this id is of a recording, which is a bundle already: send its directory and the id");
    }
    o->cell.schedule = id->schedule;
    o->cell.script = id->script;
    o->cell.script_len = id->script_len;
    o->cell.seed = id->seed;
    b.options = &o->cell;
    b.version = QEDCRASH_VERSION;
    int code = check_directory(b.directory);
    if (!code && id->has_point)
        code = tell(&b, o, &story, &story_json);
    if (!code && options_stopped)
        code = complain("export", EXIT_INTERRUPTED, "interrupted; nothing was written");
    if (!code)
        code = make_directory(b.directory);
    b.story = story;
    b.story_json = story_json;
    if (!code && (id->has_point ? bundle_write : bundle_write_run)(&b, &err))
        code = complain("export", EXIT_INTERNAL, "%s", err.text);
    free(story);
    free(story_json);
    target_free(&target);
    return code;
}

int cmd_export(int argc, char **argv)
{
    struct options o;
    struct finding_id id = {0};
    bool help;
    char why[320] = "takes an id and a directory: qedcrash export ID DIR";
    int ret = options_parse(argc, argv, "ID DIR", export_doc, &o, &help);
    if (ret || help)
        return ret;
    if (o.argument_count != 2 || !id_parse(o.arguments[0], &id, why, sizeof(why)))
        ret = complain("export", EXIT_USAGE, "%s", why);
    options_catch_signals();
    if (!ret)
        ret = export(&o, &id);
    if (!ret && !o.quiet)
        printf("%s\n", o.arguments[1]);
    id_free(&id);
    options_free(&o);
    return ret;
}
