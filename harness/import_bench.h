/* import_bench.h: `import --store`: the runs of the fuzzers' benchmark (tests/fuzz/bench.sh), beside a store's newest
 * campaign.
 *
 *     design  tool  seed  found (0, 1)  CPU seconds  executions  [workloads]      tabs between; tool: lib, afl, gen
 */
#ifndef HARNESS_IMPORT_BENCH_H
#define HARNESS_IMPORT_BENCH_H

/* All lines or, with one sentence on standard error, none. An exit code. */
int import_bench(const char *path, const char *store);

#endif
