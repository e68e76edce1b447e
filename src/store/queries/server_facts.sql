select
    current_setting('server_version') as "version!",
    current_setting('server_version_num')::int4 as "version_number!",
    current_setting('fsync')::bool as "fsync!",
    current_setting('full_page_writes')::bool as "full_page_writes!",
    current_setting('synchronous_commit') as "synchronous_commit!",
    current_setting('autovacuum')::bool and current_setting('track_counts')::bool as "autovacuum!",
    current_setting('server_encoding') as "encoding!",
    pg_is_in_recovery() as "is_standby!",
    current_setting('archive_mode') <> 'off' as "archives!",
    (
        select coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false)
        from pg_stat_archiver a
    ) as "archiving_fails!",
    current_setting('max_connections')::int8 as "max_connections!",
    current_setting('superuser_reserved_connections')::int8 as "reserved_connections!",
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as "connections!",
    case
        when has_database_privilege(current_database(), 'connect') then pg_database_size(current_database())
    end as bytes,
    coalesce((
        select extract(epoch from max(clock_timestamp() - a.xact_start))::int8
        from pg_stat_activity a
        where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
    ), 0) as "oldest_transaction_seconds!",
    (select age(d.datfrozenxid)::int8 from pg_database d where d.datname = current_database())
        as "transactions_unfrozen!",
    clock_timestamp() as "now!: jiff_sqlx::Timestamp"
