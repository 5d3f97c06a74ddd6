/* target.c: see target.h. */
#include "harness/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/library.h"
#include "scenarios/generate.h"
#include "scenarios/replay.h"
#include "simdisk/xalloc.h"

static int complain_scenario(const char *text, struct scn_error *err)
{
    char *near = library_nearest(text);
    snprintf(err->text, sizeof(err->text), "there is no scenario '%.180s': neither a file nor in the library%s%.60s%s",
             text, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    free(near);
    return -EINVAL;
}

int target_scenario(const char *text, struct scenario **out, char **name, struct scn_error *err)
{
    char *path = library_path(text);
    *out = NULL;
    *name = NULL;
    if ((!path || strchr(text, '/')) && replay_is_directory(text)) { /* a bare name is the library's first */
        int bad = replay_load(text, out, err);
        free(path);
        *name = bad ? NULL : library_id_name(text);
        return bad ? -EINVAL : 0;
    }
    if (!path && gen_is_name(text)) {
        *name = xalloc_check(strdup(text));
        int bad = gen_parse(text, out, err);
        if (bad)
            free(*name), *name = NULL;
        return bad;
    }
    if (!path)
        return complain_scenario(text, err);
    int ret = scenario_load(path, out, err);
    if (!ret)
        *name = library_id_name(path);
    free(path);
    return ret ? -EINVAL : 0;
}

int target_load(const struct finding_id *id, struct target *t, struct scn_error *err)
{
    struct qed_design_error design_err;
    *t = (struct target){.disk = sim_disk_model_find(id->disk)};
    bool qemu = !strcmp(id->design, design_qemu()->name);
    int ret = qemu ? 0 : design_load(id->design, &t->design, &design_err);
    if (qemu)
        t->design = design_qemu();
    if (ret)
        snprintf(err->text, sizeof(err->text), "the id names the design '%.60s': %.190s", id->design, design_err.text);
    else if (!t->disk)
        snprintf(err->text, sizeof(err->text), "the id names the disk model '%s', which does not exist", id->disk);
    else if (!target_scenario(id->scenario, &t->scenario, &t->name, err)) {
        if (!qemu || t->scenario->replay)
            return 0;
        snprintf(err->text, sizeof(err->text), "QEMU judges recordings alone, and '%.180s' is a scenario",
                 id->scenario);
    }
    target_free(t);
    return -EINVAL;
}

void target_free(struct target *t)
{
    scenario_free(t->scenario);
    free(t->name);
    design_unload(t->design);
    *t = (struct target){0};
}
