-- Only orders that a caller gave a key to are held apart by it. Renewals, which are most of all orders, have none: each of them
-- would write one more page of an index, somewhere among those of all customers.

create unique index orders_under_key on berth.orders (customer_id, idempotency_key) where idempotency_key is not null;
alter table berth.orders drop constraint orders_customer_id_idempotency_key_key;
