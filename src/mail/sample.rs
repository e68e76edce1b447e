//! Mails with every field filled, and with as few as may be: what templates are tried on before the first customer's.

use berth_jobs::ids::{AccountId, OrderId, RefundId};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    AccountSuspended, AccountTerminated, AccountUnsuspended, CancellationConfirmed, CancellationUndone, DisputeOpened,
    Mail, OrderConfirmation, OrderLine, RefundIssued, Shop, Welcome,
};

/// A fixed id, so that what is rendered from a sample never changes.
const SAMPLE_ID: Uuid = Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0001);

pub(super) fn shop() -> Shop {
    Shop {
        name: "Harbour Hosting".into(),
        url: "https://harbour.example".into(),
        support_email: "help@harbour.example".into(),
    }
}

/// At least two of each kind: all of a template's branches are taken by one or another.
pub(super) fn mails() -> Vec<Mail> {
    vec![
        Mail::OrderConfirmation(order_confirmation()),
        Mail::OrderConfirmation(OrderConfirmation {
            customer_name: None,
            lines: Vec::new(),
            discount: "0.00".into(),
            tax: "0".into(),
            ..order_confirmation()
        }),
        Mail::Welcome(welcome()),
        Mail::Welcome(Welcome { customer_name: None, control_panel_url: None, nameservers: Vec::new(), ..welcome() }),
        Mail::RefundIssued(refund_issued()),
        Mail::RefundIssued(RefundIssued { customer_name: None, ..refund_issued() }),
        Mail::DisputeOpened(dispute_opened()),
        Mail::DisputeOpened(DisputeOpened { customer_name: None, ..dispute_opened() }),
    ]
    .into_iter()
    .chain(of_accounts())
    .collect()
}

fn of_accounts() -> Vec<Mail> {
    let reason = |reason: &str| {
        let (amount_due, site_url) = (None, None);
        let mail = AccountSuspended {
            customer_name: None,
            reason: reason.into(),
            amount_due,
            site_url,
            ..account_suspended()
        };
        Mail::AccountSuspended(mail)
    };
    let cause = |cause: &str| {
        let mail =
            AccountTerminated { customer_name: None, cause: cause.into(), backup_until: None, ..account_terminated() };
        Mail::AccountTerminated(mail)
    };
    vec![
        Mail::AccountSuspended(account_suspended()),
        reason("non_payment"),
        reason("dispute"),
        reason("fraud"),
        reason("abuse"),
        reason("staff"),
        Mail::AccountUnsuspended(account_unsuspended()),
        Mail::AccountUnsuspended(AccountUnsuspended {
            customer_name: None,
            site_url: None,
            paid_until: None,
            ..account_unsuspended()
        }),
        Mail::AccountTerminated(account_terminated()),
        cause("lapsed"),
        cause("staff"),
        Mail::CancellationConfirmed(cancellation_confirmed()),
        Mail::CancellationConfirmed(CancellationConfirmed {
            customer_name: None,
            ends_at: None,
            credit: Some("4.50 EUR".into()),
            ..cancellation_confirmed()
        }),
        Mail::CancellationUndone(cancellation_undone()),
        Mail::CancellationUndone(CancellationUndone {
            customer_name: None,
            paid_until: None,
            auto_renew: false,
            ..cancellation_undone()
        }),
    ]
}

pub(super) fn account_suspended() -> AccountSuspended {
    AccountSuspended {
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        site_url: Some("https://adalove1.harbour.example".into()),
        reason: "non_payment".into(),
        suspended_at: Timestamp::constant(1_770_336_000, 0),
        amount_due: Some("9.99 EUR".into()),
        action_url: "https://harbour.example/pay/tok_1".into(),
    }
}

pub(super) fn account_unsuspended() -> AccountUnsuspended {
    AccountUnsuspended {
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        site_url: Some("https://adalove1.harbour.example".into()),
        unsuspended_at: Timestamp::constant(1_770_422_400, 0),
        paid_until: Some(Timestamp::constant(1_772_323_200, 0)),
        account_url: "https://harbour.example/hosting/acc_1".into(),
    }
}

pub(super) fn account_terminated() -> AccountTerminated {
    AccountTerminated {
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        cause: "cancelled".into(),
        terminated_at: Timestamp::constant(1_772_323_200, 0),
        backup_until: Some(Timestamp::constant(1_774_915_200, 0)),
    }
}

pub(super) fn cancellation_confirmed() -> CancellationConfirmed {
    CancellationConfirmed {
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        requested_at: Timestamp::constant(1_770_336_000, 0),
        ends_at: Some(Timestamp::constant(1_772_323_200, 0)),
        credit: None,
        account_url: "https://harbour.example/hosting/acc_1".into(),
    }
}

pub(super) fn cancellation_undone() -> CancellationUndone {
    CancellationUndone {
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        undone_at: Timestamp::constant(1_770_422_400, 0),
        paid_until: Some(Timestamp::constant(1_772_323_200, 0)),
        auto_renew: true,
        account_url: "https://harbour.example/hosting/acc_1".into(),
    }
}

pub(super) fn order_confirmation() -> OrderConfirmation {
    OrderConfirmation {
        order_id: OrderId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        lines: vec![
            OrderLine { name: "Shared Hosting, monthly".into(), quantity: 1, amount: "9.99".into() },
            OrderLine { name: "Backups".into(), quantity: 2, amount: "4.00".into() },
        ],
        subtotal: "13.99".into(),
        discount: "1.40".into(),
        tax: "2.39".into(),
        total: "14.98".into(),
        currency: "EUR".into(),
        paid_at: Timestamp::constant(1_767_225_600, 0),
        order_url: "https://harbour.example/orders/ord_1?from=mail&lang=en".into(),
    }
}

pub(super) fn welcome() -> Welcome {
    Welcome {
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        username: "adalove1".into(),
        site_url: "https://adalove1.harbour.example".into(),
        control_panel_url: Some("https://panel.harbour.example:2083".into()),
        nameservers: vec!["ns1.harbour.example".into(), "ns2.harbour.example".into()],
        expires_at: Timestamp::constant(1_769_904_000, 0),
        reveal_url: "https://harbour.example/hosting/acc_1/reveal".into(),
    }
}

pub(super) fn refund_issued() -> RefundIssued {
    RefundIssued {
        refund_id: RefundId(SAMPLE_ID),
        order_id: OrderId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        amount: "14.98".into(),
        currency: "EUR".into(),
        order_url: "https://harbour.example/orders/ord_1".into(),
    }
}

pub(super) fn dispute_opened() -> DisputeOpened {
    DisputeOpened {
        dispute_id: "du_1Q0PsIJvEtkwdCNYMSaVuRz6".into(),
        order_id: OrderId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        amount: "14.98".into(),
        currency: "EUR".into(),
        order_url: "https://harbour.example/orders/ord_1".into(),
    }
}
