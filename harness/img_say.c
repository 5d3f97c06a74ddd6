/* img_say.c: the words of the img verbs: error lines, exit codes, JSON strings. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"

void img_error(const struct img_args *args, const char *fmt, ...)
{
    char line[5120];
    size_t used = (size_t)snprintf(line, sizeof(line), "qedcrash: img %s: ", args->verb->name);
    va_list ap;

    if (args->file) {
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s: ", args->file);
        used = used < sizeof(line) ? used : sizeof(line) - 1;
    }
    va_start(ap, fmt);
    vsnprintf(line + used, sizeof(line) - used, fmt, ap);
    va_end(ap);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    fflush(stdout); /* keeps the order where both go to one place */
    fprintf(stderr, "%s\n", line);
}

const char *img_open_words(int error)
{
    switch (-error) {
    case ENOENT:
        return "no such file; expected an existing one";
    case EISDIR:
        return "is a directory; expected a file";
    case EINVAL:
    case ENXIO:
        return "is neither a regular file nor a block device; expected one of these";
    case EBUSY:
        return "is in use by another process; try again when that has closed it";
    case EACCES:
    case EPERM:
        return "permission denied; check its mode and owner";
    case ENOTDIR:
        return "a part of its path is not a directory; check the path";
    case ELOOP:
        return "its path leads through too many symbolic links; check them";
    default:
        return strerror(-error);
    }
}

int img_exit_code(int error)
{
    switch (-error) {
    case 0:
        return EXIT_CLEAN;
    case EIO:
    case ENOMEM:
    case ENOSPC:
    case EFBIG:
    case EDQUOT:
    case EDEADLK:
        return EXIT_INTERNAL;
    default:
        return EXIT_USAGE;
    }
}
