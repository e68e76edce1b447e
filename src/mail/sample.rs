//! Mails with every field filled, and with as few as may be: what templates are tried on before the first customer's.

use berth_jobs::ids::{AccountId, ChargeId, CustomerId, OrderId, PlanChangeId, RefundId};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    AccountNotice, AccountSuspended, AccountTerminated, AccountUnsuspended, CancellationConfirmed, CancellationUndone,
    CardExpiring, ChangeNotMade, Digest, DigestCount, DigestSum, DisputeOpened, Mail, OrderConfirmation, OrderLine,
    PackageChanged, PasswordChanged, PaymentConfirmationNeeded, PaymentFailed, RefundIssued, RenewalReceipt, Shop,
    Welcome,
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
        Mail::PackageChanged(package_changed()),
        Mail::PackageChanged(PackageChanged {
            customer_name: None,
            paid: "0.00".into(),
            from_credit: "0.00".into(),
            credited: "4.20".into(),
            ..package_changed()
        }),
        Mail::ChangeNotMade(change_not_made()),
        Mail::ChangeNotMade(ChangeNotMade { customer_name: None, credited: "0.00".into(), ..change_not_made() }),
        Mail::Digest(digest()),
        Mail::Digest(Digest { money_in: Vec::new(), alerts: Vec::new(), sweeps: Vec::new(), dead_jobs: 0, ..digest() }),
        Mail::RenewalReceipt(renewal_receipt()),
        Mail::RenewalReceipt(RenewalReceipt {
            customer_name: None,
            domain: None,
            invoice_number: None,
            credit: "4.99".into(),
            paid: "0.00".into(),
            card: None,
            ..renewal_receipt()
        }),
        Mail::PaymentFailed(payment_failed()),
        Mail::PaymentFailed(PaymentFailed {
            customer_name: None,
            domain: None,
            reason: None,
            next_try: None,
            ..payment_failed()
        }),
        Mail::PaymentConfirmationNeeded(payment_confirmation_needed()),
        Mail::PaymentConfirmationNeeded(PaymentConfirmationNeeded {
            customer_name: None,
            domain: None,
            ..payment_confirmation_needed()
        }),
        Mail::CardExpiring(card_expiring()),
        Mail::CardExpiring(CardExpiring { customer_name: None, ..card_expiring() }),
    ]
    .into_iter()
    .chain(of_accounts())
    .chain(notices())
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
        Mail::PasswordChanged(password_changed()),
        Mail::PasswordChanged(PasswordChanged { customer_name: None, ..password_changed() }),
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

pub(super) fn password_changed() -> PasswordChanged {
    PasswordChanged {
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        username: "adalove1".into(),
        changed_at: Timestamp::constant(1_770_422_400, 0),
        reveal_until: Timestamp::constant(1_770_681_600, 0),
        reveal_url: "https://harbour.example/hosting/acc_1".into(),
    }
}

pub(super) fn package_changed() -> PackageChanged {
    PackageChanged {
        change_id: PlanChangeId(SAMPLE_ID),
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        previous_name: "Shared Hosting".into(),
        service_name: "Shared Hosting Pro".into(),
        paid: "6.01".into(),
        from_credit: "4.00".into(),
        credited: "0.00".into(),
        currency: "EUR".into(),
        expires_at: Timestamp::constant(1_769_904_000, 0),
        account_url: "https://harbour.example/hosting/acc_1".into(),
    }
}

pub(super) fn change_not_made() -> ChangeNotMade {
    ChangeNotMade {
        change_id: PlanChangeId(SAMPLE_ID),
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting Pro".into(),
        reason: "Your account was renewed in the meantime.".into(),
        credited: "10.01".into(),
        currency: "EUR".into(),
        account_url: "https://harbour.example/hosting/acc_1".into(),
    }
}

pub(super) fn digest() -> Digest {
    Digest {
        day: jiff::civil::date(2026, 1, 1),
        orders_agreed: 12,
        orders_paid: 9,
        money_in: vec![DigestSum { amount: "1234.50".into(), currency: "EUR".into(), payments: 31 }],
        renewals_issued: 20,
        renewals_paid: 18,
        renewals_ended: 1,
        charges_declined: 3,
        changes_made: 2,
        suspended: 1,
        removed: 0,
        mails_refused: 1,
        mails_withdrawn: 3,
        events_found: 4,
        dead_jobs: 1,
        alerts: vec![DigestCount { name: "mail_refused".into(), count: 1 }],
        sweeps: vec![("accounts".into(), Timestamp::constant(1_767_225_600, 0))],
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

pub(super) fn renewal_receipt() -> RenewalReceipt {
    RenewalReceipt {
        order_id: OrderId(SAMPLE_ID),
        account_id: AccountId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        domain: Some("ada.example".into()),
        invoice_number: Some("INV-000042".into()),
        total: "4.99".into(),
        credit: "1.00".into(),
        paid: "3.99".into(),
        currency: "EUR".into(),
        card: Some("Visa ending in 4242".into()),
        paid_at: Timestamp::constant(1_767_225_600, 0),
        period_start: Timestamp::constant(1_767_484_800, 0),
        period_end: Timestamp::constant(1_770_163_200, 0),
        invoice_url: "https://harbour.example/orders/ord_1".into(),
    }
}

pub(super) fn payment_failed() -> PaymentFailed {
    PaymentFailed {
        charge_id: ChargeId(SAMPLE_ID),
        order_id: OrderId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        domain: Some("ada.example".into()),
        amount: "4.99".into(),
        currency: "EUR".into(),
        card: "Visa ending in 0341".into(),
        reason: Some("there was not enough money".into()),
        next_try: Some(Timestamp::constant(1_767_398_400, 0)),
        due_at: Timestamp::constant(1_767_484_800, 0),
        pay_url: "https://berth.harbour.example/pay/ord_1.mac".into(),
        cards_url: "https://harbour.example/payment-methods".into(),
    }
}

pub(super) fn payment_confirmation_needed() -> PaymentConfirmationNeeded {
    PaymentConfirmationNeeded {
        charge_id: ChargeId(SAMPLE_ID),
        order_id: OrderId(SAMPLE_ID),
        customer_name: Some("Ada Lovelace".into()),
        service_name: "Shared Hosting".into(),
        domain: Some("ada.example".into()),
        amount: "4.99".into(),
        currency: "EUR".into(),
        card: "Visa ending in 3184".into(),
        due_at: Timestamp::constant(1_767_484_800, 0),
        pay_url: "https://berth.harbour.example/pay/ord_1.mac".into(),
    }
}

pub(super) fn card_expiring() -> CardExpiring {
    CardExpiring {
        customer_id: CustomerId(SAMPLE_ID),
        card_id: "pm_1".into(),
        number: 1,
        customer_name: Some("Ada Lovelace".into()),
        card: "Visa ending in 4242".into(),
        last_month: "01/2026".into(),
    }
}

fn notices() -> Vec<Mail> {
    let notices: [fn(AccountNotice) -> Mail; 8] = [
        Mail::RenewalInvoice,
        Mail::RenewalAnnounced,
        Mail::AccountExpiring,
        Mail::RenewalReminder,
        Mail::RenewalDueToday,
        Mail::RenewalOverdue,
        Mail::SuspensionWarning,
        Mail::TerminationWarning,
    ];
    notices.into_iter().flat_map(|of| [of(notice()), of(short_notice())]).collect()
}

/// With everything that a notice may say.
pub(super) fn notice() -> AccountNotice {
    let at = |seconds| Some(Timestamp::constant(seconds, 0));
    AccountNotice {
        step: Some("reminder_1".into()),
        customer_name: Some("Ada Lovelace".into()),
        site: Some("adalove1".into()),
        order_id: Some(OrderId(SAMPLE_ID)),
        total: Some("14.98".into()),
        credit: Some("4.98".into()),
        due: Some("10.00".into()),
        currency: Some("EUR".into()),
        period_end: at(1_772_323_200),
        charged_at: at(1_769_644_800),
        card: Some("Visa ending in 4242".into()),
        happens_at: at(1_770_336_000),
        pay_url: Some("https://harbour.example/pay/1".into()),
        ..short_notice()
    }
}

fn short_notice() -> AccountNotice {
    AccountNotice::new(
        AccountId(SAMPLE_ID),
        Timestamp::constant(1_769_904_000, 0),
        "Shared Hosting".into(),
        "https://harbour.example/hosting/acc_1".into(),
    )
}
