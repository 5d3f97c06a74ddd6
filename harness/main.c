/* main.c: the command line's first word. */
#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "scenarios/scenario.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} verbs[] = {
    {"run", cmd_run, "SCENARIO...      run scenarios and judge their crash states"},
    {"matrix", cmd_matrix, "[DIR]         every scenario x design x disk model (default: the library)"},
    {"repro", cmd_repro, "ID             run one finding again from its id"},
    {"explain", cmd_explain,
     "ID           a finding as a story: what was written, what survived, what the guest sees, why"},
    {"shrink", cmd_shrink, "ID            the smallest workload and the fewest survivors that still show it"},
    {"export", cmd_export, "ID DIR        a bundle that a stranger can rerun"},
    {"merge", cmd_merge, "OUT IN...      the stores of a campaign's shards, as one"},
    {"diff", cmd_diff, "OLD NEW         new, fixed and still-open findings between two stores"},
    {"report", cmd_report, "STORE -o DIR  a page, JUnit XML and a Markdown summary of a store"},
    {"record", cmd_record,
     "SCENARIO DIR   run the scenario on the installed QEMU, recording every image write and flush"},
    {"import", cmd_import, "IOLOG         a log of fio's as a scenario, on standard output"},
    {"replay", cmd_replay, "DIR...        judge the crash states of recordings"},
    {"gen", cmd_gen,
     "[NAME]           all small workloads: list, print, judge a design under them; job files (gen slurm --help)"},
    {"flushes", cmd_flushes, "DESIGN       each ordering of a design: needed, with a witness, or not"},
    {"designs", cmd_designs,
     "[search]     the designs and the disk models; the whole design space and its cheapest safe "
     "members"},
    {"img", cmd_img, "create|info|check|map|io FILE ...   QED images on real files"},
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void help(FILE *out)
{
    fputs("Examples:\n"
          "  qedcrash run cow-partial --design v2     judge one scenario under the 2010 design\n"
          "  qedcrash matrix                          the whole library x all designs x all disk models\n"
          "  qedcrash repro ID                        see a finding again\n"
          "\n"
          "Usage: qedcrash VERB [OPTION...] ...\n\nVerbs:\n",
          out);
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %s %s\n", verbs[i].name, verbs[i].what);
    fputs("\n`qedcrash VERB --help' says more. Exit status: 0 clean and as expected, 1 findings, 2 usage or input "
          "error,\n"
          "3 internal or I/O error, 4 nothing ran, 130 interrupted.\n",
          out);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(stdout);
        return EXIT_CLEAN;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("qedcrash " QEDCRASH_VERSION);
        return EXIT_CLEAN;
    }
    const char *words[VERB_COUNT + 1] = {0};
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (!strcmp(argv[1], verbs[i].name))
            return verbs[i].run(argc - 1, argv + 1);
        words[i] = verbs[i].name;
    }
    const char *near = scn_nearest_word(argv[1], words);
    fprintf(stderr, "qedcrash: there is no verb '%s'%s%s%s; see qedcrash --help\n", argv[1],
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return EXIT_USAGE;
}
