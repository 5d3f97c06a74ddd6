/* json_text.c: see json_text.h. */
#include "harness/json_text.h"

#include <inttypes.h>

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

void json_string(FILE *out, const char *text)
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

void json_place(FILE *out, bool has_sector, uint64_t sector, const char *expected, const char *found, const char *why)
{
    fputs("\"guest_sector\":", out);
    if (has_sector)
        fprintf(out, "%" PRIu64, sector);
    else
        fputs("null", out);
    fputs(",\"expected\":", out);
    json_string(out, expected);
    fputs(",\"found\":", out);
    json_string(out, found);
    fputs(",\"why\":", out);
    json_string(out, why);
}

void json_finding(FILE *out, const struct shrink_finding *f)
{
    json_place(out, f->has_guest_sector, f->guest_sector, f->expected, f->found, f->why);
}
