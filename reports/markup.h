/* markup.h: text into HTML, SVG, XML, Markdown and GitHub's workflow lines, so that none of it is taken for markup. */
#ifndef REPORTS_MARKUP_H
#define REPORTS_MARKUP_H

#include <stdio.h>

/* HTML, SVG and XML 1.0, in elements and in quoted attributes. What is no UTF-8, and control characters that XML does not
 * have, become U+FFFD. */
void markup_xml(FILE *out, const char *text);
/* A cell of a Markdown table, or running text. */
void markup_markdown(FILE *out, const char *text);
/* A shell word in single quotes, for Markdown or XML around it to escape. The caller frees; NULL: no memory. */
char *markup_shell(const char *text);
/* The text of "::error ...::TEXT"; property: for "title=TEXT" and the like. */
void markup_github(FILE *out, const char *text, int property);

#endif
