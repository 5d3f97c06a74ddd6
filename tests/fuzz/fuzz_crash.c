/* fuzz_crash.c: does any safe design lose, tear or show what it must not?
 *
 *     bytes ─▶ crash_case: workload, design, disk model, schedule ─▶ recorded ─▶ one crash space ─▶ one state ─▶ judged
 *
 * A violation prints the id that `qedcrash repro` takes, and aborts. QEDCRASH_FUZZ_DESIGN names another design to be
 * tried instead of the safe ones: then a violation is what is hoped for, and the benchmark counts how long it took.
 * QEDCRASH_FUZZ_OUT names a folder into which the workload is written as a scenario; the id then names that file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/crash_run.h"
#include "tests/fuzz/fuzz.h"

static struct crash_run *run;

static void finish(void)
{
    crash_run_destroy(run);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char why[200];
    (void)argc, (void)argv;
    run = crash_run_create(getenv("QEDCRASH_FUZZ_DESIGN"), why);
    if (!run) {
        fprintf(stderr, "QEDCRASH_FUZZ_DESIGN: %s\n", why);
        exit(2);
    }
    atexit(finish);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char afl_driver[] =
        "##SIG_AFL"; /* AFL++'s driver begins with a case of its own, which must not abort */
    struct crash_case c;
    if (size >= sizeof(afl_driver) - 1 && !memcmp(data, afl_driver, sizeof(afl_driver) - 1))
        return 0;
    crash_case_decode(data, size, &c);
    if (crash_run_case(run, &c)) {
        crash_run_tell(run, &c, getenv("QEDCRASH_FUZZ_OUT"), stderr);
        abort();
    }
    return 0;
}
