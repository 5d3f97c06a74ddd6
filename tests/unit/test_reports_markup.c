/* Text that is no markup: whatever it holds, HTML, XML, Markdown, a shell and GitHub read it as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reports/markup.h"

static void property(FILE *out, const char *text)
{
    markup_github(out, text, 1);
}

static void message(FILE *out, const char *text)
{
    markup_github(out, text, 0);
}

static void expect(void (*write)(FILE *, const char *), const char *text, const char *want)
{
    char *got = NULL;
    size_t size;
    FILE *out = open_memstream(&got, &size);
    assert_non_null(out);
    write(out, text);
    fclose(out);
    assert_string_equal(got, want);
    free(got);
}

static void xml(void **state)
{
    (void)state;
    expect(markup_xml, "", "");
    expect(markup_xml, "a<b>&\"'c", "a&lt;b&gt;&amp;&quot;&#39;c");
    expect(markup_xml, "]]> <!-- &amp;", "]]&gt; &lt;!-- &amp;amp;");
    expect(markup_xml, "tab\tline\n", "tab\tline\n");
}

#define BAD "\xef\xbf\xbd"

/* Each byte that begins no character becomes one replacement; what follows is read again. */
static void xml_of_bytes(void **state)
{
    (void)state;
    expect(markup_xml, "\x01\x1b[1m", BAD BAD "[1m");
    expect(markup_xml, "\xc3\xa4 \xe2\x97\x8f \xf0\x9f\x92\xbe", "\xc3\xa4 \xe2\x97\x8f \xf0\x9f\x92\xbe");
    expect(markup_xml, "\xff\xc3", BAD BAD);
    expect(markup_xml, "\xc3<", BAD "&lt;");                 /* cut short: the next byte is not swallowed */
    expect(markup_xml, "\xc0\xbc", BAD BAD);                 /* '<' in two bytes */
    expect(markup_xml, "\xe0\x80\xbc", BAD BAD BAD);         /* .. in three */
    expect(markup_xml, "\xed\xa0\x80", BAD BAD BAD);         /* half of a surrogate pair */
    expect(markup_xml, "\xf4\x90\x80\x80", BAD BAD BAD BAD); /* beyond Unicode */
    expect(markup_xml, "\xef\xbf\xbf", BAD BAD BAD);         /* U+FFFF, which XML does not have */
}

static void markdown(void **state)
{
    (void)state;
    expect(markup_markdown, "a|b\n# c *d* `e` [f](g) <h>", "a\\|b \\# c \\*d\\* \\`e\\` \\[f\\](g) \\<h\\>");
}

static void github(void **state)
{
    (void)state;
    expect(property, "a:b,c%d\ne", "a%3Ab%2Cc%25d%0Ae");
    expect(message, "a:b,c%d\r\ne", "a:b,c%25d%0D%0Ae");
}

static void shell(void **state)
{
    char *quoted = markup_shell("it's $HOME `x`");
    (void)state;
    assert_string_equal(quoted, "'it'\\''s $HOME `x`'");
    free(quoted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xml),    cmocka_unit_test(xml_of_bytes), cmocka_unit_test(markdown),
        cmocka_unit_test(github), cmocka_unit_test(shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
