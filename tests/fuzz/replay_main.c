/* replay_main.c: runs inputs through a target, once each, without any fuzzer.
 *
 *     fuzz_NAME [FILE or FOLDER]...      by default tests/fuzz/corpus/fuzz_NAME and tests/fuzz/crashes/fuzz_NAME
 *
 * A finding aborts, as it does under a fuzzer; the input's name is then the last line on stderr.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (4u << 20)

void fuzz_feature(uint32_t feature)
{
    (void)feature;
}

static unsigned long inputs;
static const char *volatile current;

static bool fail(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", path, what, strerror(errno));
    return false;
}

static bool run_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail(path, "cannot open");
    if (size > INPUT_MAX)
        size = INPUT_MAX;
    uint8_t *data = malloc(size ? size : 1); /* exactly as large as the input: a sanitizer sees reads beyond it */
    size_t got = data ? fread(data, 1, size, f) : 0;
    fclose(f);
    if (!data || got != size) {
        free(data);
        return fail(path, "cannot read");
    }
    current = path;
    LLVMFuzzerTestOneInput(data, size);
    inputs++;
    free(data);
    return true;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "README.md") != 0;
}

static bool run_path(const char *path);

static bool run_folder(const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, visible, alphasort);
    bool ok = count >= 0 || fail(path, "cannot list");
    for (int i = 0; i < count; i++) {
        size_t size = strlen(path) + strlen(names[i]->d_name) + 2;
        char *below = malloc(size);
        if (below) {
            snprintf(below, size, "%s/%s", path, names[i]->d_name);
            ok = run_path(below) && ok;
        }
        ok = ok && below;
        free(below);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return ok;
}

static bool run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st))
        return fail(path, "cannot find");
    return S_ISDIR(st.st_mode) ? run_folder(path) : run_file(path, (size_t)st.st_size);
}

/* The folders that belong to this program's name; those there are. */
static bool run_own(const char *program)
{
    static const char *const places[] = {"tests/fuzz/corpus", "tests/fuzz/crashes"};
    const char *slash = strrchr(program, '/');
    bool ok = true;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char path[512];
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s", places[i], slash ? slash + 1 : program);
        if (stat(path, &st) == 0)
            ok = run_path(path) && ok;
    }
    return ok;
}

/* A target's abort(): which input was it? Returning lets the abort happen. */
static void say_current(int number)
{
    (void)number;
    if (current && write(STDERR_FILENO, current, strlen(current)) > 0 &&
        write(STDERR_FILENO, ": a finding\n", sizeof(": a finding\n") - 1) < 0)
        return;
}

int main(int argc, char **argv)
{
    bool ok = true;
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    signal(SIGABRT, say_current);
    for (int i = 1; i < argc; i++)
        ok = run_path(argv[i]) && ok;
    if (argc < 2)
        ok = run_own(argv[0]);
    current = NULL;
    printf("%lu inputs\n", inputs);
    return ok && inputs ? 0 : 1;
}
