select
    a.id, a.customer_id, c.email, c.name as customer_name, a.order_id, a.phase, a.version,
    a.service_id, a.service_name, a.service_type, a.plan_name, a.billing_cycle, a.package, a.pool,
    a.server, a.username, a.sealed_password, a.username_salt, a.intended_at,
    a.remote_id, a.site_url, a.control_panel_url, a.nameservers, a.domain, a.configuration, a.addons, a.auto_renew,
    a.created_at, a.activated_at, a.expires_at, a.suspension_reason, a.failure, i.trial_days, a.suspension_reasons, a.ending, a.cancel_at, a.suspended_at, a.terminated_at, a.billing_anchor,
    a.intended_service_id, a.intended_package, a.renewal_price, a.timetable, a.exempt, a.kept, a.backup_reference,
    a.purged_at, a.spared_until, a.backup_waived, a.password_asked_at, a.password_set_at
from berth.hosting_accounts a
join berth.customers c on c.id = a.customer_id
join berth.order_items i on i.id = a.order_item_id
where a.id = any ($1)
