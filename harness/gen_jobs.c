/* gen_jobs.c: see gen_jobs.h.
 *
 * All files do the same: each shard resumes a store of its own, so that whatever is started again goes on; findings are no
 * failure of the job, only what keeps a shard from ending is; and then the shards are merged, which names what is missing.
 */
#include "harness/gen_jobs.h"

#include <stdlib.h>
#include <string.h>

#include "harness/command_line.h"
#include "harness/commands.h"
#include "harness/complain.h"
#include "harness/shard.h"

struct jobs {
    unsigned shards;
    const char *image; /* k8s */
    const char *output;
    char **args; /* of matrix */
    int arg_count;
};

static void put_args(const struct jobs *j, FILE *out)
{
    for (int i = 0; i < j->arg_count; i++) {
        fputc(' ', out);
        command_line_word(out, j->args[i]);
    }
}

/* --- Slurm --------------------------------------------------------------------------------------------------------- */

static void put_slurm(const struct jobs *j, FILE *out)
{
    fprintf(out,
            "#!/bin/bash\n"
            "#SBATCH --job-name=qedcrash\n"
            "#SBATCH --output=%%x-%%j.log\n"
            "#SBATCH --open-mode=append\n"
            "#SBATCH --ntasks=1\n"
            "#SBATCH --cpus-per-task=1\n"
            "#SBATCH --requeue\n"
            "#\n"
            "# A qedcrash campaign as a job array of %u shards, and a job that merges them. In a directory that all\n"
            "# nodes see, and that shall hold the results:\n"
            "#\n"
            "#     bash THIS-FILE submit\n"
            "#\n"
            "# A task that is killed or requeued goes on where it was (--resume). Findings are no failure of a task.\n"
            "# The merge begins when all tasks have ended, however; it says which shard is missing or not finished:\n"
            "# submit again, what is judged stays.\n"
            "set -u\n"
            "shards=%u\n"
            "out=${OUT:-night.db}\n"
            "qedcrash=${QEDCRASH:-qedcrash}\n",
            j->shards, j->shards);
    fputs("matrix=(matrix", out);
    put_args(j, out);
    fputs(")\n\n"
          "case ${1:-submit} in\n"
          "submit)\n"
          "    array=$(sbatch --parsable --array=1-\"$shards\" \"$0\" shard) || exit\n"
          "    sbatch --parsable --dependency=afterany:\"${array%%;*}\" \"$0\" merge >merge.job || exit\n"
          "    echo \"array ${array%%;*}, merge $(cat merge.job), result $out\"\n"
          "    ;;\n"
          "shard)\n"
          "    \"$qedcrash\" \"${matrix[@]}\" --shard \"$SLURM_ARRAY_TASK_ID/$shards\" --store "
          "\"part$SLURM_ARRAY_TASK_ID.db\" \\\n"
          "        --resume -j \"${SLURM_CPUS_PER_TASK:-1}\"\n"
          "    rc=$?\n"
          "    [ $rc -le 1 ] || exit $rc\n"
          "    ;;\n"
          "merge)\n"
          "    parts=()\n"
          "    for ((k = 1; k <= shards; k++)); do parts+=(\"part$k.db\"); done\n"
          "    \"$qedcrash\" merge \"$out\" \"${parts[@]}\"\n"
          "    ;;\n"
          "*)\n"
          "    echo \"usage: $0 submit\" >&2\n"
          "    exit 2\n"
          "    ;;\n"
          "esac\n",
          out);
}

/* --- one machine --------------------------------------------------------------------------------------------------- */

static void put_parallel(const struct jobs *j, FILE *out)
{
    fprintf(
        out,
        "#!/bin/bash\n"
        "# A qedcrash campaign in %u shards, as many at a time as there are processors: by GNU parallel where it is\n"
        "# installed (PARALLEL='--sshlogin a,b' spreads them over machines with a common directory), else by xargs.\n"
        "# Started again it goes on where it was. Findings are no failure of a shard.\n"
        "set -u\n"
        "export QEDCRASH=${QEDCRASH:-qedcrash}\n"
        "shards=%u\n"
        "out=${OUT:-night.db}\n"
        "shard()\n"
        "{\n"
        "    \"$QEDCRASH\" matrix",
        j->shards, j->shards);
    put_args(j, out);
    fprintf(out,
            " --shard \"$1/%u\" --store \"part$1.db\" --resume -j 1 >\"part$1.log\" || [ $? -eq 1 ]\n"
            "}\n"
            "export -f shard\n"
            "if parallel --version 2>/dev/null | grep -q GNU; then\n"
            "    seq \"$shards\" | parallel --env shard --env QEDCRASH --workdir . shard {} || exit\n"
            "else\n"
            "    seq \"$shards\" | xargs -P \"$(nproc)\" -I{} bash -c 'shard {}' || exit\n"
            "fi\n"
            "parts=()\n"
            "for ((k = 1; k <= shards; k++)); do parts+=(\"part$k.db\"); done\n"
            "\"$QEDCRASH\" merge \"$out\" \"${parts[@]}\"\n",
            j->shards);
}

/* --- Kubernetes ---------------------------------------------------------------------------------------------------- */

/* The words of a shell command, in one YAML scalar of double quotes. */
static void put_quoted_args(const struct jobs *j, FILE *out)
{
    char *text = NULL;
    size_t size;
    FILE *buffer = open_memstream(&text, &size);
    if (!buffer)
        return;
    put_args(j, buffer);
    if (!fclose(buffer))
        for (const char *c = text; *c; c++)
            fprintf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    free(text);
}

static void put_pod(const struct jobs *j, FILE *out, bool index)
{
    fprintf(out,
            "      restartPolicy: OnFailure\n"
            "      volumes:\n"
            "        - name: results\n"
            "          persistentVolumeClaim: {claimName: qedcrash-results}\n"
            "      containers:\n"
            "        - name: qedcrash\n"
            "          image: \"%s\"\n"
            "          workingDir: /results\n"
            "          volumeMounts: [{name: results, mountPath: /results}]\n",
            j->image);
    if (index)
        fprintf(out,
                "          resources: {requests: {cpu: \"1\"}, limits: {cpu: \"1\"}}\n"
                "          env: [{name: JOB_COMPLETION_COUNT, value: \"%u\"}]\n",
                j->shards);
    fputs("          command: [sh, -c]\n", out);
}

static void put_k8s(const struct jobs *j, FILE *out)
{
    fprintf(
        out,
        "# A qedcrash campaign as an indexed job of %u shards, and a job that merges them when all have ended. It "
        "needs\n"
        "# an image with qedcrash in it, and a volume claim qedcrash-results that all pods may write:\n"
        "#\n"
        "#     kubectl apply -f THIS-FILE\n"
        "#\n"
        "# Which shard a pod judges is read from JOB_COMPLETION_INDEX and JOB_COMPLETION_COUNT. A pod that is evicted\n"
        "# goes on where it was (--resume). Findings are no failure of a pod.\n"
        "apiVersion: batch/v1\n"
        "kind: Job\n"
        "metadata: {name: qedcrash}\n"
        "spec:\n"
        "  completions: %u\n"
        "  parallelism: %u\n"
        "  completionMode: Indexed\n"
        "  backoffLimit: %u\n"
        "  template:\n"
        "    spec:\n",
        j->shards, j->shards, j->shards, j->shards * 3);
    put_pod(j, out, true);
    fputs("          args: [\"qedcrash matrix", out);
    put_quoted_args(j, out);
    fprintf(out, " --store part$((JOB_COMPLETION_INDEX + 1)).db --resume -j 1 || [ $? -eq 1 ]\"]\n"
                 "---\n"
                 "apiVersion: batch/v1\n"
                 "kind: Job\n"
                 "metadata: {name: qedcrash-merge}\n"
                 "spec:\n"
                 "  template:\n"
                 "    spec:\n");
    put_pod(j, out, false);
    fputs("          args: [\"until qedcrash merge night.db", out);
    for (unsigned k = 1; k <= j->shards; k++)
        fprintf(out, " part%u.db", k);
    fputs("; do sleep 60; done\"]\n", out);
}

/* --- the command line ---------------------------------------------------------------------------------------------- */

static const struct kind {
    const char *name;
    void (*put)(const struct jobs *j, FILE *out);
} kinds[] = {{"slurm", put_slurm}, {"k8s", put_k8s}, {"parallel", put_parallel}};

static const struct kind *find_kind(const char *word)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(kinds[i].name, word))
            return &kinds[i];
    return NULL;
}

bool gen_jobs_is_kind(const char *word)
{
    return find_kind(word) != NULL;
}

static int usage(FILE *out, int code)
{
    fputs("Job files for a campaign in shards.\n\nExamples:\n"
          "  qedcrash gen slurm 8 >night.sh && bash night.sh submit\n"
          "  qedcrash gen k8s 20 --image registry/qedcrash:1 -- --design upstream | kubectl apply -f -\n"
          "  qedcrash gen parallel 16 -- scenarios --disk ssd >night.sh && bash night.sh\n\n"
          "Usage: qedcrash gen slurm|k8s|parallel [SHARDS] [-o FILE] [--image NAME] [-- ARGUMENTS OF matrix]\n"
          "SHARDS is 8 unless given. Exit status: 0 written, 2 usage error, 3 I/O error.\n",
          out);
    return code;
}

static int parse(struct jobs *j, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        bool value = i + 1 < argc;
        if (!strcmp(argv[i], "--")) {
            j->args = argv + i + 1;
            j->arg_count = argc - i - 1;
            return 0;
        }
        if (!strcmp(argv[i], "-o") && value) {
            j->output = argv[++i];
        } else if (!strcmp(argv[i], "--image") && value) {
            j->image = argv[++i];
        } else {
            struct shard all;
            char text[32];
            snprintf(text, sizeof(text), "1/%s", argv[i]);
            if (!shard_parse(text, &all))
                return complain("gen", EXIT_USAGE, "'%s' is no number of shards; what is for matrix stands behind --",
                                argv[i]);
            j->shards = all.of;
        }
    }
    return 0;
}

/* A campaign's options that belong to each shard are the file's own. */
static int check_args(const struct jobs *j)
{
    static const char *const own[] = {"--shard", "--store", "--resume", "--jobs", "-j", "--dry-run", NULL};
    for (int i = 0; i < j->arg_count; i++)
        for (int k = 0; own[k]; k++)
            if (!strncmp(j->args[i], own[k], strlen(own[k])))
                return complain("gen", EXIT_USAGE, "%s is what the job file says to each shard; leave it out",
                                j->args[i]);
    return 0;
}

static int write_out(const struct jobs *j, const struct kind *kind)
{
    FILE *out = j->output ? fopen(j->output, "w") : stdout;
    if (!out)
        return complain("gen", EXIT_INTERNAL, "cannot write %s", j->output);
    kind->put(j, out);
    bool good = !fflush(out) && !ferror(out);
    if (j->output)
        good = !fclose(out) && good;
    return good ? EXIT_CLEAN
                : complain("gen", EXIT_INTERNAL, "cannot write %s", j->output ? j->output : "to standard output");
}

int gen_jobs(int argc, char **argv)
{
    struct jobs j = {.shards = 8, .image = "qedcrash:latest"};
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--help"))
            return usage(stdout, EXIT_CLEAN);
    int ret = parse(&j, argc, argv);
    if (!ret)
        ret = check_args(&j);
    return ret ? ret : write_out(&j, find_kind(argv[1]));
}
