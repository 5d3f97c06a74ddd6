-- The result store. Views (v_*) are the public interface and keep their columns; tables may change with user_version.
-- Only cells and findings are rows; what is finer is counted in columns. No clock: a store is a function of its seed.

PRAGMA application_id = 0x71656463; -- "qedc"
PRAGMA user_version = 4;

-- One row each time qedcrash judged something into this store. Later campaigns stand beside earlier ones.
CREATE TABLE campaign (
    id              INTEGER PRIMARY KEY,
    version         TEXT NOT NULL,              -- of qedcrash
    seed            TEXT NOT NULL,              -- decimal, 64 bits without a sign
    command         TEXT NOT NULL,              -- as typed; the one column that says how the results came about
    options         TEXT NOT NULL,              -- those that verdicts depend on, in words
    inputs          TEXT NOT NULL,              -- a sum over scenarios, designs, disk models and the list of cells
    planned         INTEGER NOT NULL,           -- cells of the campaign, over all shards
    shard           INTEGER NOT NULL,           -- this one of so many:
    shards          INTEGER NOT NULL,
    finished        INTEGER NOT NULL DEFAULT 0 CHECK (finished IN (0, 1)),
    canaries_caught INTEGER NOT NULL DEFAULT 0,
    canaries_of     INTEGER NOT NULL DEFAULT 0,
    CHECK (canaries_caught BETWEEN 0 AND canaries_of),
    CHECK (shard BETWEEN 1 AND shards)
) STRICT;

-- The verdict classes, the order in which they are named (oracle/verdict.h).
CREATE TABLE class (
    name TEXT NOT NULL PRIMARY KEY,
    rank INTEGER NOT NULL UNIQUE
) STRICT;

INSERT INTO class (name, rank) VALUES
    ('lost-cow', 1), ('lost-flushed', 2), ('disclosure', 3), ('torn', 4), ('corrupt', 5), ('bad-repair', 6),
    ('unopenable', 7), ('wrong-read', 8), ('stuck', 9), ('died', 10);

-- A cell's id is its place in its campaign's list of cells, behind the cells of the campaigns before: whoever judged it,
-- and when, does not show.
CREATE TABLE cell (
    id                INTEGER PRIMARY KEY,
    campaign          INTEGER NOT NULL REFERENCES campaign (id) ON DELETE CASCADE,
    scenario          TEXT NOT NULL,
    design            TEXT NOT NULL,
    disk              TEXT NOT NULL,
    schedule          INTEGER NOT NULL,
    verdict           TEXT NOT NULL CHECK (verdict IN ('safe', 'unsafe', 'skipped')),
    skip_reason       TEXT,
    expected          TEXT CHECK (expected IN ('safe', 'unsafe')), -- NULL: nothing was stated
    expected_classes  TEXT NOT NULL,                               -- comma separated, or ''
    as_expected       INTEGER NOT NULL CHECK (as_expected IN (0, 1)),
    complete          INTEGER NOT NULL CHECK (complete IN (0, 1)),
    cut               TEXT,                                        -- why not complete
    crash_points      INTEGER NOT NULL,
    states_total      TEXT NOT NULL,                               -- decimal: 2^64 is soon exceeded
    states_log2       REAL NOT NULL,
    states_explored   TEXT NOT NULL,                               -- those the verdict speaks for
    covered_log2      REAL,                                        -- log2 of that part; 0: all, NULL: none
    distinct_images   INTEGER,                                     -- of states judged one by one, else NULL
    distinct_at_least INTEGER NOT NULL CHECK (distinct_at_least IN (0, 1)), -- there were more, not told apart
    executions        INTEGER NOT NULL,
    guest_writes      INTEGER NOT NULL,
    image_writes      INTEGER NOT NULL,
    flushes           INTEGER NOT NULL,
    scans             INTEGER NOT NULL,
    leaks             INTEGER NOT NULL,
    dirty_after_clean INTEGER NOT NULL,
    repro             TEXT NOT NULL,                               -- id of the whole cell
    -- Where the cell stands for every schedule, else NULL. If not complete, `possible` are those known of.
    schedules_possible TEXT,
    schedules_run      INTEGER,
    schedules_distinct INTEGER,                                    -- that differ in what a power failure can show
    schedules_complete INTEGER CHECK (schedules_complete IN (0, 1)),
    ledger            TEXT NOT NULL,                               -- the claims it speaks about: 'A7,A10', or ''
    UNIQUE (campaign, scenario, design, disk, schedule),
    CHECK ((verdict = 'skipped') = (skip_reason IS NOT NULL))
) STRICT;

-- One row per (class, guest cluster, missing order) of a cell, with its smallest witness.
CREATE TABLE finding (
    cell          INTEGER NOT NULL REFERENCES cell (id) ON DELETE CASCADE,
    seq           INTEGER NOT NULL,
    id            TEXT NOT NULL,                -- what `qedcrash repro` takes; two findings may share a crash state
    class         TEXT NOT NULL REFERENCES class (name),
    crash_point   INTEGER NOT NULL,
    guest_sector  INTEGER,
    guest_cluster INTEGER,
    expected      TEXT NOT NULL,
    found         TEXT NOT NULL,
    why           TEXT NOT NULL,                -- what happened
    because       TEXT NOT NULL,                -- why it could
    recovery      TEXT NOT NULL,                -- what the engine made of the crashed image
    missing_order TEXT NOT NULL,
    story         TEXT NOT NULL,
    survivors     INTEGER NOT NULL,
    states        INTEGER NOT NULL,
    PRIMARY KEY (cell, seq)
) STRICT, WITHOUT ROWID;

-- (Below, OR and not IN: SQLite would build a table for each IN of each row that is put.)
-- What led to a finding's crash state: one row per guest request, image write and flush, up to the crash point.
CREATE TABLE timeline (
    cell         INTEGER NOT NULL,
    finding      INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    lane         TEXT NOT NULL CHECK (lane = 'guest' OR lane = 'header' OR lane = 'L1' OR lane = 'L2' OR lane = 'data' OR
                                             lane = 'file' OR lane = 'flush'),
    name         TEXT NOT NULL,                 -- as in ids; a request: its statement
    begin        INTEGER NOT NULL,              -- event of the history: submitted
    end          INTEGER,                       -- completed; NULL: in flight when the power failed
    offset_bytes INTEGER NOT NULL,
    length_bytes INTEGER NOT NULL,
    fate         TEXT NOT NULL CHECK (fate = 'durable' OR fate = 'survived' OR fate = 'partly' OR fate = 'lost' OR
                                             fate = 'overwritten' OR fate = 'unchanged' OR fate = 'done' OR
                                             fate = 'failed' OR fate = 'in flight'),
    pending      INTEGER NOT NULL,              -- atomic units that were pending
    survived     INTEGER NOT NULL,              -- those that survived
    sectors      TEXT NOT NULL,                 -- partly: which survived, counted within the write: '0-3,5'
    missing      TEXT CHECK (missing IN ('lost', 'survivor')), -- the ends of the missing order
    PRIMARY KEY (cell, finding, seq),
    FOREIGN KEY (cell, finding) REFERENCES finding (cell, seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Where the states of a cell are: one row per epoch (from one completed flush to the next), unless the cell stands for
-- several schedules.
CREATE TABLE epoch (
    cell            INTEGER NOT NULL REFERENCES cell (id) ON DELETE CASCADE,
    seq             INTEGER NOT NULL,
    first_point     INTEGER NOT NULL,
    last_point      INTEGER NOT NULL,
    states          TEXT NOT NULL,              -- decimal
    states_log2     REAL NOT NULL,
    states_explored TEXT NOT NULL,
    covered_log2    REAL,
    executions      INTEGER NOT NULL,
    PRIMARY KEY (cell, seq)
) STRICT, WITHOUT ROWID;

-- Every cell, with its classes in one string.
CREATE VIEW v_cells AS
SELECT c.campaign, c.scenario, c.design, c.disk, c.schedule, c.verdict, c.skip_reason, c.expected, c.expected_classes,
    NOT c.as_expected AND c.verdict <> 'skipped' AS unexpected, c.complete, c.cut,
    (SELECT count(*) FROM finding f WHERE f.cell = c.id) AS findings,
    coalesce((SELECT group_concat(name, ', ') FROM (
        SELECT k.name FROM class k WHERE k.name IN (SELECT f.class FROM finding f WHERE f.cell = c.id)
        ORDER BY k.rank)), '') AS classes,
    c.crash_points, c.states_total, c.states_log2, c.executions, c.guest_writes, c.image_writes, c.flushes, c.scans,
    c.leaks, c.dirty_after_clean, c.repro, c.schedules_possible, c.schedules_run, c.schedules_distinct,
    c.schedules_complete, c.states_explored, c.covered_log2, c.distinct_images, c.distinct_at_least, c.id AS cell,
    iif(c.ledger = '', '[]', '["' || replace(c.ledger, ',', '","') || '"]') AS ledger -- a JSON array
FROM cell c;

-- One row per cell and claim of the ledger that its scenario speaks about.
CREATE VIEW v_ledger AS
SELECT c.campaign, l.value AS claim, c.scenario, c.design, c.disk, c.schedule, c.verdict, c.expected, c.unexpected,
    c.classes
FROM v_cells c, json_each(c.ledger) l;

-- Every epoch, with the cell it belongs to.
CREATE VIEW v_epochs AS
SELECT c.campaign, c.scenario, c.design, c.disk, c.schedule, e.first_point, e.last_point, e.states, e.states_log2,
    e.states_explored, e.covered_log2, e.executions, e.cell, e.seq
FROM epoch e JOIN cell c ON c.id = e.cell;

-- One row per square of the matrix: the schedules of a cell folded into one.
CREATE VIEW v_matrix AS
SELECT c.campaign, c.scenario, c.design, c.disk,
    CASE WHEN max(c.verdict = 'unsafe') THEN 'unsafe' WHEN max(c.verdict = 'safe') THEN 'safe' ELSE 'skipped' END
        AS verdict,
    count(*) AS schedules,
    sum(NOT c.as_expected AND c.verdict <> 'skipped') AS unexpected,
    sum(NOT c.complete AND c.verdict <> 'skipped') AS incomplete,
    coalesce((SELECT group_concat(name, ', ') FROM (
        SELECT k.name FROM class k WHERE k.name IN (
            SELECT f.class FROM cell d JOIN finding f ON f.cell = d.id
            WHERE d.campaign = c.campaign AND d.scenario = c.scenario AND d.design = c.design AND d.disk = c.disk)
        ORDER BY k.rank)), '') AS classes,
    sum(c.crash_points) AS crash_points, max(c.states_log2) AS states_log2, sum(c.executions) AS executions,
    sum(c.guest_writes) AS guest_writes, sum(c.image_writes) AS image_writes, sum(c.flushes) AS flushes,
    sum(c.scans) AS scans, sum(c.leaks) AS leaks, sum(c.dirty_after_clean) AS dirty_after_clean
FROM cell c
GROUP BY c.campaign, c.scenario, c.design, c.disk;

-- Every finding, with the cell it belongs to.
CREATE VIEW v_findings AS
SELECT c.campaign, c.scenario, c.design, c.disk, c.schedule, f.id, f.class, f.crash_point, f.guest_sector, f.expected,
    f.found, f.why, f.missing_order, f.story, f.survivors, f.states, NOT c.as_expected AS unexpected,
    k.rank AS class_rank, f.cell, f.seq, f.because, f.recovery, f.guest_cluster
FROM finding f JOIN cell c ON c.id = f.cell JOIN class k ON k.name = f.class;

-- Every event that led to a finding; cell and finding are v_findings' cell and seq.
CREATE VIEW v_timeline AS
SELECT cell, finding, seq, lane, name, begin, end, offset_bytes, length_bytes, fate, pending, survived, sectors, missing
FROM timeline;

-- One row per bug: the findings of a campaign with the same design, class and missing order; and the smallest of them.
CREATE VIEW v_bugs AS
SELECT campaign, design, class, missing_order, class_rank, findings, cells, scenarios, disks, unexpected, id, why, because,
    recovery, story, scenario, disk, schedule, survivors, cell, seq
FROM (
    SELECT *, count(*) OVER bug AS findings, max(unexpected) OVER bug AS any_unexpected,
        row_number() OVER (PARTITION BY campaign, design, class, missing_order
                           ORDER BY unexpected DESC, survivors, length(id), id, cell, seq) AS place
    FROM v_findings
    WINDOW bug AS (PARTITION BY campaign, design, class, missing_order)
) JOIN (
    SELECT campaign AS c, design AS d, class AS k, missing_order AS m, count(DISTINCT cell) AS cells,
        count(DISTINCT scenario) AS scenarios, count(DISTINCT disk) AS disks
    FROM v_findings GROUP BY 1, 2, 3, 4
) ON c = campaign AND d = design AND k = class AND m = missing_order
WHERE place = 1;

-- One row per campaign: the sums a summary line shows and a trend compares. `cells` are those judged, not the skipped.
CREATE VIEW v_campaigns AS
SELECT p.id AS campaign, p.version, p.seed, p.command, p.canaries_caught, p.canaries_of, p.options, p.planned, p.shard,
    p.shards, p.finished,
    count(CASE WHEN c.verdict <> 'skipped' THEN 1 END) AS cells,
    count(CASE WHEN c.verdict = 'safe' THEN 1 END) AS safe,
    count(CASE WHEN c.verdict = 'unsafe' THEN 1 END) AS unsafe,
    count(CASE WHEN c.verdict = 'skipped' THEN 1 END) AS skipped,
    count(CASE WHEN c.verdict <> 'skipped' AND NOT c.complete THEN 1 END) AS incomplete,
    count(CASE WHEN NOT c.as_expected AND c.verdict <> 'skipped' THEN 1 END) AS unexpected,
    count(CASE WHEN c.verdict = 'safe' AND NOT c.as_expected THEN 1 END) AS unexpected_safe,
    (SELECT count(*) FROM v_findings f WHERE f.campaign = p.id) AS findings,
    (SELECT count(*) FROM v_findings f WHERE f.campaign = p.id AND f.unexpected) AS unexpected_findings,
    coalesce(sum(c.executions), 0) AS executions, coalesce(sum(c.image_writes), 0) AS image_writes,
    coalesce(sum(c.flushes), 0) AS flushes, coalesce(sum(c.scans), 0) AS scans
FROM campaign p LEFT JOIN cell c ON c.campaign = p.id
GROUP BY p.id;

-- One row per finished campaign, in the order of time, and what is otherwise than in the one before: findings by cell,
-- class, guest cluster and missing order. NULL in the first.
CREATE VIEW v_trend AS
SELECT c.campaign, c.version, c.seed, c.command, c.cells, c.safe, c.unsafe, c.incomplete, c.unexpected, c.findings,
    c.unexpected_findings, c.executions, c.image_writes, c.flushes, c.scans, c.canaries_caught, c.canaries_of, c.previous,
    iif(c.previous IS NULL, NULL, (SELECT count(*) FROM (
        SELECT scenario, design, disk, schedule, class, guest_cluster, missing_order FROM v_findings
            WHERE campaign = c.campaign
        EXCEPT
        SELECT scenario, design, disk, schedule, class, guest_cluster, missing_order FROM v_findings
            WHERE campaign = c.previous))) AS new_findings,
    iif(c.previous IS NULL, NULL, (SELECT count(*) FROM (
        SELECT scenario, design, disk, schedule, class, guest_cluster, missing_order FROM v_findings
            WHERE campaign = c.previous
        EXCEPT
        SELECT scenario, design, disk, schedule, class, guest_cluster, missing_order FROM v_findings
            WHERE campaign = c.campaign))) AS gone_findings
FROM (SELECT *, lag(campaign) OVER (ORDER BY campaign) AS previous FROM v_campaigns WHERE finished) c
ORDER BY c.campaign;

-- Since schema 4. All below is also what an older store is given when it is opened for writing (store.c).

-- The fuzzers' benchmark (docs/fuzzing.md), measured beside the campaign: one run of one fuzzer on a design that is known to
-- be bad, from an empty corpus. The one table with times in it: of processors, not of the clock on the wall.
CREATE TABLE fuzz_run (
    campaign    INTEGER NOT NULL REFERENCES campaign (id) ON DELETE CASCADE,
    design      TEXT NOT NULL,
    tool        TEXT NOT NULL CHECK (tool IN ('libFuzzer', 'AFL++', 'generator')),
    seed        INTEGER NOT NULL,
    found       INTEGER NOT NULL CHECK (found IN (0, 1)), -- 0: not within the cap
    cpu_seconds REAL NOT NULL CHECK (cpu_seconds >= 0),   -- until found, or given up
    executions  INTEGER NOT NULL CHECK (executions >= 0),
    workloads   INTEGER CHECK (tool = 'generator' OR workloads IS NULL), -- gone through until then
    PRIMARY KEY (campaign, design, tool, seed)
) STRICT, WITHOUT ROWID;

CREATE VIEW v_fuzz_runs AS
SELECT campaign, design, tool, seed, found, cpu_seconds, executions, workloads FROM fuzz_run;

-- One row per design and fuzzer, over its seeds. A run that found nothing counts as longer than all others; where such a one
-- is in the middle the median is NULL, where there is any, most is.
CREATE VIEW v_fuzzers AS
SELECT campaign, design, tool, count(*) AS runs, sum(found) AS found,
    iif(min(iif(by_time IN ((n + 1) / 2, (n + 2) / 2), found, 1)),
        avg(iif(by_time IN ((n + 1) / 2, (n + 2) / 2), cpu_seconds, NULL)), NULL) AS median_seconds,
    min(iif(found, cpu_seconds, NULL)) AS least_seconds, iif(min(found), max(cpu_seconds), NULL) AS most_seconds,
    iif(min(iif(by_executions IN ((n + 1) / 2, (n + 2) / 2), found, 1)),
        avg(iif(by_executions IN ((n + 1) / 2, (n + 2) / 2), executions, NULL)), NULL) AS median_executions,
    min(iif(found, executions, NULL)) AS least_executions, iif(min(found), max(executions), NULL) AS most_executions,
    max(workloads) AS workloads
FROM (
    SELECT *, count(*) OVER fuzzer AS n,
        row_number() OVER (PARTITION BY campaign, design, tool ORDER BY found DESC, cpu_seconds, seed) AS by_time,
        row_number() OVER (PARTITION BY campaign, design, tool ORDER BY found DESC, executions, seed) AS by_executions
    FROM fuzz_run
    WINDOW fuzzer AS (PARTITION BY campaign, design, tool)
)
GROUP BY campaign, design, tool;
