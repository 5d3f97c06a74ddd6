/* library.c: see library.h. */
#include "harness/library.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenarios/scenario.h"
#include "simdisk/xalloc.h"

static char *join(const char *dir, const char *name, const char *suffix)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s%s", dir, name, suffix) < 0)
        xalloc_check(NULL);
    return path;
}

static bool is_kind(const char *path, mode_t kind)
{
    struct stat st;
    return !stat(path, &st) && (st.st_mode & S_IFMT) == kind;
}

static char *beside_program(const char *relative)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n <= 0)
        return NULL;
    exe[n] = 0;
    char *slash = strrchr(exe, '/');
    *slash = 0;
    char *path = join(exe, relative, "");
    if (is_kind(path, S_IFDIR))
        return path;
    free(path);
    return NULL;
}

char *library_dir(void)
{
    const char *env = getenv("QEDCRASH_SCENARIOS");
    if (env && *env)
        return xalloc_check(strdup(env));
    if (is_kind("scenarios", S_IFDIR))
        return xalloc_check(strdup("scenarios"));
    char *dir = beside_program("../scenarios");
    return dir ? dir : beside_program("../share/qedcrash/scenarios");
}

char *library_path(const char *name)
{
    if (strchr(name, '/') || is_kind(name, S_IFREG))
        return access(name, F_OK) ? NULL : xalloc_check(strdup(name));
    char *dir = library_dir();
    char *path = dir ? join(dir, name, ".scn") : NULL;
    free(dir);
    if (path && access(path, F_OK)) {
        free(path);
        path = NULL;
    }
    return path;
}

char *library_id_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t length = strlen(base);
    char here[PATH_MAX], there[PATH_MAX];
    char *dir = library_dir();
    char *mine = dir && length > 4 && !strcmp(base + length - 4, ".scn") ? join(dir, base, "") : NULL;
    bool same = mine && realpath(path, here) && realpath(mine, there) && !strcmp(here, there);
    free(dir);
    free(mine);
    if (same)
        return xalloc_check(strndup(base, length - 4));
    if (slash)
        return xalloc_check(strdup(path));
    return join(".", path, "");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

long library_list(const char *path, char ***paths)
{
    size_t count = 0, cap = 0;
    *paths = NULL;
    if (is_kind(path, S_IFREG)) {
        *paths = xmalloc(sizeof(**paths));
        (*paths)[0] = xalloc_check(strdup(path));
        return 1;
    }
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    for (struct dirent *e; (e = readdir(dir));) {
        size_t length = strlen(e->d_name);
        if (length <= 4 || strcmp(e->d_name + length - 4, ".scn") != 0)
            continue;
        *paths = xgrow(*paths, count, &cap, sizeof(**paths));
        (*paths)[count++] = join(path, e->d_name, "");
    }
    closedir(dir);
    if (count)
        qsort(*paths, count, sizeof(**paths), compare);
    return (long)count;
}

void library_list_free(char **paths, long count)
{
    for (long i = 0; paths && i < count; i++)
        free(paths[i]);
    free(paths);
}

char *library_nearest(const char *name)
{
    char *dir = library_dir(), **paths;
    long count = dir ? library_list(dir, &paths) : -1;
    free(dir);
    if (count < 0)
        return NULL;
    const char **words = xcalloc((size_t)count + 1, sizeof(*words));
    for (long i = 0; paths && i < count; i++) {
        char *slash = strrchr(paths[i], '/');
        words[i] = slash ? slash + 1 : paths[i];
        size_t length = strlen(paths[i]);
        if (length > 4) /* ".scn" */
            paths[i][length - 4] = 0;
    }
    const char *near = scn_nearest_word(name, words);
    char *copy = near ? xalloc_check(strdup(near)) : NULL;
    free(words);
    library_list_free(paths, count);
    return copy;
}
