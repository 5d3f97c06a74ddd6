/* plan.c: see plan.h. */
#include "harness/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/design_text.h"
#include "harness/id.h"
#include "harness/library.h"
#include "harness/target.h"
#include "simdisk/digest.h"
#include "simdisk/xalloc.h"

static bool named_before(const struct qed_design *const *designs, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (!strcmp(designs[i]->name, designs[at]->name))
            return true;
    return false;
}

static bool listed_before(const struct sim_disk_model *const *disks, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (disks[i] == disks[at])
            return true;
    return false;
}

static void add_cells(struct plan *p, const struct plan_scenario *s, const struct qed_design *design,
                      const struct sim_disk_model *disk, const struct options *o)
{
    bool all = o->schedules_given ? o->all_schedules : s->scenario->all_schedules;
    uint64_t last = o->schedules_given || !s->scenario->schedules ? o->schedules : s->scenario->schedules;
    for (uint64_t n = all ? ID_ALL_SCHEDULES : 1; n <= (all ? ID_ALL_SCHEDULES : last); n++) {
        p->cells = xgrow(p->cells, p->count, &p->cap, sizeof(*p->cells));
        p->cells[p->count++] = (struct plan_cell){s->scenario, s->name, design, disk, n};
    }
}

int plan_add(struct plan *p, const char *text, const struct options *o, struct scn_error *err)
{
    struct plan_scenario s;
    int ret = target_scenario(text, &s.scenario, &s.name, err);
    if (ret)
        return ret;
    for (size_t i = 0; i < p->scenario_count; i++)
        if (!strcmp(p->scenarios[i].name, s.name)) {
            free(s.name);
            scenario_free(s.scenario);
            return 0;
        }
    p->scenarios = xgrow(p->scenarios, p->scenario_count, &p->scenario_cap, sizeof(*p->scenarios));
    p->scenarios[p->scenario_count++] = s;
    for (size_t d = 0; d < o->design_count; d++)
        for (size_t k = 0; k < o->disk_count && !named_before(o->designs, d); k++)
            if (!listed_before(o->disks, k))
                add_cells(p, &s, o->designs[d], o->disks[k], o);
    return 0;
}

int plan_add_directory(struct plan *p, const char *dir, const struct options *o, struct scn_error *err)
{
    char **paths;
    long count = library_list(dir, &paths);
    int ret = 0;
    if (count < 0) {
        snprintf(err->text, sizeof(err->text), "%.200s: %s", dir, strerror((int)-count));
        return -EINVAL;
    }
    for (long i = 0; i < count && !ret; i++)
        ret = plan_add(p, paths[i], o, err);
    library_list_free(paths, count);
    return ret;
}

char *plan_id(const struct plan_cell *cell)
{
    return id_format(cell->name, cell->design->name, cell->disk->name, cell->schedule, 1, false, 0, "");
}

static void sum_scenario(struct digest *d, const struct plan_scenario *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    scenario_print(s->scenario, out);
    fclose(out);
    digest_text(d, s->name);
    digest_bytes(d, text, size);
    free(text);
}

/* The disk models are the program's: their names will do. */
void plan_seal(struct plan *p)
{
    struct digest d = DIGEST_INIT;
    for (size_t i = 0; i < p->scenario_count; i++)
        sum_scenario(&d, &p->scenarios[i]);
    for (size_t i = 0; i < p->count; i++) {
        char design[QED_DESIGN_TEXT_MAX], *id = plan_id(&p->cells[i]);
        qed_design_format(p->cells[i].design, design);
        digest_text(&d, design);
        digest_text(&d, id);
        free(id);
    }
    snprintf(p->inputs, sizeof(p->inputs), "%016" PRIx64 "%016" PRIx64, d.lane[0], d.lane[1]);
}

void plan_free(struct plan *p)
{
    for (size_t i = 0; i < p->scenario_count; i++) {
        scenario_free(p->scenarios[i].scenario);
        free(p->scenarios[i].name);
    }
    free(p->scenarios);
    free(p->cells);
    *p = (struct plan){0};
}

char *plan_options_text(const struct options *o)
{
    static const char *const explore[] = {"complete", "enumerate", "sample"};
    char *text = NULL;
    if (asprintf(&text, "explore=%s limit=%" PRIu64 " nested=%" PRIu64 " schedule-limit=%" PRIu64,
                 explore[o->cell.explore], o->cell.limit, o->cell.nested, o->cell.schedule_limit) < 0)
        xalloc_check(NULL);
    return text;
}
