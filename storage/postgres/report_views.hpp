// Migration 4 of PostgreSQL: the reports, views for people with psql and for the API's /api/v1/reports. SQLite has the
// same columns and gives the same answers; tests/contract/fota_reports.cpp compares. What the columns mean is in
// docs/storage.md, "Reports". The index has all that firmware_success counts, and serves lists of a firmware's updates
// in a state.
#pragma once

namespace fb::storage::postgres {

inline constexpr char report_views[] = R"sql(
CREATE INDEX updates_firmware_state ON updates (firmware_id, state, id, attempt);

CREATE VIEW fleet_versions AS
SELECT nullif(type, '') AS device_type, nullif(firmware_version, '') COLLATE "C" AS firmware_version, count(*) AS devices,
       count(CASE WHEN online THEN 1 END) AS online
FROM devices
GROUP BY nullif(type, ''), nullif(firmware_version, '') COLLATE "C";

CREATE VIEW firmware_success AS
SELECT firmware_id, device_type, version, updates, in_progress, succeeded + failed + rejected + expired AS decided,
       succeeded, failed, rejected, expired, retries,
       CAST(succeeded AS double precision) / nullif(succeeded + failed + rejected + expired, 0) AS success_rate
FROM (
    SELECT f.id AS firmware_id, f.device_type, f.version, count(u.id) AS updates,
           count(CASE WHEN u.state IN ('scheduled', 'pending', 'offered', 'accepted', 'downloading', 'downloaded',
                                       'installing', 'verifying') THEN 1 END) AS in_progress,
           count(CASE WHEN u.state = 'succeeded' THEN 1 END) AS succeeded,
           count(CASE WHEN u.state = 'failed' THEN 1 END) AS failed,
           count(CASE WHEN u.state = 'rejected' THEN 1 END) AS rejected,
           count(CASE WHEN u.state = 'expired' THEN 1 END) AS expired,
           coalesce(sum(u.attempt - 1), 0) AS retries
    FROM firmwares f LEFT JOIN updates u ON u.firmware_id = f.id AND u.state IS NOT NULL
    WHERE f.state IS NOT NULL
    GROUP BY f.id, f.device_type, f.version
) counted;

CREATE VIEW firmware_failures AS
SELECT f.id AS firmware_id, f.device_type, f.version, u.state, coalesce(u.error_code, '') COLLATE "C" AS error_code,
       count(*) AS updates, max(u.state_at) AS last_at
FROM firmwares f CROSS JOIN updates u
WHERE u.firmware_id = f.id AND u.state IN ('failed', 'rejected', 'expired')
GROUP BY f.id, f.device_type, f.version, u.state, coalesce(u.error_code, '') COLLATE "C";

CREATE VIEW update_durations AS
SELECT f.id AS firmware_id, f.device_type, f.version, found.succeeded,
       CAST(found.took_ms[1] AS double precision) / 1000 AS p50_s,
       CAST(found.took_ms[2] AS double precision) / 1000 AS p90_s,
       CAST(found.took_ms[3] AS double precision) / 1000 AS p99_s
FROM firmwares f CROSS JOIN LATERAL (
    SELECT count(*) AS succeeded,
           percentile_disc(ARRAY[0.50, 0.90, 0.99]) WITHIN GROUP (
               ORDER BY CAST(round(extract(epoch FROM u.state_at - u.created_at) * 1000) AS bigint)) AS took_ms
    FROM updates u
    WHERE u.firmware_id = f.id AND u.state = 'succeeded'
) found
WHERE f.state IS NOT NULL;

CREATE VIEW stuck_devices AS
SELECT device_id, device_type, update_id, firmware_id, version, state, attempt,
       CASE WHEN deadline_passed IS NOT NULL THEN 'deadline_passed'
            WHEN step_overdue IS NOT NULL THEN 'step_overdue'
            WHEN silent IS NOT NULL THEN 'silent'
            ELSE 'waiting' END AS reason,
       coalesce(deadline_passed, step_overdue, silent, waiting) AS since, online, last_seen
FROM (
    SELECT d.device_id, d.type AS device_type, u.id AS update_id, u.firmware_id, f.version, u.state, u.attempt,
           d.online, d.last_seen,
           CASE WHEN u.state IN ('scheduled', 'pending') AND u.deadline < now()
                THEN u.deadline END AS deadline_passed,
           CASE WHEN u.state NOT IN ('scheduled', 'pending') AND u.step_deadline < now()
                THEN u.step_deadline END AS step_overdue,
           CASE WHEN NOT d.online AND coalesce(d.last_seen, u.created_at) < now() - interval '24 hours'
                THEN coalesce(d.last_seen, u.created_at) END AS silent,
           CASE WHEN u.state = 'pending' AND d.online AND greatest(u.state_at, coalesce(u.not_before, u.state_at)) <
                     now() - interval '24 hours'
                THEN greatest(u.state_at, coalesce(u.not_before, u.state_at)) END AS waiting
    FROM updates u JOIN devices d ON d.id = u.device_id JOIN firmwares f ON f.id = u.firmware_id
    WHERE u.state IN
        ('scheduled', 'pending', 'offered', 'accepted', 'downloading', 'downloaded', 'installing', 'verifying')
) looked_at
WHERE coalesce(deadline_passed, step_overdue, silent, waiting) IS NOT NULL;
)sql";

} // namespace fb::storage::postgres
