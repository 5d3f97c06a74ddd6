# The table of tests/fuzz/bench.sh: median (least to most) CPU seconds, and the median of the executions; of an even number
# of runs the mean of the two in the middle. What was not found within the cap is longer than all others, and written ">60".
function value(i)
{
    return seconds[i] < cap && hit[i] ? seconds[i] : cap + 1
}

function summary(design, tool,    i, k, n, list, execs, t, m, o)
{
    n = 0
    for (i = 1; i <= rows; i++)
        if (name[i] == design && by[i] == tool) {
            list[++n] = value(i)
            execs[n] = count[i]
        }
    if (!n)
        return "-"
    for (i = 2; i <= n; i++)
        for (k = i; k > 1 && list[k] < list[k - 1]; k--) {
            t = list[k]; list[k] = list[k - 1]; list[k - 1] = t
        }
    for (i = 2; i <= n; i++)
        for (k = i; k > 1 && execs[k] < execs[k - 1]; k--) {
            t = execs[k]; execs[k] = execs[k - 1]; execs[k - 1] = t
        }
    m = int((n + 1) / 2)
    o = int((n + 2) / 2)
    return shown(list[o] > cap ? list[o] : (list[m] + list[o]) / 2) " (" shown(list[1]) ".." shown(list[n]) "), " \
        int((execs[m] + execs[o]) / 2)
}

function shown(s)
{
    return s > cap ? ">" cap : sprintf("%.2f", s)
}

BEGIN { FS = "\t" }

{
    rows++
    name[rows] = $1; by[rows] = $2; hit[rows] = $4; seconds[rows] = $5; count[rows] = $6 + 0
    if ($2 == "gen") workloads[$1] = $7
    if (!($1 in seen)) {
        seen[$1] = 1
        order[++designs] = $1
    }
}

END {
    print "| design | libFuzzer, CPU s, executions | AFL++ | generator | its workloads |"
    print "|---|---|---|---|---|"
    for (d = 1; d <= designs; d++)
        print "| `" order[d] "` | " summary(order[d], "lib") " | " summary(order[d], "afl") " | " summary(order[d], "gen") " | " workloads[order[d]] " |"
}
