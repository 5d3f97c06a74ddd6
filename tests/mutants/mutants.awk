# mutants.awk: reads mutants.txt.
#   -v mode=list               name, file, designs, gen arguments, and "equivalent" or "-": one mutant a line, by tabs
#   -v mode=apply -v name=N    the mutated source on stdout; fails unless the old text stands there exactly once
#   -v mode=why -v name=N      what it weakens; -v mode=reason: why it is equivalent
BEGIN { RS = "\n" }

function end_mutant()
{
    if (!mutant)
        return
    if (file == "" || old == "" || why == "")
        die(mutant ": needs file, why and a line of old text")
    if (mode == "list")
        printf "%s\t%s\t%s\t%s\t%s\n", mutant, file, designs, (gen == "" ? "-" : gen), (equivalent == "" ? "-" : "equivalent")
    else if (mutant == name) {
        if (mode == "why")
            print why
        else if (mode == "reason")
            print equivalent
        else
            apply()
    }
    mutant = ""
}

function die(text)
{
    print "mutants.txt: " text >"/dev/stderr"
    failed = 1
    exit 2
}

function apply(    text, line, at, rest)
{
    while ((getline line <file) > 0)
        text = text line "\n"
    close(file)
    at = index(text, old)
    if (!at)
        die(mutant ": its old text is not in " file " any more: adapt it")
    rest = substr(text, at + length(old))
    if (index(rest, old))
        die(mutant ": its old text is more than once in " file ": make it longer")
    printf "%s%s%s", substr(text, 1, at - 1), new, rest
}

# Lines of old and new text: the sign, a blank, and the text as it is.
function append(text, line)
{
    return text == "" ? line : text "\n" line
}

/^#/ { next }
/^$/ { end_mutant(); next }
/^mutant / { end_mutant(); mutant = $2; if (seen[mutant]++) die(mutant ": twice")
             file = old = new = why = equivalent = gen = ""; designs = "careful"; next }
/^file / { file = "engine/" $2; next }
/^design / { designs = substr($0, 8); next }
/^gen / { gen = substr($0, 5); next }
/^why / { why = append(why, substr($0, 5)); next }
/^equivalent / { equivalent = append(equivalent, substr($0, 12)); next }
/^-$/ { old = append(old, ""); next }
/^\+$/ { new = append(new, ""); next }
/^- / { old = append(old, substr($0, 3)); next }
/^\+ / { new = append(new, substr($0, 3)); next }
{ die("line " NR ": unknown: " $0) }
END { if (!failed) end_mutant() }
