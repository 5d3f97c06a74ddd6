/* page_files.c: reports/page.css and page.js as strings, so that they stay files that an editor knows. The paths are seen
 * from the root of the tree, where make compiles. */
#include "reports/page.h"

__asm__(".section .rodata\n"
        ".global page_css\n"
        ".type page_css, @object\n"
        "page_css:\n"
        ".incbin \"reports/page.css\"\n"
        ".byte 0\n"
        ".size page_css, . - page_css\n"
        ".global page_js\n"
        ".type page_js, @object\n"
        "page_js:\n"
        ".incbin \"reports/page.js\"\n"
        ".byte 0\n"
        ".size page_js, . - page_js\n"
        ".text\n");
