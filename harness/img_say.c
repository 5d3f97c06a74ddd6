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

/* Length of the UTF-8 sequence at s, or 0 if there is none. Overlong forms and surrogates are none. */
static unsigned utf8_length(const unsigned char *s)
{
    unsigned length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;

    if (length == 4 && (s[0] < 0xf0 || s[0] > 0xf4))
        return 0;
    for (unsigned i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

void img_json_string(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    if (!s) {
        fputs("null", out);
        return;
    }
    putc('"', out);
    while (*s) {
        unsigned length = utf8_length(s);

        if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(out, "\\u%04x", *s);
        else if (length)
            fwrite(s, 1, length, out);
        else
            fputs("\xef\xbf\xbd", out);
        s += length ? length : 1;
    }
    putc('"', out);
}
