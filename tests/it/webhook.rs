//! What Stripe sends is taken once, or refused and leaves nothing.
