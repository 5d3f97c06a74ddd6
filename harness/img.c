/* img.c: `qedcrash img VERB`: QED images on real files. */
#include "harness/img.h"

#include <string.h>

#include "harness/commands.h"
#include "scenarios/scenario.h"

static const struct img_verb *const verbs[] = {&img_create_verb, &img_info_verb, &img_check_verb,
                                               &img_map_verb,    &img_io_verb,   &img_convert_verb};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void print_overview(FILE *out)
{
    fputs("Examples:\n"
          "  qedcrash img create disk.qed 1G\n"
          "  qedcrash img io disk.qed -c 'write -P 0x11 4k 4k' -c 'read -P 0x11 4k 4k'\n"
          "  qedcrash img check disk.qed\n"
          "\n"
          "Usage: qedcrash img COMMAND [OPTION...] FILE ...\n"
          "QED images on real files. Each command has its own --help:\n"
          "\n",
          out);
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-8s %.*s\n", verbs[i]->name, (int)strcspn(verbs[i]->what, "\n\v"), verbs[i]->what);
}

static int complain(const char *word)
{
    const char *names[VERB_COUNT + 1] = {NULL};
    const char *near;

    for (size_t i = 0; i < VERB_COUNT; i++)
        names[i] = verbs[i]->name;
    near = scn_nearest_word(word, names);
    if (near)
        fprintf(stderr, "qedcrash: img: unknown command '%s'; did you mean '%s'?\n", word, near);
    else
        fprintf(stderr, "qedcrash: img: unknown command '%s'; `qedcrash img --help` lists them\n", word);
    return EXIT_USAGE;
}

int cmd_img(int argc, char **argv)
{
    if (argc < 2) {
        fputs("qedcrash: img: no command given; expected create, info, check, map, io or convert\n", stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_overview(stdout);
        return EXIT_CLEAN;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        struct img_args args;
        int code;

        if (strcmp(argv[1], verbs[i]->name) != 0)
            continue;
        code = img_parse(verbs[i], argc - 1, argv + 1, &args);
        if (code < 0)
            code = verbs[i]->run(&args);
        img_args_free(&args);
        return code;
    }
    return complain(argv[1]);
}
