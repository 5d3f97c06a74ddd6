/* gnuplot.c: see gnuplot.h. */
#include "reports/gnuplot.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Script and answer are files without a name: no pipe can fill up. -errno, or the exit status. */
static int run(FILE *script, FILE *answer)
{
    char *const argv[] = {"gnuplot", "-", NULL};
    posix_spawn_file_actions_t files;
    pid_t child;
    int status;
    if (posix_spawn_file_actions_init(&files))
        return -ENOMEM;
    posix_spawn_file_actions_adddup2(&files, fileno(script), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, fileno(answer), STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", 1, 0);
    int ret = posix_spawnp(&child, "gnuplot", &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (ret)
        return -ret;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Behind these stands a name that must be this picture's own. Returns the length, or 0. */
static size_t before_name(const char *at)
{
    static const char *const before[] = {" id=\"", " id='", "url(#", "href=\"#", "href='#"};
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        if (!strncmp(at, before[i], strlen(before[i])))
            return strlen(before[i]);
    return 0;
}

/* The SVG element without the XML head and gnuplot's own title. */
static int copy_element(const char *text, const char *prefix, FILE *out)
{
    const char *at = strstr(text, "<svg"), *end;
    size_t n;
    if (!at || !strstr(at, "</svg>"))
        return 0;
    while (*at)
        if (!strncmp(at, "<title>", 7) && (end = strstr(at, "</title>"))) {
            at = end + 8;
        } else if (!strncmp(at, "<desc>", 6) && (end = strstr(at, "</desc>"))) {
            at = end + 7;
        } else if ((n = before_name(at))) {
            fprintf(out, "%.*s%s-", (int)n, at, prefix);
            at += n;
        } else {
            fputc(*at++, out);
        }
    return 1;
}

static char *read_all(FILE *in)
{
    long size = fseek(in, 0, SEEK_END) ? -1 : ftell(in);
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    rewind(in);
    if (text)
        text[fread(text, 1, (size_t)size, in)] = 0;
    return text;
}

int gnuplot_svg(const char *script, const char *prefix, FILE *out, char *why, size_t why_size)
{
    FILE *in = tmpfile(), *answer = tmpfile();
    char *text = NULL;
    int good = 0, ret = -errno;
    if (in && answer) {
        fputs("set terminal svg size 560,360 font 'sans-serif,13' background '#ffffff'\n", in);
        fputs(script, in);
        ret = fflush(in) ? -errno : 0;
        rewind(in);
        ret = ret ? ret : run(in, answer);
    }
    if (!ret && (text = read_all(answer)))
        good = copy_element(text, prefix, out);
    if (ret == -ENOENT)
        snprintf(why, why_size, "gnuplot is not installed");
    else if (ret < 0)
        snprintf(why, why_size, "gnuplot could not be run: %s", strerror(-ret));
    else if (!good)
        snprintf(why, why_size, "gnuplot drew nothing (exit status %d)", ret);
    free(text);
    if (in)
        fclose(in);
    if (answer)
        fclose(answer);
    return good;
}
