/* gnuplot.h: a script of gnuplot's, run, and its SVG as an element for the page. */
#ifndef REPORTS_GNUPLOT_H
#define REPORTS_GNUPLOT_H

#include <stdio.h>

/* True and the element is written; else `why` says what is missing. prefix: makes the ids inside it this picture's own.
 * The script must not set terminal or output. */
int gnuplot_svg(const char *script, const char *prefix, FILE *out, char *why, size_t why_size);

#endif
