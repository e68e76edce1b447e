//! Mails with every field filled, and with as few as may be: what templates are tried on before the first customer's.

use berth_jobs::ids::{AccountId, OrderId};
use jiff::Timestamp;
use uuid::Uuid;

use super::{AccountNotice, Mail, OrderConfirmation, OrderLine, Shop, Welcome};

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
    let mut mails = vec![
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
    ];
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
    mails.extend(notices.into_iter().flat_map(|of| [of(notice()), of(short_notice())]));
    mails
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
