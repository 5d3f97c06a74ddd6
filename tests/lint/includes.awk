# Who may include what (docs/design.md, "The rooms"). Run from the root over all .c and .h files:
#   awk -f tests/lint/includes.awk FILE...
# Prints each include that crosses a room the wrong way, and each circle between headers or rooms; then exits 1.

BEGIN {
    # Per room: files and folders it may include besides its own. tests/ may include anything.
    may["engine"] = ""
    may["simdisk"] = "engine/blockdev.h"
    may["oracle"] = "engine/blockdev.h engine/qed_format.h"
    may["scenarios"] = "engine/qed.h engine/qed_design.h engine/design_text.h engine/qed_format.h engine/blockdev.h simdisk/ oracle/"
    may["harness"] = "engine/ simdisk/ oracle/ scenarios/ reports/"
    may["reports"] = "oracle/verdict.h"
    # Libraries beyond libc, and the rooms that may use them.
    library["sqlite3.h"] = "reports"
    library["xxhash.h"] = "simdisk harness"
    library["zstd.h"] = "simdisk harness"
}

function room_of(file)
{
    return substr(file, 1, index(file, "/") - 1)
}

function allowed(room, target,    n, i, words)
{
    if (room == room_of(target) || room == "tests")
        return 1
    n = split(may[room], words, " ")
    for (i = 1; i <= n; i++)
        if (target == words[i] || (words[i] ~ /\/$/ && index(target, words[i]) == 1))
            return 1
    return 0
}

function complain(text)
{
    print FILENAME ":" FNR ": " text
    bad = 1
}

# Depth first; `path` is the way here. A node is left for good once all behind it is known to be free of circles.
function walk(node, path, edges, what,    n, i, next_nodes)
{
    if (done[what, node])
        return
    if (index(path, " " node " ")) {
        print what " circle:" substr(path, index(path, " " node " ")) node
        bad = 1
        return
    }
    n = split(edges[node], next_nodes, " ")
    for (i = 1; i <= n; i++)
        walk(next_nodes[i], path node " ", edges, what)
    done[what, node] = 1
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    target = quoted[2]
    file = FILENAME
    sub(/^\.\//, "", file)
    room = room_of(file)
    if (target !~ /\//)
        complain("\"" target "\": name the room, as in \"" room "/" target "\"")
    else if (!(room in may) && room != "tests")
        complain("no such room: " room)
    else if (!allowed(room, target))
        complain(room "/ may not include " target)
    header_edges[file] = header_edges[file] " " target
    if (room != room_of(target) && room != "tests" && !seen[room, room_of(target)]++)
        room_edges[room] = room_edges[room] " " room_of(target)
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    split($0, angled, /[<>]/)
    room = room_of(FILENAME)
    if (angled[2] in library && room != "tests" && index(" " library[angled[2]] " ", " " room " ") == 0)
        complain(room "/ may not include <" angled[2] ">")
}

END {
    for (node in header_edges)
        walk(node, " ", header_edges, "include")
    for (node in room_edges)
        walk(node, " ", room_edges, "room")
    exit bad
}
