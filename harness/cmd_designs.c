/* cmd_designs.c: designs: what there is, by name; --fields: what they are made of. */
#include <stdio.h>
#include <string.h>

#include "engine/design_text.h"
#include "harness/commands.h"
#include "simdisk/disk_model.h"

static void list_fields(void)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        char word[64];
        unsigned count = qed_design_field_values((enum qed_design_field)f);
        printf("%s\n    %s\n    ", qed_design_field_name((enum qed_design_field)f),
               qed_design_field_summary((enum qed_design_field)f));
        if (f == QED_FIELD_clear_on) /* a set: its words, not all unions of them */
            printf("never, or joined by '+': ");
        for (unsigned v = 0; v < count; v++)
            if (f != QED_FIELD_clear_on)
                printf("%s%s", v ? ", " : "", qed_design_value_name((enum qed_design_field)f, v, word));
            else if (v && !(v & (v - 1)))
                printf("%s%s", v > 1 ? ", " : "", qed_design_value_name((enum qed_design_field)f, v, word));
        putchar('\n');
    }
    printf("clear_timer_ms\n    quiet time, in milliseconds, before a timer clears the mark\n    a number\n");
}

static void list_names(void)
{
    puts("designs:");
    for (size_t i = 0; i < qed_design_count; i++)
        printf("  %-15s %s\n", qed_designs[i].name, qed_designs[i].summary);
    puts("disk models:");
    for (size_t i = 0; i < sim_disk_model_count; i++)
        printf("  %-15s %s\n", sim_disk_models[i].name, sim_disk_models[i].summary);
}

static int usage(FILE *out, int code)
{
    fprintf(out, "Usage: qedcrash designs [--fields]\n"
                 "Lists the designs and disk models by name; with --fields, what a design is made of.\n\n"
                 "Examples:\n"
                 "  qedcrash designs\n"
                 "  qedcrash designs --fields\n");
    return code;
}

int cmd_designs(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--help"))
        return usage(stdout, EXIT_CLEAN);
    if (argc > 1 && !strcmp(argv[1], "search"))
        return cmd_designs_search(argc - 1, argv + 1);
    if (argc == 2 && !strcmp(argv[1], "--fields"))
        list_fields();
    else if (argc == 1)
        list_names();
    else
        return usage(stderr, EXIT_USAGE);
    return EXIT_CLEAN;
}
