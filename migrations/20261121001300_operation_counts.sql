-- How often something happened in each hour, as the components count it: in the memory of an
-- instance first, and here some seconds later.
--
-- It is for operators and their dashboards, and decides nothing. What an instance had counted and
-- not handed over when it ended abruptly is missing.
CREATE TABLE operation_counts (
    -- What was counted, such as cache_hits.
    name      text NOT NULL,
    component text NOT NULL,
    -- Of which kind. Labels are texts of the source, so that there are few. Of a name that begins
    -- with cache_ it is the pattern of the key, and its namespace is what precedes the first colon.
    label     text NOT NULL,
    -- The hour of UTC that begins then. Hours of long ago are one row at '-infinity': the sum of
    -- all rows never falls.
    hour      timestamptz NOT NULL,
    count     bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (name, component, label, hour)
    -- The fill factor leaves room on the page for the next versions of the current hour's rows.
) WITH (fillfactor = 70);
