-- Usage alerts: somebody is told when what a meter counted in a day or a month has reached a
-- threshold, once for each threshold and period.
--
-- A threshold fires in the transaction of the batch that reaches it. What decides is a
-- total for each meter, subject and period that an alert looks at, which a batch adds to
-- under that row's lock: of batches side by side each sees those before it, and none of
-- them adds up the period again, which may have a million rollups.

CREATE TABLE usage_alerts (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    id              uuid NOT NULL,
    -- The order in which they were made.
    sequence        bigint NOT NULL,
    name            text NOT NULL,
    meter_id        uuid NOT NULL,
    -- Whose usage it looks at; empty for that of all.
    subject         text COLLATE "C" NOT NULL,
    period          text NOT NULL CHECK (period IN ('day', 'month')),
    -- Ascending.
    thresholds      numeric[] NOT NULL CHECK (cardinality(thresholds) BETWEEN 1 AND 10),
    -- Who is told; null for nobody.
    email           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    archived_at     timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, meter_id) REFERENCES meters (organization_id, id)
);

-- Serves every batch: an organization without alerts has nothing in there.
CREATE INDEX usage_alerts_active ON usage_alerts (organization_id, meter_id, subject, period) WHERE archived_at IS NULL;
-- Serves the list, newest first.
CREATE UNIQUE INDEX usage_alerts_by_sequence ON usage_alerts (organization_id, sequence);

CREATE TRIGGER usage_alerts_number BEFORE INSERT ON usage_alerts
    FOR EACH ROW WHEN (NEW.sequence IS NULL) EXECUTE FUNCTION organization_sequence_take();

-- What a meter has counted in a period, as long as an alert waits for more of it.
CREATE TABLE usage_alert_totals (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    period          text NOT NULL,
    started_at      timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    value           numeric NOT NULL,
    -- The lowest threshold that was not looked at yet; null when none is left, and
    -- the value is kept no more.
    next_threshold  numeric,
    -- Whether it was summed up for another time zone and nothing was added since:
    -- what it has reached fires with what is added next.
    is_unfired      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, meter_id, subject, period, started_at)
    -- As usage_rollups: a change updates no index.
) WITH (fillfactor = 50);

CREATE TABLE usage_alert_firings (
    organization_id   uuid NOT NULL,
    alert_id          uuid NOT NULL,
    period_started_at timestamptz NOT NULL,
    period_ends_at    timestamptz NOT NULL,
    threshold         numeric NOT NULL,
    sequence          bigint NOT NULL,
    -- What the meter had counted at that moment.
    value             numeric NOT NULL CHECK (value >= threshold),
    fired_at          timestamptz NOT NULL DEFAULT now(),
    -- Of whoever fires a threshold twice the second finds it here.
    PRIMARY KEY (organization_id, alert_id, period_started_at, threshold),
    FOREIGN KEY (organization_id, alert_id) REFERENCES usage_alerts (organization_id, id)
);

-- Serves the list of the organization, newest first.
CREATE UNIQUE INDEX usage_alert_firings_by_sequence ON usage_alert_firings (organization_id, sequence);
-- Serves the list of one alert, newest first.
CREATE INDEX usage_alert_firings_by_alert ON usage_alert_firings (organization_id, alert_id, sequence);

CREATE TRIGGER usage_alert_firings_number BEFORE INSERT ON usage_alert_firings
    FOR EACH ROW WHEN (NEW.sequence IS NULL) EXECUTE FUNCTION organization_sequence_take();

-- Other days and months begin. They are summed up here and not by the next batch: of
-- many alerts on much usage that may take longer than a statement may, and it is better
-- that the zone cannot be changed than that no batch can be stored.
CREATE FUNCTION usage_alerts_follow_time_zone() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_watched record;
BEGIN
    PERFORM usage_alerts_hold_alone(NEW.id);
    DELETE FROM usage_alert_totals WHERE organization_id = NEW.id;
    FOR v_watched IN
        SELECT DISTINCT a.meter_id, a.subject, a.period
          FROM usage_alerts a
         WHERE a.organization_id = NEW.id AND a.archived_at IS NULL
    LOOP
        PERFORM usage_alert_totals_sum(
            NEW.id, v_watched.meter_id, v_watched.subject, v_watched.period, NEW.time_zone, true);
    END LOOP;
    RETURN NULL;
END;
$$;

CREATE TRIGGER usage_alerts_follow_time_zone AFTER UPDATE OF time_zone ON organizations
    FOR EACH ROW WHEN (OLD.time_zone <> NEW.time_zone) EXECUTE FUNCTION usage_alerts_follow_time_zone();
