-- With the end in the index, long tracks of other times are passed over without a look at their rows.
DROP INDEX observation_days_long;
CREATE INDEX observation_days_long ON observation_days (observer, start_time, end_time)
    WHERE end_time - start_time > '600 s'::interval;
