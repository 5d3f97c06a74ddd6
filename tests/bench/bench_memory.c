/* bench_memory.c: peak resident memory of `qedcrash run`, scenario by scenario.
 *
 *     bench_memory [--json FILE] QEDCRASH SCENARIO...
 *
 * Each scenario runs in a process of its own, all designs on all disk models; the kernel says how much it held at its
 * peak (ru_maxrss of wait4).
 */
#include "tests/bench/bench_kit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* MiB at the peak; negative if it does not run, or ends with anything but a verdict. */
static double peak_of(const char *program, const char *scenario)
{
    char *argv[] = {(char *)program, "run", (char *)scenario, "--disk", "all", "--quiet", NULL};
    posix_spawn_file_actions_t actions;
    struct rusage usage;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    int ret = posix_spawnp(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (ret || wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
        return -1;
    return (double)usage.ru_maxrss / 1024;
}

int main(int argc, char **argv)
{
    const char *program = NULL, *worst = "";
    double peak = 0, sum = 0;
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json") && i + 1 < argc) {
            bench_json_open(argv[++i]);
        } else if (!program) {
            program = argv[i];
        } else {
            double mib = peak_of(program, argv[i]);
            if (mib < 0) {
                fprintf(stderr, "bench_memory: %s does not run\n", argv[i]);
                return 1;
            }
            count++;
            sum += mib;
            if (mib > peak) {
                peak = mib;
                worst = argv[i];
            }
        }
    }
    if (!count) {
        fprintf(stderr, "usage: bench_memory [--json FILE] QEDCRASH SCENARIO...\n");
        return 2;
    }
    char how[300];
    snprintf(
        how, sizeof(how),
        "ru_maxrss of `qedcrash run --disk all`, all designs, a process for each of the %d scenarios; the most had "
        "%s; mean %.1f",
        count, worst, sum / count);
    bench_say(&(struct bench_number){.name = "peak resident memory",
                                     .value = peak,
                                     .unit = "MiB",
                                     .target = "< 256",
                                     .met = peak < 256,
                                     .how = how});
    return bench_all_met() ? 0 : 1;
}
