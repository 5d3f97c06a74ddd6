/* img_args.c: the command lines of all img verbs. Each verb declares the options it takes; what they mean is here. */
#include <errno.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/img.h"
#include "scenarios/scenario.h"
#include "simdisk/xalloc.h"

#define NAME_BYTES   64
#define MOST_OPTIONS 16

static error_t refuse(struct img_args *args)
{
    args->refused = true;
    return EINVAL;
}

/* ---- values ---- */

static error_t take_size(struct img_args *args, const char *option, const char *text, uint32_t *value)
{
    uint64_t parsed;

    if (!scn_parse_size(text, strlen(text), &parsed) || parsed == 0 || parsed > UINT32_MAX) {
        img_error(args, "%s '%s' is no size; expected a number such as 64K", option, text);
        return refuse(args);
    }
    *value = (uint32_t)parsed;
    return 0;
}

static error_t take_design(struct img_args *args, const char *name)
{
    const char **names = xcalloc(qed_design_count + 1, sizeof(*names));
    const char *near;

    args->design = qed_design_find(name);
    for (size_t i = 0; i < qed_design_count; i++)
        names[i] = qed_designs[i].name;
    near = scn_nearest_word(name, names);
    free(names);
    if (args->design)
        return 0;
    if (near)
        img_error(args, "unknown design '%s'; did you mean '%s'?", name, near);
    else
        img_error(args, "unknown design '%s'; `qedcrash designs` lists them", name);
    return refuse(args);
}

static error_t take_format(struct img_args *args, const char *name)
{
    if (!strcmp(name, "raw"))
        args->backing_format = IMG_FORMAT_RAW;
    else if (!strcmp(name, "qed"))
        args->backing_format = IMG_FORMAT_QED;
    else {
        img_error(args, "unknown backing format '%s'; expected raw or qed", name);
        return refuse(args);
    }
    return 0;
}

static error_t take_operand(struct img_args *args, const char *text)
{
    if (args->operand_count == 0)
        args->file = text;
    else if (args->operand_count == 1)
        args->operand = text;
    args->operand_count++;
    return 0;
}

/* ---- errors that getopt finds ---- */

static const char *name_near(const struct img_verb *verb, const char *word)
{
    static const char *words[MOST_OPTIONS + 1];
    static char names[MOST_OPTIONS][NAME_BYTES];
    size_t count = 0;

    for (const struct argp_option *o = verb->options; o->name && count < MOST_OPTIONS; o++) {
        snprintf(names[count], NAME_BYTES, "--%s", o->name);
        words[count] = names[count];
        count++;
    }
    words[count] = NULL;
    return scn_nearest_word(word, words);
}

static bool is_known(const struct img_verb *verb, const char *word)
{
    for (const struct argp_option *o = verb->options; o->name; o++) {
        if (word[0] == '-' && word[1] == '-' && !strncmp(word + 2, o->name, strcspn(word + 2, "=")))
            return true;
        if (word[0] == '-' && o->key < 256 && word[1] == o->key && !word[2])
            return true;
    }
    return false;
}

static void explain_bad_option(const struct img_args *args, const struct argp_state *state)
{
    const char *word = state->next > 0 && state->next <= state->argc ? state->argv[state->next - 1] : "";
    const char *near;

    /* Within a bundle of letters getopt has not stepped past the word yet. */
    if (word[0] != '-' && state->next < state->argc && state->argv[state->next][0] == '-')
        word = state->argv[state->next];
    if (is_known(args->verb, word)) {
        img_error(args, "option '%s' is used wrongly; `qedcrash img %s --help` shows it", word, args->verb->name);
        return;
    }
    near = name_near(args->verb, word);
    if (near)
        img_error(args, "unknown option '%s'; did you mean '%s'?", word, near);
    else
        img_error(args, "unknown option '%s'; `qedcrash img %s --help` lists them", word, args->verb->name);
}

static error_t take(int key, char *arg, struct argp_state *state)
{
    struct img_args *args = state->input;

    switch (key) {
    case 'h':
        args->help = true;
        return 0;
    case 'f':
        args->force = true;
        return 0;
    case 'q':
        args->quiet = true;
        return 0;
    case 'r':
        args->repair = args->read_only = true; /* check's and io's; neither has both */
        return 0;
    case 'b':
        args->backing = arg;
        return 0;
    case 'c':
        args->commands = xreallocarray(args->commands, args->command_count + 1, sizeof(*args->commands));
        args->commands[args->command_count++] = arg;
        return 0;
    case IMG_KEY_JSON:
        args->json = true;
        return 0;
    case IMG_KEY_DESIGN:
        return take_design(args, arg);
    case IMG_KEY_CLUSTER:
        return take_size(args, "--cluster", arg, &args->cluster_bytes);
    case IMG_KEY_TABLE:
        return take_size(args, "--table", arg, &args->table_clusters);
    case IMG_KEY_BACKING_FORMAT:
        return take_format(args, arg);
    case ARGP_KEY_ARG:
        return take_operand(args, arg);
    case ARGP_KEY_ERROR:
        if (!args->refused && !args->help)
            explain_bad_option(args, state);
        args->refused = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the whole line ---- */

static void print_help(const struct img_verb *verb, struct argp *argp)
{
    char name[NAME_BYTES];

    printf("Examples:\n");
    for (const char *const *line = verb->examples; *line; line++)
        printf("  %s\n", *line);
    putchar('\n');
    fflush(stdout);
    snprintf(name, sizeof(name), "qedcrash img %s", verb->name);
    argp_help(argp, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_PRE_DOC | ARGP_HELP_LONG, name);
}

int img_parse(const struct img_verb *verb, int argc, char **argv, struct img_args *args)
{
    struct argp argp = {.options = verb->options, .parser = take, .args_doc = verb->operands, .doc = verb->what};
    error_t error;

    *args = (struct img_args){.verb = verb, .design = qed_design_find("careful")};
    error = argp_parse(&argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP, NULL, args);
    if (args->help) {
        print_help(verb, &argp);
        return EXIT_CLEAN;
    }
    if (error || args->refused)
        return EXIT_USAGE;
    if (args->operand_count < verb->min_operands || args->operand_count > verb->max_operands) {
        img_error(args, "%s operands; expected: qedcrash img %s [OPTION...] %s",
                  args->operand_count < verb->min_operands ? "too few" : "too many", verb->name, verb->operands);
        return EXIT_USAGE;
    }
    if (!args->file[0]) {
        img_error(args, "an empty file name; expected: qedcrash img %s [OPTION...] %s", verb->name, verb->operands);
        return EXIT_USAGE;
    }
    return -1;
}

void img_args_free(struct img_args *args)
{
    free(args->commands);
    args->commands = NULL;
}
