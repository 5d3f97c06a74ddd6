/* library.h: where scenarios are: files named by path, and the library's by name. */
#ifndef HARNESS_LIBRARY_H
#define HARNESS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* The library's directory: $QEDCRASH_SCENARIOS, ./scenarios, or beside the program. NULL if there is none; the caller
 * frees. */
char *library_dir(void);
/* A path for what a person typed: an existing file, or NAME of the library. NULL if neither; the caller frees. */
char *library_path(const char *name);
/* The library's name nearest to what was typed, or NULL; the caller frees. */
char *library_nearest(const char *name);
/* How ids name the scenario at this path: its bare name if it is the library's, else the path. The caller frees. */
char *library_id_name(const char *path);
/* The .scn files of a directory, sorted by name; a plain file stands for itself. Returns the count, or -errno. */
long library_list(const char *path, char ***paths);
void library_list_free(char **paths, long count);

#endif
