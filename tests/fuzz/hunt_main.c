/* hunt_main.c: the bounded generator as one of the fuzzers' benchmark: all small workloads in their order, each on every
 * disk that keeps its word, completely and under every schedule, until the first violation of any class.
 *
 *     hunt DESIGN
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/design_text.h"
#include "harness/cell.h"
#include "scenarios/generate.h"

static bool probe(const struct gen_workload *w, const struct qed_design *design, const struct sim_disk_model *disk,
                  uint64_t *executions)
{
    char name[GEN_NAME_MAX];
    struct scenario *s;
    struct scn_error err;
    struct cell_probe probe;
    const struct cell_options options = {.limit = UINT64_MAX,
                                         .seed = 1,
                                         .nested = 1,
                                         .schedule_limit = 200,
                                         .id_scenario = gen_name(w, name, sizeof(name))};
    if (gen_scenario(w, &s, &err))
        return false;
    int ret = cell_probe(s, design, disk, &options, NULL, &probe, &err);
    scenario_free(s);
    if (ret)
        return false;
    *executions += probe.executions;
    if (probe.unsafe)
        printf("repro: qedcrash run '%s' --design '%s' --disk %s --schedules all\n", name, design->name, disk->name);
    return probe.unsafe;
}

int main(int argc, char **argv)
{
    struct qed_design design;
    const struct gen_workload *w;
    uint64_t executions = 0, workloads = 0;
    bool found = false;
    if (argc != 2 || qed_design_parse(argv[1], &design, NULL)) {
        fprintf(stderr, "usage: %s DESIGN\n", argv[0]);
        return 2;
    }
    struct gen *g = gen_begin(&GEN_DEFAULT);
    for (; !found && (w = gen_next(g)); workloads++)
        for (size_t i = 0; i < sim_disk_model_count && !found; i++)
            found = sim_disk_models[i].keeps_its_word && probe(w, &design, &sim_disk_models[i], &executions);
    gen_end(g);
    printf("%" PRIu64 " executions, %" PRIu64 " workloads\n", executions, workloads);
    return found;
}
