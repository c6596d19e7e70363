-- Whether a user still knows a device that they signed in from at that moment, in
-- microseconds since 1970. A new password ends all devices from before.
CREATE OR REPLACE FUNCTION device_is_known(p_user users, p_device_user_id uuid, p_issued_micros bigint) RETURNS boolean
LANGUAGE sql STABLE
RETURN coalesce((p_user).id = p_device_user_id
                AND timestamptz 'epoch' + p_issued_micros * interval '1 microsecond' >= (p_user).devices_since, false);
