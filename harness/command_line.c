/* command_line.c: see command_line.h. */
#include "harness/command_line.h"

#include <string.h>

#include "simdisk/xalloc.h"

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:+@%"

void command_line_word(FILE *out, const char *word)
{
    if (*word && !word[strspn(word, PLAIN)]) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}

char *command_line(int argc, char **argv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    fputs("qedcrash", out);
    for (int i = 0; i < argc; i++) {
        fputc(' ', out);
        command_line_word(out, argv[i]);
    }
    fclose(out);
    return text;
}
