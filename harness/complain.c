/* complain.c: see complain.h. */
#include "harness/complain.h"

#include <stdarg.h>
#include <stdio.h>

int complain(const char *verb, int code, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "qedcrash %s: ", verb);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}
