/* commands.h: the command line's verbs, one function each. argv[0] is the verb. Each returns the exit code of docs/cli.md.
 */
#ifndef HARNESS_COMMANDS_H
#define HARNESS_COMMANDS_H

#define QEDCRASH_VERSION "0.1.0"

enum exit_code {
    EXIT_CLEAN = 0,
    EXIT_FINDINGS = 1,
    EXIT_USAGE = 2,    /* usage, scenario or input error */
    EXIT_INTERNAL = 3, /* internal or I/O error */
    EXIT_NOTHING = 4,  /* nothing ran */
    EXIT_INTERRUPTED = 130,
};

int cmd_run(int argc, char **argv);
int cmd_matrix(int argc, char **argv);
int cmd_repro(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_shrink(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_gen(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_designs(int argc, char **argv);
int cmd_flushes(int argc, char **argv);
int cmd_designs_search(int argc, char **argv);
int cmd_img(int argc, char **argv);

#endif
