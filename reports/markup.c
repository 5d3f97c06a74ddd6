/* markup.c: see markup.h. */
#include "reports/markup.h"

#include <string.h>

/* Bytes of the character that begins here; 0: none does. */
static size_t character(const unsigned char *c)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = *c < 0x80                 ? 1
               : *c >= 0xc2 && *c < 0xe0 ? 2
               : *c >= 0xe0 && *c < 0xf0 ? 3
               : *c >= 0xf0 && *c < 0xf5 ? 4
                                         : 0;
    unsigned value = n < 2 ? *c : *c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (c[i] & 0x3f);
    }
    if (n < 2)
        return value >= 0x20 || *c == '\t' || *c == '\n' || *c == '\r' ? n : 0;
    return value < least[n] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) || value == 0xfffe ||
                   value == 0xffff
               ? 0
               : n;
}

void markup_xml(FILE *out, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        size_t n = character(c);
        if (!n)
            fputs("\xef\xbf\xbd", out);
        else if (*c == '&')
            fputs("&amp;", out);
        else if (*c == '<')
            fputs("&lt;", out);
        else if (*c == '>')
            fputs("&gt;", out);
        else if (*c == '"')
            fputs("&quot;", out);
        else if (*c == '\'')
            fputs("&#39;", out);
        else
            fwrite(c, n, 1, out);
        c += n ? n : 1;
    }
}

void markup_markdown(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\n' || *text == '\r')
            fputc(' ', out);
        else if (strchr("\\`*_{}[]<>#|&~", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
}

char *markup_shell(const char *text)
{
    char *quoted = NULL;
    size_t size;
    FILE *out = open_memstream(&quoted, &size);
    if (!out)
        return NULL;
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
    fclose(out);
    return quoted;
}

void markup_github(FILE *out, const char *text, int property)
{
    for (; *text; text++)
        if (*text == '%' || *text == '\n' || *text == '\r' || (property && (*text == ':' || *text == ',')))
            fprintf(out, "%%%02X", (unsigned char)*text);
        else
            fputc(*text, out);
}
