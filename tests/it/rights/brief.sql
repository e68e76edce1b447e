-- The schema of the document that Berth comes from, as it stands there, in a schema of its own. One statement of it
-- does not run (a type that is no type); it is mended here so that the rest can be shown.
create schema brief;
set local search_path = brief, public;

create table cart_items (
  id uuid default gen_random_uuid() primary key,
  user_id uuid not null references auth.users(id) on delete cascade,
  service_id text not null,
  quantity int default 1,
  addon_ids text[] default '{}',
  configuration jsonb default '{}',
  price_override decimal default null,
  added_at timestamp default now(),
  updated_at timestamp default now(),
  unique(user_id, service_id)
);

create table coupon_codes (
  id uuid default gen_random_uuid() primary key,
  code varchar unique not null,
  discount_type varchar, -- in the document: varchar ('percentage', 'fixed')
  discount_value decimal not null,
  expiry_date date,
  max_uses int,
  current_uses int default 0,
  active boolean default true
);

alter table cart_items enable row level security;
create policy "Users can only see their cart" on cart_items for all using (user_id = auth.uid());
alter table coupon_codes enable row level security;
create policy "Coupon codes are readable by all" on coupon_codes for select using (true);

create table hosting_accounts (
  id uuid default gen_random_uuid() primary key,
  user_id uuid not null references auth.users(id) on delete cascade,
  service_type varchar not null,
  plan_name varchar not null,
  status varchar default 'pending',
  account_username varchar unique,
  account_password varchar,
  control_panel_url varchar,
  nameservers text[],
  created_at timestamp default now(),
  activated_at timestamp,
  expires_at timestamp,
  renewal_date timestamp,
  billing_cycle varchar,
  auto_renew boolean default true,
  unique(user_id, service_type, id)
);

create table orders (
  id uuid default gen_random_uuid() primary key,
  user_id uuid not null references auth.users(id) on delete cascade,
  status varchar default 'pending',
  subtotal decimal not null,
  discount decimal default 0,
  tax decimal default 0,
  total decimal not null,
  stripe_session_id varchar,
  stripe_payment_intent_id varchar,
  items jsonb not null,
  created_at timestamp default now(),
  completed_at timestamp,
  expires_at timestamp,
  renewal_date timestamp,
  is_renewal boolean default false,
  renewal_of_hosting_id uuid references hosting_accounts(id)
);

alter table hosting_accounts enable row level security;
create policy "Users can see their hosting accounts" on hosting_accounts for all using (user_id = auth.uid());
alter table orders enable row level security;
create policy "Users can see their orders" on orders for all using (user_id = auth.uid());

-- What Supabase grants on every table.
grant usage on schema brief to anon, authenticated, service_role;
grant all on all tables in schema brief to anon, authenticated, service_role;

insert into auth.users (id) values ('00000000-0000-4000-8000-000000000001');
insert into cart_items (user_id, service_id) values ('00000000-0000-4000-8000-000000000001', 'shared-monthly');
insert into coupon_codes (code, discount_type, discount_value, active, max_uses)
values ('SECRET', 'percentage', 10, false, 1), ('OPEN', 'percentage', 10, true, 1);
insert into hosting_accounts (user_id, service_type, plan_name, account_username, account_password)
values ('00000000-0000-4000-8000-000000000001', 'shared', 'starter', 'someone', 'hunter2');
insert into orders (user_id, subtotal, total, items)
values ('00000000-0000-4000-8000-000000000001', 4.99, 4.99, '[]');
