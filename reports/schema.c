/* schema.c: reports/schema.sql as a string, so that the SQL stays a file one can read, diff and feed to sqlite3.
 * The path is seen from the root of the tree, where make compiles. */
#include "reports/store_db.h"

__asm__(".section .rodata\n"
        ".global store_schema_sql\n"
        ".type store_schema_sql, @object\n"
        "store_schema_sql:\n"
        ".incbin \"reports/schema.sql\"\n"
        ".byte 0\n"
        ".size store_schema_sql, . - store_schema_sql\n"
        ".text\n");
